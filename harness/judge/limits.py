"""How long and how precisely the judge times."""

from __future__ import annotations

from dataclasses import dataclass

LAUNCH_BOUND_US = 20.0
"""Calls shorter than this say more of launches than of kernels."""


@dataclass(frozen=True)
class TimingLimits:
    """Of one workload, but for how many of them are timed."""

    workloads: int | None = None
    """So many of a task's are timed; None: all."""

    width: float = 0.01
    """Stop when half the interval's width, relative to the speedup, is below this, or below what the device's clock can
    tell apart: more rounds do not help there. For calls bound by their launch (`LAUNCH_BOUND_US`), twice that."""
    processes: int = 1
    """A workload is timed in up to so many pairs of processes; see `harness.judge.pairs`."""
    min_rounds: int = 4
    min_figures: int = 6
    """With fewer, an interval covers less than it says."""
    max_rounds: int = 60
    spare: int = 4
    """Before a block's tensors as many bytes of the device's memory are left empty as up to so many sets take, drawn
    for every block: some places are faster than others."""
    calls: int = 8
    """In a block, at most."""
    few_calls: int = 3
    """And at least, unless they are very long or large: of three, one may be disturbed by another process's turn, and
    their median is none the worse. A block of twice as many has two parts, and each gives a figure: most of what one
    costs is asking for it, and calls differ by where their tensors lie more than blocks do."""
    block_us: float = 1_600.0
    """In between, so many as come to this, with what is made for them."""
    parted_us: float = 6_000.0
    """Where two parts would take longer, with what is made for them, there is one."""
    longest_block_us: float = 20_000.0
    seconds: float = 5.0
    """Stop a workload's rounds after this time."""
    stage_seconds: float = 120.0
    """For one workload, compilation included: a candidate that needs longer fails the stage."""
    call_seconds: float = 60.0
    """For the first block, in which Triton may compile."""
    block_seconds: float = 20.0
    """For any later block: what hangs now does not compile."""
    few_rounds: int = 3
    """Where `seconds` are spent, so many rounds are enough."""
    block_share: float = 0.0625
    """Of the device's memory: for inputs and outputs of one block. Candidate and reference hold one each, and other
    processes compile and check meanwhile."""
    watched: bool = True
    """Hold the claims against the judge's clock, and look who does the work."""


def spread(count: int, most: int | None) -> list[int]:
    """Which of so many workloads are timed: all, or so many at even distances, the last among them."""
    many = count if most is None else min(most, count)
    return sorted(count - 1 - number * count // many for number in range(many))


INTERPRETED = TimingLimits(
    width=0.05,
    min_rounds=3,
    min_figures=3,
    max_rounds=5,
    spare=0,
    calls=1,
    few_calls=1,
    seconds=1.0,
    block_seconds=60.0,
)
"""Small rounds: interpreted times say little, however often they are taken."""
