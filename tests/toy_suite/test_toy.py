"""The toy suite as a pytest collection; the harness's own tests run it."""

from harness.attempt_record import AttemptRecord
from harness.verdict import Stage


def test_call_accuracy(attempt: AttemptRecord) -> None:
    attempt.require(Stage.CALL)


def test_execution_accuracy(attempt: AttemptRecord) -> None:
    attempt.require(Stage.EXECUTION)


def test_speedup(attempt: AttemptRecord, benchmark: object) -> None:
    attempt.require(Stage.SPEEDUP)
    attempt.give_samples(benchmark)
