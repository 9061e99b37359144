"""The rounds of one workload: blocks of calls (`harness.judge.blocks`) of candidate and reference in turn.

A round is one block of calls of each, in random order. Outputs of the first block, of blocks picked at random, and of
the last one are compared with the oracle. Rounds go on until the interval of the speedup is narrow enough, or the time
is spent.

The device is held alone, under its lease, for the rounds: other processes compile and copy meanwhile. What is to be
compared is only collected then; the oracle's turn comes when others may be timed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.judge.alone import alone
from harness.judge.blame import Blame
from harness.judge.blocks import Blocks
from harness.judge.clocks import MORE_PAIRS, Bare, Clocks, Doubt, doubts, shares
from harness.judge.collected import Collected
from harness.judge.limits import LAUNCH_BOUND_US
from harness.judge.oracles import oracles_turn
from harness.judge.pace import Pace
from harness.judge.profile import Profile, profiled
from harness.judge.statistics import RESOLUTION_US, Ratio, paired_ratio
from harness.judge.usage import LONG_US
from harness.sandbox.answers import Profiled
from harness.verdict import Outcome

SMALL_BYTES, CHECKED_CALLS = 16 << 20, 2
"""Where a block's outputs have up to so many bytes, those of so many of its calls are compared; else those of one.
Which ones is drawn."""
SLOW_CHECK = 0.03
"""Seconds. Where the first block's comparison takes longer, for its oracle, that and the last block's are all."""
DOUBTED_CALLS = 8
"""In each block of the rounds that follow a doubt: what a host hears late is a block's, what is worked unseen is each
call's."""
FEW_WORKLOADS = 4
"""A task with fewer has both compared on each of them, a bare block and the call under the profiler; else one of the
two is drawn: who is wrong there alone is found on one workload or another."""
LEFT_BYTES = 4 << 30
"""For blocks, by each side, until the workload is over; what is more is given back once it is timed."""


class Rounds(Blocks):
    """The blocks of one workload, and what they say."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.few, first = len(self.task.workloads) < FEW_WORKLOADS, self.rng.random() < 0.5
        self.bare_checked = self.few or first
        """Are outputs of the bare block compared?"""
        self.profile_checked = self.few or not first
        self.slow = False
        """Does a comparison take long?"""
        self.first: list[int] = []
        """What the candidate's first block was made with."""
        self.bare_calls = 0
        """In a block without flushes."""
        self.collected = Collected(self.task, self.case, self.inputs, self.fresh.rolled)

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
        with self._beside_others(), self.stopwatch("making room"):
            self._make_room()

    def calibrate(self) -> None:
        """A short first round, by which it is known how many calls a block has. The device is held alone."""
        if self.device.interpreted:
            return
        self.calls = self._few_calls()
        self._round(check=not self.slow and self.rng.randrange(self.limits.few_rounds) == 0)
        many = self._many_calls(self._longest())
        longest = max(wall for side in self.sides.values() for wall in side.clocks.walls)
        self.calls = max(1, min(many, int(self.limits.longest_block_us / longest)))
        if self._longest() >= LONG_US:  # others worked on the device meanwhile
            self._clear()

    @contextmanager
    def _beside_others(self) -> Iterator[None]:
        """Around blocks that nobody times; waiting for others takes nothing off the stage's time."""
        with self.processes.usage() as waited:
            self.begin += waited
            yield

    @contextmanager
    def quiet(self, doubted: bool) -> Iterator[None]:
        """While calls are timed that are long, or `doubted`: nobody else works on the device, which is held."""
        asked = time.monotonic()
        with self.processes.usage.quiet(self._longest(), self.stopwatch, doubted):
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
        start, done = time.monotonic(), len(self.sides["candidate"].clocks.walls)
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
        self._clear()
        self.begin = time.monotonic()

    def _clear(self) -> None:
        for side in self.sides.values():
            side.clocks = Clocks()

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
        if len(self.sides["candidate"].clocks.claims) < self.limits.min_figures:
            return False
        told = self._resolution() * (1 if self.device.interpreted or self._shortest() >= LAUNCH_BOUND_US else 2)
        return self._ratio(0.0).width < max(self.limits.width, told)

    def _resolution(self) -> float:
        """What the device's clock can't tell apart, as a share."""
        return 0.0 if self.device.interpreted else RESOLUTION_US / self._shortest()

    def _round(self, check: bool) -> None:
        """One block of each, in random order."""
        for name, drawn, samples, wall in self._blocks(self.calls):
            clocks = self.sides[name].clocks
            clocks.claims += self._figures(samples) if samples else [wall]
            clocks.means.append(statistics.mean(samples) if samples else wall)
            clocks.walls.append(wall)
            clocks.calls = self.calls
            if name == "candidate" and check:
                with Blame(name, self.task, self.case, timed=True):
                    self._collect(drawn, Outcome.TIMED_WRONG)

    def _figures(self, samples: list[float]) -> list[float]:
        """Of one block: the median of all its calls, or those of its two parts, which take them in turn."""
        parts = 2 if len(samples) >= 2 * self.limits.few_calls else 1
        return [statistics.median(samples[part::parts]) for part in range(parts)]

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
