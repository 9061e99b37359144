"""One attempt from start to record: the solver works, its solution is graded afresh, a line is added to the run."""

from __future__ import annotations

import errno
import hashlib
import json
import secrets
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from harness.device import Device
from harness.engine.judges import Judges
from harness.engine.once import Once
from harness.errors import BudgetSpent, InfrastructureError
from harness.judge.judge import Judge
from harness.run import Attempt, Record, Run, Spent, now
from harness.script import ScriptTask
from harness.solver import Budget, Model, Solution, Solver, TaskView
from harness.task import Task
from harness.verdict import Outcome, Verdict
from harness.workbench import Bench

TRIES = 3
"""Times that an attempt is tried when the trouble is not the candidate's."""
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""The run can't be written: any other OSError that a solver lets out is its own."""


def view(task: Task, device: Device) -> TaskView:
    """The part of a task that a solver may see."""
    return TaskView(
        name=task.name,
        suite=task.suite,
        entry_point=task.entry_point,
        signature=task.signature,
        outputs=task.outputs,
        instruction=task.instruction,
        level=task.level,
        category=task.category,
        aliases=task.aliases,
        device=device.name,
        device_kind=device.kind,
        wordings=task.wordings,
    )


def wants_reference(solver: Solver, model: Model | None) -> bool:
    """Does this solver, with this model, have to see the reference?"""
    wants = getattr(solver, "wants_reference", None)
    return bool(wants(model)) if callable(wants) else False


def shows_examples(solver: Solver, model: Model | None) -> bool:
    """Does this solver, with this model, show references of other tasks?"""
    shows = getattr(solver, "shows_examples", None)
    return bool(shows(model)) if callable(shows) else False


def uses_model(solver: Solver) -> bool:
    """Does this solver call a model at all?"""
    return bool(getattr(solver, "uses_model", True))


def metered(solver: Solver) -> bool:
    """Do all its model calls go through the workbench? One that asks models of its own has `metered = False`."""
    return bool(getattr(solver, "metered", True))


_UNKNOWN: dict[str, Any] = dict.fromkeys(
    ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "dollars")
)


@dataclass(frozen=True)
class Setting:
    """What all attempts of a session share."""

    judge: Judge | Judges
    device: Device
    run: Run
    model: Model | None
    budget: Budget
    environment: str
    """Digest of the environment."""
    seed: int | None
    """`--seed`: makes inputs and solvers' choices repeatable; None: fresh and secret."""
    secret: int = field(default_factory=lambda: secrets.randbits(48), repr=False)
    """From which the seeds of script tasks come, where there is no other: answers to one task are held against the same
    values (`harness.judge.kept`). What a solver asks about while it works has seeds of its own."""
    once: Once = field(default_factory=Once)
    """What was judged by this command, and need not be again."""


def perform(
    attempt: Attempt, task: Task, solver: Solver, setting: Setting, notice: Callable[[str], None] | None = None
) -> Record:
    """Run one attempt and record it. Raises InfrastructureError when it is owed again; that is recorded too."""
    started = now()
    for number in range(1, TRIES + 1):
        try:
            record = _perform_once(attempt, task, solver, setting, started, notice)
            setting.run.append(record)
            return record
        except (InfrastructureError, OSError) as error:
            trouble = error if isinstance(error, InfrastructureError) else _unwritable(error, setting.run)
            if number == TRIES:
                owed = _record(attempt, task, setting, started, status="owed", verdict=None, error=str(trouble))
                setting.run.append(owed)
                raise trouble from error
            time.sleep(number)
    raise AssertionError


def _perform_once(
    attempt: Attempt,
    task: Task,
    solver: Solver,
    setting: Setting,
    started: str,
    notice: Callable[[str], None] | None,
) -> Record:
    folder = setting.run.sample(attempt)
    setting.judge.start()
    setting.run.note_task(task.suite, task.name, task.instruction)
    setting.run.note_device({**asdict(setting.device), "peaks": setting.judge.describe_peaks()})

    same_as = ""

    def judge(kind: str, source: str) -> Verdict:
        nonlocal same_as
        if setting.seed is not None:
            # By number within the attempt, so that a resumed attempt goes on with the seeds that it would have had.
            return setting.judge.judge(task, source, seed=_derived(setting.seed, attempt.id, bench.judgements))
        key = (kind, task.digest, Solution(source).digest)
        shared = kind == "grade" and isinstance(task, ScriptTask)
        seed = _derived(setting.secret, task.digest) if shared else None
        verdict, of = setting.once.judge(key, attempt.id, lambda: setting.judge.judge(task, source, seed))
        if kind == "grade" and of != attempt.id:
            same_as = of
        return verdict

    bench = Bench(
        folder=folder,
        judge=lambda source: judge("evaluation", source),
        grader=lambda source: judge("grade", source),
        model=setting.model if uses_model(solver) else None,
        budget=setting.budget,
        seed=_derived(setting.seed or 0, attempt.id, "solver"),
        sample=attempt.sample,
        reference=task.reference if wants_reference(solver, setting.model) else None,
        notice=notice,
    )
    begin = time.monotonic()
    try:
        solution, stopped = _solve(solver, view(task, setting.device), bench)
        if solution is None:
            verdict = _without_code(bench, stopped)
        else:
            verdict = bench.grade(solution)
            (folder / "solution.py").write_text(solution.source, encoding="utf-8", errors="backslashreplace")
        (folder / "verdict.json").write_text(json.dumps(verdict.to_json(), indent=1) + "\n")
        usage = bench.usage if metered(solver) else replace(bench.usage, **_UNKNOWN)
        spent = Spent(
            evaluations=bench.evaluations,
            calls=usage.calls,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            dollars=usage.dollars,
            model_seconds=usage.seconds,
            seconds=time.monotonic() - begin,
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            saved_dollars=usage.saved_dollars,
        )
        origin = solution.origin if solution else ""
        return _record(
            attempt,
            task,
            setting,
            started,
            status="judged",
            verdict=verdict,
            spent=spent,
            origin=origin,
            stopped=stopped,
            same_as=same_as,
        )
    finally:
        bench.close()


def _without_code(bench: Bench, stopped: str) -> Verdict:
    """No solution, and why: an answer that was cut is an outcome of its own, but for a solver that failed by itself."""
    if bench.cut and (bench.spent or not stopped):
        more = f" ({stopped})" if stopped else ""
        reason = "the model's last answer was cut at its length limit before any code came; max_tokens may be too low"
        return Verdict(Outcome.CUT, reason + more)
    return Verdict(Outcome.NO_CODE, stopped or "the solver gave no solution")


def _unwritable(error: OSError, run: Run) -> InfrastructureError:
    return InfrastructureError(
        f"{error.filename or run.folder} can't be written ({error.strerror}): "
        f"make room, then continue with --resume {run.folder}"
    )


def _solve(solver: Solver, task: TaskView, bench: Bench) -> tuple[Solution | None, str]:
    """The solution to grade, and why the solver stopped early. A solver's own error costs its attempt, no other."""
    stopped = ""
    solution: Solution | None = None
    try:
        solution = solver.solve(task, bench)
    except BudgetSpent:
        pass
    except InfrastructureError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK:
            raise
        stopped = f"the solver failed: {type(error).__name__}: {error}"
        bench.log("solver failed", traceback=traceback.format_exc())
    if bench.spent and not stopped:
        stopped = f"budget spent: {bench.spent}"
    return solution or bench.best or bench.last, stopped


def _record(attempt: Attempt, task: Task, setting: Setting, started: str, **data: Any) -> Record:
    return Record(
        attempt=attempt,
        task_digest=task.digest,
        environment=setting.environment,
        level=task.level,
        category=task.category,
        helps=task.helps,
        started=started,
        finished=now(),
        **data,
    )


def _derived(seed: int, *parts: object) -> int:
    text = "/".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
