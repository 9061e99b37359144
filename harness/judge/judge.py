"""The judge: says of a candidate how far it came, why it stopped, and its figures.

    judge = Judge(device)
    verdict = judge.judge(task, source)

One judgement: read the source; load it in a process of its own; call it on every case with fresh inputs from a secret
seed, and compare; then run it on every workload, compare again, and time it beside the reference. Nothing of the
candidate's ever runs in this process.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch

from harness.device import Device, Peaks, measure_peaks, queues
from harness.engine.cores import kept_for, this_thread_on
from harness.engine.lease import lease, reserve
from harness.errors import InfrastructureError, KernelAssayError
from harness.judge import sanitizer
from harness.judge.compiled import DRIVER, Compiled, folder_of
from harness.judge.integrity import Finding, weigh
from harness.judge.kept import Kept
from harness.judge.limits import INTERPRETED, TimingLimits
from harness.judge.script_trial import ScriptTrial
from harness.judge.standing import Standings
from harness.judge.stopwatch import shares
from harness.judge.trial import WHOLE, Scope, Trial
from harness.judge.usage import Usage
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.isolation import Limits
from harness.sandbox.levels import STRONGEST, UNGUARDED
from harness.sandbox.parent import WarmParent
from harness.script import ScriptTask, stand_ins
from harness.task import Task
from harness.verdict import Outcome, Verdict

MEMORY_POOL = 0.25
"""Share of a device's memory that workloads may take which are compiled and called outside of the lease. The rest is
for the blocks that are timed, for oracles, and for what every process takes that uses a device at all. Memory that runs
out all the same is no verdict: the candidate is judged again with the pool to itself."""
QUEUES = 2
"""Of candidates that are timed: work on a second stream runs beside that on the first. Others have one."""
COMPILERS = 8
"""Configurations of a published reference's autotuner that are compiled at once, at most: some have a hundred."""


@dataclass(frozen=True)
class JudgeLimits:
    """What one judgement may take."""

    stage_seconds: float = 120.0
    """Wall time for all calls of one stage."""
    call_seconds: float = 60.0
    """For one of them, in which Triton may compile."""
    sandbox: Limits = field(default_factory=Limits)
    timing: TimingLimits | None = None
    """None: the defaults for the device."""
    guarded: bool = True
    """False: no walls around candidates, and nobody looks at what they do. For measuring what these cost."""
    timed: bool = True
    """False: call and execution alone."""
    sanitizer: bool = False
    """Call what is right under compute-sanitizer, too."""
    compiled: Path | None = None
    """Folder in which what Triton compiles on a GPU is kept by content; None: nothing is kept, as where nobody looks
    what candidates do."""
    values: Path | None = None
    """Folder in which what references of script tasks kept is shared by the judges of one command; None: it is not, as
    where nobody looks what candidates do."""
    references: int = 1
    """Tasks judged last whose reference's process is kept: more than one where attempts take turns."""


def warm_parent(device: Device, limits: JudgeLimits, hidden: Iterable[Path] = (), rehearsed: str = "") -> WarmParent:
    """That of a judge's candidates, not begun yet. `hidden`: what they never see. `rehearsed`: see there."""
    kept, values = _folders(limits)
    return WarmParent(
        interpreted=device.interpreted,
        hidden=[*hidden, *(each for each in (folder_of(kept, device), values) if each is not None)],
        variables={**device.visibility(os.environ), **queues(QUEUES if limits.timed else 1)},
        at_most=str(STRONGEST) if limits.guarded else "process",
        rehearsed=rehearsed,
        capability=device.capability,
    )


def _folders(limits: JudgeLimits) -> tuple[Path | None, Path | None]:
    """Of what was compiled, and of what references kept: none where nobody looks what candidates do."""
    return (limits.compiled, limits.values) if limits.guarded else (None, None)


class Judge:
    """Judges candidates on one device, one at a time. Use as a context manager, or `close` it."""

    def __init__(
        self,
        device: Device,
        limits: JudgeLimits | None = None,
        hidden: Iterable[Path] = (),
        parent: WarmParent | None = None,
    ) -> None:
        """`hidden`: what candidates never see. `parent`: theirs, if it was begun already, made by `warm_parent`."""
        self.device = device
        limits = limits or JudgeLimits()
        clock = limits.timing or (INTERPRETED if device.interpreted else TimingLimits())
        self.timing = replace(clock, watched=limits.guarded)
        self.limits = replace(limits, sandbox=replace(limits.sandbox, watched=limits.guarded))
        kept, values = _folders(limits)
        self.compiled = Compiled(kept, device)
        self.parent = parent or warm_parent(device, limits, hidden)
        self.usage = Usage(device)
        self._peaks: Peaks | None = None
        self._started, self._places = False, ExitStack()
        self._references: dict[str, CandidateProcess] = {}
        """By the task's digest, the one used last at the end."""
        self.standings = Standings(self.compiled.folder, self.limits.stage_seconds)
        self.kept = Kept(values, device.torch)

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the warm parent now, and measure the device if that was never done."""
        self._apart()
        if self._started:
            self.parent.start()
            return
        self.parent.begin()  # it imports what takes seconds, while the device is prepared
        with lease(self.device.uuid):
            self._peaks = measure_peaks(self.device)
        if not self.device.interpreted:
            from harness.judge import screen  # Triton's import takes a second

            screen.prepare(self.device.torch)
        self.compiled.tidy()
        self.parent.start()
        if self.compiled.folder is not None and not self.compiled.knows(DRIVER):
            self._compile_driver()
        self._started = True

    def close(self) -> None:
        """End all processes."""
        self._places.close()
        self.drop_references()
        self.parent.close()

    def _apart(self) -> None:
        """Stay off the cores that are kept for who times, until the end, and all processes with it."""
        if not self._started:
            self._places.enter_context(this_thread_on(kept_for(self.device).others))

    def judge(self, task: Task, source: str, seed: int | None = None, scope: Scope = WHOLE) -> Verdict:
        """The verdict on one candidate. `seed` repeats a judgement's inputs; by default it is fresh and secret.

        Raises InfrastructureError for trouble that is not the candidate's.
        """
        self.start()
        seed = secrets.randbits(48) if seed is None else seed
        if self.device.interpreted:
            return self._judge(task, source, seed, scope, alone=False)
        try:
            verdict = self._judge(task, source, seed, scope, alone=False)
            if not device_ran_out(f"{verdict.reason} {verdict.detail}"):
                return verdict
        except InfrastructureError as error:
            if not device_ran_out(str(error)):
                raise
        # Did it take too much, or had others taken too much? Nobody else has a part of the memory now.
        self.drop_references()
        with reserve(self.device.uuid, self.pool + 1, self.pool):
            return self._judge(task, source, seed, scope, alone=True)

    def _judge(self, task: Task, source: str, seed: int, scope: Scope, alone: bool) -> Verdict:
        start, piece = time.monotonic(), b""
        kind = ScriptTrial if isinstance(task, ScriptTask) else Trial
        trial = kind(self, task, source, seed, scope, alone)
        try:
            trial.read()
            with ExitStack() as stack:
                with trial.watch("start"):
                    process = self.new_process()
                    stack.enter_context(process)
                try:
                    trial.call_all(process)
                    if scope.timed and self.limits.timed:
                        trial.weigh_accuracy()
                        trial.time_all(process)
                    with trial.watch("keeping"):
                        piece = self.compiled.take(source, process)
                finally:
                    with trial.watch("end"):
                        trial.testimony = trial.excuse(process.testify().joined(trial.testimony))
            found = Finding(Outcome.RIGHT, trial.praise())
        except CandidateFailed as failure:
            found = Finding(failure.outcome, failure.reason, failure.detail)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise InfrastructureError(f"the judge's own memory on {self.device.name} ran out: {error}") from error
        except KernelAssayError:
            raise
        except Exception as error:
            raise InfrastructureError(
                f"judging {task.name} failed, in the judge or in {task.folder / 'task.py'}: "
                f"{type(error).__name__}: {error}"
            ) from error
        found = weigh(found, trial.testimony)
        suspicions = trial.suspicions()
        if self.limits.sanitizer and found.outcome is Outcome.RIGHT and not suspicions:
            said = sanitizer.complaint(task, source, seed, self.device, task.cases)
            found = found if said is None else Finding(Outcome.ILLEGAL_ACCESS, said)
        if found.outcome is Outcome.RIGHT and not suspicions:
            with trial.watch("keeping"):
                self.compiled.keep(source, piece)
        return Verdict(
            outcome=found.outcome,
            reason=found.reason,
            detail=found.detail,
            cases_passed=trial.passed,
            cases=len(trial.cases),
            worst_error=trial.worst,
            accuracy=trial.accuracy,
            timings=tuple(trial.timings),
            seed=seed,
            seconds=time.monotonic() - start,
            timing_seconds=trial.timing_seconds,
            held_seconds=round(sum(trial.watch.held.values()), 3),
            phases=shares(trial.watch.seconds),
            held_phases=shares(trial.watch.held),
            slowest=trial.slowest,
            failed_on=trial.failed_on if found.outcome is not Outcome.RIGHT else None,
            digest=hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest(),
            warnings=tuple(suspicions),
            notes=(*trial.notes, *self.usage.remarks()),
            rules=trial.rules,
        )

    def new_process(self) -> CandidateProcess:
        """For one candidate; not entered yet."""
        return CandidateProcess(self.parent, self.limits.sandbox, self.device.torch, self.usage)

    def reference_process(self, task: Task) -> CandidateProcess:
        """The reference's process, kept while the same few tasks are judged. A broken one is the task's trouble."""
        if task.digest in self._references:
            process = self._references[task.digest] = self._references.pop(task.digest)
            return process
        while len(self._references) >= self.limits.references:
            self._references.pop(next(iter(self._references))).close()
        self._references[task.digest] = process = self.another_reference(task)
        return process

    def another_reference(self, task: Task) -> CandidateProcess:
        """One more process of the reference, the caller's to close."""
        process = self.new_process().__enter__()
        try:
            self.compiled.give(task.reference, process)
            compilers = min(COMPILERS, len(kept_for(self.device).others)) if isinstance(task, ScriptTask) else 1
            process.load(task.reference, task.entry_point, self.limits.stage_seconds, stand_ins(task), compilers)
        except CandidateFailed as failure:
            process.close()
            raise InfrastructureError(f"the reference of {task.name} can't be loaded: {failure.reason}") from failure
        return process

    def keep_reference(self, task: Task) -> None:
        """Keep what Triton compiled of it, for other judges and other runs."""
        self.compiled.keep(task.reference, self.compiled.take(task.reference, self.reference_process(task)))

    def _compile_driver(self) -> None:
        """Have Triton make its driver module; where it can't, each candidate will say so."""
        with suppress(CandidateFailed), self.new_process() as process:
            process.load(DRIVER, "prepare", self.limits.stage_seconds)
            process.call({}, 0, [], self.limits.stage_seconds, host=True)
            self.compiled.keep(DRIVER, self.compiled.take(DRIVER, process))

    def drop_reference(self, task: Task) -> None:
        """End the process of this task's reference: the next one is fresh."""
        process = self._references.pop(task.digest, None)
        if process is not None:
            process.close()

    def drop_references(self) -> None:
        """End those of all references: they take memory."""
        while self._references:
            self._references.popitem()[1].close()

    @property
    def isolation(self) -> str:
        """The level that candidates get, once started."""
        return self.parent.isolation if self.limits.guarded else UNGUARDED

    @property
    def pool(self) -> int:
        """Bytes of the device's memory that all judges' workloads together may take outside of the lease."""
        return int(MEMORY_POOL * self.device.memory)

    def describe_peaks(self) -> dict[str, object] | None:
        """The measured peaks and the datasheet's, as a run records them; None on the interpreter."""
        return asdict(self._peaks) if self._peaks is not None else None

    @property
    def peaks(self) -> Peaks | None:
        """What the device was measured to do; None on the interpreter."""
        return self._peaks


def device_ran_out(text: str) -> bool:
    """Does an error say that a GPU's memory ran out? Of the host's each candidate has its own, whatever others take."""
    return _DEVICE_RAN_OUT.search(text) is not None


_DEVICE_RAN_OUT = re.compile(r"(cuda|hip)[^\n]*out.of.memory", re.I)
