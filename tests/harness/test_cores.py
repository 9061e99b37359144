"""Cores that are kept for who times: which ones, that both sides and the judge are there, and nobody else."""

from __future__ import annotations

import os

import pytest
import torch

from harness.engine import cores
from harness.engine.cores import Cores, kept_for, parted, this_thread_on
from harness.judge import alone as holding
from harness.judge.judge import Judge
from harness.judge.sides import Sides
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.candidate import CandidateProcess
from harness.task import Task

HERE = frozenset(os.sched_getaffinity(0))
WHERE = (
    "import os, torch\ndef doubled(x):\n    return torch.tensor(sorted(os.sched_getaffinity(0)), dtype=torch.float32)\n"
)
needs_two = pytest.mark.skipif(len(HERE) < 2, reason="one core alone can't be shared out: run where there are two")


def test_the_last_cores_are_kept() -> None:
    machine = frozenset(range(16))
    assert parted(machine, 0, 1) == Cores(frozenset({13, 14, 15}), frozenset(range(13)))


def test_two_gpus_have_different_ones_and_the_same_others() -> None:
    first, second = (parted(frozenset(range(32)), index, 2) for index in (0, 1))
    assert len(first.quiet) == len(second.quiet) == cores.KEPT and not first.quiet & second.quiet
    assert first.others == second.others == frozenset(range(26))


@pytest.mark.parametrize(("count", "index", "devices"), [(2, 0, 1), (11, 0, 1), (16, 0, 2), (16, 1, 1), (64, 0, 0)])
def test_few_cores_keep_none(count: int, index: int, devices: int) -> None:
    assert parted(frozenset(range(count)), index, devices) == Cores()


def test_the_interpreter_keeps_none(judge: Judge) -> None:
    if judge.device.interpreted:
        assert kept_for(judge.device) == Cores()


@needs_two
def test_a_thread_comes_back() -> None:
    with this_thread_on(frozenset({min(HERE)})):
        assert os.sched_getaffinity(0) == {min(HERE)}
    assert os.sched_getaffinity(0) == HERE
    with this_thread_on(frozenset()):
        assert os.sched_getaffinity(0) == HERE
    with this_thread_on(frozenset({100_000})):
        assert os.sched_getaffinity(0) == HERE, "what can't be had is done without"


@needs_two
def test_who_times_is_on_the_quiet_cores(judge: Judge, doubled: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Cores(frozenset({max(HERE)}), frozenset({min(HERE)}))
    monkeypatch.setattr(holding, "kept_for", lambda device: kept)
    judge.start()

    def where(process: CandidateProcess) -> set[int]:
        (output,) = process.call({"x": torch.ones(1)}, 4096, [], 60.0).outputs
        return set(output.tensor.int().tolist())

    first, second = (CandidateProcess(judge.parent, judge.limits.sandbox, "cpu") for _ in range(2))
    with first as one, second as other:
        for process in (one, other):
            process.load(WHERE, "doubled", 60.0)
        with holding.alone(judge.device, Sides(one, other, judge.usage), Stopwatch()) as waited:
            assert waited >= 0.0 and os.sched_getaffinity(0) == kept.quiet
            assert where(one) == where(other) == kept.quiet
        assert where(one) == where(other) == kept.others and os.sched_getaffinity(0) == HERE
        other.testify()
        with holding.alone(judge.device, Sides(one, other, judge.usage), Stopwatch()):
            assert where(one) == kept.quiet, "one that has ended holds nobody up"


def test_a_judge_and_its_candidates_stay_off_them(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    if len(HERE) < 2:
        pytest.skip("one core alone can't be shared out: run where there are two")
    rest = frozenset({min(HERE)})
    monkeypatch.setattr("harness.judge.judge.kept_for", lambda device: Cores(HERE - rest, rest))
    with Judge(judge.device, judge.limits) as apart:
        apart.start()
        assert os.sched_getaffinity(0) == rest
        with CandidateProcess(apart.parent, apart.limits.sandbox, "cpu") as process:
            process.load(WHERE, "doubled", 60.0)
            (output,) = process.call({"x": torch.ones(1)}, 4096, [], 60.0).outputs
            assert set(output.tensor.int().tolist()) == rest
    assert os.sched_getaffinity(0) == HERE
