"""The ROCm Triton suite as a pytest collection: `pytest suites/rocm --solver=NAME`."""

from harness.attempt_record import AttemptRecord
from harness.verdict import Stage


def test_call_accuracy(attempt: AttemptRecord) -> None:
    """The solution loads, and its entry point runs on every case."""
    attempt.require(Stage.CALL)


def test_execution_accuracy(attempt: AttemptRecord) -> None:
    """What it returns is right on every case, and no input was changed that must not change."""
    attempt.require(Stage.EXECUTION)


def test_speedup(attempt: AttemptRecord, benchmark: object) -> None:
    """It was timed beside the reference; its speed is a score and never fails this test."""
    attempt.require(Stage.SPEEDUP)
    attempt.give_samples(benchmark)
