"""Times candidate and reference on one workload: two processes in turn, fresh values for every call, outputs compared.

A round is one block of calls of each, in random order. Every call of a block gets an input set of its own, made from
the base inputs by a rotation and a factor that the judge draws just before; outputs of the first block, of blocks
picked at random, and of the last one are compared with the oracle. Rounds go on until the interval of the speedup is
narrow enough, or the time is spent.

On a GPU the claimed times come from device events in the candidate's process; what bounds them is in
`harness.judge.clocks`. On the interpreter the judge's clock is the only one.

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

from harness.device import Device, Peaks
from harness.engine.lease import lease
from harness.judge.blame import Blame
from harness.judge.clocks import Bare, Clocks, lie, unseen
from harness.judge.compare import compare, expect
from harness.judge.devicetime import DeviceTime, account, objection
from harness.judge.integrity import read_evidence
from harness.judge.occupancy import kernels
from harness.judge.statistics import Ratio, paired_ratio
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.candidate import CandidateFailed, CandidateProcess
from harness.sandbox.refresh import redrawn
from harness.sandbox.wire import room
from harness.task import Case, Inputs, Task
from harness.verdict import Kernel, Outcome, Timing

FLUSH_BYTES = 256 << 20
"""Written between calls, so that no call finds its inputs in the cache."""
SMALL_BYTES, CHECKED_CALLS = 16 << 20, 4
"""Where a block's outputs have up to so many bytes, those of so many of its calls are compared; else those of one.
Which ones is drawn."""
BARE_ROUNDS, BARE_CALLS, BARE_BYTES = 3, 40, 1 << 30
"""Long blocks without a flush: how many, of how many calls at most, and what these may move where a common block moves
no more. See `harness.judge.clocks`."""
FEW_WORKLOADS = 4
"""A task with fewer has both compared on each of them, a bare block and the call under the profiler; else one of the
two is drawn: who is wrong there alone is found on one workload or another."""


@dataclass(frozen=True)
class TimingLimits:
    """How long and how precisely to time."""

    width: float = 0.01
    """Stop when half the interval's width, relative to the speedup, is below this."""
    min_rounds: int = 10
    max_rounds: int = 60
    calls: int = 10
    """Calls in a block, fewer where they are long or large."""
    short_calls: int = 30
    """As many at most where so few calls come to less than `least_us`: what is short varies most."""
    least_us: float = 600.0
    seconds: float = 5.0
    """Stop a workload's rounds after this time."""
    stage_seconds: float = 120.0
    """For one workload, compilation included: a candidate that needs longer fails the stage."""
    few_rounds: int = 3
    """Where `seconds` are spent, so many rounds are enough."""
    block_share: float = 0.0625
    """Of the device's memory: for inputs and outputs of one block. Candidate and reference hold one each, and other
    processes compile and check meanwhile."""
    block_us: float = 20_000.0
    """Aim for blocks of at most this length."""
    watched: bool = True
    """Hold the claims against the judge's clock, and look who does the work."""


INTERPRETED = TimingLimits(width=0.05, min_rounds=3, max_rounds=5, calls=1, seconds=1.0)
"""Small rounds: interpreted times say little, however often they are taken."""


@dataclass(frozen=True)
class _Profile:
    """What one call under the device's profiler showed."""

    time: DeviceTime | None = None
    kernels: tuple[Kernel, ...] = ()


@dataclass(frozen=True)
class Sides:
    """The two processes."""

    reference: CandidateProcess
    candidate: CandidateProcess


@dataclass
class _Side:
    """One of the two that are timed."""

    process: CandidateProcess
    clocks: Clocks = field(default_factory=Clocks)


def time_workload(
    task: Task,
    case: Case,
    inputs: Inputs,
    sides: Sides,
    device: Device,
    peaks: Peaks | None,
    limits: TimingLimits,
    rng: random.Random,
    watch: Stopwatch,
) -> Timing:
    """Time one workload. Raises CandidateFailed if the candidate fails, is wrong, or claims what can't be."""
    rounds = _Rounds(task, case, inputs, sides, device, limits, rng, watch)
    with watch("first timed calls"):
        rounds.warm_up()
    with rounds.alone():
        with watch("rounds"):
            ratio = rounds.run()
            if rounds.contradiction() is not None:  # a busy host can look like a lie; one who lies does it again
                rounds.forget()
                ratio = rounds.run()
        with watch("profile"):
            found = rounds.profile()
        with watch("giving memory back"):
            rounds.trim()
    with watch("giving memory back"):
        rounds.release()
    contradiction = rounds.contradiction()
    if contradiction is not None:
        raise CandidateFailed(Outcome.IMPLAUSIBLE, f"on {case.id} {contradiction}")
    return _conclude(task, case, rounds.sides, ratio, device, peaks, found, limits)


def memory_needed(task: Task, case: Case) -> int:
    """Bytes of device memory that one workload takes outside of the lease, roughly: three processes hold its inputs,
    two of them a set made from these, and outputs. Expected values are made under the lease."""
    return 8 * int(task.least_cost(case).bytes) + 2 * FLUSH_BYTES


class _Rounds:
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
        self.sides = {"reference": _Side(sides.reference), "candidate": _Side(sides.candidate)}
        self.watched = limits.watched and not device.interpreted
        names = list(inputs)
        self.rolled = [
            place
            for place, (name, value) in enumerate(inputs.items())
            if _floating(value) or (name in task.redrawn and value is not None)
        ]
        self.copied = [names.index(name) for name in names if name in task.mutates]
        self.watch, self.copied = self.copied, [place for place in self.copied if place not in self.rolled]
        values, layout = list(inputs.values()), task.allocate(inputs)
        fresh = (values[place] for place in (*self.rolled, *self.copied))
        self.results_room = sum(room(each) for each in layout)
        self.moved = sum(room(each) for each in fresh if isinstance(each, torch.Tensor)) + self.results_room
        block = int(limits.block_share * device.memory) // max(1, self.moved)
        self.fit = max(1, limits.calls if device.interpreted else block)
        self.calls = min(limits.calls, self.fit)
        self.all_small = self.calls * self.results_room <= SMALL_BYTES
        few, first = len(task.workloads) < FEW_WORKLOADS, rng.random() < 0.5
        self.bare_checked = rng.randrange(BARE_ROUNDS) if few or first else None
        """Number of the bare round whose outputs are compared."""
        self.profile_checked = few or not first
        self.begin = time.monotonic()

    def warm_up(self) -> None:
        """The first blocks, which compile: they are also the candidate's execution test at this size."""
        short = 0
        for name, side in self.sides.items():
            with Blame(name, self.task, self.case):
                flush = 0 if self.device.interpreted else FLUSH_BYTES
                side.process.base(self.inputs, self.results_room, self.watch, flush, self._left())
                drawn = self._shifts(self.calls if self.device.interpreted else 1)
                self._block(name, drawn)
                if name == "candidate":
                    with self.alone():
                        self._check(drawn, None)
                if not self.device.interpreted:
                    samples, wall = self._block(name, drawn)
                    self.calls = max(1, min(self.calls, int(self.limits.block_us / wall)))
                    if name == "reference" and samples:
                        short = min(self.limits.short_calls, int(self.limits.least_us / samples[0]), self.fit)
        if self.calls == self.limits.calls:
            self.calls = max(self.calls, short)

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
                    torch.cuda.empty_cache()  # checks take much for a moment

    def run(self) -> Ratio:
        """The rounds, the device held alone."""
        limits, rng, device = self.limits, self.rng, self.device
        for name in {} if device.interpreted else self.sides:
            with Blame(name, self.task, self.case):
                self._block(name, self._shifts(self.calls))
        start = time.monotonic()
        early = rng.randrange(limits.few_rounds), rng.randrange(limits.min_rounds)
        checked = set(range(limits.max_rounds) if device.interpreted else early[:1] if self.watched else early)
        for number in range(limits.max_rounds):
            ratio = self._round(number in checked)
            if self.watched and self._bare_rounds() < BARE_ROUNDS and rng.random() < BARE_ROUNDS / limits.min_rounds:
                self._bare_round()
            spent = time.monotonic() - start > limits.seconds
            if number + 1 >= (limits.few_rounds if spent else limits.min_rounds) and (
                spent or ratio.width < limits.width
            ):
                break
        while self.watched and self._bare_rounds() < BARE_ROUNDS:
            self._bare_round()
        if not device.interpreted:
            ratio = self._round(check=True)
        return ratio

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

    def profile(self) -> _Profile:
        """Who does the work of one more call; nothing on the interpreter, and where the profiler sees nothing."""
        if not self.watched:
            return _Profile()
        process, drawn = self.sides["candidate"].process, self._shifts(1)
        with Blame("candidate", self.task, self.case, timed=True):
            process.arm(drawn, self.rolled, self.copied, self._left())
            seen = process.profile(self._left())
            found = account(seen.ran, seen.launched, self.task.moves_data)
            if self.profile_checked:
                self._check(drawn, Outcome.TIMED_WRONG)
        complaint = objection(found) if found is not None and not self.task.torch_may else None
        if complaint is not None:
            raise CandidateFailed(Outcome.TORCH_WORK, f"on {self.case.id}: {complaint}")
        properties = torch.cuda.get_device_properties(self.device.index)
        return _Profile(found, kernels(seen.ran, seen.launched, seen.compiled, properties))

    def release(self) -> None:
        """Have both give their memory back."""
        for name, side in self.sides.items():
            with Blame(name, self.task, self.case):
                side.process.release(self._left())

    def _round(self, check: bool) -> Ratio:
        """One block of each, in random order."""
        for name in self.rng.sample(sorted(self.sides), 2):
            drawn, clocks = self._shifts(self.calls), self.sides[name].clocks
            with Blame(name, self.task, self.case, timed=True):
                samples, wall = self._block(name, drawn)
                clocks.claims.append(statistics.median(samples) if samples else wall)
                clocks.walls.append(wall)
                if name == "candidate" and check:
                    self._check(drawn, Outcome.TIMED_WRONG)
        return paired_ratio(self.sides["reference"].clocks.claims, self.sides["candidate"].clocks.claims)

    def _bare_round(self) -> None:
        """One long block of each without a flush, in random order."""
        with self.stopwatch("bare rounds"):
            self._bare_blocks()

    def _bare_blocks(self) -> None:
        shortest = min(side.clocks.claims[-1] for side in self.sides.values())
        most = max(1, min(self.fit, BARE_CALLS, int(self.limits.block_us / shortest)))
        most = min(most, max(self.calls, BARE_BYTES // max(1, self.moved)))
        count, number = self.rng.randint(most - most // 4, most), self._bare_rounds()
        for name in self.rng.sample(sorted(self.sides), 2):
            drawn = self._shifts(count)
            with Blame(name, self.task, self.case, timed=True):
                samples, wall = self._block(name, drawn, flush=False)
                if samples:
                    self.sides[name].clocks.bare.append(
                        Bare(statistics.median(samples), wall - statistics.mean(samples))
                    )
                if name == "candidate" and number == self.bare_checked:
                    self._check(drawn, Outcome.TIMED_WRONG)

    def _bare_rounds(self) -> int:
        return len(self.sides["reference"].clocks.bare)

    def _block(self, name: str, drawn: list[int], flush: bool = True) -> tuple[list[float] | None, float]:
        """Run one block: (µs of each call claimed, or None; µs a call by the judge's clock)."""
        process = self.sides[name].process
        process.arm(drawn, self.rolled, self.copied, self._left())
        samples, wall, seen = process.fire(len(drawn), self._left(), flush)
        if seen is not None and name == "candidate" and self.limits.watched:
            difference = read_evidence(self.task, seen)
            if difference is not None:
                raise CandidateFailed(difference.outcome, f"on {self.case.id}, when timed: {difference.sentence}")
        return samples, wall / len(drawn)

    def _check(self, drawn: list[int], wrong: Outcome | None) -> None:
        """Compare outputs of the candidate's last block. The caller holds the lease: the oracle takes much memory."""
        many = min(len(drawn), CHECKED_CALLS) if self.all_small else 1
        for number in self.rng.sample(range(len(drawn)), many):
            fresh = {
                name: redrawn(value, drawn[number]) if place in self.rolled else value
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
        return max(1.0, self.limits.stage_seconds - (time.monotonic() - self.begin))


def _floating(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() > 1


def _conclude(
    task: Task,
    case: Case,
    sides: dict[str, _Side],
    ratio: Ratio,
    device: Device,
    peaks: Peaks | None,
    found: _Profile,
    limits: TimingLimits,
) -> Timing:
    reference, candidate = sides["reference"].clocks, sides["candidate"].clocks
    candidate_us, reference_us = statistics.median(candidate.claims), statistics.median(reference.claims)
    cost = task.least_cost(case)
    if limits.watched and peaks is not None and candidate_us < 0.95 * peaks.impossible_us(cost):
        raise CandidateFailed(
            Outcome.IMPLAUSIBLE,
            f"on {case.id} it claims {candidate_us:.1f} µs a call; the device can't do that work in less than "
            f"{peaks.impossible_us(cost):.1f} µs",
        )
    limit = peaks.limit_us(cost) if peaks is not None else None
    return Timing(
        workload=case.id,
        speedup=ratio.median,
        low=ratio.low,
        high=ratio.high,
        candidate_us=candidate_us,
        reference_us=reference_us,
        candidate_samples_us=tuple(round(us, 3) for us in candidate.claims),
        reference_samples_us=tuple(round(us, 3) for us in reference.claims),
        clock="interpreted" if device.interpreted else "device",
        limit_us=limit,
        fraction=limit / candidate_us if limit else None,
        reference_fraction=limit / reference_us if limit else None,
        judge_us=statistics.median(candidate.walls),
        unseen_us=unseen(candidate, reference),
        triton_share=found.time.triton_share if found.time is not None else None,
        bandwidth=None if device.interpreted else cost.bytes / candidate_us * 1e6,
        rate=cost.flops / candidate_us * 1e6 if cost.flops and not device.interpreted else None,
        kernels=found.kernels,
    )
