"""One candidate before the judge: what is asked of it, in order, and what was found until it failed."""

from __future__ import annotations

import ast
import hashlib
import random
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.engine.lease import reserve
from harness.errors import InfrastructureError
from harness.judge import accuracy, timing
from harness.judge.accuracy import Measured
from harness.judge.compare import Expected, compare, expect, gaps_written
from harness.judge.flush import give_back
from harness.judge.integrity import read_evidence, read_names, read_source
from harness.judge.limits import TimingLimits, spread
from harness.judge.oracles import oracles_turn
from harness.judge.pairs import limits_for_more, merged, pairs_wanted
from harness.judge.sides import Sides
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.answers import Returned
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.testimony import Testimony
from harness.sandbox.wire import room
from harness.task import Case, Inputs, Rng, Task
from harness.verdict import Accuracy, Outcome, Timing, Verdict

if TYPE_CHECKING:
    from harness.judge.judge import Judge

LONGEST_SOURCE = 1_000_000
"""Characters."""
INEXACT = 10.0
"""An error of so many times the reference's is worth a person's look."""


@dataclass(frozen=True)
class Scope:
    """How far one judgement goes. The default is what an attempt gets; the doctor asks for more or less."""

    seeds: int = 1
    """Times that every case is called, each with fresh inputs."""
    workloads: bool = False
    """Check the outputs at the workloads' sizes too, without timing them."""
    timed: bool = True
    first_fault: bool = False
    """Stop at the first wrong answer, not only at the first failure to run."""
    before: tuple[str, ...] = ()
    """Cases, by their ids, that are called before the others; by default the smallest comes first."""


WHOLE = Scope()


class Trial:
    """One candidate before the judge."""

    def __init__(self, judge: Judge, task: Task, source: str, seed: int, scope: Scope, alone: bool) -> None:
        self.judge, self.task, self.source, self.seed, self.scope, self.alone = judge, task, source, seed, scope, alone
        self.cases: list[Case] = [*task.cases, *(task.workloads if scope.workloads else ())]
        self.slowest: tuple[str, float] | None = None
        self.failed_on: str | None = None
        self.passed = 0
        self.worst: float | None = None
        self.timings: list[Timing] = []
        self.timing_seconds = 0.0
        self.watch = Stopwatch()
        self.testimony = Testimony()
        self.accuracy: Accuracy | None = None
        self.rules: dict[str, bool] = {}
        self.notes: list[str] = []
        self._errors: dict[str, Measured] = {}
        self._names: list[str] = []
        self._deadline = 0.0
        """Of all calls of the checks; waiting for others puts it off."""
        self._waited = judge.usage.waited
        self._device_type = judge.device.torch.partition(":")[0]

    def read(self) -> None:
        """What the text alone shows."""
        tree = self.parse()
        entry = self.task.entry_point
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        names |= {
            each.asname or each.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for each in node.names
        }
        if entry not in names:
            raise CandidateFailed(
                Outcome.NO_ENTRY_POINT, f"the source does not define `{entry}`: {self.task.signature}"
            )

    def parse(self) -> ast.Module:
        """The source's tree; and what it must not say, or what a person should look at."""
        if not self.source.strip():
            raise CandidateFailed(Outcome.NO_CODE, "there is no code")
        if len(self.source) > LONGEST_SOURCE:
            raise CandidateFailed(
                Outcome.SYNTAX, f"the source has {len(self.source)} characters; {LONGEST_SOURCE} are read"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self.source)
            self._text_difference = read_source(tree) if self.judge.limits.guarded else None
            self._names = read_names(tree) if self.judge.limits.guarded else []
            return tree
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = f"line {error.lineno}: {(error.text or '').strip()}" if isinstance(error, SyntaxError) else ""
            raise CandidateFailed(Outcome.SYNTAX, f"{type(error).__name__}: {error}", line) from None

    def call_all(self, process: CandidateProcess) -> None:
        """Call and execution: every case, the smallest first."""
        task, scope = self.task, self.scope
        self._begin_calls(scope.seeds)
        with self.watch("load"):
            self.judge.compiled.give(self.source, process)
            process.load(self.source, task.entry_point, self.judge.limits.stage_seconds)
        wrong: CandidateFailed | None = None
        ordered = [
            *((case, False) for case in sorted(task.cases, key=lambda case: task.least_cost(case).bytes)),
            *((case, True) for case in (task.workloads if scope.workloads else ())),
        ]
        ordered.sort(key=lambda each: each[0].id not in scope.before)
        for repeat in range(scope.seeds):
            for number, (case, large) in enumerate(ordered):
                begin = time.monotonic()
                returned, failure = self._try(process, case, repeat, 0, large=large)
                spent = time.monotonic() - begin
                if self.slowest is None or spent > self.slowest[1]:
                    self.slowest = (case.id, spent)
                wrong = wrong or failure
                if number == repeat == 0:
                    for index, name in enumerate(returned.configurations[1:], start=1):
                        _, failure = self._try(process, case, 0, index, f" with the configuration {name}")
                        wrong = wrong or failure
                if wrong is not None and scope.first_fault:
                    raise wrong
        if wrong is not None:
            raise wrong

    def time_all(self, process: CandidateProcess) -> None:
        """Speedup: every workload beside the reference, the device held alone."""
        judge = self.judge
        begin = time.monotonic()
        try:
            with self.watch("reference"):
                reference = judge.reference_process(self.task)
            self._time_workloads(Sides(reference, process, judge.usage))
            with self.watch("keeping"):
                judge.keep_reference(self.task)
            self._time_elsewhere(process)
        finally:
            self.timing_seconds = time.monotonic() - begin

    def _time_workloads(self, sides: Sides) -> None:
        judge = self.judge
        there = self.task.timed(judge.device.interpreted)
        for case in (there[number] for number in spread(len(there), judge.timing.workloads)):
            try:
                self.timings.append(self._timed(case, sides, judge.timing, ""))
            except InfrastructureError:
                judge.drop_reference(self.task)
                raise

    def _time_elsewhere(self, process: CandidateProcess) -> None:
        """In other pairs of processes, what one pair does not tell well enough."""
        limits = self.judge.timing
        wanted = [pairs_wanted(each, limits) for each in self.timings]
        if max(wanted, default=1) == 1:
            return
        found = [[each] for each in self.timings]
        cases = {case.id: case for case in self.task.timed(self.judge.device.interpreted)}
        with self.watch("other processes"):
            piece = self.judge.compiled.take(self.source, process)
        for number in range(1, max(wanted)):
            with self._another_pair(piece) as sides:
                for pairs, timings in zip(wanted, found, strict=True):
                    if pairs > number:
                        case, less = cases[timings[0].workload], limits_for_more(limits, pairs)
                        timings.append(self._timed(case, sides, less, f" {number}"))
        self.timings = [merged(timings) for timings in found]

    @contextmanager
    def _another_pair(self, piece: bytes) -> Iterator[Sides]:
        """Fresh processes of reference and candidate."""
        judge = self.judge
        with ExitStack() as stack:
            with self.watch("other processes"):
                reference = judge.another_reference(self.task)
                stack.callback(reference.close)
                process = stack.enter_context(judge.new_process())
                stack.callback(lambda: self._hear(process))
                judge.compiled.give(self.source, process)
                judge.compiled.hand(piece, process)
                process.load(self.source, self.task.entry_point, judge.limits.stage_seconds)
            yield Sides(reference, process, judge.usage)

    def _hear(self, process: CandidateProcess) -> None:
        self.testimony = self.testimony.joined(process.testify())

    def _timed(self, case: Case, sides: Sides, limits: TimingLimits, use: str) -> Timing:
        """One workload in one pair of processes, on inputs made for that `use`."""
        judge, rng = self.judge, random.Random(self._seed(case, f"timing{use}"))
        try:
            with self._memory_for(case):
                with self.watch("inputs"), judge.usage():
                    seed = self._seed(case, f"timed inputs{use}")
                    inputs = self.task.make_inputs(case, Rng(seed, judge.device.torch))
                timed = timing.time_workload(
                    self.task, case, inputs, sides, judge.device, judge.peaks, limits, rng, self.watch
                )
                inputs.clear()
                return timed
        except CandidateFailed:
            self.failed_on = case.id
            raise

    @contextmanager
    def _memory_for(self, case: Case) -> Iterator[None]:
        """A part of the device's memory, enough for one workload."""
        device = self.judge.device
        if device.interpreted or self.alone:
            yield
            return
        asked = time.monotonic()
        with ExitStack() as stack:
            with self.watch("waiting for memory"):
                stack.enter_context(reserve(device.uuid, timing.memory_needed(self.task, case), self.judge.pool))
            self._deadline += time.monotonic() - asked
            yield
            give_back(device)

    def excuse(self, testimony: Testimony) -> Testimony:
        """What is held against the candidate, of all that it was seen doing."""
        return testimony

    def suspicions(self) -> list[str]:
        """What a person should look at, a sentence each."""
        found = [*self.testimony.cheating, *self.testimony.torch, *self.testimony.suspicious, *self._names]
        if self.accuracy is not None and self.accuracy.ratio > INEXACT:
            found.append(
                f"its error is {self.accuracy.ratio:.3g} times the reference's on {self.accuracy.case}: it may have "
                "traded accuracy for speed"
            )
        found += [f"on {each.workload} {each.doubt}, by most of the blocks" for each in self.timings if each.doubt]
        return found

    def weigh_accuracy(self) -> None:
        """How exact it is beside the reference, once it is known to be right."""
        with self.watch("reference"):
            errors = accuracy.reference_errors(self.task, self.judge.device, self._call_reference)
        self.accuracy = accuracy.weigh(self._errors, errors)

    def _call_reference(self, case: Case, seed: int) -> tuple[Expected, Returned, list[str]]:
        inputs = self.task.make_inputs(case, Rng(seed))
        needed, watch = self._needs(inputs)
        chosen = 0 if self.judge.device.interpreted else None
        try:
            returned = self.judge.reference_process(self.task).call(
                inputs, needed, watch, self.judge.limits.stage_seconds, chosen, host=True
            )
        except CandidateFailed as failure:
            self.judge.drop_reference(self.task)
            raise InfrastructureError(
                f"the reference of {self.task.name} failed on {case.id}: {failure.reason}; mend its reference.py"
            ) from failure
        return expect(self.task, inputs), returned, list(inputs)

    def _needs(self, inputs: Inputs) -> tuple[int, list[int]]:
        """Room for what a call gives back, and the positions of the inputs that are looked at after it."""
        needed = 2 * sum(room(each) for each in self.task.allocate(inputs)) + (1 << 16)
        return needed, [position for position, value in enumerate(inputs.values()) if isinstance(value, torch.Tensor)]

    def praise(self) -> str:
        """The sentence of a right candidate."""
        verdict = Verdict(Outcome.RIGHT, "", timings=tuple(self.timings))
        speed = verdict.speedup
        return f"right on {self.passed} cases" + (
            f", {speed:.3f} times the reference's speed" if speed is not None else ""
        )

    def _try(
        self,
        process: CandidateProcess,
        case: Case,
        repeat: int,
        configuration: int,
        note: str = "",
        large: bool = False,
    ) -> tuple[Returned, CandidateFailed | None]:
        """One call: a failure to run ends the trial; a wrong answer is kept, so that call accuracy is known of all.

        Inputs of a case are small. They are made on the host, where its oracle runs, too, and its outputs are compared:
        that takes a millisecond there, and on a device that many use each of a hundred small kernels waits its turn. A
        workload fills much of a device: it has a part of the memory, its oracle a turn, and all is given back.
        """
        if not large or self.judge.device.interpreted:
            return self._call_and_compare(process, case, repeat, configuration, note, host=True)
        with self._memory_for(case):
            found = self._call_and_compare(process, case, repeat, configuration, note, host=False)
            process.release(self.judge.limits.stage_seconds)
            return found

    @contextmanager
    def _oracles_turn(self, case: Case) -> Iterator[None]:
        """Oracles of workloads take much memory for a moment, in higher precision."""
        with oracles_turn(self.task, case, self.judge.device, self.watch) as waited, self.judge.usage():
            self._deadline += waited
            yield

    def _call_and_compare(
        self,
        process: CandidateProcess,
        case: Case,
        repeat: int,
        configuration: int,
        note: str,
        host: bool,
    ) -> tuple[Returned, CandidateFailed | None]:
        task, device = self.task, self.judge.device
        with self.watch("inputs"), nullcontext() if host else self.judge.usage():
            seed = self._seed(case, f"{repeat}/{configuration}")
            inputs = task.make_inputs(case, Rng(seed, "cpu" if host else device.torch))
        results_room, watch = self._needs(inputs)
        left = self._left()
        if left <= 0:
            self.failed_on = self.failed_on or case.id
            raise CandidateFailed(
                Outcome.TIMEOUT,
                f"on {case.id}{note}: the calls so far took all of {self.judge.limits.stage_seconds:.3g} s",
            )
        chosen = configuration if device.interpreted else None
        try:
            with self.watch("calls"):
                seconds = min(left, self.judge.limits.call_seconds)
                returned = process.call(inputs, results_room, watch, seconds, chosen, host)
        except CandidateFailed as failure:
            self.failed_on = self.failed_on or case.id
            raise CandidateFailed(failure.outcome, f"on {case.id}{note}: {failure.reason}", failure.detail) from None
        with nullcontext() if host else self._oracles_turn(case):
            with self.watch("oracle"):
                expected = expect(task, inputs)
            with self.watch("comparison"):
                difference, error = compare(task, inputs, expected, returned, self._device_type)
                difference = difference or gaps_written(inputs, returned)
            first = difference is None and case.id not in self._errors
            measured = accuracy.measure(task, expected, returned, list(inputs)) if first else None
            del expected
        self.worst = max(self.worst or 0.0, error)
        difference = difference or self._text_difference
        if difference is None and self.judge.limits.guarded:
            difference = read_evidence(task, returned)
        if difference is not None:
            self.failed_on = self.failed_on or case.id
            return returned, CandidateFailed(difference.outcome, f"on {case.id}{note}: {difference.sentence}")
        self.passed += 1
        if measured is not None:
            self._errors[case.id] = measured
        return returned, None

    def _begin_calls(self, seeds: int) -> None:
        """The time for the calls of the checks runs from now."""
        self._deadline = time.monotonic() + self.judge.limits.stage_seconds * seeds
        self._waited = self.judge.usage.waited

    def _left(self) -> float:
        """Seconds for the calls of the checks."""
        return self._deadline - time.monotonic() + self.judge.usage.waited - self._waited

    def _seed(self, case: Case, use: object) -> int:
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{case.id}/{use}".encode()).digest()[:6], "big")
