"""A pytest collection: `pytest suites/published --checkout=PATH --solver=NAME`."""

from harness.attempt_record import AttemptRecord
from harness.verdict import Stage


def test_call_accuracy(attempt: AttemptRecord) -> None:
    """The solution loads, and the published test half runs with it for every seed."""
    attempt.require(Stage.CALL)


def test_execution_accuracy(attempt: AttemptRecord) -> None:
    """What the test half keeps is what the published reference gives for the same seeds."""
    attempt.require(Stage.EXECUTION)
