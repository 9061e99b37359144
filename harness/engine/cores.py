"""Processor cores that are kept for what is timed.

While one judge has a device alone, the others compile, and that takes every core. Who times then launches late, and
hears late that a block is over: the device waits between calls, the two clocks differ for no fault of a candidate
(`harness.judge.clocks`), and the device is held for longer. So the last cores of a machine are left alone by all
judges but the one that times, and by all their candidates but the two that are timed.

Every process finds the same cores by itself: it takes the machine's, and leaves out so many for each of its GPUs.
Where there are few cores, none is kept.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.device import Device

KEPT = 3
"""For each GPU: the judge's, which is kept busy with waiting, the candidate's and the reference's."""
MOST = 0.25
"""Of a machine's cores, that are kept for all its GPUs together."""


@dataclass(frozen=True)
class Cores:
    """Of one machine, as one device's judges see it; both empty where none is kept."""

    quiet: frozenset[int] = frozenset()
    """For who times."""
    others: frozenset[int] = frozenset()
    """For everybody else."""


def parted(cores: frozenset[int], index: int, devices: int) -> Cores:
    """What is kept for the GPU of this index, of so many."""
    kept = KEPT * devices
    if not 0 < kept <= MOST * len(cores) or index >= devices:
        return Cores()
    listed = sorted(cores)
    quiet = listed[-kept:]
    return Cores(frozenset(quiet[KEPT * index : KEPT * (index + 1)]), frozenset(listed[:-kept]))


def kept_for(device: Device) -> Cores:
    """What is kept for a device on this machine: nothing for the interpreter."""
    if device.interpreted or not hasattr(os, "sched_setaffinity"):
        return Cores()
    import torch  # who only moves a thread need not wait for it

    return parted(_all(), device.index, torch.cuda.device_count())


@contextmanager
def this_thread_on(cores: frozenset[int]) -> Iterator[None]:
    """The thread that asks, and what it forks meanwhile, is on these cores; on all that it was on before if there are
    none. Where the machine does not let it, it stays where it is."""
    before = os.sched_getaffinity(0) if cores else frozenset()
    move_to(cores)
    try:
        yield
    finally:
        move_to(before)


def move_to(cores: Set[int]) -> None:
    """Move this thread, if there are any cores."""
    if cores:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)


@cache
def _all() -> frozenset[int]:
    """Those that this process was given, before any thread of it was moved."""
    return frozenset(os.sched_getaffinity(0))
