"""Statistics of timed samples: the median of paired ratios, and an interval that takes their scatter as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95
RESOLUTION_US = 0.12
"""What the medians of device events of two processes that run the same kernel differ by, whatever its time."""


@dataclass(frozen=True)
class Ratio:
    """Median of paired ratios with its interval."""

    median: float
    low: float
    high: float

    @property
    def width(self) -> float:
        """Half the interval's width, relative to the median."""
        return (self.high - self.low) / (2 * self.median)


def paired_ratio(reference: npt.ArrayLike, candidate: npt.ArrayLike, resolution: float = 0.0) -> Ratio:
    """Median of `reference[i] / candidate[i]` with its interval between order statistics.

    The values are pairs, in any unit of time. `resolution` is what the clock can't tell apart, as a share of the time:
    no number of pairs makes that better, so that the interval is wider by it on both sides. With fewer than six it
    reaches from the least to the largest ratio, and covers less than `CONFIDENCE`.

    Hoefler & Belli, "Scientific Benchmarking of Parallel Computing Systems" (SC 2015), section 3.1.3; Le Boudec,
    "Performance Evaluation of Computer and Communication Systems" (2010), section 2.2.
    """
    ratios = np.sort(np.asarray(reference, dtype=np.float64) / np.asarray(candidate, dtype=np.float64))
    left_out = _left_out(len(ratios))
    low, high = ratios[left_out], ratios[len(ratios) - 1 - left_out]
    return Ratio(float(np.median(ratios)), float(low * (1 - resolution)), float(high * (1 + resolution)))


def median_above(values: Sequence[float], bound: float, chance: float) -> bool:
    """Do so many of the values lie above the bound as they would by `chance` at most, were their median the bound?

    The sign test; Conover, "Practical Nonparametric Statistics" (1999), section 3.4.
    """
    count, above = len(values), sum(value > bound for value in values)
    tail = sum(comb(count, number) for number in range(above, count + 1))
    return tail <= chance * float(2**count)


def _left_out(count: int) -> int:
    """How many of the least, and of the largest, may lie outside of the interval of a median."""
    tail, outside = 0, 0
    for number in range(count // 2):
        tail += comb(count, number)
        if 2 * tail > (1 - CONFIDENCE) * 2**count:
            break
        outside = number
    return outside
