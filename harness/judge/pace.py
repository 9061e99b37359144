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
LEAST_US, MOST_US = 60.0, 10_000.0


class Pace:
    """What launches of one side took its host, µs a call."""

    def __init__(self) -> None:
        self._launches: deque[float] = deque(maxlen=9)

    def saw(self, launched: float, calls: int) -> None:
        """A block of so many calls was launched in so many µs."""
        self._launches.append(launched / calls)

    @property
    def usual(self) -> float | None:
        """µs a call; None where nothing was seen yet."""
        return statistics.median(self._launches) if self._launches else None


def head_start(paces: list[Pace], device_us: float, calls: int) -> float:
    """µs to sleep before so many calls, of which each takes the device `device_us` or more: the same for all sides, so
    that they can be compared. The last call is launched after `calls` times the host's time, and starts after
    `calls - 1` times the device's."""
    hosts = [each.usual for each in paces]
    known = [each for each in hosts if each is not None]
    if len(known) < len(hosts):
        return FIRST_US + FIRST_US_A_CALL * calls
    host = MARGIN * max(known)
    return min(MOST_US, LEAST_US + host + calls * max(0.0, host - device_us))
