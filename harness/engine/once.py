"""Identical sources are judged once: who comes second gets the first one's verdict, and waits for it if need be.

Evaluations and grades are kept apart: a grade is always judged afresh, never taken from what a solver was told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from harness.verdict import Verdict

Key = tuple[str, str, str]
"""What it is judged for (`evaluation`, `grade`), the task's digest, the source's."""


@dataclass
class _Place:
    """Of one key."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    verdict: Verdict | None = None
    of: str = ""


class Once:
    """The verdicts of one command. May be asked from any thread."""

    def __init__(self, known: Iterable[tuple[Key, Verdict, str]] = ()) -> None:
        """`known`: verdicts from before, each with the id of the attempt that it was made for."""
        self._places = {key: _Place(verdict=verdict, of=of) for key, verdict, of in known}
        self._lock = threading.Lock()

    def judge(self, key: Key, attempt: str, judge: Callable[[], Verdict]) -> tuple[Verdict, str]:
        """The verdict, and the id of the attempt that it was made for. What `judge` raises is not kept."""
        with self._lock:
            place = self._places.setdefault(key, _Place())
        with place.lock:
            if place.verdict is None:
                place.verdict, place.of = judge(), attempt
            return place.verdict, place.of
