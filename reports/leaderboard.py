"""The leaderboard's numbers: a frame of attempts in, one row for each solver and model under the same conditions out.

Conditions are part of a row's key, so nothing is merged across digests of suites, devices, isolation levels,
environments, options (budgets, a model's settings), or the reference being shown. Every attempt is in every
denominator: also one that is still owed, that the interpreter could not judge, or that was recorded without being
planned. Each of these has its own count beside it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from harness.verdict import Outcome
from reports.statistics import (
    Interval,
    failures_as_one,
    fast_p,
    geometric_interval,
    geometric_mean,
    wilson_by_task,
)

CONDITIONS = (
    *("suite", "suite_version", "suite_digest", "device", "device_kind", "clock", "isolation", "torch", "triton"),
    *("driver", "environment", "options", "shows_reference", "shows_examples", "language_model"),
)
KEYS = ("solver", "model", *CONDITIONS)

FAST = {"fast_1": 1.0, "fast_1_5": 1.5, "fast_2": 2.0}
"""Column and its p."""

COSTS = ("evaluations", "calls", "prompt_tokens", "completion_tokens", "tokens", "dollars", "model_seconds", "seconds")

COLUMNS = (
    *("solver", "model", "runs", "tasks", "attempts", "judged", "owed", "unsupported", "unplanned"),
    *("cheating", "suspicious"),
    *("call", "call_low", "call_high", "execution", "execution_low", "execution_high"),
    *("speedup", "speedup_low", "speedup_high", "timed", "right_untimed"),
    *("speedup_failures_1", "speedup_failures_1_low", "speedup_failures_1_high"),
    *(f"{name}{end}" for name in FAST for end in ("", "_low", "_high")),
    *COSTS,
    *(f"{name}_unknown" for name in ("tokens", "dollars")),
    "mixed_tasks",
    *CONDITIONS,
)


def leaderboard(frame: pd.DataFrame) -> pd.DataFrame:
    """One row for each key in `KEYS`; `frame` is what `reports.load.load` returns.

    Shares (`call`, `execution`, `fast_*`) are of all attempts, from 0 to 1, with bounds `_low` and `_high` (Wilson,
    95 %, at the effective number of attempts). `speedup` is the geometric mean over right and timed attempts,
    `speedup_failures_1` that over all attempts with 1 for the others, with bootstrap bounds over tasks. Costs are sums
    over the recorded attempts, seconds being wall time of attempts; NaN where one of them is unknown, with the number
    of those in `_unknown`. `cheating` and `suspicious` count attempts that were seen breaking the rules, and those that
    a person should look at. `mixed_tasks` counts tasks that were judged under more than one digest.

    Sorted by execution, then by `speedup_failures_1`, best first.
    """
    groups = frame.groupby(list(KEYS), dropna=False, sort=False)
    board = pd.DataFrame([_row(group) for _, group in groups], columns=list(COLUMNS))
    for name in KEYS:
        board[name] = board[name].astype("object").where(board[name].notna(), None)
    order = ["execution", "speedup_failures_1", "solver", "model"]
    return board.sort_values(order, ascending=[False, False, True, True], kind="stable", ignore_index=True)


def _row(group: pd.DataFrame) -> dict[str, Any]:
    task = pd.factorize(group["task"])[0]
    speedups = group["speedup"].to_numpy(dtype=np.float64)
    timed = ~np.isnan(speedups)
    execution = group["execution"].to_numpy(dtype=bool)
    digests = group.groupby("task")["task_digest"].nunique()
    recorded = group[group["recorded"]]
    row: dict[str, Any] = {
        **{key: group[key].iloc[0] for key in KEYS},
        "runs": group["run"].nunique(),
        "tasks": int(task.max()) + 1,
        "attempts": len(group),
        "judged": int((group["status"] == "judged").sum()),
        "owed": int((group["status"] == "owed").sum()),
        "unsupported": int((group["outcome"] == Outcome.UNSUPPORTED.value).sum()),
        "unplanned": int((~group["planned"]).sum()),
        "cheating": int((group["outcome"] == Outcome.CHEATING.value).sum()),
        "suspicious": int((group["warnings"] > 0).sum()),
        "timed": int(timed.sum()),
        "right_untimed": int((execution & ~timed).sum()),
        "mixed_tasks": int((digests > 1).sum()),
    }
    for name in ("call", "execution"):
        passed = group[name].to_numpy(dtype=bool)
        row |= _bounded(name, float(passed.mean()), wilson_by_task(passed, task))
    for name, p in FAST.items():
        row |= _bounded(name, fast_p(speedups, p), wilson_by_task(speedups > p, task))
    right, every = speedups[timed], failures_as_one(speedups)
    row |= _bounded("speedup", geometric_mean(right), geometric_interval(right, task[timed]))
    row |= _bounded("speedup_failures_1", geometric_mean(every), geometric_interval(every, task))
    for name in COSTS:
        row[name] = float(recorded[name].sum(skipna=False)) if len(recorded) else math.nan
    for name in ("tokens", "dollars"):
        row[f"{name}_unknown"] = int(recorded[name].isna().sum())
    return row


def _bounded(name: str, value: float, bounds: Interval) -> dict[str, float]:
    return {name: value, f"{name}_low": bounds.low, f"{name}_high": bounds.high}
