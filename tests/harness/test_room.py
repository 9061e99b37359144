"""A workload's blocks have their memory before the device is held."""

from __future__ import annotations

import random
import time
from typing import cast

import pytest

from harness.device import Device
from harness.judge.blocks import Blocks
from harness.judge.limits import TimingLimits
from harness.judge.sides import Side
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.candidate import CandidateProcess, Fresh
from harness.task import Case, Task


class Asked:
    """A side's process that writes down for how many sets, and how much memory, it was asked."""

    def __init__(self) -> None:
        self.rooms: list[int] = []

    def ask_to_arm(self, drawn: list[int], fresh: Fresh, room: int) -> None:
        self.rooms.append(room)

    def answered(self, timeout: float) -> None:
        pass


def _blocks(claim: float, fit: int) -> tuple[Blocks, list[Asked]]:
    """A workload's blocks, as far as their memory goes: each set has a thousand bytes."""
    blocks, asked = Blocks.__new__(Blocks), [Asked(), Asked()]
    blocks.device, blocks.rng, blocks.limits = Device("cuda", 0, "A GPU", "GPU-0"), random.Random(1), TimingLimits()
    blocks.task, blocks.case, blocks.fresh = cast(Task, None), cast(Case, None), Fresh([], [], [], [])
    blocks.stopwatch, blocks.watched, blocks.moved, blocks.room, blocks.flush = Stopwatch(), True, 1000, 0, 100_000_000
    blocks.fit, blocks.calls, blocks.most_seconds, blocks.begin = fit, min(3, fit), 60.0, time.monotonic()
    sides = zip(("reference", "candidate"), asked, strict=True)
    blocks.sides = {name: Side(cast(CandidateProcess, process), claim=claim) for name, process in sides}
    return blocks, asked


def test_both_have_room_for_any_block_and_are_told_so_once() -> None:
    blocks, asked = _blocks(claim=10.0, fit=100)
    blocks._make_room()
    (room,), (other,) = (each.rooms for each in asked)
    assert room == other >= 20 * 1000, "a block without flushes has twenty sets"
    assert blocks._more_room(8 + 4) == 0, "no block asks the driver again"


@pytest.mark.parametrize(("claim", "fit"), [(15_000.0, 100), (10.0, 1)])
def test_one_call_at_a_time_needs_none(claim: float, fit: int) -> None:
    blocks, asked = _blocks(claim, fit)
    blocks._make_room()
    assert not any(each.rooms for each in asked)
