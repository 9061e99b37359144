"""`--no-timing`: call and execution as ever, and no clock. `--timed-workloads`: fewer. Every record says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.api import Judge as Api
from harness.judge.judge import Judge, JudgeLimits
from harness.suite import load_suite
from harness.task import Task
from harness.verdict import Outcome, Stage
from tests.harness.commands import NO_CACHE, ROOT, TOY, Warm
from tests.harness.suites import write_suite
from tests.harness.test_script import KERNEL
from tests.harness.test_script_timing import timed


@pytest.fixture(scope="module")
def untimed(judge: Judge) -> Judge:
    return Judge(judge.device, JudgeLimits(stage_seconds=60.0, timed=False))


def test_right_is_right_without_a_time(untimed: Judge, doubled: Task) -> None:
    wrong = doubled.reference.replace("2 * ", "3 * ").replace("2.0 * ", "3 * ")
    with untimed:
        for task, source in ((doubled, doubled.reference), (timed(), KERNEL)):
            verdict = untimed.judge(task, source)
            assert verdict.outcome is Outcome.RIGHT and verdict.right and not verdict.timings, verdict.reason
            assert verdict.speedup is None and verdict.timing_seconds == 0.0 and "speed" not in verdict.reason
            assert verdict.passed(Stage.EXECUTION)
        assert untimed.judge(doubled, wrong).outcome is Outcome.VALUES


def test_a_run_and_its_tables_say_so(tmp_path: Path, warm: Warm) -> None:
    suite = write_suite(tmp_path / "suite", {"doubled": 2})
    ran = warm.pytest(
        suite, "--solver=reference", "--no-timing", "--samples=2", "--run-dir=run", "-rs", *NO_CACHE, cwd=tmp_path
    )
    assert "nothing is timed" in ran.text, ran.text
    assert "4 passed, 2 skipped" in ran.text and "right, and not timed" in ran.text, ran.text
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["options"]["no_timing"] is True
    board = (tmp_path / "run" / "report" / "leaderboard.md").read_text()
    assert "no\\_timing" in board or "no_timing" in board or "no timing" in board, board
    again = warm.pytest(suite, "--resume=run", *NO_CACHE, cwd=tmp_path)
    assert "nothing is timed" in again.text, "a run goes on as it began"


def test_an_agent_goes_on_without_times(tmp_path: Path, warm: Warm) -> None:
    ran = warm.pytest(
        "suites/rocm", "--solver=geak", "--model=offline", "--iterations=2", "--no-timing", "-k", "add_kernel",
        f"--run-dir={tmp_path / 'run'}", *NO_CACHE, cwd=ROOT,
    )  # fmt: skip
    assert "2 passed, 1 skipped" in ran.text, ran.text


def test_the_doctor_times(warm: Warm) -> None:
    ran = warm.pytest("suites/rocm", "--doctor", "--no-timing", *NO_CACHE, cwd=ROOT)
    assert "--doctor times references on all workloads: leave --no-timing out" in ran.text


def test_from_python() -> None:
    with Api(TOY, device="interpreter", judges=1, no_timing=True) as judge:
        task = judge.suite.tasks[0]
        verdict = judge.evaluate(task.name, task.reference)
        assert verdict.right and not verdict.timings


def test_fewer_workloads_are_timed(tmp_path: Path, warm: Warm) -> None:
    ran = warm.pytest(
        "suites/rocm", "--solver=reference", "--timed-workloads=1", "-k", "softmax and not naive",
        f"--run-dir={tmp_path / 'run'}", *NO_CACHE, cwd=ROOT,
    )  # fmt: skip
    assert "3 passed" in ran.text, ran.text
    (line,) = (tmp_path / "run" / "results.jsonl").read_text().splitlines()
    task = load_suite(ROOT / "suites" / "rocm").task("softmax")
    timed_ones = [timing["workload"] for timing in json.loads(line)["verdict"]["timings"]]
    assert timed_ones == [task.timed(interpreted=True)[-1].id] and len(task.timed(interpreted=True)) > 1
    board = (tmp_path / "run" / "report" / "leaderboard.md").read_text()
    assert "timed" in board and "workloads" in board


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--no-timing", "--timed-workloads=3", "--solver=nop"), "--no-timing times no workload"),
        (("--timed-workloads=0", "--solver=nop"), "--timed-workloads 0: a number above zero is needed"),
        (("--doctor", "--timed-workloads=3"), "leave --timed-workloads out"),
    ],
)
def test_what_makes_no_sense(warm: Warm, arguments: tuple[str, ...], said: str) -> None:
    ran = warm.pytest("suites/rocm", *arguments, *NO_CACHE, cwd=ROOT)
    assert ran.code == 4 and said in ran.text
