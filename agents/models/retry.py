"""When to ask a provider again, and how long to wait before."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 60.0
"""Longest wait of our own choice, seconds; a provider's `Retry-After` may be longer."""


@dataclass(frozen=True)
class Failure:
    """Why one try gave no answer."""

    message: str
    """One line, for people."""
    final: bool = False
    """Asking again won't help."""
    retry_after: float | None = None
    """Seconds that the provider asks to wait."""


@dataclass
class Patience:
    """The tries of one call: so many retries, within one deadline."""

    retries: int
    deadline: float
    """Seconds from now."""
    backoff: float
    """Seconds before the first retry; doubles."""
    clock: Callable[[], float] = time.monotonic
    why: str = ""
    """Why there was no further try."""
    used: int = 0
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def wait(self, failure: Failure) -> float | None:
        """Seconds to wait before the next try, or None: there is none."""
        if failure.final:
            return None
        if self.used >= self.retries:
            self.why = f"given up after {self.used + 1} tries"
            return None
        longest = min(self.backoff * 2.0**self.used, LONGEST)
        # Between half and all of it, so that many callers that failed together don't come back together.
        wait = failure.retry_after if failure.retry_after is not None else longest * random.uniform(0.5, 1.0)
        left = self.deadline - (self.clock() - self.began)
        if wait > left:
            self.why = f"the next try would come in {wait:.0f} s, past the deadline of {self.deadline:g} s"
            return None
        self.used += 1
        return wait


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a response asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date; None: it
    doesn't say."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name) or "") / scale
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        date = parsedate_to_datetime(headers.get("retry-after") or "")
    except (ValueError, TypeError):
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def limit_reset(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds until the provider takes requests again, where a response says that none (or no token) is left:
    `x-ratelimit-remaining-requests: 0` with `x-ratelimit-reset-requests: 6m0s`; None: it doesn't say."""
    waits = []
    for kind in ("requests", "tokens"):
        try:
            left = float(headers.get(f"x-ratelimit-remaining-{kind}") or "")
        except ValueError:
            continue
        wait = _reset_seconds(headers.get(f"x-ratelimit-reset-{kind}") or "", now or datetime.now(UTC))
        if left <= 0 and wait is not None:
            waits.append(wait)
    return max(waits, default=None)


_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")


def _reset_seconds(text: str, now: datetime) -> float | None:
    """`1.5`, `6m0s`, `120ms`, seconds or milliseconds since 1970, or an ISO date."""
    text = text.strip()
    if _DURATION.sub("", text) == "" and text:
        return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = datetime.fromisoformat(text)
        except ValueError:
            return None
        return max(0.0, ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds())
    if not 0 <= seconds < float("inf"):
        return None
    if seconds > _SINCE_1970:
        since = seconds / 1000.0 if seconds > 1000.0 * _SINCE_1970 else seconds
        return max(0.0, since - now.timestamp())
    return seconds


_SINCE_1970 = 1e9
"""No wait is so many seconds: such a number is a time."""
