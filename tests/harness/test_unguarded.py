"""`--unguarded` takes away walls and watchers, and nothing else; every record says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.judge.judge import Judge, JudgeLimits
from harness.suite import Suite
from harness.task import Task
from harness.verdict import Outcome
from tests.exploits.corpus import corpus, tasks
from tests.harness.commands import NO_CACHE, Warm
from tests.harness.suites import write_suite


@pytest.fixture(scope="module")
def small() -> Suite:
    return tasks()


@pytest.fixture(scope="module")
def unguarded(judge: Judge) -> Judge:
    return Judge(judge.device, JudgeLimits(stage_seconds=60.0, guarded=False))


@pytest.mark.parametrize("name", ["torch_by_an_operator", "stack_through_a_library"])
def test_what_cheats_is_right_then(name: str, judge: Judge, unguarded: Judge, small: Suite) -> None:
    (exploit,) = (each for each in corpus() if each.name == name)
    task = small.task(exploit.task)
    assert judge.judge(task, exploit.source).outcome in (Outcome.TORCH_WORK, Outcome.CHEATING)
    with unguarded:
        verdict = unguarded.judge(task, exploit.source)
    assert verdict.outcome is Outcome.RIGHT and not verdict.warnings, verdict.reason
    assert unguarded.isolation == "unguarded"


def test_wrong_is_wrong_still(unguarded: Judge, doubled: Task) -> None:
    wrong = doubled.reference.replace("2 * ", "3 * ").replace("2.0 * ", "3 * ")
    assert wrong != doubled.reference
    with unguarded:
        assert unguarded.judge(doubled, doubled.reference).outcome is Outcome.RIGHT
        assert unguarded.judge(doubled, wrong).outcome is Outcome.VALUES


def test_the_record_says_so(tmp_path: Path, warm: Warm) -> None:
    suite = write_suite(tmp_path / "suite", {"doubled": 2})
    ran = warm.pytest(suite, "--solver=reference", "--unguarded", "--run-dir=run", *NO_CACHE, cwd=tmp_path)
    assert "isolation: unguarded (nothing stops or sees a candidate that cheats)" in ran.text, ran.text
    assert "3 passed" in ran.text, ran.text
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["environment"]["isolation"] == "unguarded" and about["options"]["unguarded"] is True
    assert "unguarded" in (tmp_path / "run" / "report" / "leaderboard.md").read_text()
