"""The charts: fast_p, what more turns, samples and dollars buy, where attempts stop, and the limit of the hardware."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from markupsafe import Markup

from harness.verdict import Outcome
from reports.page.axes import Axes, number, series
from reports.page.samples import Turn
from reports.scaling import pass_at_k
from reports.statistics import Floats, geometric_mean, wilson_by_task
from reports.table import percent

POINTS = 72
"""Of a curve over p."""
MOST_DOTS = 2500
STAGES = (
    ("right", "right and timed"),
    ("untimed", "right, but no accepted time"),
    ("execution", "wrong values"),
    ("call", "does not run"),
    ("cheating", "seen cheating"),
    ("unsupported", "can't be judged here"),
    ("owed", "not judged yet"),
)


@dataclass(frozen=True)
class Chart:
    """One figure of the page."""

    title: str
    note: str
    svg: Markup
    rows: tuple[int, ...]
    """Numbers of the rows it shows, for the key."""
    header: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ()
    """The same as a table, for who can't see it."""


def named(chart: Chart, where: str) -> Chart:
    """With the suite in its title, where there are several."""
    return replace(chart, title=f"{chart.title}: {where}") if where else chart


@dataclass(frozen=True)
class Point:
    """One workload of a right kernel."""

    row: int
    name: str
    rate: float
    bandwidth: float


def fast_p(frame: pd.DataFrame, row_of: pd.Series, names: Sequence[str], rows: Sequence[int]) -> Chart | None:
    """Share of all attempts that are right and more than p times as fast as the reference, over p."""
    whole = frame["speedup"].to_numpy(dtype=np.float64)
    known = whole[~np.isnan(whole)]
    if not len(known):
        return None
    top = max(4.0, float(np.quantile(known, 0.98)) * 1.15)
    low = min(0.25, max(0.02, float(known.min())))
    grid = np.geomspace(low, top, POINTS)
    axes = Axes.of(
        (low, top), (0.0, 1.0), ("p: times as fast as the reference", "share of all attempts"), (True, False)
    )
    values = []
    for row in rows:
        mine = (row_of == row).to_numpy()
        speedups, task = whole[mine], pd.factorize(frame["task"][mine])[0]
        curve = [float((speedups > p).mean()) for p in grid]
        bounds = [wilson_by_task(speedups > p, task) for p in grid]
        axes.band([(p, each.low, each.high) for p, each in zip(grid, bounds, strict=True)], series(row))
        axes.line(list(zip(grid, curve, strict=True)), series(row), names[row])
        values.append((names[row], *(percent(float((speedups > p).mean())) for p in (0.5, 1.0, 1.5, 2.0, 4.0))))
    axes.line([(1.0, 0.0), (1.0, 1.0)], "one")
    shares = [(share / 4, f"{25 * share} %") for share in range(5)]
    return Chart(
        "fast_p",
        "Share of all attempts that are right and more than p times as fast as the reference; band: 95 %, at each p.",
        axes.svg("fast_p curves, one a row of the leaderboard", y_ticks=shares),
        tuple(rows),
        ("row", *(f"p = {p}" for p in ("0.5", "1", "1.5", "2", "4"))),
        tuple(values),
    )


def turns(found: Mapping[int, list[list[Turn]]], names: Sequence[str]) -> list[Chart]:
    """Execution accuracy and speedup after turn 1, 2, … n, and over the dollars that they cost."""
    long = {row: attempts for row, attempts in found.items() if any(len(each) > 1 for each in attempts)}
    if not long:
        return []
    last = max(turn.turn for attempts in long.values() for each in attempts for turn in each)
    right, faster, spent = {}, {}, {}
    for row, attempts in long.items():
        states = [_after(attempts, turn) for turn in range(1, last + 1)]
        right[row] = [float(np.mean([ok for ok, _, _ in state])) for state in states]
        faster[row] = [geometric_mean(np.array([best for _, best, _ in state if best is not None])) for state in states]
        spent[row] = [float(np.mean([dollars for _, _, dollars in state])) for state in states]
    steps = list(range(1, last + 1))
    charts = [
        _curves("Turns: execution accuracy", "turn", steps, right, names, (0.0, 1.0), "share of attempts right"),
    ]
    known = [value for values in faster.values() for value in values if value == value]
    if known:
        edge = (min(0.9, *known) * 0.98, max(1.1, *known) * 1.02)
        charts.append(_curves("Turns: speedup", "turn", steps, faster, names, edge, "geometric mean, right ones"))
    if any(values[-1] > 0 for values in spent.values()):
        axes = Axes.of(
            (0.0, max(values[-1] for values in spent.values()) * 1.03),
            (0.0, 1.0),
            ("dollars an attempt, mean", "share of attempts right"),
            (False, False),
        )
        for row in long:
            axes.line(list(zip(spent[row], right[row], strict=True)), series(row), names[row])
        title = "Dollars: execution accuracy"
        note = "After each turn: what an attempt had cost until then, and the share of attempts right."
        table = tuple((names[row], *(f"{value:.3g}" for value in spent[row])) for row in long)
        charts.append(Chart(title, note, axes.svg(title), tuple(long), ("row", *map(str, steps)), table))
    return charts


def _after(attempts: list[list[Turn]], turn: int) -> list[tuple[bool, float | None, float]]:
    """Of each attempt after so many turns: was one right, the best speedup, dollars."""
    found = []
    for each in attempts:
        until = [one for one in each if one.turn <= turn]
        speeds = [one.speedup for one in until if one.right and one.speedup is not None]
        found.append(
            (
                any(one.right for one in until),
                max(speeds, default=None),
                max((one.dollars for one in until), default=0.0),
            )
        )
    return found


def _curves(
    title: str,
    across: str,
    steps: Sequence[int],
    values: Mapping[int, Sequence[float]],
    names: Sequence[str],
    edge: tuple[float, float],
    label: str,
) -> Chart:
    axes = Axes.of((steps[0], max(steps[-1], steps[0] + 1)), edge, (across, label), (False, False))
    for row, heights in values.items():
        points = [(step, height) for step, height in zip(steps, heights, strict=True) if height == height]
        axes.line(points, series(row), names[row])
        for step, height in points:
            axes.dot(step, height, series(row), f"{names[row]}, {across} {step}: {height:.3f}")
    ticks = [(float(step), str(step)) for step in steps[:: -(-len(steps) // 12)]]
    table = tuple((names[row], *(f"{each:.3f}" for each in heights)) for row, heights in values.items())
    note = "By the judgements that the solver asked for; what is handed in is judged afresh."
    return Chart(title, note, axes.svg(title, x_ticks=ticks), tuple(values), ("row", *map(str, steps)), table)


def samples(frame: pd.DataFrame, row_of: pd.Series, names: Sequence[str], rows: Sequence[int]) -> Chart | None:
    """pass@k over the samples of a task."""
    values: dict[int, list[float]] = {}
    for row in rows:
        mine = frame[(row_of == row).to_numpy()]
        counts = mine.groupby("task")["execution"].agg(["size", "sum"])
        least = int(counts["size"].min()) if len(counts) else 0
        if least > 1:
            values[row] = [
                float(np.mean([pass_at_k(int(n), int(c), k) for n, c in counts.itertuples(index=False)]))
                for k in range(1, least + 1)
            ]
    if not values:
        return None
    most = max(map(len, values.values()))
    steps = list(range(1, most + 1))
    padded = {row: [*each, *[math.nan] * (most - len(each))] for row, each in values.items()}
    chart = _curves("Samples: pass@k", "k", steps, padded, names, (0.0, 1.0), "share of tasks solved")
    note = "Share of tasks that k samples solve at least once, without bias: Chen et al. (2021), arXiv:2107.03374."
    return Chart(chart.title, note, chart.svg, chart.rows, chart.header, chart.values)


def stage_of(frame: pd.DataFrame) -> pd.Series:
    """Where each attempt stopped: a name of `STAGES`."""
    stage = pd.Series("right", index=frame.index, dtype="object")
    stage[frame["execution"] & (frame["outcome"] != Outcome.RIGHT.value)] = "untimed"
    stage[~frame["execution"]] = "execution"
    stage[~frame["call"]] = "call"
    stage[frame["outcome"] == Outcome.CHEATING.value] = "cheating"
    stage[frame["outcome"] == Outcome.UNSUPPORTED.value] = "unsupported"
    stage[frame["status"] == "owed"] = "owed"
    return stage


def roofline(points: Sequence[Point], peaks: Mapping[str, float], names: Sequence[str]) -> Chart | None:
    """Operations a second over operations a byte, below what the device was measured to do."""
    drawn = [each for each in points if each.rate > 0 and each.bandwidth > 0]
    if not drawn or not peaks.get("bandwidth"):
        return None
    step = -(-len(drawn) // MOST_DOTS)
    shown = drawn[::step]
    intensity: Floats = np.array([each.rate / each.bandwidth for each in shown])
    rates = {name: rate for name, rate in peaks.items() if name != "bandwidth" and rate > 0}
    top = max([*rates.values(), *(each.rate for each in shown)]) * 1.6
    low, high = float(intensity.min()) / 2, max(float(intensity.max()), top / peaks["bandwidth"]) * 2
    bottom = min(each.rate for each in shown) / 2
    labels = ("operations a byte", "operations a second")
    axes = Axes.of((low, high), (bottom, top), labels, (True, True))
    knee = max(rates.values(), default=top) / peaks["bandwidth"]
    slope = [(low, low * peaks["bandwidth"]), (min(knee, high), min(knee, high) * peaks["bandwidth"])]
    axes.line(slope, "roof", f"{number(peaks['bandwidth'])}B/s")
    above = math.inf
    for name, rate in sorted(rates.items(), key=lambda each: -each[1]):
        axes.line([(rate / peaks["bandwidth"], rate), (high, rate)], "roof", f"{name}: {number(rate)} a second")
        if above > 1.5 * rate:  # else the words would lie on each other
            axes.text(high, rate * 1.06, name, "end")
            above = rate
    for each, at in zip(shown, intensity, strict=True):
        axes.dot(float(at), each.rate, series(each.row), f"{names[each.row]}: {each.name}")
    note = (
        f"{len(shown)} of {len(drawn)} timed workloads of right kernels with operations to count, by their least "
        "operations and bytes; lines: what the device was measured to do."
    )
    return Chart("Roofline", note, axes.svg("roofline plot"), tuple(sorted({each.row for each in shown})))
