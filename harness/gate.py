"""`--baseline=RUN`: the exit code says whether this run is worse than an earlier one.

Wrong kernels alone fail nothing then: a model that fails the tasks that it failed before is no regression. The
session's exit code is

    0  no regression is shown, and every planned attempt was judged
    1  a regression is shown; or something else than a wrong kernel failed, or attempts are owed, as without a baseline
    4  the runs can't be compared: no task has a verdict in both

and pytest's own where the session was interrupted or broke. What compares is a report with a method `gate`, found
through the entry points as all reports are (and `check`, which it may have, is asked before anything is run): the
harness itself knows no statistics of runs. Under pytest-xdist the
controller alone does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from harness import registry
from harness.errors import KernelAssayError, UsageError
from harness.options import Options
from harness.run import Run

Digests: TypeAlias = Mapping[tuple[str, str], str]
"""Of each task, by its suite's name and its own."""


class Gate:
    """A pytest plug-in of one command with --baseline."""

    def __init__(self, options: Options, folder: Path, digests: Digests, solvers: Sequence[tuple[str, str]]) -> None:
        """Checks the baseline, before anything is run. `folder` is where this run is recorded, `digests` are those of
        the suites' tasks, `solvers` the labels and models. Raises UsageError."""
        assert options.baseline is not None
        self._folder, self._baseline = folder, options.baseline.absolute()
        self._confidence, self._threshold = options.confidence, options.threshold
        if self._baseline.resolve() == folder.resolve():
            raise UsageError(f"--baseline: {options.baseline} is this run itself: name an earlier one")
        report = _found()
        self._compare: Callable[..., tuple[str, bool]] = report.gate
        try:
            judged = Run.open(self._baseline).judged().values()
            tasks = {(each.attempt.suite, each.attempt.task): each.task_digest for each in judged}
            if hasattr(report, "check"):
                report.check(self._baseline, solvers)
        except UsageError as error:
            raise UsageError(f"--baseline: {error}") from None
        if not tasks.keys() & digests.keys():
            has = ", ".join(sorted({suite for suite, _ in tasks})) or "no verdict at all"
            raise UsageError(f"--baseline: {options.baseline} has {has}: name a run of the same suite")
        if not any(digests.get(task) == digest for task, digest in tasks.items()):
            raise UsageError(f"--baseline: all tasks have changed since {options.baseline} was made: make it anew")
        self._other = 0
        """Tests that failed, but not by a wrong kernel."""
        self.told = "not compared: the session did not come to its end"
        """For the terminal."""

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count what failed by anything else than a wrong kernel."""
        self._other += report.failed and not getattr(report, "kernel_assay_wrong", False)

    def pytest_collectreport(self, report: Any) -> None:
        """Count modules that can't be collected."""
        self._other += report.failed

    def judge(self, status: int) -> int:
        """Compare; returns the session's exit code, which pytest alone would make `status`."""
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not self._has_run():
            return status
        try:
            said, regression = self._compare(self._folder, self._baseline, self._confidence, self._threshold)
        except (OSError, KernelAssayError) as error:
            self.told = f"not compared: {error}"
            return int(pytest.ExitCode.USAGE_ERROR) if not self._other else status
        if regression:
            code, why = 1, "a regression is shown"
        elif self._other or self._owed():
            code, why = 1, "no regression is shown, but attempts are owed, or something else than a wrong kernel failed"
        else:
            code, why = 0, "no regression is shown; wrong kernels fail nothing with --baseline"
        self.told = f"{said}\nexit code {code}: {why}"
        return code

    def _has_run(self) -> bool:
        return (self._folder / "run.json").exists()

    def _owed(self) -> bool:
        run = Run.open(self._folder)
        return bool({attempt.id for attempt in run.planned()} - set(run.judged()))


def _found() -> Any:
    """The first report that compares."""
    for name in registry.names(registry.REPORTS):
        report = registry.find(registry.REPORTS, name)()
        if hasattr(report, "gate"):
            return report
    raise UsageError("--baseline: no report is installed that compares runs: `pip install -e .`")
