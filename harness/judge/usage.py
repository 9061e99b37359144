"""How a judge and its candidates work on a device beside others, who may be timing there.

A device that has work of several processes gives each its turn, of a millisecond or two. A short call fits into it with
all of its block; a longer one would be measured with others' turns in it, up to several times too long. So before such
calls are timed all others finish what they have begun, and begin nothing.
The same goes for a candidate that two clocks doubted: one whose calls wait for the device is overtaken by others' turns
between them, where its reference, which waits once a block, is not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from harness.device import Device
from harness.engine.lease import quiet, using
from harness.judge.stopwatch import Stopwatch

LONG_US = 600.0
"""A call that takes so many µs or more is timed in quiet. That costs: others may be compiling. Beside 12 to 15
judges calls of 2.2 ms were measured with 2.2 to 3.4, two of five blocks of 0.76 ms took longer, and few of 0.72 ms."""
PATIENCE = 20.0
"""Seconds for others to finish what they have begun; then the call is timed beside them, and that is said."""
PATIENCE_OF_A_DOUBT = 2.0
"""Likewise, before a second look at short calls."""


class Usage:
    """Of one judge, by one thread: `with usage(): …` around work that nobody times."""

    def __init__(self, device: Device) -> None:
        self._id = None if device.interpreted else device.uuid
        self._inside = False
        self.waited = 0.0
        """Seconds, all together, until others had been timed."""
        self.disturbed = 0
        """Times that others did not finish."""

    @contextmanager
    def __call__(self) -> Iterator[float]:
        """Gives the seconds for which others were waited for."""
        if self._id is None or self._inside:
            yield 0.0
            return
        asked = time.monotonic()
        with using(self._id), self.inside():
            waited = time.monotonic() - asked
            self.waited += waited
            yield waited

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Around what need not ask, as it has asked already, or times with the lease in hand."""
        before, self._inside = self._inside, True
        try:
            yield
        finally:
            self._inside = before

    @contextmanager
    def quiet(self, us: float, watch: Stopwatch, doubted: bool = False) -> Iterator[None]:
        """Around the timing of calls of so many µs, with the lease in hand; and of any that two clocks `doubted`."""
        if self._id is None or (us < LONG_US and not doubted):
            yield
            return
        with ExitStack() as stack:
            with watch("waiting for quiet"):
                patience = PATIENCE if us >= LONG_US else PATIENCE_OF_A_DOUBT
                self.disturbed += not stack.enter_context(quiet(self._id, patience))
            yield

    def remarks(self) -> list[str]:
        """What a reader should know of the times, once."""
        times, self.disturbed = self.disturbed, 0
        count = f"{times} time{'s' if times > 1 else ''}"
        return [f"others worked on the device while it should have been quiet for timing, {count}"] if times else []
