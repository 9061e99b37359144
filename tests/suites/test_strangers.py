"""Pages are enough: kernels written by somebody who saw nothing of this project but one page each are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.judge.judge import Judge
from harness.judge.trial import Scope
from harness.suite import load_suite
from harness.verdict import Outcome

SUITE = load_suite(Path(__file__).parents[2] / "suites" / "rocm")
SOLUTIONS = sorted((Path(__file__).parent / "strangers").glob("*.py"))


@pytest.mark.parametrize("solution", SOLUTIONS, ids=lambda path: path.stem)
def test_a_solution_from_the_page_alone_is_right(judge: Judge, solution: Path) -> None:
    verdict = judge.judge(SUITE.task(solution.stem), solution.read_text(), scope=Scope(timed=False))
    assert verdict.outcome is Outcome.RIGHT, f"{verdict.outcome}: {verdict.reason}"
