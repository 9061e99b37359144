"""Two sides compared task by task: differences in, chances and bounds out. Nothing here knows runs.

A difference is NEW - BASE of one task: of the share of its samples that are right, or of the mean log speedup. Tasks
are what was drawn at random; the samples of a task resemble each other and are never counted as independent.

One idea carries it all. Were the two sides the same, each task could as well have had them swapped: the sign of its
difference would be a coin's. So the differences are taken with signs of all (or many random) tosses, and what was seen
is held against these.

- This is the wild cluster bootstrap with the null imposed, a task being a cluster: Cameron, Gelbach and Miller (2008),
  Review of Economics and Statistics 90, 414-427. Its level is right for any number of tasks and any scatter where the
  sides are alike (for few clusters, resampled tasks reject too often); the test itself is Fisher's (1935), "The Design
  of Experiments", section 21.
- With one sample a task it is the exact McNemar test, which `mcnemar` gives in closed form.
- Several questions asked at once share the tosses, so that their chances are corrected together (`positive`).
- Turned around it gives bounds (`bounds`): Hartigan (1969).

Tests are one-sided, for what is asked is: worse? and: better? Each is answered at the confidence asked for. At 95 %, a
gate that asks only the first raises a false alarm in 5 % of the comparisons of a thing with itself; in fewer, never
more, where few outcomes are possible, as of right and wrong in a few tasks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from reports.statistics import UNKNOWN, Floats, Interval

RESAMPLES = 10_000
"""Tosses; all of them are taken where there are no more than these."""
_DECIMALS = 9
"""Sums that agree so far are equal: their terms were only added in another order."""


class Tests(NamedTuple):
    """Chances of what was seen or more, one each column, were there nothing to see."""

    chance: Floats
    """Each by itself."""
    corrected: Floats
    """The chance that any column of the family would show so much."""


class Sums(NamedTuple):
    """For each toss (row) and column, over the tasks whose sides are swapped: their sum and number."""

    total: Floats
    number: Floats


def mcnemar(against: int, discordant: int) -> float:
    """Chance that at least `against` of `discordant` tasks change in one direction, were both as likely.

        Σ_{k=a}^{n} C(n, k) / 2ⁿ

    One-sided, exact; 1 where no task changed. McNemar (1947), Psychometrika 12, 153-157.
    """
    ways = sum(math.comb(discordant, number) for number in range(against, discordant + 1))
    return ways / int(2**discordant)


def swapped(values: Floats, resamples: int = RESAMPLES, seed: int = 0) -> Sums:
    """Sums over the swapped tasks of each toss; the first toss swaps none. `values`: tasks by columns, NaN where a task
    is not in a column. The same values always give the same sums."""
    tasks, columns = values.shape
    there = ~np.isnan(values)
    terms = np.hstack([np.where(there, values, 0.0), there.astype(np.float64)])
    if tasks < 60 and 2**tasks <= resamples:
        sums = ((np.arange(2**tasks)[:, None] >> np.arange(tasks)) & 1).astype(np.float64) @ terms
    else:
        random = np.random.default_rng(seed)
        step = max(1, 2_000_000 // tasks)
        parts = [np.zeros((1, 2 * columns))]
        for start in range(1, resamples, step):
            tossed = random.integers(0, 2, size=(min(step, resamples - start), tasks), dtype=np.int8)
            parts.append(tossed.astype(np.float64) @ terms)
        sums = np.concatenate(parts)
    return Sums(sums[:, :columns], sums[:, columns:])


def positive(values: Floats, resamples: int = RESAMPLES, seed: int = 0) -> Tests:
    """Is the mean of each column above 0? `values`: tasks by columns, NaN where a task is not in a column.

    Corrected by Westfall and Young's step-down minimum of chances (1993, "Resampling-Based Multiple Testing", algorithm
    2.8): the chance that, among the columns not shown yet, the least chance would be so small. It holds the family's
    error as Holm's correction does, and is never far above it; but it knows that call and execution go together, and
    that a chance of right and wrong can't take any value (Westfall and Wolfinger 1997, The American Statistician 51,
    3-8). By Holm's, the gate's 5 % would be 2 to 4 %, and power be lost.
    """
    if values.size == 0:
        return Tests(np.ones(values.shape[1]), np.ones(values.shape[1]))
    means = np.round(np.nansum(values, axis=0) - 2 * swapped(values, resamples, seed).total, _DECIMALS)
    rows = len(means)
    chances = np.empty_like(means)
    for column in range(means.shape[1]):
        below = np.searchsorted(np.sort(means[:, column]), means[:, column], side="left")
        chances[:, column] = (rows - below) / rows
    seen = chances[0]
    order = np.argsort(seen, kind="stable")
    least = np.minimum.accumulate(chances[:, order[::-1]], axis=1)[:, ::-1]
    corrected = np.empty_like(seen)
    corrected[order] = np.maximum.accumulate((least <= seen[order]).mean(axis=0))
    return Tests(seen, corrected)


def bounds(
    values: Floats, confidence: float, pseudo: float = 0.0, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Bounds of the mean of some tasks' differences, in their unit. Each holds with this confidence by itself: at 95 %,
    both together with 90 %. So a bound leaves out 0 where the chance in `positive` is at most 5 %.

    These are the differences at which that test would turn: quantiles of the means over random subsets of tasks.
    Hartigan (1969), JASA 64, 1303-1317. A bound is NaN where so few tasks can't give one (4 and less, at 95 %).

    `pseudo` adds two tasks that changed by so much in both directions. For shares of one sample a task 1/√2 adds half a
    task to each way to change: without it, tasks that all came out alike would leave no doubt. Agresti and Min (2005),
    Statistics in Medicine 24, 729-740.
    """
    values = values[~np.isnan(values)]
    if len(values) == 0:
        return UNKNOWN
    sums = swapped(np.append(values, [pseudo, -pseudo] if pseudo else [])[:, None], resamples, seed)
    total, count = sums.total[:, 0], sums.number[:, 0]
    means = total / np.maximum(count, 1)
    left_out = math.floor((1 - confidence) * len(means) + 1e-9)
    low = np.sort(np.where(count > 0, means, -math.inf))[left_out]
    high = np.sort(np.where(count > 0, means, math.inf))[len(means) - 1 - left_out]
    return Interval(*(float(bound) if math.isfinite(bound) else math.nan for bound in (low, high)))
