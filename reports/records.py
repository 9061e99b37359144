"""A run folder as it stands on disk: the last readable line of each attempt, without pandas and without objects.

This is the fast way for many thousands of records. It follows the rules of `harness.run`: later lines of an attempt
replace earlier ones, a line that can't be read (a torn one) means "owed again". What can't be a run folder at all is a
`UsageError` of one line that says what to do.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from harness.errors import UsageError
from harness.run import SCHEMA, Attempt, Run
from harness.verdict import STAGE_OF, Outcome, Stage

_fast: Callable[[bytes], Any] = json.loads
with contextlib.suppress(ImportError):  # a machine that judges may do without
    import orjson

    _fast = orjson.loads

Key: TypeAlias = tuple[str, str, str, str, int]
"""Suite, task, solver, model, sample: what tells attempts apart."""
_KEY_TYPES = (str, str, str, str, int)

_OUTCOMES = [outcome.value for outcome in Outcome]

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
    return ((key, data) for key, data, _ in places(run, rounds))


def places(run: Run, rounds: bool = False) -> Iterator[tuple[Key, dict[str, Any], tuple[int, int]]]:
    """The same, with where each line begins in the file and how long it is, bytes."""
    path, end = run.folder / "results.jsonl", 0
    try:
        with path.open("rb") as file:
            for line in file:
                begin, end = end, end + len(line)
                try:
                    data = _parsed(line if rounds else _SAMPLES.sub(b'"rounds": 0', line))
                except (ValueError, RecursionError):
                    continue
                if isinstance(data, dict) and data.get("status") in ("judged", "owed"):
                    key = _key(data.get("attempt"))
                    if key is not None:
                        yield key, data, (begin, len(line))
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"{path} can't be read ({error.strerror}): check its owner and permissions") from None


def _parsed(line: bytes) -> Any:
    try:
        return _fast(line)
    except ValueError:  # NaN and lone surrogates, which `harness.run` may write and JSON proper does not have
        return json.loads(line)


def is_judged(line: Mapping[str, Any] | None) -> bool:
    """Does the line hold a verdict, so that nothing more is owed?"""
    return line is not None and line.get("status") == "judged" and isinstance(line.get("verdict"), dict)


def command_of(run: Run) -> Callable[[Key], str | None]:
    """Tells of an attempt which command it is of: copies of a folder, and what was merged of them, say the same. None
    where the record does not tell."""
    own, parts = _command(run.about), run.about.get("merged")
    of = {
        attempt: _command(part)
        for part in (parts if isinstance(parts, list) else [])
        if isinstance(part, dict) and isinstance(part.get("attempts"), list)
        for attempt in part["attempts"]
        if isinstance(attempt, str)
    }
    return (lambda key: of.get(attempt_of(key).id, own)) if of else lambda _: own


def _command(about: Mapping[str, Any]) -> str | None:
    created, session = about.get("created"), about.get("session")
    return f"{created} {session}" if isinstance(created, str) and isinstance(session, str) else None


def stages(verdict: Mapping[str, Any]) -> dict[str, bool]:
    """Stages that a recorded verdict passed: by its outcome; of one that this version does not know, as recorded."""
    outcome, told = verdict.get("outcome"), part(verdict, "stages")
    if outcome not in _OUTCOMES:
        return {stage.value: told.get(stage.value) is True for stage in Stage}
    stopped, order = STAGE_OF[Outcome(outcome)], list(Stage)
    return {each.value: stopped is None or order.index(each) < order.index(stopped) for each in Stage}


def part(whole: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """An object within a record; an empty one where that is missing, or is something else."""
    value = (whole or {}).get(name)
    return value if isinstance(value, dict) else {}


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
