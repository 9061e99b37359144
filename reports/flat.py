"""Lines of `results.jsonl` as columns, fast: each line is cut down to flat tuples, then whole columns are cleaned.

Unknown, or of another type than the harness writes, is None (text) or NaN (numbers). Only timings of attempts that
passed the speedup stage count. Nothing here knows `run.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.verdict import STAGE_OF, Stage
from reports.records import is_judged
from reports.statistics import Floats, combined_intervals, geometric_means

Line: TypeAlias = tuple[Any, ...]
Column: TypeAlias = Sequence[Any] | npt.NDArray[Any]

VERDICT = (
    "outcome",
    "reason",
    "digest",
    "cases_passed",
    "cases",
    "worst_error",
    "seconds",
    "stages",
    "warnings",
    "accuracy",
)
SPENT = ("evaluations", "calls", "prompt_tokens", "completion_tokens", "dollars", "model_seconds", "seconds")
RECORD = (
    *("level", "category", "task_digest", "environment", "origin", "stopped", "error", "started", "finished"),
    *("status", "schema"),
)
TIMES = ("speedup", "low", "high", "candidate_us", "reference_us", "fraction", "reference_fraction")
"""Of a timing: numbers above 0."""
TIMING = (*TIMES, "clock")

_RENAMED = {"digest": "solution_digest", "seconds": "judge_seconds"}
_NAMES = (
    "timings",
    *(_RENAMED.get(name, name) for name in VERDICT),
    *SPENT,
    *RECORD,
)
_TEXTS = ("outcome", "reason", "solution_digest", *RECORD[1:9])
_NUMBERS = ("cases_passed", "cases", "worst_error", "judge_seconds", "level", *SPENT)

_NOTHING = dict.fromkeys((*VERDICT, *SPENT, *RECORD, *TIMING))
_verdict, _spent, _record, _time = itemgetter(*VERDICT), itemgetter(*SPENT), itemgetter(*RECORD), itemgetter(*TIMING)

_ORDER = list(Stage)
_PASSED: dict[str, tuple[bool, ...]] = {
    outcome.value: tuple(stopped is None or _ORDER.index(stage) < _ORDER.index(stopped) for stage in Stage)
    for outcome, stopped in STAGE_OF.items()
}
"""Which stages an outcome has passed."""


def flatten(line: Mapping[str, Any]) -> Line:
    """What `columns` needs of a line; `{}` is an attempt without one."""
    verdict = line["verdict"] if is_judged(line) else _NOTHING
    spent = line.get("spent")
    timings = verdict.get("timings")
    return (
        tuple(_get(_time, each) for each in timings if isinstance(each, dict)) if isinstance(timings, list) else (),
        *_get(_verdict, verdict),
        *_get(_spent, spent if isinstance(spent, dict) else _NOTHING),
        *_get(_record, line or _NOTHING),
    )


def columns(rows: Sequence[Line]) -> tuple[dict[str, Column], set[Any]]:
    """The columns of these rows (at least one), and the clocks that their timings name."""
    raw: dict[str, Column] = dict(zip(_NAMES, zip(*rows, strict=True), strict=True))
    texts = {name: [_text(value) for value in raw[name]] for name in _TEXTS}
    numbers = {name: _numbers(raw[name]) for name in _NUMBERS}
    passed = [
        _PASSED.get(outcome) or _recorded_stages(stages) if outcome else (False, False, False)
        for outcome, stages in zip(texts["outcome"], raw["stages"], strict=True)
    ]
    timings = [each if stages[-1] else () for each, stages in zip(raw["timings"], passed, strict=True)]
    times = _times(timings)
    return {
        **texts,
        **numbers,
        **times,
        "warnings": np.array([float(len(each)) if isinstance(each, list) else 0.0 for each in raw["warnings"]]),
        "error_ratio": _numbers([each.get("ratio") if isinstance(each, dict) else None for each in raw["accuracy"]]),
        "tokens": numbers["prompt_tokens"] + numbers["completion_tokens"],
        "recorded": [status is not None for status in raw["status"]],
        "status": ["judged" if outcome else "owed" for outcome in texts["outcome"]],
        "call": [stages[0] for stages in passed],
        "execution": [stages[1] for stages in passed],
        "timed": ~np.isnan(times["speedup"]),
        "workloads": np.array([len(each) or math.nan for each in timings]),
    }, {timing[-1] for each in timings for timing in each if isinstance(timing[-1], str)}


def _times(timings: Sequence[tuple[Line, ...]]) -> dict[str, Floats]:
    """Geometric means over each row's workloads, with the bounds of that of the speedup; NaN where one is unknown."""
    flat = [timing for each in timings for timing in each] or [_get(_time, {})]
    row = np.repeat(np.arange(len(timings)), [len(each) for each in timings]) if any(timings) else np.zeros(1, np.int64)
    values = dict(zip(TIMES, map(_numbers, tuple(zip(*flat, strict=True))[: len(TIMES)]), strict=True))
    means = {name: geometric_means(values[name], row, len(timings)) for name in TIMES}
    bounds = combined_intervals(values["speedup"], values["low"], values["high"], row, len(timings))
    return {**means, "low": bounds.low, "high": bounds.high}


def _get(wanted: itemgetter[Any], found: Mapping[str, Any]) -> tuple[Any, ...]:
    try:
        return tuple(wanted(found))
    except KeyError:  # written by an older or newer version
        return tuple(wanted({**_NOTHING, **found}))


def _numbers(values: Column) -> Floats:
    """Finite numbers; NaN for all else."""
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        numbers = np.empty(0)
    if numbers.shape != (len(values),):
        numbers = np.array([_number(value) for value in values])
    return np.where(np.isfinite(numbers), numbers, math.nan)


def _number(value: Any) -> float:
    try:
        return float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        return math.nan


def _recorded_stages(stages: Any) -> tuple[bool, ...]:
    """Of an outcome that this version doesn't know: as the record has it."""
    return tuple(isinstance(stages, dict) and stages.get(stage.value) is True for stage in Stage)


def _text(value: Any) -> str | None:
    return value if type(value) is str and value else None
