"""Where the time of a judgement goes: seconds by phase, each moment counted once, for the innermost phase around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Of one judgement, by one thread. `with watch("oracle"): …`"""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self.held = 0.0
        """Seconds in which the device was held alone."""
        self._clock, self._around, self._since = clock, list[str](), clock()

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
        start = self._clock()
        try:
            yield
        finally:
            self.held += self._clock() - start

    def phases(self) -> dict[str, float]:
        """Rounded to milliseconds, the longest first; what took none is left out."""
        longest = sorted(self.seconds.items(), key=lambda each: -each[1])
        return {phase: round(seconds, 3) for phase, seconds in longest if seconds >= 0.0005}

    def _turn(self) -> None:
        now = self._clock()
        if self._around:
            phase = self._around[-1]
            self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now
