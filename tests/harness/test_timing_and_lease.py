"""A device is held by one process at a time; rotated inputs are the same on both sides; verdicts' stages."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from harness.engine.lease import lease, reserve
from harness.judge import alone, script_timing
from harness.judge import collected as gathered
from harness.judge.judge import Judge
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.refresh import rotated
from harness.task import Task
from harness.verdict import STAGE_OF, Outcome, Stage, Verdict
from tests.harness.commands import ROOT
from tests.harness.test_script import KERNEL
from tests.harness.test_script_timing import timed

HOLDER = """
import sys, time
from harness.engine.lease import lease
with lease(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lease_is_held_alone_and_ends_with_its_holder() -> None:
    """Who wants no more than a part of the memory has not to wait for it."""
    name = f"test-{uuid.uuid4()}"
    command = [sys.executable, "-c", HOLDER, name]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    second = None
    try:
        assert first.stdout is not None and first.stdout.readline() == b"held\n"
        second = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        time.sleep(0.5)
        assert second.poll() is None
        first.kill()
        assert second.stdout is not None and second.stdout.readline() == b"held\n"
        with reserve(name, 9, 9, "oracles"), reserve(name, 9, 9):
            pass
        second.kill()
        second.wait()
        with lease(name):
            pass
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.communicate()


def test_memory_is_shared_and_waited_for() -> None:
    """A part that does not fit waits for others; a killed process's comes back; one too large gets all there is."""
    name = f"memory-{uuid.uuid4()}"
    code = (
        "import sys, time; from harness.engine.lease import reserve\n"
        "with reserve(sys.argv[1], int(sys.argv[2]), 10):\n    print('held', flush=True); time.sleep(60)"
    )

    def start(need: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code, name, str(need)], cwd=ROOT, stdout=subprocess.PIPE)

    running = [start(6)]
    try:
        assert running[0].stdout is not None and running[0].stdout.readline() == b"held\n"
        with reserve(name, 4, 10):
            pass
        for need in (5, 99):
            running.append(start(need))
            time.sleep(0.5)
            assert running[-1].poll() is None
            running[-2].kill()
            out = running[-1].stdout
            assert out is not None and out.readline() == b"held\n"
        running[-1].kill()
        running[-1].wait()
        with reserve(name, 10, 10):
            pass
    finally:
        for process in running:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("of", ["a task", "a script"])
def test_it_is_compared_when_others_may_be_timed(
    judge: Judge, doubled: Task, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a device is held outputs are only collected."""
    held, collected, compared = [False], list[bool](), list[bool]()

    @contextmanager
    def leased(_: str) -> Iterator[None]:
        held[0] = True
        yield
        held[0] = False

    def noting(said: list[bool], function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            said.append(held[0])
            return function(*arguments)

        return noted

    monkeypatch.setattr(alone, "lease", leased)
    for name in ("collect", "keep"):
        monkeypatch.setattr(CandidateProcess, name, noting(collected, getattr(CandidateProcess, name)))
    for place, name in ((gathered, "expect"), (gathered, "compare"), (script_timing, "differ")):
        monkeypatch.setattr(place, name, noting(compared, getattr(place, name)))
    verdict = judge.judge(doubled, doubled.reference) if of == "a task" else judge.judge(timed(), KERNEL)
    assert verdict.outcome is Outcome.RIGHT and verdict.timings, verdict.reason
    assert any(collected) and len(compared) > 2 and not any(compared)


@pytest.mark.parametrize("shift", [0, 1, 5, 6, 7, 1 << 30])
def test_rotation(shift: int) -> None:
    base = torch.arange(6.0).reshape(2, 3)
    fresh = rotated(base, shift)
    assert fresh.flatten().tolist() == torch.roll(base.flatten(), -shift % 6).tolist()
    assert fresh.data_ptr() != base.data_ptr()
    turned = rotated(base.t(), shift)
    assert turned.stride() == (1, 3) and torch.equal(turned.t(), fresh)
    assert rotated(torch.empty(0, 3), shift).shape == (0, 3)
    assert rotated(torch.tensor(4.0), shift).item() == 4.0


@pytest.mark.parametrize("outcome", Outcome)
def test_stages_of_an_outcome(outcome: Outcome) -> None:
    verdict = Verdict(outcome, "why")
    passed = [stage for stage in Stage if verdict.passed(stage)]
    assert passed == list(Stage)[: len(passed)], "each stage is a condition of the next"
    stopped = STAGE_OF[outcome]
    assert (stopped is None) == (outcome is Outcome.RIGHT)
    if stopped is not None:
        assert verdict.reached(stopped) and not verdict.passed(stopped)
    assert verdict.right == verdict.passed(Stage.EXECUTION)
