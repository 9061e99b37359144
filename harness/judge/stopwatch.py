"""Where the time of a judgement goes: seconds by phase, each moment counted once, for the innermost phase around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Of one judgement, by one thread. `with watch("oracle"): …`"""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self.held: dict[str, float] = {}
        """Those of them in which the device was held alone."""
        self._clock, self._around, self._since, self._holding = clock, list[str](), clock(), False

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        self._turn()
        self._around.append(phase)
        try:
            yield
        finally:
            self._turn()
            self._around.pop()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Around all that is done while the device is held."""
        self._turn()
        self._holding = True
        try:
            yield
        finally:
            self._turn()
            self._holding = False

    def _turn(self) -> None:
        now = self._clock()
        if self._around:
            phase = self._around[-1]
            for kept in (self.seconds, self.held) if self._holding else (self.seconds,):
                kept[phase] = kept.get(phase, 0.0) + now - self._since
        self._since = now


def shares(seconds: dict[str, float]) -> dict[str, float]:
    """Rounded to milliseconds, the longest first; what took none is left out."""
    longest = sorted(seconds.items(), key=lambda each: -each[1])
    return {phase: round(took, 3) for phase, took in longest if took >= 0.0005}
