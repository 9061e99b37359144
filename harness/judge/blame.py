"""Whose failure it is that ends a timing: the candidate's, or trouble of the task or the machine."""

from __future__ import annotations

from harness.errors import InfrastructureError
from harness.sandbox.failed import CandidateFailed
from harness.task import Case, Task
from harness.verdict import Outcome


class Blame:
    """Says whose failure it is: the reference's is trouble of the task or the machine; a candidate's is told with the
    workload, and after the warm-up as a failure of the speedup stage."""

    def __init__(self, name: str, task: Task, case: Case, timed: bool = False) -> None:
        self.name, self.task, self.case, self.timed = name, task, case, timed

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, CandidateFailed) or error.reason.startswith(f"on {self.case.id}"):
            return
        if self.name == "reference":
            raise InfrastructureError(
                f"the reference of {self.task.name} failed on {self.case.id}: {error.reason}; mend its reference.py"
            ) from error
        outcome = Outcome.TIMING_FAILED if self.timed and error.outcome is not Outcome.PROTOCOL else error.outcome
        raise CandidateFailed(outcome, f"on {self.case.id}: {error.reason}", error.detail) from error
