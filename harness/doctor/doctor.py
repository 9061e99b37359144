"""The doctor: proves a task before it counts. One check of one task on one device gives one finding.

    doctor = Doctor(device, judge)
    finding = doctor.examine(task, Check.MUTANTS)

What can't hold for an operation is waived by the task itself (`Task.waivers`), by name and with a reason. A mutant that
survives is a fault, unless `equivalents.toml` shows that it is no mistake. On a GPU, other survivors are tried on the
interpreter too, and under compute-sanitizer: both find accesses outside of all tensors, which a GPU may let pass.

What showed one mutant to be wrong is likely to show the next: the cases that have found most are called first.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from harness.device import Device, find_device
from harness.doctor import coverage, equivalents, limits, mutation, nulls, page
from harness.doctor.finding import Check, Finding, Result
from harness.doctor.record import DoctorRun
from harness.engine.lease import reserve
from harness.judge import sanitizer
from harness.judge.judge import Judge
from harness.judge.trial import Scope
from harness.run import now
from harness.sandbox.sanitized import tool
from harness.task import Task
from harness.verdict import Outcome, Stage, Verdict

SEEDS = 25
"""Fresh seeds with which the reference has to be right on every case."""
SLOWEST_CASE_S = 1.0
"""What one case of the reference may take on the interpreter."""
ENOUGH_KILLED = 0.95
"""Share of a task's mutants, stillborn and equivalent ones aside, that has to be found."""

Fault = tuple[str, str]
"""(name of the waiver that could explain it, sentence)"""


@dataclass(frozen=True)
class Report:
    """What one check saw."""

    faults: list[Fault]
    seen: str
    """What stands in the table where there is no fault."""
    figures: dict[str, Any]


class Doctor:
    """Examines tasks on one device. Use as a context manager, or `close` it."""

    def __init__(self, judge: Judge, environment: str, seed: int | None = None, run: DoctorRun | None = None) -> None:
        """`run` remembers mutants that were killed, so that a check which was stopped tries the others alone."""
        self.judge, self.device, self.environment, self.seed = judge, judge.device, environment, seed
        self.run = run
        self._second: Judge | None = None

    def __enter__(self) -> Doctor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes."""
        self.judge.close()
        if self._second is not None:
            self._second.close()

    def examine(self, task: Task, check: Check) -> Finding:
        """One check. Raises InfrastructureError for trouble that is not the task's."""
        start = time.monotonic()
        report = _CHECKS[check](self, task)
        waived = [sentence for name, sentence in report.faults if name in task.waivers]
        faults = [sentence for name, sentence in report.faults if name not in task.waivers]
        names = {name for name, _ in report.faults}
        reasons = [f"{name}: {task.waivers[name]}" for name in task.waivers if name in names]
        result = Result.FAILED if faults else Result.WAIVED if waived else Result.PROVEN
        return Finding(
            suite=task.suite,
            task=task.name,
            task_digest=task.digest,
            check=check,
            result=result,
            sentences=tuple(faults or reasons or [report.seen]),
            device=self.device.name,
            device_kind=self.device.kind,
            environment=self.environment,
            level=task.level,
            category=task.category,
            figures=report.figures,
            seconds=time.monotonic() - start,
            finished=now(),
        )

    @property
    def interpreter(self) -> Judge:
        """A judge on the interpreter, for what a GPU does not show."""
        if self.device.interpreted:
            return self.judge
        if self._second is None:
            self._second = Judge(find_device("interpreter"), replace(self.judge.limits, sanitizer=False))
        return self._second

    def fresh_seed(self) -> int:
        """The seed asked for, or a new one."""
        return secrets.randbits(48) if self.seed is None else self.seed


def checks(device: Device) -> tuple[Check, ...]:
    """The checks that this device can make."""
    return tuple(check for check in Check if check is not Check.LIMIT or not device.interpreted)


def _page(doctor: Doctor, task: Task) -> Report:
    return Report(
        [("page", each) for each in page.faults(task)],
        f"complete, {page.tolerance_class(task)}",
        {"tolerance": page.tolerance_class(task)},
    )


def _cases(doctor: Doctor, task: Task) -> Report:
    return Report(list(coverage.faults(task)), f"{len(task.cases)} cases", {"cases": len(task.cases)})


def _nulls(doctor: Doctor, task: Task) -> Report:
    found = list(nulls.fooled(task, doctor.device.torch, doctor.fresh_seed()))
    faults = [
        ("nulls", f"{name} is right on all {tried} cases on which there is such an answer")
        for name, passed, tried in found
        if tried and len(passed) == tried
    ]
    tried = [each for each in found if each[2]]
    return Report(
        faults,
        f"{len(tried)} null solutions wrong",
        {name: {"right": len(passed), "cases": count} for name, passed, count in tried},
    )


def _reference(doctor: Doctor, task: Task) -> Report:
    gpu = not doctor.device.interpreted
    seed = doctor.fresh_seed()
    scope = Scope(seeds=SEEDS, timed=False, first_fault=True)
    verdict = doctor.judge.judge(task, task.reference, seed, scope)
    faults = _not_right(verdict)
    if gpu and not faults:
        large = doctor.judge.judge(task, task.reference, seed, Scope(workloads=True, timed=False))
        faults = _not_right(large)
    if not gpu and not faults:
        # Once more and alone, for the time: the first call of a case has imports and the like in it.
        again = doctor.judge.judge(task, task.reference, seed, Scope(timed=False))
        if again.slowest is not None and again.slowest[1] > SLOWEST_CASE_S:
            faults.append(("seconds", f"{again.slowest[0]} takes {again.slowest[1]:.1f} s on the interpreter"))
        verdict = again if again.right else verdict
    slowest = verdict.slowest[1] if verdict.slowest else None
    return Report(
        faults,
        f"{SEEDS} seeds" + (" and all workloads" if gpu else ""),
        {"seeds": SEEDS, "worst_error": verdict.worst_error, "slowest_case_s": slowest, "seed": seed},
    )


def _not_right(verdict: Verdict) -> list[Fault]:
    return [] if verdict.outcome is Outcome.RIGHT else [("reference", f"{verdict.outcome}: {verdict.reason}")]


def _mutants(doctor: Doctor, task: Task) -> Report:
    tried = mutation.chosen(task.reference)
    reasons = equivalents.read(task.folder, {mutant.id for mutant in tried}, doctor.device.kind)
    fates: dict[str, list[str]] = {name: [] for name in _FATES}
    how: dict[str, str] = {}
    known = doctor.run.fates(task, doctor.environment) if doctor.run else {}
    found_by: Counter[str] = Counter()
    for mutant in tried:
        fate, how[mutant.id] = known.get(mutant.id, ("", ""))
        if fate not in _FINAL:
            fate, how[mutant.id] = _fate(doctor, task, mutant, found_by, mutant.id in reasons)
            if doctor.run:
                doctor.run.note_fate(task, doctor.environment, mutant.id, fate, how[mutant.id])
        fates["equivalent" if fate == "survived" and mutant.id in reasons else fate].append(mutant.id)
    killed, survived = len(fates["killed"]), len(fates["survived"])
    rate = killed / (killed + survived) if killed + survived else 0.0
    faults = [("mutants", f"survived: {each}") for each in fates["survived"]]
    faults += [("mutants", f"not judged, memory ran out: {each}") for each in fates["unjudged"]]
    return Report(
        faults,
        f"{killed} of {killed + survived} killed",
        {**fates, "how": how, "rate": rate, "reasons": {each: reasons[each] for each in fates["equivalent"]}},
    )


_FATES = ("killed", "stillborn", "unreached", "survived", "equivalent", "unjudged")

_TRIED_FIRST = 3
"""Cases that found most of the mutants before."""

_FINAL = ("killed", "stillborn", "unreached")
"""What need not be tried again where a check goes on; what survived or was not judged is."""

_STILLBORN = {
    *(Outcome.SYNTAX, Outcome.IMPORT_ERROR, Outcome.COMPILE_ERROR, Outcome.CALL_ERROR, Outcome.UNSUPPORTED),
    *(Outcome.NO_ENTRY_POINT, Outcome.NO_TRITON),
}
"""A mutant that ends so before any case was right is no program at all: it proves nothing of the cases."""


def _fate(
    doctor: Doctor, task: Task, mutant: mutation.Mutant, found_by: Counter[str], explained: bool
) -> tuple[str, str]:
    """(what became of a mutant, the verdict's outcome). `found_by` counts the cases that showed one to be wrong."""
    gpu = not doctor.device.interpreted
    scope = Scope(workloads=gpu, timed=False, first_fault=True)
    before = tuple(case for case, _ in found_by.most_common(_TRIED_FIRST))
    verdict = doctor.judge.judge(task, mutant.source, None, replace(scope, before=before))
    if before and _is_stillborn(verdict):  # is it wrong there, or everywhere?
        verdict = doctor.judge.judge(task, mutant.source, None, scope)
    if verdict.outcome is Outcome.MEMORY:
        return "unjudged", str(verdict.outcome)  # that says nothing of its values
    if verdict.outcome is not Outcome.RIGHT:
        if _is_stillborn(verdict):
            return "stillborn", str(verdict.outcome)
        found_by.update([verdict.failed_on] if verdict.failed_on else [])
        return "killed", str(verdict.outcome)
    if explained:
        return "survived", "right"
    probe = doctor.judge.judge(task, mutant.probe, None, scope)
    if probe.outcome is Outcome.RIGHT:
        return "unreached", "the line is never run here"
    if gpu:
        second = doctor.interpreter.judge(task, mutant.source, None, Scope(timed=False, first_fault=True))
        if second.outcome not in (Outcome.RIGHT, Outcome.UNSUPPORTED):
            return "killed", f"{second.outcome}, on the interpreter"
        if doctor.device.kind == "cuda" and tool() is not None:
            judge, cases = doctor.judge, [*task.cases, *task.workloads]
            with reserve(doctor.device.uuid, judge.pool + 1, judge.pool):  # the tool keeps books on the device, too
                said = sanitizer.complaint(task, mutant.source, doctor.fresh_seed(), doctor.device, cases)
            if said is not None:
                return "killed", f"{Outcome.ILLEGAL_ACCESS}, under compute-sanitizer"
    return "survived", "right"


def _is_stillborn(verdict: Verdict) -> bool:
    return verdict.outcome in _STILLBORN and verdict.cases_passed == 0 and not verdict.passed(Stage.CALL)


def _limit(doctor: Doctor, task: Task) -> Report:
    verdict = doctor.judge.judge(task, task.reference)
    if verdict.outcome is not Outcome.RIGHT:
        return Report([("reference", f"{verdict.outcome}: {verdict.reason}")], "", {})
    figures = [
        limits.beside_pytorch(task, case, timing, doctor.device)
        for case, timing in zip(task.workloads, verdict.timings, strict=True)
    ]
    peak = max((each.fraction for each in figures if each.fraction and not each.launch_bound), default=None)
    return Report(
        limits.faults(figures),
        f"{peak:.0%} of the limit" if peak is not None else "bound by the launch",
        {"workloads": [each.to_json() for each in figures], "best_fraction": peak},
    )


_CHECKS: dict[Check, Callable[[Doctor, Task], Report]] = {
    Check.PAGE: _page,
    Check.CASES: _cases,
    Check.NULLS: _nulls,
    Check.REFERENCE: _reference,
    Check.MUTANTS: _mutants,
    Check.LIMIT: _limit,
}


def plan(tasks: Iterable[Task], device: Device) -> list[tuple[Task, Check]]:
    """All that is to be examined, in order."""
    return [(task, check) for task in tasks for check in checks(device)]
