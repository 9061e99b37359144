"""Outputs of timed calls: kept while the device is held, compared with the oracle when others may be timed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.judge.compare import compare, expect
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.answers import Returned
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.refresh import redrawn
from harness.task import Case, Inputs, Task
from harness.verdict import Outcome


@dataclass
class Collected:
    """Of one workload's candidate."""

    task: Task
    case: Case
    inputs: Inputs
    """From which those of every call are made."""
    rolled: Sequence[int]
    """Positions of those that are made anew for every call."""
    worst: float = 0.0
    """Error of the outputs compared, as a share of what is allowed."""
    _kept: list[tuple[int, Returned, Outcome | None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self._kept)

    def keep(self, shift: int, returned: Returned, wrong: Outcome | None) -> None:
        """What a call returned whose inputs were made with `shift`; and what it is if it is wrong: None leaves that to
        what is wrong with it."""
        self._kept.append((shift, returned, wrong))

    def compare(self, kind: str, watch: Stopwatch) -> None:
        """All that is kept, in its order, on a device of this kind. Raises CandidateFailed with the first that is
        wrong."""
        kept, self._kept = self._kept, []
        for shift, returned, wrong in kept:
            fresh = {
                name: redrawn(value, shift) if place in self.rolled else value
                for place, (name, value) in enumerate(self.inputs.items())
            }
            with watch("oracle"):
                expected = expect(self.task, fresh)
            with watch("comparison"):
                difference, worst = compare(self.task, fresh, expected, returned, kind)
            self.worst = max(self.worst, worst)
            if difference is not None:
                raise CandidateFailed(wrong or difference.outcome, f"on {self.case.id}: {difference.sentence}")
