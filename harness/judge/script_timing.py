"""Times a solution of a script task on the published workloads, beside the published reference.

The timed half of a task makes the inputs and calls the solution, in the candidate's process and in the reference's,
seeded alike. A round is one call of each, in random order, on values that were never there before; what both gave is
compared, at first, in a round that is drawn, and at last. The device is held alone for the rounds; what these gave is
only kept then, and compared when others may be timed.

A workload on which the reference fails, or gives other values when it is called again with the same, times nobody; it
is said which, and why.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from harness.device import Device
from harness.engine.lease import reserve
from harness.judge.alone import alone
from harness.judge.clocks import MORE_PAIRS, PAUSE, Clocks, Doubt, doubts, proved, remark
from harness.judge.compare import Difference
from harness.judge.flush import FLUSH_BYTES, FLUSHED_A_MICROSECOND, flush_bytes, give_back
from harness.judge.limits import TimingLimits, spread
from harness.judge.pace import head_start
from harness.judge.sides import Side, Sides
from harness.judge.statistics import RESOLUTION_US, Ratio, paired_ratio
from harness.judge.stopwatch import Stopwatch
from harness.judge.values import differ, holds_nan, says_something
from harness.sandbox.answers import Workload
from harness.sandbox.failed import CandidateFailed
from harness.script import ScriptTask
from harness.verdict import Outcome, Timing

MOST_WORKLOADS, MOST_COMPARED = 8, 3
"""Of the published ones, evenly spaced, the last one among them: it is the largest, as a rule."""
COMPARED = 1 << 22
"""Values of each tensor that are compared."""
LONGEST_INTERPRETED, LONGEST_COMPARED = 0.5, 5.0
"""Seconds. What takes longer on the interpreter, where times say little, is not timed there, or not even compared."""
MIN_ROUNDS = 8
"""Each has one call of both sides."""
LONG, LONGEST = 0.05, 0.5
"""Seconds of a call on a GPU. What takes longer is timed in as few rounds as there may be, or not at all."""
DOUBTS = 3
"""Times that the reference is called again where a candidate differs from it."""
SECONDS = 1.5
"""For the rounds of a workload, fewer where the limits say so."""


class ReferenceFailed(Exception):
    """It did what it never did before: nobody can be timed beside it any more."""


@dataclass(frozen=True)
class _Gave:
    """What both gave in one round."""

    shift: int
    """What its values were made with."""
    offset: int
    """From which values of large tensors are compared."""
    expected: object
    got: object


class ScriptTiming:
    """One candidate on all workloads."""

    def __init__(
        self,
        task: ScriptTask,
        sides: Sides,
        device: Device,
        pool: int,
        limits: TimingLimits,
        rng: random.Random,
        watch: Stopwatch,
    ) -> None:
        self.task, self.device, self.pool, self.limits, self.rng, self.watch = task, device, pool, limits, rng, watch
        self.processes, self.reference, self.candidate = sides, sides.reference, sides.candidate
        self.seed = rng.randrange(1 << 32)
        self.flush = 0 if device.interpreted else flush_bytes(device)
        self.worst = 0.0
        """Error of what was compared on this workload, as a share of what is allowed."""
        self.longest = 0.0
        """µs of a call on this workload, at most."""
        self.shift = 0
        """What the last call's values were made with."""
        self.kept: list[_Gave] = []
        """To be compared."""
        self.untimed: dict[str, list[str]] = {}
        """Workloads that time nobody, by the reason."""
        self.none = False
        """Are there no workloads at all?"""

    def timings(self) -> Iterator[Timing]:
        """Of every workload that can be timed. Raises CandidateFailed where the candidate fails, is wrong or lies, and
        ReferenceFailed."""
        most = min(MOST_WORKLOADS, self.limits.workloads or MOST_WORKLOADS)
        with closing(self._workloads(most)) as workloads:
            for number, label in workloads:
                timing = self._time(number, label)
                if timing is not None:
                    yield timing

    def remarks(self) -> list[str]:
        """What was not timed, a sentence for each reason."""
        if self.none:
            return ["not timed: the published file makes no workloads"]
        return [
            f"not timed on {labels[0]}{f' and {len(labels) - 1} more' if labels[1:] else ''}: {reason}"
            for reason, labels in self.untimed.items()
        ]

    def compared(self) -> list[str]:
        """Workloads on which the candidate gives what the reference gives, and that says something. Raises
        CandidateFailed where the candidate fails or is wrong, and ReferenceFailed."""
        found = []
        try:
            with closing(self._workloads(MOST_COMPARED)) as workloads:
                for number, label in workloads:
                    if self._unfit(number, speaking=True) is None:
                        with _candidate(label, Outcome.TIMING_FAILED):
                            self._warm_up_candidate(number)
                        found.append(label)
                    self._drop()
        except CandidateFailed as failure:  # no word of its speed
            known = {Outcome.TIMED_WRONG: Outcome.VALUES, Outcome.TIMING_FAILED: Outcome.CALL_ERROR}
            outcome = known.get(failure.outcome, failure.outcome)
            raise CandidateFailed(outcome, failure.reason, failure.detail) from failure
        return found

    def _workloads(self, most: int) -> Generator[tuple[int, str], None, None]:
        """So many at most: number and label, each with memory to work in until the next, or until this is closed."""
        seconds = self.limits.stage_seconds
        with _reference():
            there = self.reference.workloads(self.task.timed_half, self.seed, seconds)
        with _candidate("the published workloads", Outcome.TIMING_FAILED):
            given = self.candidate.workloads(self.task.timed_half, self.seed, seconds)
            if given != there:
                raise CandidateFailed(Outcome.TIMING_FAILED, "there are others than with the reference")
        self.none = not there
        for number in self._chosen(there, most):
            with self._memory_for(there[number]):
                yield number, there[number].label
        self._drop(all_of_them=True)

    def _chosen(self, workloads: list[Workload], most: int) -> list[int]:
        if not workloads:
            return []
        if self.device.interpreted:
            return [min(range(len(workloads)), key=lambda number: workloads[number].bytes)]
        return spread(len(workloads), most)

    def _time(self, number: int, label: str) -> Timing | None:
        sides, self.longest = {"reference": Side(self.reference), "candidate": Side(self.candidate)}, 0.0
        with self.watch("first timed calls"):
            unfit = self._unfit(number)
            if unfit is None:
                with _candidate(label, Outcome.TIMING_FAILED):
                    self._warm_up_candidate(number)
        if unfit is not None:
            self.untimed.setdefault(unfit, []).append(label)
            self._drop()
            return None
        ratio = self._look(sides, label, first=True)
        if remark(self._doubts(sides)):
            with self.watch("before a second look"):
                time.sleep(PAUSE)
            for side in sides.values():
                side.clocks = Clocks()
            ratio = self._look(sides, label, first=False)
        self._drop()
        lie = proved(self._doubts(sides))
        if lie is not None:
            raise CandidateFailed(Outcome.IMPLAUSIBLE, f"on {label} {lie.sentence}")
        return self._conclude(sides, ratio, label)

    def _look(self, sides: dict[str, Side], label: str, first: bool) -> Ratio:
        """All rounds, the device held alone; then what they gave is compared, the device given to others."""
        quiet = self.processes.usage.quiet(self.longest, self.watch, doubted=not first)
        with alone(self.device, self.processes, self.watch), self.watch("rounds"), quiet:
            ratio = self._rounds(sides, label)
        with _candidate(label, Outcome.TIMED_WRONG):
            self._compare_kept()
        return ratio

    def _unfit(self, number: int, speaking: bool = False) -> str | None:
        """Why nobody can be timed beside the reference, if so. These are its first calls, which compile: does it give
        the same values twice, others in between, and, if it has to be `speaking`, such that say something? What it
        leaves unwritten holds what was there before, or NaN."""
        seconds, shift = self.limits.call_seconds, self._shift()
        try:
            self.reference.ready(number, self.seed, self.flush, seconds)
            begin = time.monotonic()
            self._call(Side(self.reference), shift, seconds)
            interpreted = LONGEST_COMPARED if speaking else LONGEST_INTERPRETED
            longest = interpreted if self.device.interpreted else LONGEST
            too_long = f"the published reference takes over {longest:g} s a call"
            if self.device.interpreted and time.monotonic() - begin > longest:
                return too_long
            first = self.reference.keep(0, COMPARED, seconds)
            claims = [self._call(Side(self.reference), each, seconds)[0] for each in (self._shift(), shift)]
            if min(claims) > longest * 1e6:
                return too_long
            again = self.reference.keep(0, COMPARED, seconds)
        except CandidateFailed as failure:
            return f"the published reference fails: {failure.reason}"
        if self._differ(first, again) is not None:
            return "the published reference gives other values when it is called again"
        if holds_nan(first):
            return "the published reference gives NaN, or leaves values unwritten"
        return None if says_something(first) or not speaking else "what the published reference gives says nothing"

    def _warm_up_candidate(self, number: int) -> None:
        seconds = self.limits.call_seconds
        self.candidate.ready(number, self.seed, self.flush, seconds)
        self.worst, shift = 0.0, self._shift()
        with _reference():
            self._call(Side(self.reference), shift, seconds)
        self._call(Side(self.candidate), shift, seconds)
        self._keep()
        try:
            self._compare_kept()
        except CandidateFailed as failure:
            raise CandidateFailed(Outcome.TIMED_WRONG, failure.reason) from failure

    def _rounds(self, sides: dict[str, Side], label: str) -> Ratio:
        limits, begin = self.limits, time.monotonic()
        most, seconds = limits.max_rounds, min(SECONDS, limits.seconds)
        least = limits.min_rounds if self.device.interpreted else max(MIN_ROUNDS, limits.min_rounds)
        checked = self.rng.randrange(least)
        for number in range(most):
            self._round(sides, label)
            long = not self.device.interpreted and sides["reference"].claim > LONG * 1e6
            spent = long or time.monotonic() - begin > seconds
            last = number + 1 == most or (
                number + 1 >= (limits.few_rounds if spent else least) and (spent or self._precise(sides))
            )
            if last:
                break
            if number == checked:
                with _candidate(label, Outcome.TIMED_WRONG):
                    self._keep()
        for _ in range(MORE_PAIRS):
            found = self._doubts(sides)
            if not found or found[0].proved or time.monotonic() - begin > 2 * seconds:
                break
            self._round(sides, label)
        with _candidate(label, Outcome.TIMED_WRONG):
            self._keep()
        return self._ratio(sides, self._resolution(sides))

    def _doubts(self, sides: dict[str, Side]) -> list[Doubt]:
        """What the judge's clock says against the claims."""
        watched = self.limits.watched and self._told
        return doubts(sides["candidate"].clocks, sides["reference"].clocks) if watched else []

    def _round(self, sides: dict[str, Side], label: str) -> None:
        """One call of each, in random order."""
        shift = self._shift()
        for name in self.rng.sample(sorted(sides), 2):
            with _reference() if name == "reference" else _candidate(label, Outcome.TIMING_FAILED):
                claim, wall = self._call(sides[name], shift, self.limits.block_seconds, sides)
            sides[name].clocks.claims.append(claim)
            sides[name].clocks.means.append(claim)
            sides[name].clocks.walls.append(wall)

    def _call(
        self, side: Side, shift: int, seconds: float, sides: dict[str, Side] | None = None
    ) -> tuple[float, float]:
        """One call on fresh values: (µs by its device's events, or else by the judge's clock; µs by that)."""
        self.shift = shift
        with self.watch("new values"):
            side.process.renew(shift, seconds)
        ahead = 0.0
        if self._told:
            paces = [each.pace for each in (sides or {"": side}).values()]
            ahead = head_start(paces, self.flush / FLUSHED_A_MICROSECOND, 1)
        with self.watch("timed calls"):
            fired = side.process.fire(1, ahead, seconds, flush=self._told)
        wall = max(1.0, fired.wall - ahead)
        if fired.samples:
            side.pace.saw(fired.launched, 1)
            side.claim = fired.samples[0]
            self.longest = max(self.longest, side.claim)
        return (fired.samples[0] if fired.samples else wall), wall

    def _keep(self) -> None:
        """What both gave in their last calls, for later."""
        offset, seconds = self._shift(), self.limits.call_seconds
        with self.watch("collecting"):
            with _reference():
                expected = self.reference.keep(offset, COMPARED, seconds)
            got = self.candidate.keep(offset, COMPARED, seconds)
        self.kept.append(_Gave(self.shift, offset, expected, got))

    def _compare_kept(self) -> None:
        """All that is kept, in its order. Raises CandidateFailed with the first difference, and ReferenceFailed."""
        kept, self.kept = self.kept, []
        for gave in kept:
            with self.processes.usage(), self.watch("comparison"):
                difference = self._differ(gave.expected, gave.got)
            if difference is not None:
                self._doubt_reference(gave)
                raise CandidateFailed(difference.outcome, difference.sentence)

    def _doubt_reference(self, gave: _Gave) -> None:
        """Where values differ: does the reference give its own again? Raises ReferenceFailed."""
        seconds = self.limits.call_seconds
        for _ in range(DOUBTS):
            with _reference():
                for shift in (self._shift(), gave.shift):
                    self._call(Side(self.reference), shift, seconds)
                again = self.reference.keep(gave.offset, COMPARED, seconds)
            if self._differ(gave.expected, again) is not None:
                raise ReferenceFailed("it gives other values when it is called again")

    def _differ(self, expected: object, got: object) -> Difference | None:
        difference, error = differ(expected, got, self.task.tolerance, "what it gave")
        self.worst = max(self.worst, error)
        return difference

    def _precise(self, sides: dict[str, Side]) -> bool:
        return self._ratio(sides, 0.0).width < max(self.limits.width, 2 * self._resolution(sides))

    def _resolution(self, sides: dict[str, Side]) -> float:
        return RESOLUTION_US / min(side.claim for side in sides.values()) if self._told else 0.0

    @staticmethod
    def _ratio(sides: dict[str, Side], resolution: float) -> Ratio:
        return paired_ratio(sides["reference"].clocks.claims, sides["candidate"].clocks.claims, resolution)

    @property
    def _told(self) -> bool:
        """Do events of a device tell times?"""
        return not self.device.interpreted

    def _drop(self, all_of_them: bool = False) -> None:
        """Have both give the workload's memory back, or that of all."""
        with _reference():
            self.reference.unready(all_of_them, self.limits.block_seconds)
        with _candidate("giving memory back", Outcome.TIMING_FAILED):
            self.candidate.unready(all_of_them, self.limits.block_seconds)

    @contextmanager
    def _memory_for(self, workload: Workload) -> Iterator[None]:
        """Both sides hold the inputs, and what they are made of, and outputs."""
        with ExitStack() as stack:
            if self._told:
                with self.watch("waiting for memory"):
                    stack.enter_context(reserve(self.device.uuid, 10 * workload.bytes + 2 * FLUSH_BYTES, self.pool))
            yield
            if self._told:
                give_back(self.device)

    def _shift(self) -> int:
        return self.rng.randrange(1, 1 << 30)

    def _conclude(self, sides: dict[str, Side], ratio: Ratio, label: str) -> Timing:
        reference, candidate = sides["reference"].clocks, sides["candidate"].clocks
        return Timing(
            workload=label,
            speedup=ratio.median,
            low=ratio.low,
            high=ratio.high,
            candidate_us=statistics.median(candidate.claims),
            reference_us=statistics.median(reference.claims),
            candidate_samples_us=tuple(round(us, 3) for us in candidate.claims),
            reference_samples_us=tuple(round(us, 3) for us in reference.claims),
            clock="interpreted" if self.device.interpreted else "device",
            judge_us=statistics.median(candidate.walls),
            worst_error=self.worst,
            doubt=remark(self._doubts(sides)),
        )


@contextmanager
def _reference() -> Iterator[None]:
    try:
        yield
    except CandidateFailed as failure:
        raise ReferenceFailed(failure.reason) from failure


@contextmanager
def _candidate(label: str, outcome: Outcome) -> Iterator[None]:
    """Its failure is one of the speedup stage, or what it was already."""
    try:
        yield
    except CandidateFailed as failure:
        kept = failure.outcome in (Outcome.PROTOCOL, Outcome.IMPLAUSIBLE, Outcome.TIMED_WRONG)
        raise CandidateFailed(
            failure.outcome if kept else outcome, f"on {label}: {failure.reason}", failure.detail
        ) from failure
