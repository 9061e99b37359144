"""Where a series of runs changed: binary segmentation, each step with a permutation test of the largest gain.

The procedure is E-divisive's (Matteson and James 2014, JASA 109, 334-345; for performance regressions: Daly et al.
2020, ICPE, "The use of change point detection to identify software performance regressions in a continuous integration
system") with the gains of the two kinds of series here, shares and means, in the place of its energy statistic:

1. Of all splits of all segments found so far, the one that gains most over no split is looked at.
2. The values are shuffled within their segments, many times: how often does the best split gain as much by chance?
3. If in more than `ALPHA` of them, the search ends. Else the split is a change point, and it goes on with 1.

Nothing is assumed of the values but that those between two changes could as well have come in any other order: no
distribution, and no variance. So a series without a change has one marked with a probability of at most `ALPHA`, and
not more for being long. What drifts slowly, or comes in clusters (a machine that is slower by day), is told as changes;
what goes up and soon back again is hard to see, since no single split of it gains much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from reports.statistics import Floats

ALPHA = 0.02
"""Of one series of values. A history has two, shares and speeds: 4 % together."""
LEAST = 2
"""Values between two changes: one odd run is not a change."""
FEWEST = 9
"""Values with which a change can be found at all: of 8, none is rarer by chance than 1 in 35."""

Gain: TypeAlias = Callable[[Floats, Floats, Floats, Floats], Floats]
"""Of splits: from sum and weight on the left, and sum and weight on the right."""


@dataclass(frozen=True)
class ChangePoint:
    """A value from which on a series is another."""

    start: int
    """Index of the first value after the change."""
    p: float
    """How often shuffled values split as well, or better, than these."""


def changes_of_shares(passed: Floats, tried: Floats, permutations: int = 1999, seed: int = 0) -> list[ChangePoint]:
    """Change points in a series of shares, each `passed` of `tried` (above 0), in their order.

    The gain of a split is the likelihood ratio of two binomial shares against one.
    """
    return _search(passed.astype(np.float64), tried.astype(np.float64), _likelihood_gain, permutations, seed)


def changes_of_means(values: Floats, permutations: int = 1999, seed: int = 0) -> list[ChangePoint]:
    """Change points in a series of means, such as of log speedups (finite), in their order.

    The gain of a split is what two means take off the sum of squares about one.
    """
    # Not to lose digits where the spread is small beside the values:
    return _search(
        values - values.mean() if len(values) else values, np.ones(len(values)), _square_gain, permutations, seed
    )


def _search(sums: Floats, weights: Floats, gain: Gain, permutations: int, seed: int) -> list[ChangePoint]:
    random = np.random.default_rng(seed)
    found: list[ChangePoint] = []
    if len(sums) < FEWEST:
        return found
    while True:
        bounds = [0, *sorted(each.start for each in found), len(sums)]
        segments = [(start, end) for start, end in pairwise(bounds) if end - start >= 2 * LEAST]
        best, place = -np.inf, -1
        chance = np.full(permutations, -np.inf)
        for start, end in segments:
            order = np.arange(start, end)[None]
            gains = _gains(sums[order], weights[order], gain)[0]
            if gains.max() > best:
                best, place = float(gains.max()), start + LEAST + int(gains.argmax())
            for part in _chunks(permutations, end - start):
                shuffled = random.permuted(np.repeat(order, part.stop - part.start, axis=0), axis=1)
                highest = _gains(sums[shuffled], weights[shuffled], gain).max(axis=1)
                chance[part] = np.maximum(chance[part], highest)
        # Sums in another order differ in their last digits: what is equal has to count as equal.
        as_good = int((chance >= best - 1e-9 * max(abs(best), 1e-300)).sum())
        p = (1 + as_good) / (1 + permutations)
        if place < 0 or best <= 1e-12 or p > ALPHA:
            return sorted(found, key=lambda each: each.start)
        found.append(ChangePoint(place, p))


def _chunks(permutations: int, length: int) -> Iterator[slice]:
    """So many at a time that memory stays small."""
    step = max(1, 1_000_000 // length)
    for start in range(0, permutations, step):
        yield slice(start, min(start + step, permutations))


def _gains(sums: Floats, weights: Floats, gain: Gain) -> Floats:
    """Of every split of each row that leaves `LEAST` values on both sides."""
    left, heavy = np.cumsum(sums, axis=1), np.cumsum(weights, axis=1)
    inner = slice(LEAST - 1, sums.shape[1] - LEAST)
    return gain(left[:, inner], heavy[:, inner], left[:, -1:] - left[:, inner], heavy[:, -1:] - heavy[:, inner])


def _likelihood_gain(left: Floats, tried_left: Floats, right: Floats, tried_right: Floats) -> Floats:
    whole = _log_likelihood(left + right, tried_left + tried_right)
    return _log_likelihood(left, tried_left) + _log_likelihood(right, tried_right) - whole


def _log_likelihood(passed: Floats, tried: Floats) -> Floats:
    """Of so many passed of those tried, at their own share."""
    failed = tried - passed
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = (np.where(each > 0, each * np.log(each / tried), 0.0) for each in (passed, failed))
        return np.asarray(sum(terms), dtype=np.float64)


def _square_gain(left: Floats, count_left: Floats, right: Floats, count_right: Floats) -> Floats:
    apart = left / count_left - right / count_right
    return apart**2 * count_left * count_right / (count_left + count_right)
