"""A solution of a script task before the judge: its test half is run with several seeds, and so is the reference's.

Nothing is known of such a task but its published reference. One that fails here, or gives other values when it is run
again with the same seed, can't judge anybody: then a candidate's verdict is `unsupported here`, with the reason.

Three rules stand side by side in a verdict's `rules`: the published evaluator's (`paper call`, `paper execution`), and
by value, whatever the candidate did besides (`value`); the verdict itself is by value with integrity.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from harness.errors import InfrastructureError
from harness.judge.compare import Difference
from harness.judge.published_rules import EXECUTION
from harness.judge.script_timing import ReferenceFailed, ScriptTiming
from harness.judge.sides import Sides
from harness.judge.standing import Standing
from harness.judge.trial import Scope, Trial
from harness.judge.unsettled import Unsettled, unsettled
from harness.judge.values import differ, says_something, tensors
from harness.sandbox.answers import Scripted
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.testimony import Testimony
from harness.sandbox.tripwire import STARTED_PROCESS
from harness.script import ScriptTask
from harness.task import Case, Task
from harness.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from harness.judge.judge import Judge

_KEPT_BYTES = 256 << 20
"""Of tensors that one run of a reference kept, at most, that are not made anew for the candidate's."""
PATIENCE = 4
"""The first run of a reference, in which it compiles, may take so many times what a stage may."""


class ScriptTrial(Trial):
    """One candidate before the judge."""

    task: ScriptTask
    _soiled = True

    def __init__(self, judge: Judge, task: Task, source: str, seed: int, scope: Scope, alone: bool) -> None:
        super().__init__(judge, task, source, seed, scope, alone)
        self._firsts: dict[int, Scripted] = {}
        """What the reference kept when its standing was found out, by seed: the candidate is held against it."""

    def read(self) -> None:
        """What the text alone shows."""
        self.parse()

    def call_all(self, process: CandidateProcess) -> None:
        """Call and execution: every seed. Where the reference can't judge, the published rules alone: they ask less."""
        self.rules = {"paper call": False, "paper execution": False, "value": False}
        standing = self._known_standing()
        self._soiled = standing.soiled
        try:
            if standing.reason:
                self._try_once(process, standing)
            wrong = self._try_all(process)
            if wrong is None and standing.silent:
                self._compare_workloads(process)
        except CandidateFailed as failure:
            if failure.outcome is Outcome.EXIT and failure.reason.endswith("exit code 0"):
                self.rules |= {"paper call": True, "paper execution": True}
            if standing.reason:
                raise _unsupported(standing.reason) from failure
            raise
        if wrong is not None:
            raise CandidateFailed(wrong.outcome, f"on {self.failed_on}: {wrong.sentence}")

    def _try_once(self, process: CandidateProcess, standing: Standing) -> NoReturn:
        """What the published evaluator would see, which runs it once; the verdict is that nobody can be judged."""
        self._soiled = False  # fresh memory holds zeros, mostly
        seed = self._seed(self.task.cases[0], "script")
        self._load(process)
        with self.watch("calls"):
            ran = self._run(process, seed, self.judge.limits.stage_seconds)
        right = standing.runs and EXECUTION[self.task.rule](self._wanted(seed), ran)
        self.rules |= {"paper call": True, "paper execution": right}
        raise _unsupported(standing.reason)

    def _load(self, process: CandidateProcess) -> None:
        with self.watch("load"):
            self.judge.compiled.give(self.source, process)
            process.load(self.source, "", self.judge.limits.stage_seconds, self.task.stand_ins)

    def _try_all(self, process: CandidateProcess) -> Difference | None:
        self._load(process)
        wrong: Difference | None = None
        self._begin_calls(1)
        by_value = True
        for case in self.task.cases:
            difference, right = self._try_seed(process, case)
            by_value = by_value and right
            if difference is None:
                self.passed += 1
                continue
            self.failed_on = self.failed_on or case.id
            wrong = wrong or difference
        self.rules["value"] = by_value
        return wrong

    def _try_seed(self, process: CandidateProcess, case: Case) -> tuple[Difference | None, bool]:
        """One run: a failure to run ends the trial. Else what is wrong, and whether all values are right."""
        seed, begin = self._seed(case, "script"), time.monotonic()
        try:
            with self.watch("calls"):
                ran = self._run(process, seed, max(1.0, self._left()))
        except CandidateFailed as failure:
            self.failed_on = case.id
            raise CandidateFailed(failure.outcome, f"on {case.id}: {failure.reason}", failure.detail) from None
        ended = time.monotonic()
        if self.slowest is None or ended - begin > self.slowest[1]:
            self.slowest = (case.id, ended - begin)
        expected, open_values = self._settled(seed)
        ran = replace(ran, value=open_values.put_back(ran.value, expected.value, self.task.variable))
        with self.watch("comparison"):
            difference, error = self._differ(expected, ran)
            if not self.rules["paper call"]:  # its evaluator runs it once
                self.rules |= {"paper call": True, "paper execution": EXECUTION[self.task.rule](expected, ran)}
        if difference is not None:
            self._doubt_reference(seed, expected, open_values)
        right = difference is None
        self.worst = max(self.worst or 0.0, error)
        self._deadline += time.monotonic() - ended
        if difference is None and ran.launches == 0 and self.judge.limits.guarded:
            if expected.launches:
                difference = Difference(Outcome.NO_TRITON, "the run launched no Triton kernel")
            elif _ELSEWHERE not in self.notes:
                self.notes.append(_ELSEWHERE)
        return difference or self._text_difference, right

    def _compare_workloads(self, process: CandidateProcess) -> None:
        """Where the test half keeps nothing that says something, what the timed half calls has to be right."""
        self.rules["value"] = False
        try:
            with self.watch("workloads compared"):
                labels = self._timing(process).compared()
        except ReferenceFailed:
            self.judge.drop_reference(self.task)
            labels = []
        silent = _SILENT.format(self.task.variable)
        if not labels:
            raise _unsupported(f"{silent}, and on no published workload can values be compared here")
        self.rules["value"] = True
        self.notes.append(f"{silent}; values are compared on {len(labels)} of the published workloads")

    def _doubt_reference(self, seed: int, expected: Scripted, open_values: Unsettled) -> None:
        """Where values differ: does the reference give its own again?"""
        if self.judge.kept.confirmed(self.task.digest, seed):
            return
        again = self._expected(seed)
        again = replace(again, value=open_values.put_back(again.value, expected.value, self.task.variable))
        difference, _ = self._differ(expected, again)
        if difference is not None:
            raise self._quarantined(difference.sentence)
        self.judge.kept.confirm(self.task.digest, seed)

    def _quarantined(self, sentence: str) -> CandidateFailed:
        """From now on the reference judges nobody."""
        standing = Standing(_OTHER_VALUES.format(sentence), runs=True, soiled=self._soiled)
        self.judge.standings.put(self.task.digest, standing)
        return _unsupported(standing.reason)

    def _settled(self, seed: int) -> tuple[Scripted, Unsettled]:
        """What the reference keeps, and which of that it does not settle."""
        standing = self.judge.standings.get(self.task.digest)
        if standing is None or not standing.unsettled:
            return self._wanted(seed), Unsettled()
        soiled, self._soiled = self._soiled, False
        first = self._expected(seed)
        self._soiled = soiled
        found = self._unsettled(seed, first, self._expected(seed))
        if found is None:
            raise self._quarantined("not the same ones each time")
        whole = sum(each.numel() for each in tensors(first.value))
        self.notes = [f"{found.count} of {whole} values are not compared: the reference does not settle them"]
        return first, found

    def _wanted(self, seed: int) -> Scripted:
        """What a candidate is held against: what the reference kept, by this judge or another one."""
        kept, digest = self.judge.kept, self.task.digest
        found = kept.get(digest, seed, self._soiled)
        if found is None:
            found = self._firsts.pop(seed, None) or self._expected(seed)
            kept.put(digest, seed, self._soiled, found)
        return found

    def _unsettled(self, seed: int, first: Scripted, again: Scripted) -> Unsettled | None:
        """Values that the reference gives otherwise in these two runs, and in one more; None where it works at random,
        or settles too little."""
        name, tolerance = self.task.variable, self.task.tolerance
        one = unsettled(first.value, again.value, tolerance, name)
        two = unsettled(first.value, self._expected(seed).value, tolerance, name)
        if one is None or two is None or not one.agrees(two):
            return None
        found = one.joined(two)
        return found if found.leaves_enough(first.value, name) else None

    def excuse(self, testimony: Testimony) -> Testimony:
        """What the published reference does as well is no fault of a candidate, short of cheating; but a test half may
        start a process."""
        standing = self.judge.standings.get(self.task.digest)
        started = STARTED_PROCESS in testimony.cheating
        if standing is None or standing.reason or not (testimony.torch or testimony.suspicious or started):
            return testimony
        acts = standing.acts
        if acts is None:
            acts = self._acts()
            self.judge.standings.put(self.task.digest, replace(standing, acts=acts))
        torch, suspicious = (
            tuple(each for each in said if each not in acts) for said in (testimony.torch, testimony.suspicious)
        )
        cheating = tuple(each for each in testimony.cheating if each != STARTED_PROCESS or each not in acts)
        return replace(testimony, cheating=cheating, torch=torch, suspicious=suspicious)

    def _acts(self) -> tuple[str, ...]:
        """What the reference is seen doing in one run: a process tells by its end."""
        self._soiled = False
        self._expected(self._seed(self.task.cases[0], "acts"))
        seen = self.judge.reference_process(self.task).testify()
        self.judge.drop_reference(self.task)
        return (*seen.torch, *seen.suspicious, *(each for each in seen.cheating if each == STARTED_PROCESS))

    def weigh_accuracy(self) -> None:
        """There is no oracle to weigh it by."""

    def time_all(self, process: CandidateProcess) -> None:
        """Speedup on the published workloads, where there are any."""
        if not self.task.timed_half:
            self.notes.append("not timed: there are no published workloads")
            return
        judge, begin = self.judge, time.monotonic()
        timing = self._timing(process)
        try:
            self.timings.extend(timing.timings())
            self.notes += timing.remarks()
        except ReferenceFailed as failure:
            self.timings.clear()
            judge.drop_reference(self.task)
            self.notes.append(f"not timed: on the published workloads the published reference fails: {failure}")
        finally:
            self.timing_seconds = time.monotonic() - begin

    def _timing(self, process: CandidateProcess) -> ScriptTiming:
        judge = self.judge
        rng = random.Random(self._seed(self.task.cases[0], "timing"))
        sides = Sides(judge.reference_process(self.task), process, judge.usage)
        return ScriptTiming(self.task, sides, judge.device, judge.pool, judge.timing, rng, self.watch)

    def praise(self) -> str:
        """The sentence of a right candidate."""
        speed = Verdict(Outcome.RIGHT, "", timings=tuple(self.timings)).speedup
        return f"right on {self.passed} seeds" + (f", {speed:.3f} times the reference's speed" if speed else "")

    def _run(self, process: CandidateProcess, seed: int, timeout: float) -> Scripted:
        return process.script(self.task.script, self.task.variable, seed, timeout, self.task.main, self._soiled)

    def _differ(self, expected: Scripted, ran: Scripted) -> tuple[Difference | None, float]:
        return differ(expected.value, ran.value, self.task.tolerance, self.task.variable)

    def _expected(self, seed: int, patience: int = 1) -> Scripted:
        """What the reference keeps."""
        seconds = patience * self.judge.limits.stage_seconds
        try:
            with self.watch("reference"):
                return self._run(self.judge.reference_process(self.task), seed, seconds)
        except CandidateFailed as failure:
            self.judge.drop_reference(self.task)
            raise _unsupported(f"the published reference fails here: {failure.outcome}: {failure.reason}") from None
        except InfrastructureError as error:  # it can't even be loaded
            raise _unsupported(str(error)) from None

    def _known_standing(self) -> Standing:
        """Found out once for each task."""
        known = self.judge.standings.get(self.task.digest)
        if known is not None:
            return known
        try:
            standing = self._standing()
        except CandidateFailed as failure:
            standing = Standing(failure.reason)
        if standing.runs:
            self.judge.keep_reference(self.task)
        return self.judge.standings.put(self.task.digest, standing)

    def _standing(self) -> Standing:
        """Can the reference judge? It is run twice with each seed, at first with memory that holds zeros."""
        soiled, open_values = True, False
        for number, case in enumerate(self.task.cases):
            seed, self._soiled = self._seed(case, "script"), False
            first = self._expected(seed, 1 if number else PATIENCE)
            if first.value is None:
                where = f" in `{self.task.variable}`" if self.task.variable else ""
                return Standing(f"the published test half keeps nothing{where}", runs=True)
            self._soiled = soiled
            try:
                again = self._expected(seed)
            except CandidateFailed:  # what nobody wrote leads it astray
                self._soiled = soiled = False
                again = self._expected(seed)
            difference, _ = self._differ(first, again)
            if difference is not None:
                open_values = True
                if self._unsettled(seed, first, again) is None:
                    return Standing(_OTHER_VALUES.format(difference.sentence), runs=True, soiled=soiled)
            elif sum(each.nbytes for each in tensors(first.value)) <= _KEPT_BYTES:
                self._firsts[seed] = first
        if not says_something(first.value):
            reason = "" if self.task.timed_half else _SILENT.format(self.task.variable)
            return Standing(reason, runs=True, soiled=soiled, silent=True, unsettled=open_values)
        return Standing(runs=True, soiled=soiled, unsettled=open_values)


_ELSEWHERE = "the published test half launches no kernel in its own process: what does the work there is not seen"
_SILENT = "what the published test half keeps in `{}` says nothing: no tensor that varies"
_OTHER_VALUES = "the published reference gives other values when it is run again: {}"


def _unsupported(sentence: str) -> CandidateFailed:
    return CandidateFailed(Outcome.UNSUPPORTED, sentence)
