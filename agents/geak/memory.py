"""What one instance remembers: every version, with its own strategy and its own figures.

A version is frozen and holds the strategy by which itself was made, so that words and figures can't part company. The
memory only grows: the "ancestors" that the Optimizer sees are chosen from all versions each time, so none is ever
replaced.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.verdict import Feedback, Outcome


@dataclass(frozen=True)
class Version:
    """One version of the kernel, judged."""

    number: int
    """From 1, without gaps: a lost turn makes no version."""
    source: str | None
    """None: the Generator's answer held no code."""
    feedback: Feedback
    strategy: str = ""
    """The Optimizer's words for the line that this version belongs to; empty for a line begun afresh."""
    diagnosis: str = ""
    """The Reflector's words, where this version is a repair."""
    parent: int | None = None
    """The version that it was made from."""
    turn: int = 0
    """The turn that made it; greater than `number` once a turn was lost."""
    repairs: int = 0
    """How many repairs in a row led to it."""
    descendant: int = 0
    """Which of a turn's candidates it was, from 0: each of them has a line of its own."""
    review: str = ""
    """The Critic's words on the draft that this version was made from; empty where it had none."""

    @property
    def right(self) -> bool:
        """Right on every case, whatever its speed."""
        return self.feedback.right

    @property
    def speedup(self) -> float | None:
        """Against the reference; None where it is wrong or could not be timed."""
        return self.feedback.speedup

    @property
    def note(self) -> str:
        """In words, what was to be done in this version."""
        return self.diagnosis or self.strategy

    def to_json(self) -> dict[str, Any]:
        """As it stands in the transcript."""
        return {**asdict(self), "right": self.right, "speedup": self.speedup}


def no_code(reason: str, cut: bool = False) -> Feedback:
    """What stands for the judge's word where there is nothing to judge. `cut`: the answer ended at its length limit."""
    outcome = Outcome.CUT if cut else Outcome.NO_CODE
    return Feedback(outcome=outcome, call=False, right=False, message=reason, speedup=None)


@dataclass
class Memory:
    """All versions of one instance, in the order of their making."""

    versions: list[Version] = field(default_factory=list)

    def add(self, version: Version) -> None:
        """Remember a version."""
        self.versions.append(version)

    @property
    def next_number(self) -> int:
        """Number of the version to come."""
        return len(self.versions) + 1

    @property
    def last(self) -> Version | None:
        """The newest version."""
        return self.versions[-1] if self.versions else None

    def newest(self, descendant: int) -> Version | None:
        """The newest version of a line."""
        return next((each for each in reversed(self.versions) if each.descendant == descendant), None)

    @property
    def ascending(self) -> list[Version]:
        """All right versions, slowest first, best last; those of unknown speed come first, and of equals the elder
        counts as better."""
        return sorted((each for each in self.versions if each.right), key=_speed)

    @property
    def best(self) -> Version | None:
        """The fastest right version."""
        right = self.ascending
        return right[-1] if right else None

    def history(self, ancestors: int) -> list[Version]:
        """The fastest `ancestors` right versions, ascending."""
        return self.ascending[-ancestors:]

    def others(self, shown: list[Version]) -> list[Version]:
        """The versions that are not in `shown`: wrong ones first, then right ones ascending."""
        numbers = {each.number for each in shown}
        wrong = [each for each in self.versions if not each.right]
        return [each for each in (*wrong, *self.ascending) if each.number not in numbers]

    def turns_since(self, version: Version) -> int:
        """How many turns made versions after the turn of this one."""
        return len({each.turn for each in self.versions if each.turn > version.turn})

    def to_json(self) -> dict[str, Any]:
        """All of it, as it is saved after every turn."""
        best = self.best
        return {"best": best.number if best else None, "versions": [each.to_json() for each in self.versions]}

    def known(self, source: str) -> Version | None:
        """The version that had this very source, if any: it need not be judged again."""
        return next((each for each in self.versions if each.source and each.source.strip() == source.strip()), None)

    @property
    def result(self) -> Version | None:
        """What to hand in: the fastest right version; else the newest that at least ran, so that call accuracy can
        count; else the newest with code."""
        code = [each for each in self.versions if each.source is not None]
        ran = [each for each in code if each.feedback.call]
        return self.best or next(reversed(ran), None) or next(reversed(code), None)


def _speed(version: Version) -> tuple[float, int]:
    speedup = version.speedup
    return (-math.inf if speedup is None or math.isnan(speedup) else speedup, -version.number)
