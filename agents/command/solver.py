"""The solver itself: options, and one attempt from the program's start to the kernel that it leaves.

The program is run without a shell. A word that names a file where pytest was started stands for that file, so that
`run=python3 agent.py` means what it says though the program works in a folder of its own. An attempt that was killed
is run again from the start; evaluations that it asks for again are answered from the journal by the workbench.
"""

from __future__ import annotations

import os
import queue
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from agents.command.folder import FILES, NoKernelError, furnish, kernel_left
from agents.command.process import Agent
from agents.command.server import OVER, Server
from harness.errors import BudgetSpent, UsageError
from harness.solver import Solution, TaskView, Workbench

_PASSED_ON = {"PATH": os.defpath, "LANG": "C.UTF-8"}
"""Variables that every program gets, and what they are where they are not set."""
_SECRET_LENGTH = 6
"""Values of named variables that are at least so long are not written into the transcript."""


@dataclass(frozen=True)
class CommandSolver:
    """Lets a program work in a folder and hands in the kernel that it leaves there."""

    name: ClassVar[str] = "command"
    uses_model: ClassVar[bool] = False
    metered: ClassVar[bool] = False
    """The program may ask models of its own."""

    run: str = ""
    """The program and its arguments, quoted as in a shell; commas and colons need a script."""
    seconds: float = 1800.0
    """Wall time after which the program is stopped, evaluations included."""
    evaluations: int | None = None
    """The most evaluations; None: as many as the attempt's budget has."""
    environment: str = ""
    """Names of environment variables that the program gets, joined by `+`."""

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise UsageError(f"command: seconds is {self.seconds:g}; it has to be above zero")
        if self.evaluations is not None and self.evaluations < 0:
            raise UsageError(f"command: evaluations is {self.evaluations}; it can't be less than zero")

    def check(self, tasks: Sequence[TaskView], samples: int | None = None) -> None:
        """Raise `UsageError` before anything is spent where the program or a named variable is not there."""
        _ = self.words, self.named

    @property
    def words(self) -> tuple[str, ...]:
        """The command, its program and files as absolute paths."""
        try:
            words = shlex.split(self.run)
        except ValueError as error:
            raise UsageError(f"command: run={self.run} can't be read ({error}): quote it as in a shell") from None
        if not words:
            raise UsageError("command: name the program: --solver='command:run=PROGRAM ARGUMENT …'")
        program = shutil.which(words[0])
        if program is None:
            why = "is not executable" if Path(words[0]).is_file() else "is not there"
            raise UsageError(f"command: the program {words[0]!r} {why}: give the path of one that can be run")
        return os.path.abspath(program), *(
            os.path.abspath(word) if word not in FILES and os.path.isfile(word) else word for word in words[1:]
        )

    @property
    def named(self) -> dict[str, str]:
        """The variables that are passed on by name."""
        names = [name.strip() for name in self.environment.split("+") if name.strip()]
        missing = [name for name in names if name not in os.environ]
        if missing:
            raise UsageError(f"command: environment={self.environment}: {', '.join(missing)} is not set here")
        return {name: os.environ[name] for name in names}

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The kernel that the program leaves, or None where it leaves none."""
        return _Attempt(self, task, bench).run()


class _Attempt:
    """One run of the program on one task."""

    def __init__(self, options: CommandSolver, task: TaskView, bench: Workbench) -> None:
        self._options, self._task, self._bench = options, task, bench
        self._folder = bench.scratch / "work"
        self._used = 0
        allowed = bench.budget.seconds
        self._seconds = options.seconds if allowed is None else min(options.seconds, allowed)
        self._end = time.monotonic() + self._seconds

    def run(self) -> Solution | None:
        options, bench = self._options, self._bench
        words, named = options.words, options.named
        bench.log("command", words=words, options=asdict(options), seconds=self._seconds, left=self._left())
        started = time.monotonic()
        with Server(self._left) as server:
            furnish(
                self._folder,
                self._task,
                port=server.port,
                token=server.token,
                evaluations=self._left()["evaluations"],
                seconds=self._seconds,
            )
            with Agent(words, self._folder, self._environment(named), lambda: server.asks.put(None)) as agent:
                ended = self._serve(server)
                code = agent.stop()
        how = f"exit code {code}" if ended else f"stopped after {self._seconds:g} seconds"
        bench.log(
            "command ended",
            how=how,
            code=code if ended else None,
            seconds=round(time.monotonic() - started, 3),
            evaluations=self._used,
            output=_without_secrets(agent.output, named),
        )
        try:
            source = kernel_left(self._folder, self._task)
        except NoKernelError as error:
            bench.log("no code", reason=str(error), how=how)
            return None
        return Solution(source, origin=f"{Path(words[0]).name}: {how}, {self._used} evaluations")

    def _serve(self, server: Server) -> bool:
        """Answer what is asked until the program ends (True) or its time is up (False)."""
        while (left := self._end - time.monotonic()) > 0:
            try:
                ask = server.asks.get(timeout=left)
            except queue.Empty:
                break
            if ask is None:
                return True
            try:
                answer = self._judged(ask.source)
            except BaseException:
                ask.answer(*OVER)
                raise
            ask.answer(*answer)
        return False

    def _judged(self, source: str) -> tuple[int, dict[str, Any]]:
        """Status and body of an answer."""
        most = self._options.evaluations
        spent = None if most is None or self._used < most else "evaluations"
        if spent is None:
            try:
                feedback = self._bench.evaluate(source)
            except BudgetSpent as error:
                spent = str(error)
            else:
                self._used += 1
                return 200, {"feedback": asdict(feedback), "left": self._left()}
        reason = (
            f"the budget is spent ({spent}) and nothing more is judged: leave your best version in kernel.py and end"
        )
        return 429, {"error": reason, "left": self._left()}

    def _left(self) -> dict[str, Any]:
        most, budget = self._options.evaluations, self._bench.budget
        left = [each for each in (None if most is None else most - self._used, budget.evaluations) if each is not None]
        return {"evaluations": min(left, default=None), "seconds": max(self._end - time.monotonic(), 0.0)}

    def _environment(self, named: dict[str, str]) -> dict[str, str]:
        home, temporary = self._bench.scratch / "home", self._bench.scratch / "tmp"
        for folder in (home, temporary):
            folder.mkdir()
        passed_on = {name: os.environ.get(name, default) for name, default in _PASSED_ON.items()}
        return {**passed_on, "HOME": str(home), "TMPDIR": str(temporary), "TERM": "dumb", **named}


def _without_secrets(text: str, named: dict[str, str]) -> str:
    for name, value in named.items():
        if len(value) >= _SECRET_LENGTH:
            text = text.replace(value, f"[{name}]")
    return text
