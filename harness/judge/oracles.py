"""Oracles of workloads take much of a device's memory for a moment: judges take turns, beside whoever is timed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from harness.device import Device
from harness.engine import lease
from harness.judge.flush import give_back
from harness.judge.stopwatch import Stopwatch


@contextmanager
def oracles_turn(device: Device, watch: Stopwatch) -> Iterator[float]:
    """Around expected values and what is compared with them; gives the seconds for which others were waited for. The
    lease's conditions are those of `harness.engine.lease.oracles_turn`. On the interpreter nobody waits."""
    if device.interpreted:
        yield 0.0
        return
    asked = time.monotonic()
    with ExitStack() as stack:
        with watch("waiting for an oracle"):
            stack.enter_context(lease.oracles_turn(device.uuid))
        yield time.monotonic() - asked
        give_back(device)
