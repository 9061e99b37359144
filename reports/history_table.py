"""A history for people: a table for each series of runs, and one for the runs that stand alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC
from itertools import pairwise
from typing import Any

import pandas as pd

from reports import table
from reports.changepoints import ALPHA, FEWEST
from reports.history import MARKED, Change, Point, Series
from reports.leaderboard import KEYS
from reports.load import counts_as_integers
from reports.table import Column, Table, clean

_NAME = 80
"""Characters of a name, at most."""

FIGURES = (
    *("tasks", "attempts", "owed", "execution", "execution_low", "execution_high"),
    *("speedup", "speedup_low", "speedup_high"),
    *("speedup_failures_1", "speedup_failures_1_low", "speedup_failures_1_high"),
)
"""What a row has of the leaderboard."""

_INTERPRETED = "Times are of Triton's interpreter on a CPU: they say nothing of speed on a GPU."
_LEGEND = (
    "execution: % of all attempts, with 95 % Wilson intervals; speedup: geometric mean over right kernels; "
    "failures = 1: over all attempts, 1 for those without a speedup; 95 % bootstrap intervals over tasks.",
    "A change is marked at the first run after it: E-divisive's search, with a permutation test of each step. Of "
    f"series in which nothing changes, at most {200 * ALPHA:.0f} % have a mark. Intervals in a change's note do not "
    "know that it was searched for. Speed is compared task by task, whichever kernels were right.",
)


def history_tables(found: Sequence[Series], skipped: Sequence[str] = ()) -> list[Table]:
    """A table for each series of several runs, then one of all single runs. `skipped` is said below the first."""
    several = [(number, series) for number, series in enumerate(found, 1) if len(series.points) > 1]
    single = [(number, series) for number, series in enumerate(found, 1) if len(series.points) == 1]
    notes = tuple(clean(each) for each in skipped)
    tables = [_series(number, series, () if place else notes) for place, (number, series) in enumerate(several)]
    return [*tables, *([_alone(single, () if tables else notes)] if single else [])]


def _series(number: int, series: Series, notes: tuple[str, ...]) -> Table:
    points, changes = series.points, series.changes()
    interpreted = series.first["clock"] == "interpreted"
    told = [*([_INTERPRETED] if interpreted else []), *notes]
    words: list[list[str]] = [[] for _ in points]

    def mark(at: int, word: str, note: str) -> None:
        if note not in told:
            told.append(note)
        words[at].append(f"{word} [{told.index(note) + 1}]")

    for change in changes:
        mark(change.at, f"{change.what} {'up' if change.up else 'down'}", _change(change))
    for at, (earlier, point) in enumerate(pairwise(points), 1):
        for what, before, after in _differences(earlier, point):
            mark(at, what, f"{what}: {before} before, {after} from this run on.")
    for at, point in enumerate(points):
        if not point.whole:
            mark(
                at, "owed", "Attempts are owed: in the denominator as not passed; changes are not searched in this run."
            )
    whole = sum(point.whole for point in points)
    if whole < FEWEST:
        told.append(f"{whole} whole runs: changes are searched from {FEWEST} on.")
    time = " [1]" if interpreted else ""
    columns = (
        Column("date", tuple(map(_date, points)), text=True),
        Column("run", tuple(clean(point.run.name, _NAME) for point in points), text=True, names=True),
        Column("attempts", tuple(str(point.row["attempts"]) for point in points)),
        Column("owed", tuple(str(point.row["owed"]) for point in points)),
        Column("execution %", _cells(points, table.percent, "execution")),
        Column(f"speedup{time}", _cells(points, table.ratio, "speedup")),
        Column(f"failures\n= 1{time}", _cells(points, table.ratio, "speedup_failures_1")),
        Column("change", tuple(", ".join(each) or "-" for each in words), text=True),
    )
    who = ", ".join(clean(series.first[name], _NAME) for name in ("solver", "model") if series.first[name])
    facts = (", ".join(_conditions(series)),)
    return Table(f"History: {who}", facts, columns, tuple(told), _LEGEND, _data([(number, series, changes)]))


def _alone(single: Sequence[tuple[int, Series]], notes: tuple[str, ...]) -> Table:
    points = [series.points[0] for _, series in single]

    def texts(name: str) -> tuple[str, ...]:
        return tuple(clean(point.row[name] or "-", _NAME) for point in points)

    slow = [point.row["clock"] == "interpreted" for point in points]
    marks = (" [1]" if any(slow) else "", "    " if any(slow) else "")
    speeds = zip(_cells(points, table.ratio, "speedup"), slow, strict=True)
    columns = (
        Column("date", tuple(map(_date, points)), text=True),
        Column("run", tuple(clean(point.run.name, _NAME) for point in points), text=True, names=True),
        *(Column(name, texts(name), text=True) for name in ("solver", "model", "suite", "device", "isolation")),
        Column("suite\ndigest", tuple(clean(point.row["suite_digest"] or "-")[:8] for point in points), text=True),
        Column("options", tuple(clean(series.options or "-", _NAME) for _, series in single), text=True),
        Column("tasks", tuple(str(point.row["tasks"]) for point in points)),
        Column("execution %", _cells(points, table.percent, "execution")),
        Column("speedup", tuple(shown + marks[not interpreted] for shown, interpreted in speeds)),
    )
    legend = ("Each differs from all others in suite, tasks, solver, model, options, device or isolation.",)
    data = _data([(number, series, []) for number, series in single])
    return Table(
        "Runs without another of their kind", (), columns, (*([_INTERPRETED] * any(slow)), *notes), legend, data
    )


def _date(point: Point) -> str:
    return f"{point.created.astimezone(UTC):%Y-%m-%d %H:%M}"


def _cells(points: Sequence[Point], shown: Callable[..., str], name: str) -> tuple[str, ...]:
    return tuple(shown(*(point.row[f"{name}{end}"] for end in ("", "_low", "_high"))) for point in points)


def _change(change: Change) -> str:
    """What a change point's note says."""
    p = f"p {'<' if change.p < 0.001 else '='} {max(change.p, 0.001):.3f}"
    if change.what == "execution":
        sides = " → ".join(table.percent(value, *bounds) for value, bounds in (change.before, change.after))
        return f"Execution {sides} % from this run on ({p})."
    return f"Speed {table.ratio(change.after[0], *change.after[1])} times that before, from this run on ({p})."


def _differences(earlier: Point, point: Point) -> list[tuple[str, str, str]]:
    """What else is another than in the run before: name, before, after."""
    pairs = [(name, earlier.row[name], point.row[name]) for name in MARKED] + [
        ("answers", earlier.answers, point.answers)
    ]
    shown = [(name, *(clean(value or "unknown", _NAME) for value in pair)) for name, *pair in pairs]
    return [(name, before, after) for name, before, after in shown if before != after]


def _conditions(series: Series) -> list[str]:
    """What is the same in all runs of a series."""
    row = series.first
    return [
        f"suite {clean(row['suite'], _NAME)} {clean(row['suite_version'] or '', _NAME)}".rstrip(),
        f"digest {clean(row['suite_digest'] or 'unknown')[:8]}",
        f"{len(series.tasks)} tasks",
        clean(row["device"] or "unknown device", _NAME),
        f"isolation {clean(row['isolation'] or 'unknown', _NAME)}",
        *([f"options {clean(series.options, _NAME)}"] if series.options else []),
    ]


def _data(several: Sequence[tuple[int, Series, Sequence[Change]]]) -> pd.DataFrame:
    """A row a run, in full precision: interpreted times under names of their own, so that they never fall into a column
    of device times. `*_change` is `up` or `down` at the first run after a change."""
    rows: list[dict[str, Any]] = []
    for number, series, changes in several:
        slow = "interpreted_" if series.first["clock"] == "interpreted" else ""
        for at, point in enumerate(series.points):
            here = {change.what: change for change in changes if change.at == at}
            figures = {name: point.row[name] for name in FIGURES}
            for what in ("execution", "speed"):
                change = here.get(what)
                figures[f"{what}_change"] = ("up" if change.up else "down") if change else None
                figures[f"{what}_change_p"] = change.p if change else None
            rows.append(
                {
                    **{"series": number, "run": str(point.run), "created": point.created.isoformat()},
                    **{f"{slow}{name}" if name.startswith("speed") else name: figures[name] for name in figures},
                    **{name: point.row[name] for name in KEYS},
                }
            )
    return counts_as_integers(pd.DataFrame(rows))
