"""A session: options, suites, solvers, model and device made ready before anything is spent; then attempts on demand.

It knows nothing of pytest: `harness.plugin` asks it for an attempt's record, and others may do so too.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import harness
from harness import registry
from harness.attempt import Setting, perform, uses_model, view, wants_reference
from harness.device import Device, find_device
from harness.errors import InfrastructureError, UsageError
from harness.judge import sanitizer
from harness.judge.judge import Judge, JudgeLimits
from harness.judge.timing import INTERPRETED, TimingLimits
from harness.options import MODEL_DEFAULT, Options
from harness.run import Attempt, Record, Run, now
from harness.sandbox import isolation
from harness.sandbox.levels import UNGUARDED
from harness.solver import Model, Solver
from harness.suite import Suite, load_suite
from harness.task import Task


@dataclass(frozen=True)
class NamedSolver:
    """A solver with the label under which it stands in node ids and records."""

    label: str
    solver: Solver
    options: dict[str, str]


class Session:
    """Everything of one command. Making one checks all input and spends nothing."""

    def __init__(self, options: Options, suite_folders: Iterable[Path]) -> None:
        self.earlier = Run.open(options.resume) if options.resume else None
        if self.earlier is not None:
            options = options.resumed(self.earlier.about.get("options", {}), self.earlier.folder)
        if not options.solver:
            known = ", ".join(registry.names(registry.SOLVERS))
            raise UsageError(f"name a solver: --solver=NAME, with NAME one of {known}, MODULE:ATTR or FILE.py:NAME")
        self.options = options
        self.suites: tuple[Suite, ...] = tuple(load_suite(folder) for folder in suite_folders)
        self.device: Device = find_device(options.device or "auto")
        self.isolation = UNGUARDED if options.unguarded else isolation.probe()
        self.environment = self.device.environment(self.isolation)
        options.check_isolation(self.isolation)
        if options.sanitizer:
            sanitizer.check_there(self.device)
        self.solvers = _solvers(options)
        self.model: Model | None = _model(options) if any(uses_model(each.solver) for each in self.solvers) else None
        self._judge: Judge | None = None
        self._run: Run | None = None
        self._folder = self.earlier.folder if self.earlier is not None else None
        self._done: dict[str, Record] = {}
        self._failed: dict[str, InfrastructureError] = {}
        self._check_predictions()
        self._check_resumed()

    def attempts(self, suite: Suite) -> list[Attempt]:
        """All attempts at a suite, in order: task, solver, sample."""
        return [
            Attempt(suite.name, task.name, each.label, self._model_name(each), sample)
            for task in suite.tasks
            for each in self.solvers
            for sample in range(1, (self.options.samples or 1) + 1)
        ]

    def task(self, attempt: Attempt) -> Task:
        """The task of an attempt."""
        return next(suite for suite in self.suites if suite.name == attempt.suite).task(attempt.task)

    def run_folder(self) -> Path:
        """Where this run is recorded: as asked, or a new folder below `runs/`."""
        if self.options.resume or self.options.run_dir:
            return (self.options.resume or self.options.run_dir or Path()).absolute()
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        what = "-".join(dict.fromkeys(each.solver.name for each in self.solvers))
        return Path("runs").absolute() / f"{stamp}-{'-'.join(suite.name for suite in self.suites)}-{what}-{os.getpid()}"

    def open_run(self, folder: Path, plan: Sequence[Attempt]) -> Run:
        """Create the run, or join the one that another process of this command has created, or the one resumed."""
        check_writable(folder)
        self._folder = folder
        if self.earlier is None:
            with contextlib.suppress(InfrastructureError):  # which every attempt will tell
                _ = self.judge  # so that the level that is recorded is the one that it has
        with (folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.earlier is not None or self._ours(folder):
                run = Run.open(folder)
            else:
                run = Run.create(folder, self._about(plan))
        planned = {attempt.id for attempt in run.planned()}
        strange = [attempt.id for attempt in plan if attempt.id not in planned]
        if strange:
            raise UsageError(f"{folder} was started without {strange[0]} ({len(strange)} such): start a new run")
        self._run = run
        self._done = run.judged()
        return run

    def record(self, attempt: Attempt, notice: Callable[[str], None] | None = None) -> Record:
        """The attempt's record; runs it if it is owed. Raises InfrastructureError, again and again without retrying."""
        assert self._run is not None, "open_run comes first"
        if attempt.id in self._failed:
            raise self._failed[attempt.id]
        if attempt.id not in self._done:
            solver = next(each.solver for each in self.solvers if each.label == attempt.solver)
            setting = Setting(
                self.judge, self._run, self.model, self.options.budget, self.environment["digest"], self.options.seed
            )
            try:
                self._done[attempt.id] = perform(attempt, self.task(attempt), solver, setting, notice)
            except InfrastructureError as error:
                self._failed[attempt.id] = error
                raise
        return self._done[attempt.id]

    @property
    def judge(self) -> Judge:
        """The judge of this process, started when first needed."""
        if self._judge is None:
            hidden = [suite.folder for suite in self.suites] + ([self._folder] if self._folder else [])
            judge = make_judge(self.options, self.device, hidden)
            self._take_level(judge)
            self._judge = judge
        return self._judge

    def _take_level(self, judge: Judge) -> None:
        """The level that candidates get is known for sure once the warm parent has rehearsed: record that one."""
        judge.parent.start()
        if judge.isolation != self.isolation:
            self.isolation = judge.isolation
            self.environment = self.device.environment(self.isolation)
            self.options.check_isolation(self.isolation)

    def close(self) -> None:
        """End the judge's processes."""
        if self._judge is not None:
            self._judge.close()

    def header(self) -> list[str]:
        """What stands above a run: suite and version, device, versions, isolation, solvers, model."""
        about = self.environment
        lines = [
            f"suite: {suite.name} {suite.version}, {len(suite.tasks)} tasks ({suite.digest[:12]})"
            for suite in self.suites
        ]
        driver = f", driver {about['driver']}" if about["driver"] else ""
        kind = " (Triton on the CPU: times are marked interpreted)" if self.device.interpreted else ""
        lines.append(f"device: {self.device.name}{kind}{driver}; torch {about['torch']}, triton {about['triton']}")
        warning = " (nothing stops or sees a candidate that cheats)" if self.options.unguarded else ""
        lines.append(f"isolation: {self.isolation}{warning}")
        lines.append(f"solvers: {', '.join(each.label for each in self.solvers)}")
        if self.model is not None:
            note = "" if self.model.language_model else " (rule-based, no language model)"
            lines.append(f"model: {self.model.name}{note}")
        shown = [e.label for e in self.solvers if uses_model(e.solver) and wants_reference(e.solver, self.model)]
        if shown:
            lines.append(f"start: {', '.join(shown)} is shown the reference kernel and starts from it")
        if self.earlier is not None:
            lines.append(f"resumed: {self.earlier.folder}, {len(self.earlier.judged())} attempts judged before")
        return lines

    def _model_name(self, solver: NamedSolver) -> str:
        return self.model.name if self.model is not None and uses_model(solver.solver) else ""

    def _about(self, plan: Sequence[Attempt]) -> dict[str, Any]:
        model = self.model
        return {
            "harness": harness.__version__,
            "created": now(),
            "session": os.environ.get(_SESSION, str(os.getpid())),
            "command": sys.argv[1:],
            "suites": [
                {"name": s.name, "version": s.version, "digest": s.digest, "description": s.description}
                for s in self.suites
            ],
            "solvers": [
                {
                    "label": each.label,
                    "name": each.solver.name,
                    "options": each.options,
                    "uses_model": uses_model(each.solver),
                    "shows_reference": wants_reference(each.solver, model),
                }
                for each in self.solvers
            ],
            "model": {"name": model.name, "language_model": model.language_model, "base_url": self.options.base_url}
            if model is not None
            else None,
            "options": self.options.recorded(),
            "environment": self.environment,
            "plan": [asdict(attempt) for attempt in plan],
        }

    def _ours(self, folder: Path) -> bool:
        """Did another process of this command create the run?"""
        try:
            about = json.loads((folder / "run.json").read_text())
        except (OSError, ValueError):
            return False
        return _SESSION in os.environ and about.get("session") == os.environ[_SESSION]

    def _check_predictions(self) -> None:
        views = [view(task, self.device) for suite in self.suites for task in suite.tasks]
        for each in self.solvers:
            check = getattr(each.solver, "check", None)
            if callable(check):
                check(views, samples=self.options.samples or 1)

    def _check_resumed(self) -> None:
        if self.earlier is None:
            return
        about, folder = self.earlier.about, self.earlier.folder
        digests = {suite["name"]: suite["digest"] for suite in about.get("suites", [])}
        for suite in self.suites:
            if digests.get(suite.name) != suite.digest:
                raise UsageError(f"the suite {suite.name} has changed since {folder} was started: start a new run")
        recorded = about.get("environment", {})
        if recorded.get("isolation") != self.isolation and recorded.get("digest") != self.environment["digest"]:
            _ = self.judge  # it may have given up a wall, now as then
        if recorded.get("digest") != self.environment["digest"]:
            raise UsageError(
                f"{folder} was started on another device, software or isolation level "
                f"({recorded.get('device')}, isolation {recorded.get('isolation')}; here "
                f"{self.device.name}, isolation {self.isolation}): start a new run"
            )


def make_judge(options: Options, device: Device, hidden: Iterable[Path]) -> Judge:
    """A judge with the limits that the options set; candidates never see what is `hidden`."""
    timing = INTERPRETED if device.interpreted else TimingLimits()
    if options.timing_width is not None:
        timing = replace(timing, width=options.timing_width)
    limits = isolation.Limits()
    if options.memory_limit:
        limits = replace(limits, memory=int(options.memory_limit * (1 << 30)))
    stage = options.stage_timeout or JudgeLimits.stage_seconds
    timing = replace(timing, stage_seconds=stage)
    return Judge(device, JudgeLimits(stage, limits, timing, not options.unguarded, bool(options.sanitizer)), hidden)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"--model-option {text!r} is malformed: write KEY=VALUE")
    return key, value


_SESSION = "KERNEL_ASSAY_SESSION"


def mark_session() -> None:
    """Let the worker processes of this command know that they belong together."""
    os.environ[_SESSION] = f"{os.getpid()}-{now()}"


def check_writable(folder: Path) -> None:
    """Make the run folder. Raises UsageError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"the run folder {folder} can't be written ({error.strerror}): name another with --run-dir"
        ) from None


def _solvers(options: Options) -> list[NamedSolver]:
    found: list[NamedSolver] = []
    iterations_taken = False
    for text in options.solver:
        specification = registry.Specification.parse(text)
        factory = registry.find(registry.SOLVERS, specification.target)
        iterations_taken |= registry.takes(factory, "iterations")
        defaults = {
            name: value
            for name, value in (("iterations", options.iterations), ("predictions", options.predictions))
            if value is not None
        }
        given = dict(specification.options)
        solver = registry.make(factory, given, defaults, f"solver {specification.target!r}")
        if not callable(getattr(solver, "solve", None)) or not isinstance(getattr(solver, "name", None), str):
            raise UsageError(f"{specification.target!r} is no solver: it needs `name` and `solve(task, bench)`")
        label = solver.name if not given else f"{solver.name}:{','.join(f'{k}={v}' for k, v in given.items())}"
        if any(label == each.label for each in found):
            raise UsageError(f"the solver {label!r} is given twice")
        found.append(NamedSolver(label, solver, given))
    if options.iterations is not None and not iterations_taken:
        raise UsageError("--iterations: none of the solvers has iterations")
    if options.predictions is not None and not any(hasattr(each.solver, "predictions") for each in found):
        raise UsageError("--predictions: only the solver replay takes it: add --solver=replay")
    return found


def _model(options: Options) -> Model:
    """The model by entry-point name; any other name is one that an OpenAI-compatible server knows."""
    name = options.model
    if name is None:
        if options.base_url or os.environ.get("OPENAI_API_KEY"):
            raise UsageError("name the model with --model=NAME (a key or --base-url is set), or use --model=offline")
        name = MODEL_DEFAULT
    given = {"model": name, "base_url": options.base_url}
    target = name if name in registry.names(registry.MODELS) or (":" in name and ".py:" in name) else "openai"
    if options.base_url and target != "openai":
        raise UsageError(f"--base-url has no meaning for --model={name}")
    factory = registry.find(registry.MODELS, target)
    model = registry.make(factory, dict(_pair(text) for text in options.model_option), given, f"model {name!r}")
    if not isinstance(model, Model):
        raise UsageError(f"{name!r} is no model: it needs `name`, `language_model` and `complete(messages)`")
    return model
