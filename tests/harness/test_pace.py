"""The device sleeps before a block just so long that every call is launched before its turn."""

from __future__ import annotations

import random
import time
from typing import cast

import pytest

from harness.device import Device
from harness.judge.blocks import LONGER_START, LONGER_US, Blocks
from harness.judge.clocks import Bare
from harness.judge.limits import TimingLimits
from harness.judge.pace import FIRST_US, LEAST_US, MARGIN, MOST_US, Pace, head_start
from harness.judge.sides import Side
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.answers import Fired
from harness.sandbox.candidate import CandidateProcess, Fresh
from harness.task import Case, Task


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
    assert pace.usual == (300.0, pytest.approx(100.0))
    assert head_start([pace], 0.0, 20) == pytest.approx(LEAST_US + MARGIN * (300.0 + 19 * 100.0))
    lone = Pace()
    lone.saw(300.0, 1)
    assert lone.usual == (300.0, 150.0), "as long as no other call was seen"


def test_one_slow_launch_changes_nothing_and_there_is_a_limit() -> None:
    assert head_start([_pace(20.0, 20.0, 9000.0)], 400.0, 10) == head_start([_pace(20.0)], 400.0, 10)
    assert head_start([_pace(9000.0)], 5.0, 10) == MOST_US


def test_as_long_as_nothing_is_known_it_sleeps_long() -> None:
    assert head_start([_pace(20.0), Pace()], 400.0, 10) > FIRST_US


class Slept:
    """A side's process that writes down how long the device slept before each of its blocks."""

    def __init__(self) -> None:
        self.ahead: list[float] = []

    def ask_to_arm(self, *_: object) -> None:
        pass

    def answered(self, timeout: float) -> None:
        pass

    def fire(self, calls: int, ahead: float, timeout: float, flush: bool) -> Fired:
        self.ahead.append(ahead)
        return Fired([10.0] * calls, ahead + 10.0 * calls, 1000.0, 100.0, None)


def _of_a_gpu(seed: int) -> tuple[Blocks, list[Slept]]:
    """A workload's blocks, as far as head starts go: four calls were launched by each side."""
    blocks, processes = Blocks.__new__(Blocks), [Slept(), Slept()]
    blocks.device, blocks.flush, blocks.rng = Device("cuda", 0, "A GPU", "GPU-0"), 0, random.Random(seed)
    blocks.limits, blocks.stopwatch, blocks.fresh = TimingLimits(), Stopwatch(), Fresh([], [], [], [])
    blocks.fit, blocks.moved, blocks.room, blocks.most_seconds, blocks.begin = 100, 0, 1 << 30, 60.0, time.monotonic()
    blocks.task, blocks.case, blocks.watched = cast(Task, None), cast(Case, None), True
    sides = zip(("reference", "candidate"), processes, strict=True)
    blocks.sides = {name: Side(cast(CandidateProcess, process), claim=10.0) for name, process in sides}
    for side in blocks.sides.values():
        side.pace.saw(400.0, 4, 220.0)
        side.clocks.claims = [10.0]
    blocks.calls = 4
    return blocks, processes


@pytest.mark.parametrize("seed", range(6))
def test_both_blocks_of_a_bare_pair_have_the_same_head_start(seed: int) -> None:
    """Whoever goes first, and whatever is known after it."""
    blocks, processes = _of_a_gpu(seed)
    for _ in range(2):
        for name, *_ in blocks._blocks(20, flush=False):
            blocks.sides[name].clocks.bare.append(Bare(10.0, 0.0, 20))
    one, other = (process.ahead for process in processes)
    first = LEAST_US + MARGIN * 220.0 + 19 * (MARGIN * 60.0 - 10.0)
    later = LEAST_US + MARGIN * 100.0 + 19 * (MARGIN * 900.0 / 19 - 10.0)
    assert one == other == [pytest.approx(first), pytest.approx(LONGER_START * later + LONGER_US)]
