"""A run folder as it stands on disk: the last readable line of each attempt, without pandas and without objects.

This is the fast way for many thousands of records. It follows the rules of `harness.run`: later lines of an attempt
replace earlier ones, a line that can't be read (a torn one) means "owed again". What can't be a run folder at all is a
`UsageError` of one line that says what to do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from harness.errors import UsageError
from harness.run import SCHEMA, Attempt, Run

Key: TypeAlias = tuple[str, str, str, str, int]
"""Suite, task, solver, model, sample: what tells attempts apart."""
_KEY_TYPES = (str, str, str, str, int)

_SAMPLES = re.compile(rb'"(?:candidate|reference)_samples_us": \[[^\]]*\]')
"""The rounds of a timing: most of a line's bytes, and in no table. Inside a JSON text a quote is always escaped, so
this can only match the field itself."""


def open_run(run: Path | Run) -> Run:
    """The run in a folder. Raises `UsageError` that says what to do where there is none."""
    if isinstance(run, Run):
        return run
    if not run.is_dir():
        raise UsageError(f"{run} is no folder: name a run folder (`kernel-assay runs DIR` lists those in DIR)")
    if not (run / "run.json").exists():
        raise UsageError(
            f"{run} is no run folder, it has no run.json: name a folder that pytest wrote with --run-dir "
            "(`kernel-assay runs DIR` lists those in DIR)"
        )
    try:
        about = json.loads((run / "run.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{run / 'run.json'} can't be read ({one_line(error)}): restore it from a copy, or run the suite again"
        ) from None
    schema = about.get("schema") if isinstance(about, dict) else None
    if schema != SCHEMA:
        writer = f" by version {about['harness']}" if isinstance(about, dict) and about.get("harness") else ""
        raise UsageError(
            f"{run} was written{writer} with schema {schema!r}, this version reads {SCHEMA}: "
            "report on it with the version that wrote it"
        )
    return Run(run, about)


def planned(run: Run) -> dict[Key, None]:
    """Keys of the planned attempts, in the order of the plan: the denominator."""
    plan = run.about.get("plan", [])
    keys: dict[Key, None] = {}
    for number, entry in enumerate(plan if isinstance(plan, list) else [None], start=1):
        key = _key(entry)
        if key is None:
            raise UsageError(
                f"{run.folder / 'run.json'}: entry {number} of the plan is no attempt: restore the file from a copy, "
                "or run the suite again"
            )
        keys[key] = None
    return keys


def latest(run: Run) -> dict[Key, dict[str, Any]]:
    """The last readable line of each attempt, in the order in which attempts were first recorded.

    Timings come without their single rounds; `harness.run.Run.records` has them.
    """
    return dict(lines(run))


def lines(run: Run, rounds: bool = False) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Every readable line with its attempt's key, in the order of the file: a later one replaces an earlier one.

    `rounds`: timings come with their single rounds.
    """
    path = run.folder / "results.jsonl"
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    data = json.loads(line if rounds else _SAMPLES.sub(b'"rounds": 0', line))
                except (ValueError, RecursionError):
                    continue
                if isinstance(data, dict) and data.get("status") in ("judged", "owed"):
                    key = _key(data.get("attempt"))
                    if key is not None:
                        yield key, data
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror}): check its owner and permissions") from None


def is_judged(line: Mapping[str, Any] | None) -> bool:
    """Does the line hold a verdict, so that nothing more is owed?"""
    return line is not None and line.get("status") == "judged" and isinstance(line.get("verdict"), dict)


def attempt_of(key: Key) -> Attempt:
    """The attempt as the harness has it."""
    return Attempt(*key)


def one_line(error: object) -> str:
    """An error's message without line breaks."""
    return " ".join(str(error).split())


def _key(entry: Any) -> Key | None:
    try:
        key: Key = (entry["suite"], entry["task"], entry["solver"], entry["model"], entry["sample"])
    except (KeyError, TypeError):
        return None
    return key if tuple(map(type, key)) == _KEY_TYPES else None
