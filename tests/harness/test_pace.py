"""The device sleeps before a block just so long that every call is launched before its turn."""

from __future__ import annotations

from typing import cast

import pytest

from harness.device import Device
from harness.judge.blocks import LONGER_START, LONGER_US, Blocks
from harness.judge.clocks import Bare
from harness.judge.pace import FIRST_US, LEAST_US, MARGIN, MOST_US, Pace, head_start
from harness.judge.sides import Side
from harness.sandbox.candidate import CandidateProcess


def _pace(*launches: float) -> Pace:
    pace = Pace()
    for each in launches:
        pace.saw(10 * each, 10)
    return pace


@pytest.mark.parametrize("host", [5.0, 30.0, 60.0, 200.0])
@pytest.mark.parametrize("longer", [0.0, 40.0, 300.0])
@pytest.mark.parametrize("device", [10.0, 60.0, 500.0])
@pytest.mark.parametrize("calls", [1, 4, 10, 24])
def test_no_call_waits_for_its_launch(host: float, longer: float, device: float, calls: int) -> None:
    """The first call takes `longer`, as after waiting."""
    slow = Pace()
    slow.saw(longer + 4 * host, 4, longer + host)
    ahead = head_start([slow, _pace(host / 2)], device, calls)
    launched, free = 1.2 * longer, ahead
    for _ in range(calls):
        launched += 1.2 * host  # somewhat slower than it was seen
        assert launched <= free, (host, device, calls)
        free += device


def test_a_device_that_is_slower_than_its_host_hardly_sleeps() -> None:
    assert head_start([_pace(40.0), _pace(30.0)], 400.0, 24) == pytest.approx(LEAST_US + MARGIN * 40.0)


def test_what_only_the_first_call_takes_is_slept_for_once() -> None:
    pace = Pace()
    pace.saw(300.0 + 3 * 100.0, 4, 300.0)
    assert (pace.first, pace.other) == (300.0, pytest.approx(100.0))
    assert head_start([pace], 0.0, 20) == pytest.approx(LEAST_US + MARGIN * (300.0 + 19 * 100.0))
    lone = Pace()
    lone.saw(300.0, 1)
    assert (lone.first, lone.other) == (300.0, 150.0), "as long as no other call was seen"


def test_one_slow_launch_changes_nothing_and_there_is_a_limit() -> None:
    assert head_start([_pace(20.0, 20.0, 9000.0)], 400.0, 10) == head_start([_pace(20.0)], 400.0, 10)
    assert head_start([_pace(9000.0)], 5.0, 10) == MOST_US


def test_as_long_as_nothing_is_known_it_sleeps_long() -> None:
    assert head_start([_pace(20.0), Pace()], 400.0, 10) > FIRST_US


def _of_a_gpu() -> Blocks:
    """A workload's blocks, as far as head starts go: four calls were launched by each side."""
    blocks = Blocks.__new__(Blocks)
    blocks.device, blocks.flush, blocks.again = Device("cuda", 0, "A GPU", "GPU-0"), 0, False
    process = cast(CandidateProcess, None)
    blocks.sides = {name: Side(process, claim=10.0) for name in ("reference", "candidate")}
    for side in blocks.sides.values():
        side.pace.saw(400.0, 4, 220.0)
    return blocks


def test_both_blocks_of_a_bare_pair_have_the_same_head_start() -> None:
    blocks = _of_a_gpu()
    first = blocks._head_start(20, flush=False)
    assert first == pytest.approx(LEAST_US + MARGIN * 220.0 + 19 * (MARGIN * 60.0 - 10.0))
    blocks.sides["reference"].clocks.bare.append(Bare(10.0, 0.0, 20))
    blocks.sides["reference"].bare_pace.saw(1000.0, 20, 100.0)
    assert blocks._head_start(20, flush=False) == first, "the candidate's turn"
    blocks.sides["candidate"].bare_pace.saw(1000.0, 20, 100.0)
    blocks.again = True
    later = LEAST_US + MARGIN * 100.0 + 19 * (MARGIN * 900.0 / 19 - 10.0)
    assert blocks._head_start(20, flush=False) == pytest.approx(LONGER_START * later + LONGER_US)
