"""Builds real run folders through `harness.run`, for the tests of reports."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.run import Attempt, Record, Run, Spent
from harness.verdict import Outcome, Timing, Verdict

ENVIRONMENT = {
    "device": "NVIDIA H200",
    "device_kind": "cuda",
    "uuid": "GPU-0",
    "driver": "570.1",
    "torch": "2.11.0",
    "triton": "3.6.0",
    "python": "3.12.1",
    "isolation": "namespaces",
    "digest": "e" * 64,
}
INTERPRETER = {**ENVIRONMENT, "device": "interpreter", "device_kind": "interpreter", "digest": "1" * 64}


def timing(
    speedup: float, workload: str = "rows=8", clock: str = "device", spread: float = 1.05, **more: Any
) -> Timing:
    """A timing of a candidate that takes 10 µs."""
    values = {
        "workload": workload,
        "speedup": speedup,
        "low": speedup / spread,
        "high": speedup * spread,
        "candidate_us": 10.0,
        "reference_us": 10.0 * speedup,
        "candidate_samples_us": (9.9, 10.0, 10.1),
        "reference_samples_us": (9.9 * speedup, 10.0 * speedup, 10.1 * speedup),
        "clock": clock,
        "limit_us": 4.0,
        "fraction": 0.4,
        "reference_fraction": 0.4 / speedup,
    }
    return Timing(**{**values, **more})


def verdict(outcome: Outcome | float = 1.0, *speedups: float, clock: str = "device", **more: Any) -> Verdict:
    """A right verdict with these speedups, one a workload; or one with this outcome."""
    if isinstance(outcome, Outcome):
        values: dict[str, Any] = {"outcome": outcome, "reason": f"It stopped: {outcome.value}."}
    else:
        timings = tuple(timing(s, f"rows={n}", clock) for n, s in enumerate((outcome, *speedups), 1))
        values = {"outcome": Outcome.RIGHT, "reason": "Right on all cases.", "timings": timings}
    return Verdict(**{**values, "cases": 4, "cases_passed": 4, **more})


@dataclass
class Builder:
    """Makes run folders in a folder of its own."""

    root: Path
    numbers: Any = field(default_factory=itertools.count)

    def attempt(self, task: str = "softmax", solver: str = "geak", model: str = "m1", sample: int = 1) -> Attempt:
        return Attempt("rocm", task, solver, model, sample)

    def record(self, attempt: Attempt, said: Verdict | None, **more: Any) -> Record:
        """A judged record; owed where there is no verdict."""
        values: dict[str, Any] = {
            "task_digest": f"digest of {attempt.task}",
            "environment": ENVIRONMENT["digest"],
            "level": 2,
            "category": "reduction",
            "spent": Spent(3, 2, 1000, 500, 0.25, 12.0, 30.0),
        }
        return Record(attempt, "judged" if said else "owed", said, **{**values, **more})

    def about(self, plan: Sequence[Attempt], **more: Any) -> dict[str, Any]:
        """What the pytest plug-in writes into run.json."""
        solvers = dict.fromkeys(attempt.solver for attempt in plan)
        return {
            "harness": "0.1.0",
            "created": "2026-01-02T03:04:05.000+00:00",
            "command": ["pytest", "suites/rocm"],
            "suites": [{"name": "rocm", "version": "1.0", "digest": "5" * 64, "description": ""}],
            "solvers": [
                {"label": s, "name": s, "options": {}, "uses_model": True, "shows_reference": False} for s in solvers
            ],
            "model": {"name": "m1", "language_model": True, "base_url": None},
            "options": {"max_evaluations": 5, "max_tokens": None, "model_option": [], "seed": 7},
            "environment": ENVIRONMENT,
            "plan": [asdict(attempt) for attempt in plan],
            **more,
        }

    def run(
        self, results: Sequence[tuple[Attempt, Verdict | None]] = (), plan: Sequence[Attempt] | None = None, **more: Any
    ) -> Run:
        """A run folder with these results; planned are `plan`, or what has results."""
        planned = [attempt for attempt, _ in results] if plan is None else plan
        run = Run.create(self.root / f"run{next(self.numbers)}", self.about(planned, **more))
        digest = run.about["environment"].get("digest", ENVIRONMENT["digest"])
        for attempt, said in results:
            run.append(self.record(attempt, said, environment=digest))
        return run


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    return Builder(tmp_path)


@pytest.fixture(scope="session")
def build_anywhere(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """For hypothesis, which runs one test function many times."""
    return Builder(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session", name="verdict")
def _verdict() -> Callable[..., Verdict]:
    return verdict


@pytest.fixture(scope="session", name="timing")
def _timing() -> Callable[..., Timing]:
    return timing


@pytest.fixture(scope="session")
def interpreter() -> dict[str, str]:
    return INTERPRETER
