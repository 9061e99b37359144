"""Two runs compared, task by task: frames in, a `Comparison` out. `reports.paired` has the statistics.

Call and execution accuracy: for each task the share of its judged samples that pass, NEW - BASE; every task counts the
same, however many samples it has, and the two sides may have different numbers. Speed: for each task that is right and
timed on both sides, the difference of the mean log speedups.

Each of the three is asked: worse by more than the threshold? better by more? The chances of one direction are corrected
together, over the three and over all pairs of solvers and models, so that the chance that a comparison of a thing with
itself shows any regression at all is 1 - confidence. With one sample a task and no threshold, accuracy is tested by
exact McNemar; the chance is then at most that, for right and wrong in a few tasks allow few chances.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from harness.errors import UsageError
from harness.verdict import Outcome
from reports.comparable import Choice, Sides, everyone, matched, sides
from reports.comparison import Change, Comparison, Measure, Pair
from reports.load import load
from reports.paired import RESAMPLES, bounds, mcnemar, positive
from reports.power import smallest_mean, smallest_share
from reports.statistics import Floats

MEASURES = ("call", "execution", "speed")
KINDS = ("broken", "less often", "fixed", "more often")

MOST_SURE = 0.9999
"""More tosses than that takes would be too many."""


def compare(
    base: Path,
    new: Path,
    confidence: float = 0.95,
    threshold: float = 0.0,
    choice: Choice | None = None,
    strict: bool = False,
) -> Comparison:
    """Compare two runs, or two solvers or models of one. Raises `UsageError` where there is nothing to compare, and,
    with `strict`, where anything differs that makes it another measurement."""
    check(confidence, threshold)
    first, second = load([base]), load([new])
    pairs, alone = matched(everyone(first), everyone(second), choice)
    same = [one for one, other in pairs if one == other] if base.resolve() == new.resolve() else []
    if same:
        raise UsageError(f"{base} is compared with itself: name another run, or --base-solver and --new-solver")
    found = [sides(first, second, pair) for pair in pairs]
    if strict:
        _refuse(found)
    if not any(len(each.before) for each in found):
        raise UsageError(f"no task to compare: {_why_none(found)}")
    return Comparison(base, new, confidence, threshold, _pairs(found, confidence, threshold), tuple(alone))


def check(confidence: float, threshold: float) -> None:
    """Raise `UsageError` for what can't be."""
    if not 0.5 <= confidence <= MOST_SURE:
        raise UsageError(f"a confidence of {confidence}: a number from 0.5 to {MOST_SURE} is needed, like 0.95")
    if not 0 <= threshold < 1:
        raise UsageError(f"a threshold of {threshold}: a share from 0 to less than 1 is needed, like 0.02")


class _Tasks(NamedTuple):
    """A pair's compared tasks, a row each; columns of the first three are `MEASURES`, NaN where one is not known."""

    before: Floats
    after: Floats
    change: Floats
    samples: Floats
    """Judged on each side."""
    names: list[str]


def _pairs(found: Sequence[Sides], confidence: float, threshold: float) -> tuple[Pair, ...]:
    """All pairs, corrected together: tasks of different pairs are different rows of one family."""
    margins = np.array([threshold, threshold, -math.log1p(-threshold)])
    tables = [_tasks(each) for each in found]
    width = len(MEASURES)
    family = _family(tables, threshold > 0)
    # The least chance that tosses can tell is one in their number.
    resamples = max(RESAMPLES, math.ceil(50 / (1 - confidence)))
    losses, gains = (
        positive(sign * family - np.tile(margins, len(found)), resamples, seed) for seed, sign in ((0, -1), (1, 1))
    )
    asked = max(int((~np.isnan(family)).any(axis=0).sum()), 1)
    pairs = []
    for number, (pair, table) in enumerate(zip(found, tables, strict=True)):
        measures = []
        for place, name in enumerate(MEASURES):
            change = table.change[:, place]
            change = change[~np.isnan(change)]
            shares, column = name != "speed", width * number + place
            single = shares and bool((table.samples == 1).all())
            worse, better = losses.chance[column], gains.chance[column]
            if single and threshold == 0:
                fell, rose = int((change < 0).sum()), int((change > 0).sum())
                worse, better = mcnemar(fell, fell + rose), mcnemar(rose, fell + rose)
            pseudo = _pseudo(table) if shares and len(change) else 0.0
            interval = bounds(change, confidence, pseudo, resamples)
            base, new = _levels(table, place)
            measures.append(
                Measure(
                    name,
                    tasks=len(change),
                    base=base,
                    new=new,
                    change=float(change.mean()) if len(change) else math.nan,
                    low=interval.low,
                    high=interval.high,
                    worse=float(worse),
                    better=float(better),
                    worse_corrected=float(max(losses.corrected[column], worse)),
                    better_corrected=float(max(gains.corrected[column], better)),
                    smallest=float(_smallest(change, (1 - confidence) / asked, single) + margins[place]),
                )
            )
        pairs.append(_pair(pair, tuple(measures), table))
    return tuple(pairs)


def _family(tables: Sequence[_Tasks], beyond: bool) -> Floats:
    """All pairs' differences: a row for each task of a pair, and three columns for each pair.

    Where a loss `beyond` a threshold is asked for, two rows more a pair, one half fixed and one half broken, as in
    `reports.paired.bounds`: the signs of shares about a threshold are no coin's near a loss of all, and without these
    rows seven tasks, all broken, would prove a loss of more than 99 %.
    """
    rows = []
    for number, each in enumerate(tables):
        change = each.change
        if beyond and len(change):
            half = [_pseudo(each), _pseudo(each), math.nan]
            change = np.vstack([change, half, np.negative(half)])
        after = len(tables) - number - 1
        rows.append(np.pad(change, ((0, 0), (len(MEASURES) * number, len(MEASURES) * after)), constant_values=math.nan))
    return np.vstack(rows)


def _pseudo(table: _Tasks) -> float:
    """Half a sample's task, for each way to change; see `reports.paired.bounds`."""
    return math.sqrt(0.5 / float(table.samples.min()))


def _smallest(change: Floats, level: float, single: bool) -> float:
    tasks = len(change)
    scatter = float(change.std(ddof=1)) if tasks > 1 else math.nan
    if single or scatter == 0:
        return smallest_share(float((change != 0).mean()) if tasks else 0.0, tasks, level)
    return smallest_mean(scatter, tasks, level)


def _levels(table: _Tasks, place: int) -> tuple[float, float]:
    """BASE's and NEW's own figure over the tasks that are compared."""
    compared = ~np.isnan(table.change[:, place])
    if not compared.any():
        return math.nan, math.nan
    base, new = (float(side[compared, place].mean()) for side in (table.before, table.after))
    return (math.exp(base), math.exp(new)) if MEASURES[place] == "speed" else (base, new)


def _tasks(pair: Sides) -> _Tasks:
    names = list(dict.fromkeys(pair.before["name"]))
    frames = (pair.before, pair.after)
    before, after = (_means(frame, names) for frame in frames)
    if pair.speed_refused:
        before[:, 2] = after[:, 2] = np.nan
    samples = [frame.groupby("name").size().reindex(names).to_numpy(dtype=np.float64) for frame in frames]
    return _Tasks(before, after, after - before, np.stack(samples, axis=1), names)


def _means(frame: pd.DataFrame, names: list[str]) -> Floats:
    speed = frame["speedup"].to_numpy(dtype=np.float64)
    logs = np.log(np.where(speed > 0, speed, np.nan))
    rows = frame.assign(call=frame["call"].astype(float), execution=frame["execution"].astype(float), speed=logs)
    means: Floats = rows.groupby("name")[list(MEASURES)].mean().reindex(names).to_numpy(dtype=np.float64)
    return means


def _pair(pair: Sides, measures: tuple[Measure, ...], table: _Tasks) -> Pair:
    frames, execution = (pair.before, pair.after), MEASURES.index("execution")
    before, after = table.before[:, execution], table.after[:, execution]
    changes = [_change(name, pair) for name in (table.names[n] for n in np.flatnonzero(before != after))]
    untimed = (before > 0) & (after > 0) & np.isnan(table.change[:, MEASURES.index("speed")])
    base, new = (int((frame["outcome"] == Outcome.UNSUPPORTED.value).sum()) for frame in frames)
    return Pair(
        pair.base,
        pair.new,
        tasks=len(table.names),
        attempts=(len(pair.before), len(pair.after)),
        measures=measures,
        changes=tuple(sorted(changes, key=lambda change: KINDS.index(change.kind))),
        untimed=0 if pair.speed_refused else int(untimed.sum()),
        unsupported=(base, new),
        sides=pair,
    )


def _change(name: str, pair: Sides) -> Change:
    rows = [frame[frame["name"] == name] for frame in (pair.before, pair.after)]
    before, after = (float(each["execution"].mean()) for each in rows)
    kind = KINDS[(0 if after == 0 else 1) if after < before else (2 if before == 0 else 3)]
    base, new = (f"{int(each['execution'].sum())}/{len(each)}" for each in rows)
    wrong = next(each for each in reversed(rows) if not each["execution"].all())
    return Change(name, kind, base, new, str(wrong.loc[~wrong["execution"], "outcome"].mode().iloc[0]))


def _refuse(found: Sequence[Sides]) -> None:
    for each in found:
        if not each.strict:
            what = [*each.differing, *(f"{len(names)} tasks {why}" for why, names in each.left_out.items())]
            raise UsageError(f"--strict: the runs are not alike: {'; '.join(what)}")


def _why_none(found: Sequence[Sides]) -> str:
    reasons = dict.fromkeys(f"{len(names)} {why}" for each in found for why, names in each.left_out.items())
    owed = any("owed" in each.left_out for each in found)
    return ", ".join(reasons) + (": continue with pytest --resume RUN" if owed else ": name runs of the same tasks")
