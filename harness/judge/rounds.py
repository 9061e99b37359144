"""The rounds of one workload: blocks of calls of candidate and reference in turn, on one device.

A round is one block of calls of each, in random order. Every call of a block gets an input set of its own, made from
the base inputs by a rotation and a factor that the judge draws just before; outputs of the first block, of blocks
picked at random, and of the last one are compared with the oracle. Rounds go on until the interval of the speedup is
narrow enough, or the time is spent.

After every few rounds both sides give their memory back and take other places in random order: where its tensors lie
makes a kernel a percent faster or slower, and that must not be taken for its speed.

The device is held alone, under its lease, for the rounds: other processes compile and copy meanwhile.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch

from harness.device import Device
from harness.engine.lease import lease
from harness.judge.blame import Blame
from harness.judge.clocks import Bare, Clocks, lie
from harness.judge.compare import compare, expect
from harness.judge.devicetime import DeviceTime, account, objection
from harness.judge.integrity import read_evidence
from harness.judge.limits import TimingLimits
from harness.judge.occupancy import kernels
from harness.judge.pace import Pace, head_start
from harness.judge.statistics import RESOLUTION_US, Ratio, paired_ratio
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.candidate import CandidateProcess, Fresh
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.refresh import redrawn
from harness.sandbox.wire import room
from harness.task import Case, Inputs, Task
from harness.verdict import Kernel, Outcome

FLUSH_BYTES = 256 << 20
"""Written between calls, at most, so that no call finds its inputs in the cache."""
SMALL_BYTES, CHECKED_CALLS = 16 << 20, 2
"""Where a block's outputs have up to so many bytes, those of so many of its calls are compared; else those of one.
Which ones is drawn."""
BARE_ROUNDS, BARE_CALLS, BARE_LEAST, BARE_BYTES = 3, 24, 8, 1 << 30
"""Long blocks without a flush: how many, of how many calls at most, and at least where these move more than so many
bytes. See `harness.judge.clocks`."""
BARE_US = 5_000.0
"""Aim for bare blocks of this length, of no less than half of `BARE_CALLS`."""
FEW_WORKLOADS = 4
"""A task with fewer has both compared on each of them, a bare block and the call under the profiler; else one of the
two is drawn: who is wrong there alone is found on one workload or another."""
FLUSHED_A_MICROSECOND = 6_000_000
"""Bytes that are written between calls, at most."""
PLACES_FROM_US = 20.0
"""Of shorter kernels the clock does not tell places of memory apart."""
KEPT_BYTES = 1 << 30
"""Of the device's memory, by each judge."""
MOST_BALLAST = 64 << 20
"""Up to so many bytes shift the places that tensors take."""


@dataclass(frozen=True)
class Profile:
    """What one call under the device's profiler showed."""

    time: DeviceTime | None = None
    kernels: tuple[Kernel, ...] = ()


@dataclass(frozen=True)
class Sides:
    """The two processes."""

    reference: CandidateProcess
    candidate: CandidateProcess


@dataclass
class Side:
    """One of the two that are timed."""

    process: CandidateProcess
    clocks: Clocks = field(default_factory=Clocks)
    pace: Pace = field(default_factory=Pace)
    claim: float = 0.0
    """µs a call, in the last block."""


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
        few, first = len(task.workloads) < FEW_WORKLOADS, rng.random() < 0.5
        self.bare_checked = rng.randrange(BARE_ROUNDS) if few or first else None
        """Number of the bare round whose outputs are compared."""
        self.profile_checked = few or not first
        self.begin, self.most_seconds = time.monotonic(), limits.call_seconds
        self.first: list[int] = []
        """What the candidate's first block was made with."""

    def warm_up(self) -> None:
        """The first blocks, which compile."""
        for name, side in self.sides.items():
            with Blame(name, self.task, self.case):
                side.process.base(self.inputs, self.fresh, self.flush, self._left())
                self.first = self._shifts(self.calls if self.device.interpreted else 1)
                self._block(name, self.first)
                side.pace = Pace()
        self.most_seconds = self.limits.block_seconds

    def calibrate(self) -> None:
        """What the candidate's first block gave is its execution test at this size; then, how many calls a block has.
        The device is held alone."""
        with Blame("candidate", self.task, self.case):
            self._check(self.first, None)
        for name in () if self.device.interpreted else self.sides:
            with Blame(name, self.task, self.case):
                samples, wall = self._block(name, self._shifts(1))
                if name == "reference" and samples:
                    many = min(self.limits.calls, int(self.limits.block_us / samples[0]), self.fit)
                    self.calls = max(self.calls, many)
                self.calls = max(1, min(self.calls, int(self.limits.longest_block_us / wall)))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the device's lease; waiting for it takes nothing off the stage's time."""
        asked = time.monotonic()
        with ExitStack() as stack:
            with self.stopwatch("waiting for the device"):
                stack.enter_context(lease(self.device.uuid))
            stack.enter_context(self.stopwatch.holding())
            self.begin += time.monotonic() - asked
            yield
            if not self.device.interpreted:
                with self.stopwatch("giving memory back"):
                    give_back(self.device)  # checks take much for a moment

    def run(self) -> Ratio:
        """The rounds, the device held alone."""
        limits, rng, device = self.limits, self.rng, self.device
        rounds_a_place = -(-limits.min_rounds // limits.places)
        start = time.monotonic()
        early = rng.randrange(limits.few_rounds), rng.randrange(limits.min_rounds)
        checked = set(range(limits.max_rounds) if device.interpreted else early[:1] if self.watched else early)
        for number in range(limits.max_rounds):
            if number % rounds_a_place == 0 and not device.interpreted:
                self._settle(elsewhere=number > 0 and self._shortest() >= PLACES_FROM_US)
            self._round(number in checked)
            if self.watched and self._bare_rounds() < BARE_ROUNDS and rng.random() < BARE_ROUNDS / limits.min_rounds:
                self._bare_round()
            spent = time.monotonic() - start > limits.seconds
            if number + 1 >= (limits.few_rounds if spent else limits.min_rounds) and (spent or self._precise()):
                break
        while self.watched and self._bare_rounds() < BARE_ROUNDS:
            self._bare_round()
        if not device.interpreted:
            self._round(check=True)
        return self._ratio(self._resolution())

    def contradiction(self) -> str | None:
        """What the judge's clock says against the claims; the interpreter makes none."""
        return lie(self.sides["candidate"].clocks, self.sides["reference"].clocks) if self.watched else None

    def forget(self) -> None:
        """Start again."""
        for side in self.sides.values():
            side.clocks = Clocks()

    def trim(self) -> None:
        """Have both drop what the last block left, where it is much: giving memory back takes time."""
        if self.calls * self.moved <= BARE_BYTES:
            return
        for name, side in self.sides.items():
            with Blame(name, self.task, self.case):
                side.process.trim(self._left())

    def profile(self) -> Profile:
        """Who does the work of one more call; nothing on the interpreter, and where the profiler sees nothing."""
        if not self.watched:
            return Profile()
        process, drawn = self.sides["candidate"].process, self._shifts(1)
        with Blame("candidate", self.task, self.case, timed=True):
            process.arm(drawn, self.fresh, self._left())
            seen = process.profile(self._left())
            found = account(seen.ran, seen.launched, self.task.moves_data)
            if self.profile_checked:
                self._check(drawn, Outcome.TIMED_WRONG)
        complaint = objection(found) if found is not None and not self.task.torch_may else None
        if complaint is not None:
            raise CandidateFailed(Outcome.TORCH_WORK, f"on {self.case.id}: {complaint}")
        properties = torch.cuda.get_device_properties(self.device.index)
        return Profile(found, kernels(seen.ran, seen.launched, seen.compiled, properties))

    def release(self) -> None:
        """Have both give their memory back."""
        for name, side in self.sides.items():
            with Blame(name, self.task, self.case):
                side.process.release(self._left())

    def _precise(self) -> bool:
        """Is the interval as narrow as is wanted, as far as the device's clock can tell?"""
        ratio, told = self._ratio(0.0), self._resolution()
        return ratio.width < max(self.limits.width, told)

    def _resolution(self) -> float:
        """What the device's clock can't tell apart, as a share."""
        return 0.0 if self.device.interpreted else RESOLUTION_US / self._shortest()

    def _shortest(self) -> float:
        """µs a call of the faster side, by its last block."""
        return min(side.claim for side in self.sides.values())

    def _settle(self, elsewhere: bool) -> None:
        """A call of each that does not count: tensors take their places, other ones than before if so asked."""
        with self.stopwatch("places"):
            for name in self.rng.sample(sorted(self.sides), 2) if elsewhere else ():
                with Blame(name, self.task, self.case):
                    self.sides[name].process.move(self.rng.randrange(1, MOST_BALLAST), self._left())
            for name in self.rng.sample(sorted(self.sides), 2):
                with Blame(name, self.task, self.case):
                    self._block(name, self._shifts(1))

    def _round(self, check: bool) -> None:
        """One block of each, in random order."""
        for name in self.rng.sample(sorted(self.sides), 2):
            drawn, clocks = self._shifts(self.calls), self.sides[name].clocks
            with Blame(name, self.task, self.case, timed=True):
                samples, wall = self._block(name, drawn)
                clocks.claims.append(statistics.median(samples) if samples else wall)
                clocks.walls.append(wall)
                if name == "candidate" and check:
                    self._check(drawn, Outcome.TIMED_WRONG)

    def _ratio(self, resolution: float) -> Ratio:
        claims = {name: side.clocks.claims for name, side in self.sides.items()}
        return paired_ratio(claims["reference"], claims["candidate"], resolution)

    def _bare_round(self) -> None:
        """One long block of each without a flush, in random order."""
        with self.stopwatch("bare rounds"):
            self._bare_blocks()

    def _bare_blocks(self) -> None:
        shortest = min(side.clocks.claims[-1] for side in self.sides.values())
        most = min(BARE_CALLS, max(BARE_CALLS // 2, int(BARE_US / shortest)))
        most = min(most, max(BARE_LEAST, self.calls, BARE_BYTES // max(1, self.moved)))
        most = max(1, min(most, self.fit, int(self.limits.longest_block_us / shortest)))
        count, number = self.rng.randint(most - most // 4, most), self._bare_rounds()
        for name in self.rng.sample(sorted(self.sides), 2):
            drawn = self._shifts(count)
            with Blame(name, self.task, self.case, timed=True):
                samples, wall = self._block(name, drawn, flush=False)
                if samples:
                    self.sides[name].clocks.bare.append(
                        Bare(statistics.median(samples), wall - statistics.mean(samples), count)
                    )
                if name == "candidate" and number == self.bare_checked:
                    self._check(drawn, Outcome.TIMED_WRONG)

    def _bare_rounds(self) -> int:
        return len(self.sides["reference"].clocks.bare)

    def _block(self, name: str, drawn: list[int], flush: bool = True) -> tuple[list[float] | None, float]:
        """Run one block: (µs of each call claimed, or None; µs a call by the judge's clock)."""
        side = self.sides[name]
        process = side.process
        with self.stopwatch("new values"):
            process.arm(drawn, self.fresh, self._left())
        ahead = self._head_start(len(drawn), flush)
        with self.stopwatch("timed calls" if flush else "bare calls"):
            fired = process.fire(len(drawn), ahead, self._left(), flush)
        if fired.seen is not None and name == "candidate" and self.limits.watched:
            difference = read_evidence(self.task, fired.seen)
            if difference is not None:
                raise CandidateFailed(difference.outcome, f"on {self.case.id}, when timed: {difference.sentence}")
        if fired.samples:
            side.pace.saw(fired.launched, len(drawn))
            side.claim = statistics.median(fired.samples)
        return fired.samples, max(1.0, fired.wall - ahead) / len(drawn)

    def _head_start(self, calls: int, flush: bool) -> float:
        """µs that the device sleeps before a block of either side."""
        if self.device.interpreted:
            return 0.0
        device = self._shortest() + (self.flush / FLUSHED_A_MICROSECOND if flush else 0.0)
        return head_start([side.pace for side in self.sides.values()], device, calls)

    def _check(self, drawn: list[int], wrong: Outcome | None) -> None:
        """Compare outputs of the candidate's last block. The caller holds the lease: the oracle takes much memory."""
        many = min(len(drawn), CHECKED_CALLS) if len(drawn) * self.results_room <= SMALL_BYTES else 1
        for number in self.rng.sample(range(len(drawn)), many):
            fresh = {
                name: redrawn(value, drawn[number]) if place in self.fresh.rolled else value
                for place, (name, value) in enumerate(self.inputs.items())
            }
            with self.stopwatch("collecting"):
                returned = self.sides["candidate"].process.collect(number, self._left())
            with self.stopwatch("oracle"):
                expected, kind = expect(self.task, fresh), self.device.torch.partition(":")[0]
            with self.stopwatch("comparison"):
                difference, _ = compare(self.task, fresh, expected, returned, kind)
            if difference is not None:
                raise CandidateFailed(wrong or difference.outcome, f"on {self.case.id}: {difference.sentence}")

    def _shifts(self, count: int) -> list[int]:
        return [self.rng.randrange(1, 1 << 30) for _ in range(count)]

    def _left(self) -> float:
        return max(1.0, min(self.most_seconds, self.limits.stage_seconds - (time.monotonic() - self.begin)))


def flush_bytes(device: Device) -> int:
    """What is written between calls on this GPU: twice what NVIDIA's last cache holds. Others have caches that they do
    not tell of."""
    told = int(getattr(torch.cuda.get_device_properties(device.index), "L2_cache_size", 0))
    return min(FLUSH_BYTES, 2 * told) if device.kind == "cuda" and told else FLUSH_BYTES


def give_back(device: Device) -> None:
    """Give the device's memory back that this process keeps for later, where it is much: that takes time."""
    if torch.cuda.memory_reserved(device.index) > KEPT_BYTES:
        torch.cuda.empty_cache()


def _floating(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() > 1
