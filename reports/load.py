"""Run folders as one pandas frame: a row for each planned attempt, and for each recorded one that was not planned.

The plan in `run.json` is the denominator: an attempt without a verdict is a row of status `owed`, whose call, execution
and timed are False and whose outcome is None. Unknown is None (text) or NaN (numbers), never 0. `COLUMNS` has them all.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from harness.run import Run
from reports.flat import Column, columns, flatten
from reports.records import command_of, lines, open_run, planned

COLUMNS: dict[str, str] = {
    # which attempt; `model` is "" for a solver that uses none; folders of one command say the same under `command`
    **dict.fromkeys(("run", "command", "suite", "suite_version", "suite_digest", "task", "solver", "model"), "object"),
    "sample": "int64",
    "level": "float64",
    "category": "object",
    # under which conditions: `clock` is `device` or `interpreted`; True, False or None in the last two
    **dict.fromkeys(("device", "device_kind", "clock", "isolation", "torch", "triton", "driver"), "object"),
    **dict.fromkeys(("environment", "task_digest", "options", "shows_reference", "language_model"), "object"),
    "shows_examples": "object",
    # what came of it: `status` is `judged` or `owed`; `recorded` says whether there is a line at all
    "status": "object",
    **dict.fromkeys(("planned", "recorded", "call", "execution", "timed"), "bool"),
    **dict.fromkeys(("outcome", "reason"), "object"),
    # geometric means over the workloads; `low` and `high` bound `speedup`; fractions are of the hardware's limit
    **dict.fromkeys(("speedup", "low", "high", "candidate_us", "reference_us"), "float64"),
    **dict.fromkeys(("fraction", "reference_fraction", "workloads"), "float64"),
    **dict.fromkeys(("cases_passed", "cases", "worst_error", "judge_seconds"), "float64"),
    # the error as a multiple of the reference's; how many things a person should look at
    **dict.fromkeys(("error_ratio", "warnings"), "float64"),
    # what it cost
    **dict.fromkeys(("evaluations", "calls", "prompt_tokens", "completion_tokens", "tokens", "dollars"), "float64"),
    **dict.fromkeys(("model_seconds", "seconds"), "float64"),
    **dict.fromkeys(("origin", "stopped", "error", "solution_digest", "started", "finished"), "object"),
}
"""Column and dtype."""

OPTIONS = (
    *("max_evaluations", "max_tokens", "max_dollars", "max_seconds", "iterations", "early_stop_threshold"),
    *("model_profile", "model_option", "predictions", "stage_timeout", "memory_limit", "timing_width"),
    *("no_timing", "timed_workloads", "timing_processes"),
)
"""Options of the command that make other attempts of the same solver and model."""

COUNTS = (
    *("sample", "level", "workloads", "cases_passed", "cases", "warnings"),
    *("evaluations", "calls", "prompt_tokens", "completion_tokens", "tokens"),
)
"""Columns of whole numbers."""


def load(runs: Iterable[Path | str | Run] | Path | str | Run) -> pd.DataFrame:
    """All attempts of a run or of some, in the order of their plans. A folder named twice is read once.

    Raises `harness.errors.UsageError` for what is no run folder.
    """
    several = [runs] if isinstance(runs, (Path, str, Run)) else runs
    paths = (Path(each) if isinstance(each, str) else each for each in several)
    with _no_collection():
        opened = {run.folder.resolve(): run for run in map(open_run, paths)}
        parts = [_columns(run) for run in opened.values()]
        whole = {name: list(chain.from_iterable(part[name] for part in parts)) for name in COLUMNS}
        return pd.DataFrame({name: pd.Series(whole[name], dtype=dtype) for name, dtype in COLUMNS.items()})


def counts_as_integers(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its counts as whole numbers, for files; unknown stays empty."""
    return frame.assign(**{name: frame[name].round().astype("Int64") for name in COUNTS if name in frame.columns})


def _columns(run: Run) -> dict[str, Column]:
    """The columns of one run."""
    about, plan = run.about, planned(run)
    # Of each line only a flat tuple is kept: 100,000 parsed lines held together take many times the space and time.
    found = {key: flatten(line) for key, line in lines(run)}
    keys = [*plan, *(key for key in found if key not in plan)]
    if not keys:
        return {name: [] for name in COLUMNS}
    blank = flatten({})
    said, clocks = columns([found.get(key, blank) for key in keys])
    suite, task, solver, model, sample = zip(*keys, strict=True)
    environment, language = _dict(about.get("environment")), _dict(about.get("model"))
    suites, solvers = _named(about.get("suites"), "name"), _named(about.get("solvers"), "label")
    shows = {label: _bool(entry.get("shows_reference")) for label, entry in solvers.items()}
    helps = {label: _bool(entry.get("shows_examples")) for label, entry in solvers.items()}
    languages = {_text(language.get("name")): _bool(language.get("language_model"))}
    kind = _text(environment.get("device_kind"))
    interpreted = kind == "interpreter" if kind else "interpreted" in clocks
    return {
        **said,
        **{"suite": suite, "task": task, "solver": solver, "model": model, "sample": sample},
        "run": [str(run.folder)] * len(keys),
        "command": list(map(command_of(run), keys)),
        "clock": ["interpreted" if interpreted else "device"] * len(keys),
        "options": [options_text(about)] * len(keys),
        "suite_version": [_text(_dict(suites.get(name)).get("version")) for name in suite],
        "suite_digest": [_text(_dict(suites.get(name)).get("digest")) for name in suite],
        "shows_reference": [shows.get(name) for name in solver],
        "shows_examples": [helps.get(name) for name in solver],
        "language_model": [languages.get(name) for name in model],
        "planned": [key in plan for key in keys],
        **_conditions(environment, said["environment"]),
    }


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the cyclic garbage collector: parsed JSON has no cycles, and the search for some takes a third longer."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _conditions(environment: Mapping[str, Any], recorded: Column) -> dict[str, list[str | None]]:
    """What attempts ran on. Of a digest that is not the one `run.json` describes, nothing else is known."""
    described = _text(environment.get("digest"))
    known = [not (described and digest) or described == digest for digest in recorded]
    names = ("device", "device_kind", "isolation", "torch", "triton", "driver")
    values = {name: _text(environment.get(name)) for name in names}
    return {
        "environment": [digest or described for digest in recorded],
        **{name: [value if each else None for each in known] for name, value in values.items()},
    }


def options_text(about: Mapping[str, Any], names: Iterable[str] = OPTIONS) -> str | None:
    """The options that were set and that change what an attempt is: `max_evaluations=5, model_option=temperature=1`."""
    options = _dict(about.get("options"))
    texts = {
        name: " ".join(map(str, options[name])) if isinstance(options[name], list) else str(options[name])
        for name in names
        if options.get(name) not in (None, [])
    }
    return ", ".join(f"{name}={text}" for name, text in texts.items()) or None


def _bool(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _named(entries: Any, key: str) -> dict[str, dict[str, Any]]:
    found = entries if isinstance(entries, list) else []
    return {entry[key]: entry for entry in found if isinstance(entry, dict) and isinstance(entry.get(key), str)}
