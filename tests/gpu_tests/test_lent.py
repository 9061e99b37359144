"""On a real GPU, both sides of a timing can be lent the same memory for their blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import torch

from harness.device import find_device
from harness.judge.judge import Judge, JudgeLimits
from harness.judge.lender import KEPT_BYTES, Lender
from harness.judge.limits import TimingLimits
from harness.judge.sides import Sides
from harness.sandbox.candidate import CandidateProcess, Fresh, Placed
from harness.sandbox.isolation import Limits
from harness.sandbox.refresh import redrawn
from harness.sandbox.staging import available
from harness.sandbox.wire import room
from harness.task import Task
from harness.verdict import Outcome

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available() or not available(),
        reason="no GPU and cuda-bindings here: run python -m tests.gpu on a machine with them",
    ),
]


@pytest.fixture
def sides(judge: Judge, doubled: Task) -> Iterator[Sides]:
    """Two that double vectors."""
    judge.start()
    with ExitStack() as stack:
        both = [stack.enter_context(CandidateProcess(judge.parent, Limits(), judge.device.torch)) for _ in "ab"]
        for each in both:
            each.load(doubled.reference, doubled.entry_point, 60.0)
        yield Sides(*both)


def doubles(process: CandidateProcess, x: torch.Tensor, shift: int, armed: bool = False) -> None:
    """What it gives for the values of `shift`, whoever wrote these where its input lies."""
    fresh = Fresh([0], [], [], [room(x)])
    if not armed:
        process.arm([shift], fresh, 60.0)
    process.fire(1, 500.0, 60.0)
    (output,) = process.collect(0, 60.0).outputs
    assert isinstance(output, Placed)
    expected = redrawn(x, shift)
    assert isinstance(expected, torch.Tensor) and torch.equal(output.tensor, 2 * expected)


def test_blocks_of_both_lie_in_the_same_places(judge: Judge, sides: Sides) -> None:
    lender, x = Lender(judge.device), torch.randn(5_000_000, device=judge.device.torch)
    fresh = Fresh([0], [], [], [room(x)])
    for each in (sides.reference, sides.candidate):
        each.base({"x": x}, fresh, 1 << 20, 60.0)
    assert lender.lend(sides, 16 * room(x))
    for each in (sides.reference, sides.candidate):
        doubles(each, x, 11)
    sides.reference.arm([5], fresh, 60.0)
    sides.candidate.arm([9], fresh, 60.0)
    doubles(sides.reference, x, 9, armed=True)  # the other's values lie where its own did
    doubles(sides.candidate, x, 123)
    lender.settle(sides)
    lender.close()
    doubles(sides.reference, x, 77)


def test_more_is_lent_where_more_is_needed_and_much_is_taken_back(judge: Judge, sides: Sides) -> None:
    lender, x = Lender(judge.device), torch.randn(1000, device=judge.device.torch)
    for each in (sides.reference, sides.candidate):
        each.base({"x": x}, Fresh([0], [], [], [room(x)]), 1 << 20, 60.0)
    free = torch.cuda.mem_get_info(judge.device.index)[0]
    for need in (1 << 20, KEPT_BYTES, 1 << 30):
        assert lender.lend(sides, need)
        for each in (sides.reference, sides.candidate):
            doubles(each, x, need)
    lender.settle(sides)
    assert torch.cuda.mem_get_info(judge.device.index)[0] > free - (1 << 30), "what is much is given back"
    for each in (sides.reference, sides.candidate):
        doubles(each, x, 3)


def test_a_kernel_beside_itself(doubled: Task) -> None:
    with Judge(find_device("cuda"), JudgeLimits(timing=TimingLimits(one_place=True))) as judge:
        for _ in range(2):
            verdict = judge.judge(doubled, doubled.reference)
            assert verdict.outcome is Outcome.RIGHT and not verdict.warnings, verdict.reason
            assert verdict.speedup == pytest.approx(1.0, abs=0.02)
            assert "lending memory" in verdict.phases
        lies = doubled.reference.replace("def doubled", "def honest")
        lies += "\n_kept = {}\n\ndef doubled(x):\n    key = x.data_ptr()\n"
        lies += "    if key not in _kept:\n        _kept[key] = honest(x)\n    return _kept[key]\n"
        assert judge.judge(doubled, lies).outcome is not Outcome.RIGHT, "the same places, but other values"
