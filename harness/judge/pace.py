"""How long a device sleeps before a block of calls, so that its host is ahead of it at every one of them.

Where the device waits for a launch between two events, the events claim a time that is not the kernel's. The device
has to begin so late that each call is launched before its turn; more than that is time lost while it is held.
"""

from __future__ import annotations

import statistics
from collections import deque

FIRST_US, FIRST_US_A_CALL = 300.0, 200.0
"""As long as nothing is known."""
MARGIN = 1.25
"""What the host needs may be so many times what it usually needed: where it needs more, only the last calls of a block
are late, and their median is what counts."""
UNSEEN = 0.5
"""Of what a first call takes, for others that were not seen: on an H200's host these took two fifths of it."""
LEAST_US, MOST_US = 60.0, 10_000.0


class Pace:
    """What launches of one side took its host, µs: the first of a block, before which it had to wake up, and others."""

    def __init__(self) -> None:
        self._first, self._others = deque[float](maxlen=9), deque[float](maxlen=9)

    def saw(self, launched: float, calls: int, first: float | None = None) -> None:
        """A block of so many calls was launched in so many µs, the `first` of them in so many; None: all alike."""
        first = launched / calls if first is None else min(first, launched)
        self._first.append(first)
        if calls > 1:
            self._others.append((launched - first) / (calls - 1))

    @property
    def usual(self) -> tuple[float, float] | None:
        """µs of a block's first call, and of any other: as long as none of these was seen, a share of the first one's
        that they do not reach. None where nothing was seen yet."""
        if not self._first:
            return None
        first = statistics.median(self._first)
        return first, statistics.median(self._others) if self._others else UNSEEN * first


def head_start(paces: list[Pace], device_us: float, calls: int) -> float:
    """µs to sleep before so many calls, of which each takes the device `device_us` or more: the same for all sides, so
    that they can be compared. Each is launched so much later than the one before as the host takes for it, and begins
    so much later as the device takes for that one: the first or the last has the least time."""
    known = [each.usual for each in paces if each.usual is not None]
    if len(known) < len(paces):
        return FIRST_US + FIRST_US_A_CALL * calls
    first, other = MARGIN * max(first for first, _ in known), MARGIN * max(other for _, other in known)
    return min(MOST_US, LEAST_US + first + (calls - 1) * max(0.0, other - device_us))
