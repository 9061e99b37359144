"""Solvers and the real judge on one task of the suite: what must be right is, what must not be isn't."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import make_bench

from agents.geak import GeakSolver
from agents.models.moves import HEADER
from agents.models.offline import OfflineModel
from agents.nop import NopSolver
from agents.reference import ReferenceSolver
from harness.attempt import view
from harness.device import find_device
from harness.judge.judge import Judge
from harness.suite import load_task
from harness.verdict import Stage

FOLDER = Path(__file__).parents[2] / "suites" / "rocm" / "naive_softmax"


@pytest.fixture(scope="module")
def judge():
    with Judge(find_device("interpreter")) as judge:
        yield judge


@pytest.fixture
def bench(judge, tmp_path):
    task = load_task(FOLDER, "rocm")
    bench = make_bench(
        tmp_path, OfflineModel(), judge=lambda source: judge.judge(task, source), reference=task.reference
    )
    bench.task = view(task, judge.device)
    yield bench
    bench.close()


def test_nop_is_called_and_never_right(bench):
    verdict = bench.grade(NopSolver().solve(bench.task, bench))
    assert verdict.passed(Stage.CALL) and not verdict.passed(Stage.EXECUTION), verdict.reason


def test_reference_is_right(bench):
    verdict = bench.grade(ReferenceSolver().solve(bench.task, bench))
    assert verdict.right and verdict.speedup is not None and 0.2 < verdict.speedup < 5, verdict.reason


def test_geak_with_the_offline_model_tunes_the_reference(bench):
    solution = GeakSolver(iterations=3).solve(bench.task, bench)
    assert solution.source.startswith(HEADER) and bench.evaluations == 3
    assert bench.best is not None
