"""The gate that all requests of one client pass: so many at once, and none while the provider says that none is left.

A response that says `x-ratelimit-remaining-requests: 0` (or `-tokens`) closes the gate for as long as its
`x-ratelimit-reset-…` says, for all threads. Nobody waits past his own deadline.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from agents.models.retry import limit_reset


class TooLate(Exception):
    """The gate doesn't open before the deadline; says why."""


class Gate:
    """Shared by the threads of one client."""

    def __init__(self, places: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = places
        """Requests that may still start; None: no limit."""
        self._opens = float("-inf")
        """Time of the clock before which the provider takes no request."""
        self._clock = clock
        self._changed = threading.Condition()

    @contextmanager
    def passed(self, until: float) -> Iterator[None]:
        """Holds one place, once there is one and the provider takes requests. Raises `TooLate`, as soon as it is clear
        that this is not before the time `until`."""
        self._enter(until)
        try:
            yield
        finally:
            with self._changed:
                if self._free is not None:
                    self._free += 1
                self._changed.notify_all()

    def told(self, headers: Mapping[str, str]) -> None:
        """Obey what a response says of the limits."""
        seconds = limit_reset(headers)
        if seconds is not None:
            with self._changed:
                self._opens = max(self._opens, self._clock() + seconds)
                self._changed.notify_all()

    def _enter(self, until: float) -> None:
        with self._changed:
            while True:
                now = self._clock()
                wait = self._opens - now
                if wait > 0 and self._opens > until:
                    raise TooLate(f"its limit is used up, and the next request allowed in {wait:.0f} s")
                if wait <= 0 and self._free != 0:
                    break
                if now >= until:
                    raise TooLate("all places for requests were taken, see the option concurrency")
                self._changed.wait(wait if wait > 0 else until - now)
            if self._free is not None:
                self._free -= 1
