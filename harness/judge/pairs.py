"""Timing in more than one pair of processes: what a kernel takes differs from one process to the next.

The same kernel, on the same data, takes 0.1 to 0.3 µs more or less in one process than in another for as long as both
live, whatever is done between calls, and wherever code and tensors lie (MEASUREMENTS.md). No number of rounds makes
that better, only other processes do. Where an option allows it, a workload is timed in as many pairs as that needs;
each is looked at as the first is: a candidate may know that it was loaded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, exp, log, sqrt
from statistics import fmean, median

from harness.judge.limits import LAUNCH_BOUND_US, TimingLimits
from harness.judge.statistics import RESOLUTION_US, paired_ratio
from harness.verdict import Timing

PROCESS_US = 0.25
"""Standard deviation of what one process adds to a call: of the kernels that were looked at, the larger ones."""


def pairs_wanted(timing: Timing, limits: TimingLimits) -> int:
    """In how many pairs a workload is timed, by how long it took in the first: so many that the standard deviation of
    what is left comes to half the wanted width, but no more than there may be, and two at least if there may; two, too,
    for calls that are bound by their launch."""
    if limits.processes == 1:
        return 1
    if timing.clock != "device":
        return 2
    shortest = min(timing.candidate_us, timing.reference_us)
    if shortest < LAUNCH_BOUND_US:
        return 2
    wanted = ceil(2 * (2 * PROCESS_US / (limits.width * shortest)) ** 2)
    return min(limits.processes, max(2, wanted))


def limits_for_more(limits: TimingLimits, pairs: int) -> TimingLimits:
    """Those of each further pair: together they are as precise as one has to be."""
    return replace(limits, width=limits.width * sqrt(pairs))


def merged(timings: Sequence[Timing]) -> Timing:
    """One workload's timings, of one pair of processes each. The speedup is the geometric mean of theirs, and so are
    the ends of its interval, before what the clock can't tell is added, which is less for the mean of several."""
    first = timings[0]
    if len(timings) == 1:
        return first
    candidate = tuple(us for each in timings for us in each.candidate_samples_us)
    reference = tuple(us for each in timings for us in each.reference_samples_us)
    candidate_us, reference_us = median(candidate), median(reference)
    ratios = [paired_ratio(each.reference_samples_us, each.candidate_samples_us) for each in timings]
    told = 0.0
    if first.clock == "device":
        told = RESOLUTION_US / min(candidate_us, reference_us) / sqrt(len(timings))
    errors = [each.worst_error for each in timings if each.worst_error is not None]
    return replace(
        first,
        speedup=_mean([each.speedup for each in timings]),
        low=_mean([each.low for each in ratios]) * (1 - told),
        high=_mean([each.high for each in ratios]) * (1 + told),
        candidate_us=candidate_us,
        reference_us=reference_us,
        candidate_samples_us=candidate,
        reference_samples_us=reference,
        fraction=_scaled(first.fraction, first.candidate_us / candidate_us),
        reference_fraction=_scaled(first.reference_fraction, first.reference_us / reference_us),
        bandwidth=_scaled(first.bandwidth, first.candidate_us / candidate_us),
        rate=_scaled(first.rate, first.candidate_us / candidate_us),
        worst_error=max(errors, default=None),
        doubt=next((each.doubt for each in timings if each.doubt), ""),
        processes=len(timings),
    )


def _mean(ratios: Sequence[float]) -> float:
    return exp(fmean(log(each) for each in ratios))


def _scaled(value: float | None, by: float) -> float | None:
    return value * by if value is not None else None
