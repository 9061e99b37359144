"""How far a command with many attempts at once is, as one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

ENOUGH = 3
"""Attempts from which on the time left is told."""


@dataclass(frozen=True)
class Progress:
    """Where all attempts of a command stand."""

    planned: int
    done: int
    """Those of earlier commands included."""
    right: int
    new: int
    """Done by this command."""
    doing: Counter[str] = field(default_factory=Counter)
    """What those do that run, and how many."""
    seconds: float = 0.0
    """Since the first attempt began."""
    held: float | None = None
    """Share of the time in which devices were held alone, to time; None where there is no GPU."""

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take, if it goes on as it did; None where that can't be said yet."""
        if self.new < ENOUGH:
            return None
        return self.seconds / self.new * (self.planned - self.done)

    def __str__(self) -> str:
        parts = [f"{self.done} of {self.planned} done ({self.right} right)"]
        parts += [f"{many} {what}" for what, many in sorted(self.doing.items())]
        if self.held is not None:
            parts.append(f"GPU timing {self.held:.0%}")
        if self.left is not None:
            parts.append(f"about {_duration(self.left)} left")
        return ", ".join(parts)


def stage(notice: str) -> str:
    """What an attempt does that gave this notice."""
    if notice.startswith(("evaluation", "grading")) and ":" not in notice:
        return "judged"
    return "waiting for models" if notice.startswith("waiting") else "at work"


def _duration(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 100
        else f"{seconds / 60:.0f} min"
        if seconds < 6000
        else f"{seconds / 3600:.1f} h"
    )
