"""What a suite's tests get of an attempt: its verdict as passes, failures and skips of pytest, and its samples."""

from __future__ import annotations

import time
from typing import Any

import pytest

from harness.run import Record
from harness.verdict import STAGE_OF, Outcome, Stage, Verdict


class AttemptRecord:
    """What a suite's tests get: the record of one attempt."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.verdict: Verdict = record.verdict or Verdict(Outcome.NO_CODE, "no verdict")
        self.denied = False
        """Has a test failed by the verdict?"""

    def require(self, stage: Stage) -> None:
        """Pass, fail with the verdict's sentence, or skip a stage that was not reached."""
        verdict = self.verdict
        if verdict.passed(stage):
            return
        stopped = STAGE_OF[verdict.outcome]
        if verdict.outcome is Outcome.UNSUPPORTED:
            pytest.skip(f"unsupported here: {verdict.reason}")
        if not verdict.reached(stage):
            pytest.skip(f"not reached, stopped at {stopped}: {verdict.outcome}")
        self.denied = True
        pytest.fail(f"{verdict.outcome}: {verdict.reason}", pytrace=False)

    def properties(self) -> list[tuple[str, str]]:
        """What `--junitxml` says in each test of the attempt, passed or not: the verdict's sentence; of what was timed
        the speedup, too, and by which clock."""
        verdict = self.verdict
        told = [("outcome", str(verdict.outcome)), ("reason", verdict.reason)]
        if verdict.speedup is not None:
            told += [("speedup", repr(verdict.speedup)), ("clock", verdict.timings[0].clock)]
        return told

    def give_samples(self, benchmark: Any) -> None:
        """Hand the measured samples (seconds; a round's sum over the workloads) to pytest-benchmark."""
        timings = self.verdict.timings
        if not timings:
            pytest.skip("right, and not timed")
        rounds = min(len(timing.candidate_samples_us) for timing in timings)
        samples = [sum(timing.candidate_samples_us[n] for timing in timings) / 1e6 for n in range(rounds)]
        timer = getattr(benchmark, "_timer", None)
        benchmark.extra_info.update(
            solver=self.record.attempt.solver,
            model=self.record.attempt.model,
            speedup=self.verdict.speedup,
            clock=timings[0].clock,
            workloads={
                t.workload: {"us": t.candidate_us, "reference_us": t.reference_us, "speedup": t.speedup}
                for t in timings
            },
        )
        if isinstance(timer, RecordedTimer):
            timer.load(samples)
        benchmark.pedantic(lambda: None, rounds=len(samples), iterations=1)


class RecordedTimer:
    """A clock for pytest-benchmark that tells measured samples instead of the time."""

    __name__ = "device_time"

    def __init__(self) -> None:
        self._readings: list[float] = []

    def load(self, samples: list[float]) -> None:
        """Each sample, in seconds, becomes a pair of readings that far apart."""
        self._readings = [reading for sample in reversed(samples) for reading in (sample, 0.0)]

    def __call__(self) -> float:
        return self._readings.pop() if self._readings else time.perf_counter()
