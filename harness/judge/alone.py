"""The device held alone for two processes that are timed: its lease, and processor cores on which nobody else works."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from harness.device import Device
from harness.engine.cores import kept_for, this_thread_on
from harness.engine.lease import lease
from harness.judge.sides import Sides
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.failed import CandidateFailed

_TIMEOUT = 60.0
"""Seconds for a process to say that it moved; what it fails by shows in what is asked next."""


@contextmanager
def alone(device: Device, sides: Sides, watch: Stopwatch) -> Iterator[float]:
    """Hold the device; gives the seconds for which it was waited for."""
    asked = time.monotonic()
    with ExitStack() as stack:
        with watch("waiting for the device"):
            stack.enter_context(lease(device.uuid))
        waited = time.monotonic() - asked
        stack.enter_context(watch.holding())
        stack.enter_context(sides.usage.inside())
        cores = kept_for(device)
        if cores.quiet:
            stack.enter_context(this_thread_on(cores.quiet))
            _move(sides, cores.quiet)
            stack.callback(_move, sides, cores.others)
        yield waited


def _move(sides: Sides, cores: frozenset[int]) -> None:
    """Both at the same time; one that has ended has not to move."""
    asked = []
    for process in (sides.reference, sides.candidate):
        with contextlib.suppress(CandidateFailed):
            process.ask_to_move(cores)
            asked.append(process)
    for process in asked:
        with contextlib.suppress(CandidateFailed):
            process.answered(_TIMEOUT)
