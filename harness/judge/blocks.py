"""Blocks of calls of candidate and reference, on one device: fresh values, the device's head start, both clocks.

Every call of a block gets an input set of its own, made from the base inputs by a rotation and a factor that the judge
draws just before. Where its tensors lie makes a kernel a percent faster or slower, and that must not be taken for its
speed: they lie elsewhere in every block.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from harness.device import Device
from harness.judge.blame import Blame
from harness.judge.flush import FLUSHED_A_MICROSECOND, flush_bytes
from harness.judge.integrity import read_evidence
from harness.judge.limits import TimingLimits
from harness.judge.pace import MOST_US, head_start
from harness.judge.sides import Side, Sides
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.candidate import CandidateProcess, Fresh
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.wire import room
from harness.task import Case, Inputs, Task

BARE_CALLS, BARE_LEAST, BARE_BYTES = 20, 8, 1 << 30
"""A long block without a flush (`harness.judge.clocks`): of how many calls at most, and at least where these move more
than so many bytes."""
LONGER_START, LONGER_US = 2.0, 400.0
"""The device sleeps so many times as long, by what launches took in bare blocks before, and so many µs more, before the
bare blocks that follow one that speaks against a candidate: the first launch after waiting may take longer."""
MOVED_AGAIN = 6
"""Times that the bytes of a call's values are moved before it, about: both sides read and write theirs, at two thirds
of the speed of a flush."""
BARE_US = 5_000.0
"""Aim for bare blocks of this length, of no less than half of `BARE_CALLS`."""


@dataclass(eq=False, repr=False)
class Blocks:
    """Of one workload."""

    task: Task
    case: Case
    inputs: Inputs
    processes: Sides
    device: Device
    limits: TimingLimits
    rng: random.Random
    stopwatch: Stopwatch

    def __post_init__(self) -> None:
        task, inputs, device, limits = self.task, self.inputs, self.device, self.limits
        self.sides = {"reference": Side(self.processes.reference), "candidate": Side(self.processes.candidate)}
        self.watched = limits.watched and not device.interpreted
        names = list(inputs)
        rolled = [
            place
            for place, (name, value) in enumerate(inputs.items())
            if _floating(value) or (name in task.redrawn and value is not None)
        ]
        mutated = [names.index(name) for name in names if name in task.mutates]
        copied = [place for place in mutated if place not in rolled]
        self.fresh = Fresh(rolled, copied, mutated, [room(each) for each in task.allocate(inputs)])
        values, self.results_room = list(inputs.values()), sum(self.fresh.results)
        made = (values[place] for place in (*rolled, *copied))
        self.moved = sum(room(each) for each in made if isinstance(each, torch.Tensor)) + self.results_room
        self.flush = 0 if device.interpreted else flush_bytes(device)
        block = int(limits.block_share * device.memory) // max(1, self.moved)
        self.fit = max(1, limits.calls if device.interpreted else block)
        self.calls = min(limits.few_calls, self.fit)
        """In a block with flushes."""
        self.room = 0
        """Bytes that both sides were told to have there for a block."""
        self.begin, self.most_seconds = time.monotonic(), limits.call_seconds

    def _blocks(self, calls: int, flush: bool = True) -> Iterator[tuple[str, list[int], list[float] | None, float]]:
        """One block of each side, in random order: its name, what it was made with, and what `_fire` gives. Both make
        their new values at the same time."""
        drawn = {name: self._shifts(calls) for name in self.sides}
        sets = self._spare(calls) if flush else 0
        with self.stopwatch("new values"):
            spare = {name: self.rng.randint(0, sets * self.moved) for name in self.sides}
            room = self._more_room(calls + sets) if calls > 1 else 0
            self._both(lambda name, process: process.ask_to_arm(drawn[name], self.fresh, room, spare[name]))
        ahead = self._head_start(calls, flush)
        for name in self.rng.sample(sorted(self.sides), 2):
            with Blame(name, self.task, self.case, timed=True):
                samples, wall = self._fire(name, calls, flush, ahead)
            yield name, drawn[name], samples, wall

    def _both(self, ask: Callable[[str, CandidateProcess], None]) -> None:
        """Have both sides do the same, at the same time."""
        for name in ("candidate", "reference"):
            with Blame(name, self.task, self.case, timed=True):
                ask(name, self.sides[name].process)
        for name in ("reference", "candidate"):  # it goes on after this candidate: its answer is always heard
            with Blame(name, self.task, self.case, timed=True):
                self.sides[name].process.answered(self._left())

    def _block(self, name: str, drawn: list[int]) -> tuple[list[float] | None, float]:
        """One block of one side, as `_fire` has it."""
        with self.stopwatch("new values"):
            self.sides[name].process.arm(drawn, self.fresh, self._left())
        return self._fire(name, len(drawn), True, self._head_start(len(drawn), flush=True))

    def _fire(self, name: str, calls: int, flush: bool, ahead: float) -> tuple[list[float] | None, float]:
        """Run the armed calls, the device asleep for `ahead` µs: (µs of each call claimed, or None; µs a call by the
        judge's clock)."""
        side = self.sides[name]
        with self.stopwatch("timed calls" if flush else "bare calls"):
            fired = side.process.fire(calls, ahead, self._left(), flush)
        if fired.seen is not None and name == "candidate" and self.limits.watched:
            difference = read_evidence(self.task, fired.seen)
            if difference is not None:
                raise CandidateFailed(difference.outcome, f"on {self.case.id}, when timed: {difference.sentence}")
        if fired.samples:
            (side.pace if flush else side.bare_pace).saw(fired.launched, calls, fired.first)
            side.claim = statistics.median(fired.samples)
        return fired.samples, max(1.0, fired.wall - ahead) / calls

    def _head_start(self, calls: int, flush: bool) -> float:
        """µs that the device sleeps before each block of a pair."""
        if self.device.interpreted:
            return 0.0
        if flush:
            paces = [side.pace for side in self.sides.values()]
            return head_start(paces, self._shortest() + self.flush / FLUSHED_A_MICROSECOND, calls)
        sides = self.sides.values()
        known = all(side.bare_pace.usual is not None for side in sides)
        paces = [side.bare_pace if known else side.pace for side in sides]
        start = head_start(paces, self._shortest(), calls)
        if self._bare_rounds():  # where launches were late, the device waited between calls: that is no work unseen
            start = LONGER_START * start + LONGER_US
        return min(MOST_US, start)

    def _bare_calls(self) -> int:
        """In a bare block, at most."""
        shortest = self._shortest()
        most = min(BARE_CALLS, max(BARE_CALLS // 2, int(BARE_US / shortest)))
        most = min(most, max(BARE_LEAST, self.calls, BARE_BYTES // max(1, self.moved)))
        return max(1, min(most, self.fit, int(self.limits.longest_block_us / shortest)))

    def _make_room(self) -> None:
        """Have both ask the driver for what their blocks will need: that takes its time, and longer while others ask
        it, too."""
        if self._few_calls() == 1:
            return
        calls = self._many_calls(0.0)
        room = self._more_room(calls + self._spare(calls))
        if room:
            self._both(lambda name, process: process.ask_to_arm(self._shifts(1), self.fresh, room))

    def _more_room(self, sets: int) -> int:
        """Bytes that both sides are told to have there for so many sets, or for a bare block's, in one piece; 0 where
        they were told so already."""
        if self.device.interpreted:
            return 0
        each = self.moved + self.moved // 64 + (1 << 12)  # its allocator rounds up
        room = each * max(sets, self._bare_calls() if self.watched else 0)
        if room <= self.room:
            return 0
        self.room = room
        return room

    def _spare(self, calls: int) -> int:
        """Sets of which the memory is left empty before so many, at most."""
        return max(0, min(self.limits.spare, calls, self.fit - calls))

    def _many_calls(self, us: float) -> int:
        """In a block, where a call takes so many µs, and what is made for it takes its time, too: enough for two parts,
        or for one."""
        limits = self.limits
        one = us + (self.flush + MOVED_AGAIN * self.moved) / FLUSHED_A_MICROSECOND
        if 2 * limits.few_calls * one > limits.parted_us:
            return min(limits.few_calls, self.fit)
        return min(limits.calls, max(2 * limits.few_calls, int(limits.block_us / one)), self.fit)

    def _few_calls(self) -> int:
        """In a first block, by what is known of a call."""
        return 1 if self.calls * self._longest() > self.limits.longest_block_us else self.calls

    def _bare_rounds(self) -> int:
        return len(self.sides["reference"].clocks.bare)

    def _shortest(self) -> float:
        """µs a call of the faster side, by its last block."""
        return min(side.claim for side in self.sides.values())

    def _longest(self) -> float:
        """µs a call of the slower side, likewise."""
        return max(side.claim for side in self.sides.values())

    def _shifts(self, count: int) -> list[int]:
        return [self.rng.randrange(1, 1 << 30) for _ in range(count)]

    def _left(self) -> float:
        return max(1.0, min(self.most_seconds, self.limits.stage_seconds - (time.monotonic() - self.begin)))


def _floating(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() > 1
