"""A session: options, suites, solvers, model and device made ready before anything is spent; then attempts on demand.

It knows nothing of pytest: `harness.plugin` asks it for an attempt's record, and others may do so too.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from harness import registry
from harness.attempt import Setting, perform, shows_examples, uses_model, view, wants_reference
from harness.description import Described, of_this_command
from harness.device import Device, cache_folder, find_device, find_devices
from harness.engine.ahead import Ahead, Notice
from harness.engine.cluster import ClusterJudges, on_cluster
from harness.engine.judges import MANY, Judges, shared, usual
from harness.engine.once import Once
from harness.engine.others import others
from harness.engine.progress import Progress
from harness.engine.solving import OnCluster
from harness.errors import InfrastructureError, UsageError
from harness.judge import sanitizer
from harness.judge.judge import Judge
from harness.judge.kept import new_folder
from harness.named import NamedSolver, make_judge, named_model, named_solvers
from harness.options import Options
from harness.run import Attempt, Record, Run
from harness.sandbox import isolation
from harness.sandbox.levels import UNGUARDED
from harness.script import ScriptTask
from harness.solver import Model, Solver
from harness.suite import Suite, load_suites
from harness.task import Task

WAITING = 3
"""Attempts for each judge where tasks are scripts: some wait for what is found out of their task by another."""


class Session:
    """Everything of one command. Making one checks all input and spends nothing."""

    def __init__(self, options: Options, suite_folders: Iterable[Path], by_workers: bool = False) -> None:
        """`by_workers`: the attempts are run by pytest-xdist's processes, and this may be one of them."""
        self.earlier = Run.open(options.resume) if options.resume else None
        if self.earlier is not None:
            options = options.resumed(self.earlier.about.get("options", {}), self.earlier.folder)
        if not options.solver:
            known = ", ".join(registry.names(registry.SOLVERS))
            raise UsageError(f"name a solver: --solver=NAME, with NAME one of {known}, MODULE:ATTR or FILE.py:NAME")
        self.suites: tuple[Suite, ...] = load_suites(suite_folders)
        self.solvers = named_solvers(options)
        self.model: Model | None = (
            named_model(options) if any(uses_model(each.solver) for each in self.solvers) else None
        )
        self._judge: Judge | Judges | None = None
        self.isolation: str
        self.environment: dict[str, Any]
        in_cluster = options.engine == "ray"
        self.options = self._join_cluster(options, by_workers) if in_cluster else self._look_around(options, by_workers)
        options.check_isolation(self.isolation)
        self._ahead: Ahead[Record] | None = None
        self._stopping = threading.Event()
        self._strangers: set[str] = set()
        """Who else was seen on the devices."""
        self._plan: Sequence[Attempt] = ()
        self._run: Run | None = None
        self._folder = self.earlier.folder if self.earlier is not None else None
        self._done: dict[str, Record] = {}
        self._once, self._secret = Once(), secrets.randbits(48)
        self._values: Path | None = None
        """Folder of what references of script tasks kept, until the command ends."""
        self._failed: dict[str, InfrastructureError] = {}
        self._check_solvers()
        self._described = Described(self.options, self.suites, self.solvers, self.model)
        if self.earlier is not None:
            self._described.check_resumed(self.earlier, self._here)

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
                devices = self._judge.devices if isinstance(self._judge, Judges) else 1
                run = Run.create(folder, self._described.about(plan, self.environment, devices))
        planned = {attempt.id for attempt in run.planned()}
        strange = [attempt.id for attempt in plan if attempt.id not in planned]
        if strange:
            raise UsageError(f"{folder} was started without {strange[0]} ({len(strange)} such): start a new run")
        self._run, self._plan = run, plan
        self._done = run.judged()
        graded = ((each, each.verdict) for each in self._done.values() if not each.same_as)
        self._once = Once(
            (("grade", each.task_digest, verdict.digest), verdict, each.attempt.id)
            for each, verdict in graded
            if verdict is not None and verdict.digest
        )
        return run

    def record(self, attempt: Attempt, notice: Callable[[str], None] | None = None) -> Record:
        """The attempt's record; runs it if it is owed. Raises InfrastructureError, again and again without retrying."""
        assert self._run is not None, "open_run comes first"
        if attempt.id in self._failed:
            raise self._failed[attempt.id]
        if attempt.id not in self._done:
            options, digest, seeds = self.options, self.environment["digest"], (self.options.seed, self._secret)
            setting = Setting(
                self.judge, self.device, self._run, self.model, options.budget, digest, *seeds, self._once
            )
            try:
                if self.options.many > 1:
                    self._done[attempt.id] = self._record_ahead(attempt, setting, notice)
                else:
                    self._done[attempt.id] = self._perform(attempt, setting, notice)
            except InfrastructureError as error:
                self._failed[attempt.id] = error
                raise
        return self._done[attempt.id]

    def _perform(self, attempt: Attempt, setting: Setting, notice: Notice | None) -> Record:
        named = next(each for each in self.solvers if each.label == attempt.solver)
        solver: Solver = OnCluster(named, self.options, self._stopping) if self.options.ray_solve else named.solver
        return perform(attempt, self.task(attempt), solver, setting, notice)

    def _record_ahead(self, attempt: Attempt, setting: Setting, notice: Notice | None) -> Record:
        """Of many attempts at once: all that are planned begin with the first that is asked for."""
        if self._ahead is None:
            owed = self._in_turn([each for each in self._plan if each.id not in self._done])
            self._ahead = Ahead(owed, lambda each, tell: self._perform(each, setting, tell), self.options.many)
        ahead = self._ahead
        return ahead.result(attempt, lambda: notice(str(self._progress(ahead))) if notice is not None else None)

    def _in_turn(self, owed: list[Attempt]) -> list[Attempt]:
        """The order in which they begin. All answers to one script task would wait for what has to be found out of it
        once: there each solver's come after another's, whatever the task."""
        turn = {each.label: number for number, each in enumerate(self.solvers)}
        scripts = {suite.name for suite in self.suites if _of_scripts(suite)}
        return sorted(owed, key=lambda each: (each.sample, turn[each.solver]) if each.suite in scripts else (0, 0))

    def _progress(self, ahead: Ahead[Record]) -> Progress:
        """How far the command is."""
        owed = {each.attempt.id for each in ahead.done()}
        before = [record for key, record in self._done.items() if key not in owed]
        records = [*before, *ahead.done()]
        judges = self._judge if isinstance(self._judge, Judges) and not self.device.interpreted else None
        return Progress(
            planned=len(self._plan),
            done=len(records),
            right=sum(each.verdict is not None and each.verdict.right for each in records),
            new=len(records) - len(before),
            doing=ahead.doing(),
            seconds=ahead.seconds,
            held=judges.held / judges.devices / ahead.seconds if judges is not None and ahead.seconds else None,
        )

    @property
    def judge(self) -> Judge | Judges:
        """The judge of this process, or the judges that attempts share, started when first needed."""
        if self._judge is None:
            hidden = [suite.folder for suite in self.suites] + ([self._folder] if self._folder else [])
            if any(map(_of_scripts, self.suites)):
                self._values = new_folder(cache_folder())
            alone = make_judge(self.options, self.device, hidden, self._values)
            folders = tuple(suite.folder for suite in self.suites)
            many = self.options.many > 1
            judge = shared(self.devices, alone.limits, hidden, folders, self._judges) if many else alone
            self._take_level(judge)
            self._judge = judge
        return self._judge

    @property
    def _judges(self) -> int:
        """On each device."""
        return self.options.judges or usual(self.devices, self.options.many)

    def _take_level(self, judge: Judge | Judges) -> None:
        """The level that candidates get is known for sure once the warm parent has rehearsed: record that one."""
        if isinstance(judge, Judge):
            judge.parent.start()
        else:
            judge.start()
        if judge.isolation != self.isolation:
            self.isolation = judge.isolation
            self.environment = self.device.environment(self.isolation)
            self.options.check_isolation(self.isolation)

    def stop(self) -> None:
        """Attempts that run end at the next thing that they do, and none begins; they are owed."""
        self._stopping.set()
        if self._ahead is not None:
            self._ahead.stop()
        if isinstance(self._judge, Judges):
            self._judge.close()
        if self._ahead is not None:
            self._ahead.settle()

    def close(self) -> None:
        """End the judge's processes."""
        self.stop()
        if isinstance(self._judge, Judge):
            self._judge.close()
        if self._values is not None:
            shutil.rmtree(self._values, ignore_errors=True)

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
        if self.options.no_timing:
            lines.append("nothing is timed (who is right in the checks alone, and cheats when timed, is right here)")
        self._strangers.update(each for device in self.devices for each in others(device))
        if self._strangers:
            lines.append(
                f"not alone: {', '.join(sorted(self._strangers))} on the GPU: times may be worse than they are"
            )
        if isinstance(self._judge, ClusterJudges):
            lines.append(
                f"engine: Ray, {self._judge.number} judges for up to {self.options.many} attempts at once; "
                f"the first is on {self._judge.about['node']}"
            )
        elif self.options.many > 1:
            where = f" on each of {len(self.devices)} devices" if len(self.devices) > 1 else ""
            lines.append(
                f"concurrency: up to {self.options.many} attempts at once, {self._judges} to judge them{where}"
            )
        lines.append(f"solvers: {', '.join(each.label for each in self.solvers)}")
        if self.model is not None:
            note = "" if self.model.language_model else " (rule-based, no language model)"
            lines.append(f"model: {self.model.name}{note}")
        if self.model is not None and self.options.model_cache_file and self.options.model_cache != "off":
            lines.append(f"model cache: {self.options.model_cache or 'auto'}, {self.options.model_cache_file}")
        shown = [e.label for e in self.solvers if uses_model(e.solver) and wants_reference(e.solver, self.model)]
        if shown:
            lines.append(f"start: {', '.join(shown)} is shown the reference kernel and starts from it")
        helped = [e.label for e in self.solvers if uses_model(e.solver) and shows_examples(e.solver, self.model)]
        if helped:
            lines.append(f"examples: {', '.join(helped)} is shown references of other tasks")
        if self.earlier is not None:
            lines.append(f"resumed: {self.earlier.folder}, {len(self.earlier.judged())} attempts judged before")
        return lines

    def _model_name(self, solver: NamedSolver) -> str:
        return self.model.name if self.model is not None and uses_model(solver.solver) else ""

    def _ours(self, folder: Path) -> bool:
        """Did another process of this command create the run?"""
        try:
            return of_this_command(json.loads((folder / "run.json").read_text()))
        except (OSError, ValueError):
            return False

    def _look_around(self, options: Options, by_workers: bool) -> Options:
        """The devices of this machine, and what its walls are."""
        self.devices = find_devices(options.devices) if options.devices else (find_device(options.device or "auto"),)
        if by_workers:
            self.devices = (self.devices[_number_of_worker() % len(self.devices)],)
        elif options.devices and options.concurrency is None:
            each = options.judges or usual(self.devices, MANY)
            waiting = WAITING if any(map(_of_scripts, self.suites)) else 1
            options = replace(options, concurrency=each * len(self.devices) * waiting)
        self.device: Device = self.devices[0]
        self.isolation = UNGUARDED if options.unguarded else isolation.probe()
        self.environment = self.device.environment(self.isolation)
        if options.sanitizer:
            sanitizer.check_there(self.device)
        return options

    def _join_cluster(self, options: Options, by_workers: bool) -> Options:
        """Judges in a Ray cluster: what device it has is known once the first of them has started."""
        if by_workers:
            raise UsageError("--engine=ray: attempts run at once by themselves: leave -n out")
        runs = options.resume or options.run_dir or Path("runs")
        folders = [suite.folder for suite in self.suites]
        judges = on_cluster(options, folders, [runs.absolute()], options.concurrency or MANY)
        try:
            judges.start()
        except InfrastructureError as error:
            judges.close()
            raise UsageError(f"--engine=ray: {error}") from None
        self._judge = judges
        self.device, self.isolation, self.environment = judges.device, judges.isolation, judges.environment
        self.devices = (self.device,)
        return replace(options, concurrency=options.concurrency or judges.number)

    def notes(self) -> list[str]:
        """What a person should know of how it went, besides the results."""
        judges = self._judge
        found = list(judges.left_out) if isinstance(judges, ClusterJudges) else []
        if not isinstance(judges, ClusterJudges):
            self._strangers.update(each for device in self.devices for each in others(device))
        if self._strangers:
            found.append(
                f"others used the GPU, so that times may be worse than they are: {', '.join(sorted(self._strangers))}"
            )
        if isinstance(judges, Judges) and judges.again:
            found.append(f"{judges.again} judgements were made again: their node was lost")
        return found

    def _check_solvers(self) -> None:
        """What a solver lacks for these tasks is told before anything is spent."""
        views = [view(task, self.device) for suite in self.suites for task in suite.tasks]
        known = {"samples": self.options.samples or 1, "model": self.model}
        for each in self.solvers:
            check = getattr(each.solver, "check", None)
            if callable(check):
                check(views, **{name: value for name, value in known.items() if registry.takes(check, name)})

    def _here(self, sure: bool) -> dict[str, Any]:
        """What candidates are judged on; a judge makes sure of the level of isolation."""
        if sure:
            _ = self.judge
        return self.environment


def _of_scripts(suite: Suite) -> bool:
    return any(isinstance(task, ScriptTask) for task in suite.tasks)


def _number_of_worker() -> int:
    """Of a worker of pytest-xdist, from 0; the process that started them counts as the first."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw") or 0)


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
