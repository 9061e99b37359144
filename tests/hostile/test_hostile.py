"""Hostile candidates: none is called right, or faster than it is; and none changes what the next one sees."""

from __future__ import annotations

import os

import pytest

from harness.judge.judge import Judge
from harness.sandbox.isolation import probe
from harness.task import Task
from harness.verdict import Outcome, Stage
from tests.hostile.make import candidate
from tests.hostile.tricks import SLOW, TRICKS, Trick

NEEDS_WALLS = {
    "reads_the_reference",
    "imports_the_judge",
    "writes_into_the_run",
    "network",
    "environment_secrets",
    "kills_the_parent",
}


@pytest.fixture(autouse=True, scope="module")
def secret() -> None:
    os.environ["KERNEL_ASSAY_TEST_KEY"] = "secret"


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.name)
def test_is_caught(trick: Trick, request: pytest.FixtureRequest, doubled: Task) -> None:
    judge: Judge = request.getfixturevalue("hasty_judge" if Outcome.TIMEOUT in trick.caught else "judge")
    if trick.name in NEEDS_WALLS and probe() == "process":
        pytest.skip("this machine allows no namespaces: the level `process` does not stop it (SECURITY: isolation)")
    verdict = judge.judge(doubled, candidate(trick.source))
    assert not verdict.right, verdict.reason
    assert verdict.outcome in trick.caught | {Outcome.CHEATING, Outcome.NON_FINITE}, (
        f"{verdict.outcome}: {verdict.reason}\n{verdict.detail}"
    )
    assert verdict.reason
    assert verdict.speedup is None


@pytest.mark.parametrize("trick", SLOW, ids=lambda trick: trick.name)
def test_is_not_called_fast(trick: Trick, judge: Judge, doubled: Task) -> None:
    verdict = judge.judge(doubled, candidate(trick.source))
    if verdict.passed(Stage.SPEEDUP):
        assert verdict.speedup is not None and verdict.speedup < 0.5
    else:
        assert verdict.outcome in trick.caught | {Outcome.CHEATING, Outcome.NON_FINITE}, (
            f"{verdict.outcome}: {verdict.reason}"
        )


def test_the_honest_one_is_right_afterwards(judge: Judge, doubled: Task) -> None:
    verdict = judge.judge(doubled, candidate("def doubled(x):\n    return honest(x)"))
    assert verdict.outcome is Outcome.RIGHT, verdict.reason
