"""Attempts, a row each: what came of every task, how fast, how near the hardware's limit, or why not."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from reports import table
from reports.leaderboard import CONDITIONS
from reports.load import counts_as_integers
from reports.records import attempt_of
from reports.table import Column, Table, clean

COLUMNS = (
    *("attempt", "task", "level", "category", "solver", "model", "sample", "status", "outcome", "call", "execution"),
    *("speedup", "low", "high", "candidate_us", "reference_us", "fraction", "reference_fraction", "reason", "planned"),
    *(
        "cases_passed",
        "cases",
        "worst_error",
        "error_ratio",
        "warnings",
        "evaluations",
        "calls",
        "tokens",
        "dollars",
        "model_seconds",
        "seconds",
    ),
    *("task_digest", "solution_digest", "origin", "stopped", "error", *CONDITIONS),
)

_NAME = 80
"""Characters of a name, at most."""
_REASON = 160
"""Characters of a reason in Markdown."""
_TIMES = ("speedup", "low", "high", "candidate_us", "reference_us", "fraction", "reference_fraction")


def tasks(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of `reports.load.load` in `COLUMNS`, in their order; `attempt` is the id that `kernel-assay show` takes.
    Where there are several runs, their folders come last.

    Speedup and its bounds are ratios, times are µs a call, fractions are of the hardware's limit: geometric means over
    the workloads, NaN where the attempt was not timed.
    """
    keys = zip(*(frame[name] for name in ("suite", "task", "solver", "model", "sample")), strict=True)
    several = ["run"] if frame["run"].nunique() > 1 else []
    return frame.assign(attempt=[attempt_of(key).id for key in keys])[[*COLUMNS, *several]]


def tasks_tables(frame: pd.DataFrame) -> list[Table]:
    """One table for times of devices, one for interpreted times: they share no column."""
    return [tasks_table(frame[frame["clock"] == clock]) for clock in frame["clock"].unique()]


def tasks_table(frame: pd.DataFrame) -> Table:
    """The table of attempts. Run, solver, device, model and sample are columns only where they differ."""
    rows = tasks(frame)
    interpreted = bool((frame["clock"] == "interpreted").any())
    time = " [1]" if interpreted else ""
    names = [name for name in ("run", "suite", "solver", "model", "device", "sample") if name in rows.columns]
    several = [name for name in names if rows[name].nunique() > 1]
    single = [name for name in ("suite", "solver", "model", "device", "isolation") if rows[name].nunique() == 1]
    facts = [f"{name} {clean(rows[name].dropna().iloc[0], _NAME)}" for name in single]
    data = rows.rename(columns={name: f"interpreted_{name}" for name in _TIMES}) if interpreted else rows
    data = counts_as_integers(data)
    owed = int((rows["status"] == "owed").sum())
    unplanned = int((~rows["planned"]).sum())
    suspicious = int((rows["warnings"] > 0).sum())
    notes = [
        *(["Times are of Triton's interpreter on a CPU: they say nothing of speed on a GPU."] if interpreted else []),
        *([f"{owed} of {len(rows)} attempts are owed: continue the run with --resume."] if owed else []),
        *([f"{suspicious} attempts are suspicious: kernel-assay show says why."] if suspicious else []),
        *([f"{unplanned} attempts are recorded but not in the run's plan."] if unplanned else []),
    ]
    reasons = [
        reason or error or ("not judged yet" if status == "owed" else "")
        for reason, error, status in zip(rows["reason"], rows["error"], rows["status"], strict=True)
    ]
    bounded = zip(rows["speedup"], rows["low"], rows["high"], strict=True)
    columns = (
        Column("task", _texts(rows["task"]), text=True, names=True),
        *(Column(name, _texts(_short(rows[name])), text=True, names=True) for name in several),
        Column("outcome", _texts(rows["outcome"].fillna("owed")), text=True),
        Column(f"speedup{time}", tuple(table.ratio(*each) for each in bounded)),
        Column(f"candidate\nµs{time}", tuple(map(table.microseconds, rows["candidate_us"]))),
        Column(f"reference\nµs{time}", tuple(map(table.microseconds, rows["reference_us"]))),
        Column("% of\nlimit", tuple(map(table.whole_percent, rows["fraction"]))),
        Column("reference\n% of limit", tuple(map(table.whole_percent, rows["reference_fraction"]))),
        Column("error, ×\nreference's", tuple(map(table.ratio, rows["error_ratio"]))),
        Column("reason", tuple(clean(reason, _REASON) for reason in reasons), text=True, elastic=True),
    )
    legend = (
        "speedup: geometric mean over workloads, reference over candidate, with its 95 % interval. limit: the least "
        "time that the hardware's measured rates allow. error: against the oracle, on the case where it is most beside "
        "the reference's.",
    )
    return Table("Tasks", (", ".join(facts),) if facts else (), columns, tuple(notes), legend, data=data)


def _short(values: pd.Series) -> pd.Series:
    """Of runs their folders' names, where these tell them apart."""
    if values.name != "run":
        return values
    last = values.map(lambda path: Path(path).name)
    return last if last.nunique() == values.nunique() else values


def _texts(values: pd.Series) -> tuple[str, ...]:
    return tuple(clean(value, _NAME) if value != "" else "-" for value in values)
