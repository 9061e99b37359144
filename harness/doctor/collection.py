"""The doctor as a pytest collection: `pytest suites/rocm --doctor`.

Every check of every task is one item, `suites/rocm/suite.toml::mutants[softmax]`: `-k`, `-x`, `--lf`, `-n` and
`--junitxml` do what they always do. A task that is not proven FAILS with what was found; trouble of the machine is an
ERROR.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import harness
from harness import registry
from harness.device import find_device
from harness.doctor.doctor import Doctor, plan
from harness.doctor.finding import Check, Finding, Result
from harness.doctor.record import ABOUT, DoctorRun
from harness.errors import InfrastructureError, KernelAssayError, UsageError
from harness.judge import sanitizer
from harness.named import make_judge
from harness.options import Options
from harness.run import now
from harness.sandbox import isolation
from harness.script import ScriptTask
from harness.suite import Suite, load_suite
from harness.task import Task


class DoctorPlugin:
    """Registered with pytest where `--doctor` is asked for; holds everything of one command."""

    def __init__(self, options: Options, folders: list[Path], joined: Path | None) -> None:
        """`joined` is the run folder that a pytest-xdist worker writes into."""
        if options.solver:
            raise UsageError("--doctor examines tasks, --solver judges solvers: ask for one of them at a time")
        if not folders:
            raise UsageError(
                "--doctor: name a suite's folder (one with a suite.toml), as in pytest suites/rocm --doctor"
            )
        if options.unguarded:
            raise UsageError("--doctor tries the judge as it judges solvers: leave --unguarded out")
        if options.no_timing or options.timed_workloads is not None:
            flag = "--no-timing" if options.no_timing else "--timed-workloads"
            raise UsageError(f"--doctor times references on all workloads: leave {flag} out")
        self.options = options
        self.suites: dict[Path, Suite] = {folder: load_suite(folder) for folder in folders}
        for suite in self.suites.values():
            if any(isinstance(task, ScriptTask) for task in suite.tasks):
                raise UsageError(
                    f"--doctor: the tasks of {suite.name} have no oracle to examine; pytest {suite.folder} "
                    "--solver=reference says which of their references can judge here"
                )
        self.device = find_device(options.device or "auto")
        self.isolation = isolation.probe()
        self.environment = self.device.environment(self.isolation)
        options.check_isolation(self.isolation)
        if options.sanitizer:
            sanitizer.check_there(self.device)
        earlier = joined or options.resume
        self.run = DoctorRun.open(earlier) if earlier else self._create()
        self._check_resumed()
        self._done = {finding.key: finding for finding in self.run.findings() if finding.result is not Result.FAILED}
        self._doctor: Doctor | None = None

    def _create(self) -> DoctorRun:
        names = "-".join(suite.name for suite in self.suites.values())
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        folder = self.options.run_dir or Path("runs") / f"{stamp}-{names}-doctor-{os.getpid()}"
        if (folder / ABOUT).exists():
            raise UsageError(f"{folder} holds a doctor's run already: continue it with --resume {folder}")
        about = {
            "harness": harness.__version__,
            "created": now(),
            "command": sys.argv[1:],
            "suites": [
                {"name": s.name, "version": s.version, "digest": s.digest, "tasks": [task.name for task in s.tasks]}
                for s in self.suites.values()
            ],
            "environment": self.environment,
        }
        return DoctorRun.create(folder.absolute(), about)

    def _check_resumed(self) -> None:
        was = self.run.about.get("environment", {})
        if was.get("digest") != self.environment["digest"]:
            raise UsageError(
                f"{self.run.folder} was started on another device, software or isolation level "
                f"({was.get('device')}): start a new run"
            )

    def finding(self, task: Task, check: Check) -> Finding:
        """The finding, made now unless the run that is continued has proven it. Raises InfrastructureError."""
        key = (task.name, task.digest, check, str(self.environment["digest"]))
        if key not in self._done:
            finding = self.doctor.examine(task, check)
            self.run.append(finding)
            self.run.note_device({"peaks": self.doctor.judge.describe_peaks()})
            self._done[key] = finding
        return self._done[key]

    @property
    def doctor(self) -> Doctor:
        """The doctor of this process, started when first needed."""
        if self._doctor is None:
            judge = make_judge(self.options, self.device, [*self.suites, self.run.folder])
            judge.parent.start()
            if judge.parent.isolation != self.isolation:  # a wall was given up in the rehearsal
                self.isolation = judge.parent.isolation
                self.environment = self.device.environment(self.isolation)
                self.options.check_isolation(self.isolation)
            self._doctor = Doctor(judge, self.environment["digest"], self.options.seed, self.run)
        return self._doctor

    # What pytest asks.

    @pytest.hookimpl
    def pytest_report_header(self) -> list[str]:
        about = self.environment
        return [
            *(f"suite: {s.name} {s.version}, {len(s.tasks)} tasks ({s.digest[:12]})" for s in self.suites.values()),
            f"device: {self.device.name}; torch {about['torch']}, triton {about['triton']}; isolation {self.isolation}",
            f"doctor: {', '.join(dict.fromkeys(check for _, check in plan(self._tasks(), self.device)))}",
        ]

    @pytest.hookimpl
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        return True if collection_path.suffix == ".py" and collection_path.parent in self.suites else None

    @pytest.hookimpl
    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        if file_path.name != "suite.toml" or file_path.parent not in self.suites:
            return None
        collector: pytest.Collector = SuiteFile.from_parent(parent, path=file_path)
        return collector

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["kernel_assay_run"] = str(self.run.folder)

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for name in registry.names(registry.PROOFS):
            terminalreporter.section(name)
            try:
                report = registry.find(registry.PROOFS, name)()
                terminalreporter.write_line(report.summary(self.run.folder, terminalreporter._tw.fullwidth))
                terminalreporter.write_line(f"report: {report.write(self.run.folder)}")
            except (OSError, KernelAssayError) as error:
                terminalreporter.write_line(f"no report: {error}; the record is whole: {self.run.folder}")
        terminalreporter.write_line(f"run: {self.run.folder}")

    @pytest.hookimpl
    def pytest_unconfigure(self) -> None:
        if self._doctor is not None:
            self._doctor.close()

    def _tasks(self) -> list[Task]:
        return [task for suite in self.suites.values() for task in suite.tasks]


NAME = "kernel_assay_doctor"


class SuiteFile(pytest.File):
    """A suite's `suite.toml`, which stands for all its tasks."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item a task and check, a task's checks together."""
        doctor = self.config.pluginmanager.getplugin(NAME)
        assert isinstance(doctor, DoctorPlugin)
        for task, check in plan(doctor.suites[self.path.parent].tasks, doctor.device):
            item = CheckItem.from_parent(self, name=f"{check}[{task.name}]", doctor=doctor, task=task, check=check)
            item.extra_keyword_matches.update(task.aliases)
            yield item


class CheckItem(pytest.Item):
    """One check of one task."""

    def __init__(self, *, doctor: DoctorPlugin, task: Task, check: Check, **more: Any) -> None:
        super().__init__(**more)
        self._doctor, self._task, self._check = doctor, task, check
        self._finding: Finding | None = None

    def setup(self) -> None:
        """Examine the task; trouble of the machine is an error here, not a failure."""
        try:
            self._finding = self._doctor.finding(self._task, self._check)
        except InfrastructureError as error:
            raise Owed(str(error)) from None

    def runtest(self) -> None:
        """Fail where the task is not proven."""
        assert self._finding is not None
        if self._finding.result is Result.FAILED:
            pytest.fail("\n".join(self._finding.sentences), pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where pytest says that it is."""
        return self.path, None, self.name


class Owed(Exception):
    """Trouble that is not the task's: pytest's ERROR."""
