"""The runs of one agent over time: execution accuracy and speed from run to run, and where they changed.

Runs are of one series where suite and its digest, tasks, solver, model, options, device and isolation are the same.
What else may change what is measured (torch, Triton, the driver, the answers that are replayed) may differ within a
series; a run says where. A run with owed attempts is in its series, but changes are not searched in it: what was not
judged would look like a loss.

Speed is compared task by task. A run's value is the mean, over the tasks timed in it, of how far the log of the speedup
is above that task's mean over all runs: so a kernel that is right for the first time is no change of speed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import UsageError
from harness.run import Run
from reports.changepoints import ChangePoint, changes_of_means, changes_of_shares
from reports.leaderboard import KEYS, leaderboard
from reports.load import OPTIONS, load, options_text
from reports.records import one_line, open_run
from reports.statistics import UNKNOWN, Floats, Interval, geometric_interval, geometric_mean, wilson_by_task

MARKED = ("torch", "triton", "driver")
"""What may change within a series, besides the answers that are replayed."""
_FREE = (*MARKED, "environment", "options")
_SAME = tuple(name for name in KEYS if name not in _FREE)


@dataclass(frozen=True)
class Point:
    """What one run says of an agent."""

    run: Path
    created: datetime
    row: dict[Hashable, Any]
    """Its row of the leaderboard."""
    answers: str
    """What was replayed; empty of others."""
    task: tuple[str, ...]
    execution: tuple[bool, ...]
    """Of each attempt: its task, and whether it was right."""
    speeds: dict[str, float]
    """By task: mean log of the speedup, over the attempts that were timed."""

    @property
    def whole(self) -> bool:
        """Is nothing owed?"""
        return int(self.row["owed"]) == 0


@dataclass(frozen=True)
class Change:
    """A run from which on a series is another."""

    what: str
    """`execution` or `speed`."""
    at: int
    """Index of the first run after it."""
    p: float
    up: bool
    before: tuple[float, Interval]
    after: tuple[float, Interval]
    """Of `execution`: the share between the changes to both sides. Of `speed`: 1, and how many times as fast, tasks
    timed on both sides alone. With their intervals, which do not know that the change was searched for."""


@dataclass
class Series:
    """One agent under the same conditions, by time."""

    tasks: tuple[str, ...]
    options: str | None
    points: list[Point] = field(default_factory=list)

    @property
    def first(self) -> dict[Hashable, Any]:
        """The row of the first run, for what is the same in all."""
        return self.points[0].row

    def changes(self) -> list[Change]:
        """All changes, by run."""
        whole = [number for number, point in enumerate(self.points) if point.whole]
        passed = np.array([sum(self.points[number].execution) for number in whole], dtype=np.float64)
        tried = np.array([len(self.points[number].execution) for number in whole], dtype=np.float64)
        found = self._told("execution", whole, changes_of_shares(passed, tried))
        values = speed_values([self.points[number].speeds for number in whole])
        timed = [number for number, value in zip(whole, values, strict=True) if not math.isnan(value)]
        found += self._told("speed", timed, changes_of_means(values[~np.isnan(values)]))
        return sorted(found, key=lambda change: (change.at, change.what))

    def _told(self, what: str, numbers: Sequence[int], found: Sequence[ChangePoint]) -> list[Change]:
        """Change points as changes; `numbers` are the runs in which they were searched."""
        bounds = [0, *(each.start for each in found), len(numbers)]
        told = []
        for each, start, end in zip(found, bounds, bounds[2:], strict=False):
            sides = [
                [self.points[n] for n in side] for side in (numbers[start : each.start], numbers[each.start : end])
            ]
            before, after = (_shares if what == "execution" else _speeds)(*sides)
            told.append(Change(what, numbers[each.start], each.p, after[0] > before[0], before, after))
        return told


def read(folder: Path) -> tuple[list[Series], list[str]]:
    """The series of all runs in a folder, those with most runs first; and a line on each run that can't be read.

    Raises UsageError where there is none to read.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name one with run folders in it")
    found: dict[Hashable, Series] = {}
    skipped = []
    paths = [path for path in (folder, *sorted(folder.iterdir())) if (path / "run.json").is_file()]
    for path in paths:
        try:
            run = open_run(path)
            points = _points(run)
        except UsageError as error:
            skipped.append(f"left out: {one_line(error)}")
            continue
        for point in points:
            tasks, options = tuple(sorted(set(point.task))), options_text(run.about, set(OPTIONS) - {"predictions"})
            key = (tasks, options, *(point.row[name] for name in _SAME))
            found.setdefault(key, Series(tasks, options)).points.append(point)
    if not found:
        why = f"; {skipped[0]}" if skipped else ": name the folder that --run-dir points into"
        raise UsageError(f"{folder} holds no run that can be read{why}")
    for series in found.values():
        series.points.sort(key=lambda point: (point.created, str(point.run)))
    return sorted(found.values(), key=lambda series: -len(series.points)), skipped


def speed_values(speeds: Sequence[dict[str, float]]) -> Floats:
    """A value for each run, from its log speedups by task: the mean distance from the tasks' means over all runs. NaN
    for a run in which nothing was timed."""
    frame = pd.DataFrame([dict(each) for each in speeds], dtype="float64")
    return np.asarray(frame.sub(frame.mean()).mean(axis=1), dtype=np.float64)


def _points(run: Run) -> list[Point]:
    """Of each solver and model of a run. Raises UsageError where the record can't be read, or doesn't say when it was
    made."""
    frame = load(run)
    created = _moment(run)
    answers = options_text(run.about, ("predictions",)) or ""
    points = []
    for _, group in frame.groupby(list(KEYS), dropna=False, sort=False):
        logs = np.log(group["speedup"]).groupby(group["task"]).mean().dropna()
        points.append(
            Point(
                run=run.folder,
                created=created,
                row=leaderboard(group).to_dict("records")[0],
                answers=answers,
                task=tuple(group["task"]),
                execution=tuple(map(bool, group["execution"])),
                speeds={str(task): float(value) for task, value in logs.items()},
            )
        )
    return points


def _moment(run: Run) -> datetime:
    try:
        moment = datetime.fromisoformat(str(run.about.get("created")))
    except ValueError:
        raise UsageError(
            f"{run.folder / 'run.json'} does not say when it was created: restore it from a copy"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _shares(before: Sequence[Point], after: Sequence[Point]) -> tuple[tuple[float, Interval], tuple[float, Interval]]:
    """Share of attempts that were right, on both sides."""
    sides = []
    for points in (before, after):
        passed = np.array([each for point in points for each in point.execution], dtype=bool)
        task = np.array([each for point in points for each in point.task])
        sides.append((float(passed.mean()), wilson_by_task(passed, task)))
    return sides[0], sides[1]


def _speeds(before: Sequence[Point], after: Sequence[Point]) -> tuple[tuple[float, Interval], tuple[float, Interval]]:
    """1, and how many times as fast the runs after are: the geometric mean over tasks that were timed on both sides."""
    frames = [
        pd.DataFrame([dict(point.speeds) for point in points], dtype="float64").mean() for points in (before, after)
    ]
    apart = (frames[1] - frames[0]).dropna()
    ratios, tasks = np.exp(apart.to_numpy(dtype=np.float64)), np.array(apart.index)
    return (1.0, UNKNOWN), (geometric_mean(ratios), geometric_interval(ratios, tasks))
