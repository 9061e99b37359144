"""What `run.json` says of a command, and whether one that resumes a run is still the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import harness
from harness.attempt import shows_examples, uses_model, wants_reference
from harness.errors import UsageError
from harness.named import NamedSolver, model_settings
from harness.options import Options
from harness.run import Attempt, Run, now
from harness.solver import Model
from harness.suite import Suite

_SESSION = "KERNEL_ASSAY_SESSION"


def mark_session() -> None:
    """Let the worker processes of this command know that they belong together."""
    os.environ[_SESSION] = f"{os.getpid()}-{now()}"


def of_this_command(about: Mapping[str, Any]) -> bool:
    """Was a run with this description made by another process of this command?"""
    return _SESSION in os.environ and about.get("session") == os.environ[_SESSION]


@dataclass(frozen=True)
class Described:
    """What a command works with."""

    options: Options
    suites: Sequence[Suite]
    solvers: Sequence[NamedSolver]
    model: Model | None

    def about(self, plan: Sequence[Attempt], environment: Mapping[str, Any], devices: int) -> dict[str, Any]:
        """The description of a new run."""
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
                    "shows_examples": shows_examples(each.solver, model),
                }
                for each in self.solvers
            ],
            "model": {
                "name": model.name,
                "language_model": model.language_model,
                "base_url": self.options.base_url,
                "settings": model_settings(model),
            }
            if model is not None
            else None,
            "options": self.options.recorded(),
            "environment": environment,
            "devices": devices,
            "plan": [asdict(attempt) for attempt in plan],
        }

    def check_resumed(self, run: Run, here: Callable[[bool], Mapping[str, Any]]) -> None:
        """Raises UsageError where the run was begun with something else. `here(sure)`: the environment, and `sure`
        asks for it as candidates get it, which may be by a lower level of isolation than was hoped for."""
        about, folder = run.about, run.folder
        digests = {suite["name"]: suite["digest"] for suite in about.get("suites", [])}
        for suite in self.suites:
            if digests.get(suite.name) != suite.digest:
                raise UsageError(f"the suite {suite.name} has changed since {folder} was started: start a new run")
        options = {each["label"]: each.get("options") for each in about.get("solvers", [])}
        for solver in self.solvers:
            if options.get(solver.label, solver.options) != solver.options:
                raise UsageError(
                    f"{solver.label} has other options now than when {folder} was started: start a new run"
                )
        settings = (about.get("model") or {}).get("settings")
        if self.model is not None and settings not in (None, model_settings(self.model)):
            raise UsageError(
                f"the model's profile or address is not what it was when {folder} was started: start a new run"
            )
        recorded, environment = about.get("environment", {}), here(False)
        differs = recorded.get("digest") != environment["digest"]
        if differs and recorded.get("isolation") != environment["isolation"]:
            environment = here(True)  # a wall may have been given up, now as then
        if recorded.get("digest") != environment["digest"]:
            raise UsageError(
                f"{folder} was started on another device, software or isolation level "
                f"({recorded.get('device')}, isolation {recorded.get('isolation')}; here "
                f"{environment['device']}, isolation {environment['isolation']}): start a new run"
            )
