"""What a comparison found: for each pair of solver and model and each question, the figures and their chances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reports.comparable import Sides, Who


@dataclass(frozen=True)
class Measure:
    """One question's answer. Shares are from 0 to 1; of speed, `base` and `new` are geometric mean speedups, and
    `change`, `low` and `high` natural logarithms of NEW over BASE."""

    name: str
    tasks: int
    base: float
    new: float
    change: float
    """NEW - BASE."""
    low: float
    high: float
    """Each holds with the comparison's confidence."""
    worse: float
    """Chance of such a loss or more, beyond the threshold, were there none; by itself."""
    better: float
    worse_corrected: float
    """The same, over the family."""
    better_corrected: float
    smallest: float
    """The smallest loss that so many tasks would have shown with a power of 80 %; above 0, in the unit of `change`."""


@dataclass(frozen=True)
class Change:
    """A task with another share of right samples than before."""

    task: str
    kind: str
    """`broken` (right before, never now), `less often`, `fixed` (never before, right now), `more often`."""
    base: str
    new: str
    """Right samples of those judged: `3/4`."""
    outcome: str
    """The commonest of NEW's outcomes that is not right, or of BASE's where NEW has none."""


@dataclass(frozen=True)
class Pair:
    """Two sides compared."""

    base: Who
    new: Who
    tasks: int
    attempts: tuple[int, int]
    """Judged attempts at these tasks, of BASE and NEW."""
    measures: tuple[Measure, ...]
    changes: tuple[Change, ...]
    untimed: int
    """Tasks right on both sides, but not timed on both."""
    unsupported: tuple[int, int]
    sides: Sides

    def named(self, kind: str) -> tuple[str, ...]:
        """Tasks that changed in this way."""
        return tuple(change.task for change in self.changes if change.kind == kind)


@dataclass(frozen=True)
class Comparison:
    """Two runs compared."""

    base: Path
    new: Path
    confidence: float
    threshold: float
    """The largest loss that does not matter: of a share, or 1 - ratio of speed."""
    pairs: tuple[Pair, ...]
    alone: tuple[str, ...]
    """Sides that have no partner: a sentence each."""

    def worse(self, pair: Pair) -> list[Measure]:
        """In what a regression is shown."""
        return [each for each in pair.measures if each.worse_corrected <= 1 - self.confidence + 1e-12]

    def better(self, pair: Pair) -> list[Measure]:
        """In what an improvement is shown."""
        return [each for each in pair.measures if each.better_corrected <= 1 - self.confidence + 1e-12]

    @property
    def regression(self) -> bool:
        """Is any shown?"""
        return any(self.worse(pair) for pair in self.pairs)
