"""The rounds of one workload: blocks of calls of candidate and reference in turn, on one device.

A round is one block of calls of each, in random order. Every call of a block gets an input set of its own, made from
the base inputs by a rotation and a factor that the judge draws just before; outputs of the first block, of blocks
picked at random, and of the last one are compared with the oracle. Rounds go on until the interval of the speedup is
narrow enough, or the time is spent.

Where its tensors lie makes a kernel a percent faster or slower, and that must not be taken for its speed: they lie
elsewhere in every block.

The device is held alone, under its lease, for the rounds: other processes compile and copy meanwhile. What is to be
compared is only collected then; the oracle's turn comes when others may be timed.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from harness.device import Device
from harness.judge.alone import alone
from harness.judge.blame import Blame
from harness.judge.clocks import MORE_PAIRS, Bare, Clocks, Doubt, doubts, shares
from harness.judge.collected import Collected
from harness.judge.flush import FLUSHED_A_MICROSECOND, flush_bytes
from harness.judge.integrity import read_evidence
from harness.judge.limits import LAUNCH_BOUND_US, TimingLimits
from harness.judge.oracles import oracles_turn
from harness.judge.pace import MOST_US, Pace, head_start
from harness.judge.profile import Profile, profiled
from harness.judge.sides import Side, Sides
from harness.judge.statistics import RESOLUTION_US, Ratio, paired_ratio
from harness.judge.stopwatch import Stopwatch
from harness.judge.usage import LONG_US
from harness.sandbox.answers import Profiled
from harness.sandbox.candidate import CandidateProcess, Fresh
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.wire import room
from harness.task import Case, Inputs, Task
from harness.verdict import Outcome

SMALL_BYTES, CHECKED_CALLS = 16 << 20, 2
"""Where a block's outputs have up to so many bytes, those of so many of its calls are compared; else those of one.
Which ones is drawn."""
BARE_CALLS, BARE_LEAST, BARE_BYTES = 20, 8, 1 << 30
"""A long block without a flush (`harness.judge.clocks`): of how many calls at most, and at least where these move more
than so many bytes."""
LONGER_START, LONGER_US = 2.0, 400.0
"""The device sleeps so many times as long, by what launches took in bare blocks before, and so many µs more, before the
bare blocks that follow one that speaks against a candidate: the first launch after waiting takes longer than others."""
BARE_US = 5_000.0
"""Aim for bare blocks of this length, of no less than half of `BARE_CALLS`."""
SLOW_CHECK = 0.03
"""Seconds. Where the first block's comparison takes longer, for its oracle, that and the last block's are all."""
DOUBTED_CALLS = 8
"""In each block of the rounds that follow a doubt: what a host hears late is a block's, what is worked unseen is each
call's."""
FEW_WORKLOADS = 4
"""A task with fewer has both compared on each of them, a bare block and the call under the profiler; else one of the
two is drawn: who is wrong there alone is found on one workload or another."""
LEFT_BYTES = 4 << 30
"""For blocks, by each side, until the workload is over; what is more is given back before the next is timed."""


class Rounds:
    """The blocks of one workload."""

    def __init__(
        self,
        task: Task,
        case: Case,
        inputs: Inputs,
        sides: Sides,
        device: Device,
        limits: TimingLimits,
        rng: random.Random,
        stopwatch: Stopwatch,
    ) -> None:
        self.task, self.case, self.inputs, self.device, self.limits, self.rng = task, case, inputs, device, limits, rng
        self.stopwatch = stopwatch
        self.processes = sides
        self.sides = {"reference": Side(sides.reference), "candidate": Side(sides.candidate)}
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
        self.few, first = len(task.workloads) < FEW_WORKLOADS, rng.random() < 0.5
        self.bare_checked = self.few or first
        """Are outputs of the bare block compared?"""
        self.profile_checked = self.few or not first
        self.slow = False
        """Does a comparison take long?"""
        self.room = 0
        """Bytes that both sides were told to have there for a block."""
        self.begin, self.most_seconds = time.monotonic(), limits.call_seconds
        self.bare_calls = 0
        """In a bare block."""
        self.first: list[int] = []
        """What the candidate's first block was made with."""
        self.collected = Collected(task, case, inputs, rolled)

    def warm_up(self) -> None:
        """The first blocks, which compile."""
        for name, side in self.sides.items():
            with self._beside_others(), Blame(name, self.task, self.case):
                side.process.base(self.inputs, self.fresh, self.flush, self._left())
                self.first = self._shifts(self.calls if self.device.interpreted else 1)
                self._block(name, self.first)
                side.pace = Pace()  # it compiled
        self.most_seconds = self.limits.block_seconds

    def check_first(self) -> None:
        """What the candidate's first block gave is its execution test at this size: who fails it is not timed."""
        with self._beside_others(), Blame("candidate", self.task, self.case):
            self._collect(self.first, None)
        took = self.compare_collected()
        self.slow = not self.device.interpreted and not self.few and took > SLOW_CHECK
        for name, side in self.sides.items():
            if side.claim > self.limits.longest_block_us:  # it compiled, or takes long
                with self._beside_others(), Blame(name, self.task, self.case):
                    self._block(name, self._shifts(1))

    def calibrate(self) -> None:
        """A short first round, by which it is known how many calls a block has. The device is held alone."""
        if self.device.interpreted:
            return
        limits, few = self.limits, self.calls
        if few * self._longest() > limits.longest_block_us:
            self.calls = 1
        self._round(check=not self.slow and self.rng.randrange(limits.few_rounds) == 0)
        many = max(few, min(limits.calls, int(limits.block_us / self.sides["reference"].claim), self.fit))
        longest = max(wall for side in self.sides.values() for wall in side.clocks.walls)
        self.calls = max(1, min(many, int(limits.longest_block_us / longest)))
        if self._longest() >= LONG_US:  # others worked on the device meanwhile
            for side in self.sides.values():
                side.clocks = Clocks()

    @contextmanager
    def _beside_others(self) -> Iterator[None]:
        """Around blocks that nobody times; waiting for others takes nothing off the stage's time."""
        with self.processes.usage() as waited:
            self.begin += waited
            yield

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """While calls are timed that are long: nobody else works on the device, which is held."""
        asked = time.monotonic()
        with self.processes.usage.quiet(self._longest(), self.stopwatch):
            self.begin += time.monotonic() - asked
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the device's lease; waiting for it takes nothing off the stage's time."""
        with alone(self.device, self.processes, self.stopwatch) as waited:
            self.begin += waited
            yield

    def run(self) -> Ratio:
        """The rounds, the device held alone."""
        limits, rng, device = self.limits, self.rng, self.device
        start, done = time.monotonic(), len(self.sides["candidate"].clocks.claims)
        early = rng.randrange(done, limits.few_rounds), rng.randrange(done, limits.min_rounds)
        checked = set(range(limits.max_rounds) if device.interpreted else early[:1] if self.watched else early)
        bare = rng.randrange(done, limits.min_rounds) if self.watched else None
        for number in range(done, limits.max_rounds):
            self._round(number in checked and not self.slow)
            if number == bare:
                self._bare_round()
            spent = time.monotonic() - start > limits.seconds
            if number + 1 >= (limits.few_rounds if spent else limits.min_rounds) and (spent or self._precise()):
                break
        if self.watched and not self._bare_rounds():
            self._bare_round()
        self._dispel(start)
        if not device.interpreted:
            self._round(check=True)
        return self._ratio(self._resolution())

    def forget(self) -> None:
        """Before all rounds are run once more: what was measured does not count."""
        for side in self.sides.values():
            side.clocks = Clocks()
        self.begin = time.monotonic()

    def doubts(self) -> list[Doubt]:
        """What the judge's clock says against the claims; the interpreter makes none."""
        return doubts(self.sides["candidate"].clocks, self.sides["reference"].clocks) if self.watched else []

    def _dispel(self, start: float) -> None:
        """More blocks of the kind that makes a doubt, until it is gone or proved."""
        most = int(self.limits.longest_block_us / self._shortest()) if self.watched else 1
        for _ in range(MORE_PAIRS):
            found = self.doubts()
            if not found or found[0].proved or time.monotonic() - start > 2 * self.limits.seconds:
                break
            if min(found, key=lambda each: each.pairs).bare:
                self._bare_round()
            else:
                self.calls = max(self.calls, min(DOUBTED_CALLS, self.fit, most))
                self._round(check=False)

    def trim(self) -> None:
        """Have both drop what the last block left, where it is much: giving memory back takes time."""
        if self.room <= LEFT_BYTES:
            return
        for name, side in self.sides.items():
            with Blame(name, self.task, self.case):
                side.process.trim(self._left())

    def profile(self) -> Profile:
        """Who does the work of one more call; nothing on the interpreter, and where the profiler sees nothing."""
        if not self.watched:
            return Profile()
        with self._beside_others(), self.stopwatch("profile"):
            seen = self._profile()
        self.compare_collected()
        return profiled(seen, self.task, self.case, self.device)

    def _profile(self) -> Profiled:
        process, drawn = self.sides["candidate"].process, self._shifts(1)
        with Blame("candidate", self.task, self.case, timed=True):
            process.arm(drawn, self.fresh, self._left())
            seen = process.profile(self._left())
            if self.profile_checked and not self.slow:
                self._collect(drawn, Outcome.TIMED_WRONG)
        return seen

    def release(self) -> None:
        """Have both give their memory back."""
        for name, side in self.sides.items():
            with Blame(name, self.task, self.case):
                side.process.release(self._left())

    def _precise(self) -> bool:
        """Is the interval as narrow as is wanted, as far as the device's clock can tell?"""
        told = self._resolution() * (1 if self.device.interpreted or self._shortest() >= LAUNCH_BOUND_US else 2)
        return self._ratio(0.0).width < max(self.limits.width, told)

    def _resolution(self) -> float:
        """What the device's clock can't tell apart, as a share."""
        return 0.0 if self.device.interpreted else RESOLUTION_US / self._shortest()

    def _shortest(self) -> float:
        """µs a call of the faster side, by its last block."""
        return min(side.claim for side in self.sides.values())

    def _longest(self) -> float:
        """µs a call of the slower side, likewise."""
        return max(side.claim for side in self.sides.values())

    def _round(self, check: bool) -> None:
        """One block of each, in random order."""
        for name, drawn, samples, wall in self._blocks(self.calls):
            clocks = self.sides[name].clocks
            clocks.claims.append(statistics.median(samples) if samples else wall)
            clocks.means.append(statistics.mean(samples) if samples else wall)
            clocks.walls.append(wall)
            clocks.calls = self.calls
            if name == "candidate" and check:
                with Blame(name, self.task, self.case, timed=True):
                    self._collect(drawn, Outcome.TIMED_WRONG)

    def _ratio(self, resolution: float) -> Ratio:
        reference, candidate = shares(self.sides["reference"].clocks, self.sides["candidate"].clocks)
        return paired_ratio(reference, candidate, resolution)

    def _bare_round(self) -> None:
        """One block of each without a flush, in random order."""
        with self.stopwatch("bare rounds"):
            self._bare_blocks()

    def _bare_blocks(self) -> None:
        most = self._bare_calls()
        first = self._bare_rounds() == 0
        if first:
            self.bare_calls = self.rng.randint(most - most // 4, most)
        for name, drawn, samples, wall in self._blocks(self.bare_calls, flush=False):
            if samples:
                bare = Bare(statistics.median(samples), wall - statistics.mean(samples), self.bare_calls)
                self.sides[name].clocks.bare.append(bare)
            if name == "candidate" and first and self.bare_checked and not self.slow:
                with Blame(name, self.task, self.case, timed=True):
                    self._collect(drawn, Outcome.TIMED_WRONG)

    def _bare_calls(self) -> int:
        """In a bare block, at most."""
        shortest = self._shortest()
        most = min(BARE_CALLS, max(BARE_CALLS // 2, int(BARE_US / shortest)))
        most = min(most, max(BARE_LEAST, self.calls, BARE_BYTES // max(1, self.moved)))
        return max(1, min(most, self.fit, int(self.limits.longest_block_us / shortest)))

    def _room(self, sets: int) -> int:
        """Bytes that both sides are told to have there for so many sets, once: the first block's are enough for bare
        ones, too."""
        if self.device.interpreted:
            return 0
        room = self._need(sets)
        if room <= self.room:
            return 0
        self.room = room
        return room

    def _need(self, sets: int) -> int:
        """Bytes of so many sets, or of a bare block's."""
        each = self.moved + self.moved // 64 + (1 << 12)  # its allocator rounds up
        return each * max(sets, self._bare_calls() if self.watched else 0)

    def _bare_rounds(self) -> int:
        return len(self.sides["reference"].clocks.bare)

    def _blocks(self, calls: int, flush: bool = True) -> Iterator[tuple[str, list[int], list[float] | None, float]]:
        """One block of each side, in random order: its name, what it was made with, and what `_fire` gives. Both make
        their new values at the same time."""
        drawn = {name: self._shifts(calls) for name in self.sides}
        sets = max(0, min(self.limits.spare, calls, self.fit - calls)) if flush else 0
        with self.stopwatch("new values"):
            spare = {name: self.rng.randint(0, sets * self.moved) for name in self.sides}
            room = self._room(calls + sets) if calls > 1 else 0
            self._both(lambda name, process: process.ask_to_arm(drawn[name], self.fresh, room, spare[name]))
        for name in self.rng.sample(sorted(self.sides), 2):
            with Blame(name, self.task, self.case, timed=True):
                samples, wall = self._fire(name, calls, flush)
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
        return self._fire(name, len(drawn), flush=True)

    def _fire(self, name: str, calls: int, flush: bool) -> tuple[list[float] | None, float]:
        """Run the armed calls: (µs of each call claimed, or None; µs a call by the judge's clock)."""
        side = self.sides[name]
        ahead = self._head_start(calls, flush)
        with self.stopwatch("timed calls" if flush else "bare calls"):
            fired = side.process.fire(calls, ahead, self._left(), flush)
        if fired.seen is not None and name == "candidate" and self.limits.watched:
            difference = read_evidence(self.task, fired.seen)
            if difference is not None:
                raise CandidateFailed(difference.outcome, f"on {self.case.id}, when timed: {difference.sentence}")
        if fired.samples:
            (side.pace if flush else side.bare_pace).saw(fired.launched, calls)
            side.claim = statistics.median(fired.samples)
        return fired.samples, max(1.0, fired.wall - ahead) / calls

    def _head_start(self, calls: int, flush: bool) -> float:
        """µs that the device sleeps before a block of either side."""
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

    def _collect(self, drawn: list[int], wrong: Outcome | None) -> None:
        """Keep outputs of the candidate's last block, to be compared later."""
        small = len(drawn) * self.results_room <= SMALL_BYTES and not self.slow
        many = min(len(drawn), CHECKED_CALLS) if small else 1
        for number in self.rng.sample(range(len(drawn)), many):
            with self.stopwatch("collecting"):
                returned = self.sides["candidate"].process.collect(number, self._left())
            self.collected.keep(drawn[number], returned, wrong)

    def compare_collected(self) -> float:
        """Compare what was collected, the device not held; gives the seconds that this took, waiting left out. Raises
        CandidateFailed with the first that is wrong."""
        if not self.collected:
            return 0.0
        with oracles_turn(self.task, self.case, self.device, self.stopwatch) as waited, self._beside_others():
            self.begin += waited
            start = time.monotonic()
            self.collected.compare(self.device.torch.partition(":")[0], self.stopwatch)
            return time.monotonic() - start

    def _shifts(self, count: int) -> list[int]:
        return [self.rng.randrange(1, 1 << 30) for _ in range(count)]

    def _left(self) -> float:
        return max(1.0, min(self.most_seconds, self.limits.stage_seconds - (time.monotonic() - self.begin)))


def _floating(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() > 1
