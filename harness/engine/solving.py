"""Solvers in a Ray cluster (`--ray-solve`): their code runs on its nodes, all that they touch stays with the driver.

A solver gets a workbench that asks the driver's: model calls, judgements, the journal and every file are made there,
and keys never leave it. Where a node is lost the attempt is run again elsewhere, and what it had asked is answered from
the journal.
"""

from __future__ import annotations

import asyncio
import pickle
import shutil
import tempfile
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from harness.errors import BudgetSpent, InfrastructureError, Stopped
from harness.named import NamedSolver, named_solvers
from harness.options import Options
from harness.solver import Budget, Message, Model, Reply, Solution, Solver, TaskView, Workbench
from harness.verdict import Feedback

_ASKED = frozenset({"evaluate", "complete", "budget", "best", "reference", "save", "log", "model"})


@dataclass(frozen=True)
class _Facts:
    """Of a workbench, what does not change."""

    sample: int
    seed: int
    shows_reference: bool


class Mailbox:
    """An actor between a solver and the driver, to which nobody else can call."""

    def __init__(self) -> None:
        self._requests: asyncio.Queue[tuple[int, str, tuple[Any, ...], dict[str, Any]]] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[tuple[str, Any]]] = {}
        self._numbers = count()

    async def ask(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Any]:
        """The solver's side: `value` and what came back, or `raised` and the exception."""
        number = next(self._numbers)
        answer: asyncio.Future[tuple[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._requests.put((number, name, args, kwargs))
        return await answer

    async def next(self) -> tuple[int, str, tuple[Any, ...], dict[str, Any]]:
        """The driver's side: what is asked next."""
        return await self._requests.get()

    async def answer(self, number: int, answer: tuple[str, Any]) -> None:
        """The driver's side."""
        self._answers.pop(number).set_result(answer)


class FarWorkbench:
    """The workbench as a solver on another machine has it."""

    def __init__(self, mailbox: Any, facts: _Facts) -> None:
        self._mailbox = mailbox
        self.sample, self.seed, self.shows_reference = facts.sample, facts.seed, facts.shows_reference
        self.scratch = Path(tempfile.mkdtemp(prefix="kernel-assay-"))

    @property
    def model(self) -> Model:
        """The run's model; the driver asks it."""
        name, language_model = self._ask("model")
        return _FarModel(self, name, language_model)

    @property
    def budget(self) -> Budget:
        """What is left."""
        budget: Budget = self._ask("budget")
        return budget

    @property
    def best(self) -> Solution | None:
        """The fastest right solution evaluated so far."""
        best: Solution | None = self._ask("best")
        return best

    @best.setter
    def best(self, solution: Solution | None) -> None:
        raise AttributeError("the judge's word alone makes a version the best")

    def evaluate(self, source: str) -> Feedback:
        """Have the judge judge a candidate."""
        feedback: Feedback = self._ask("evaluate", source)
        return feedback

    def reference(self) -> str:
        """Source of the reference."""
        return str(self._ask("reference"))

    def save(self, name: str, text: str) -> None:
        """Keep a file of the solver's own in the run."""
        self._ask("save", name, text)

    def log(self, event: str, **data: Any) -> None:
        """Add a line to the attempt's transcript."""
        self._ask("log", event, **data)

    def _ask(self, name: str, *args: Any, **kwargs: Any) -> Any:
        import ray

        how, answer = ray.get(self._mailbox.ask.remote(name, args, kwargs))
        if how == "raised":
            raise answer
        return answer


class _FarModel:
    def __init__(self, bench: FarWorkbench, name: str, language_model: bool) -> None:
        self._bench, self.name, self.language_model = bench, name, language_model

    def complete(self, messages: Sequence[Message], *, sample: int = 0) -> Reply:
        """As the model's own."""
        reply: Reply = self._bench._ask("complete", list(messages), sample=sample)
        return reply


class SolverActor:
    """Runs in a Ray worker: one solver at work on one task. An actor, since that can be killed at any moment: to cancel
    a task by force just as it ends can abort the driver (a race in Ray, seen with 2.60)."""

    def solve(self, options: Options, label: str, task: TaskView, facts: _Facts, mailbox: Any) -> tuple[str, Any]:
        """`value` and the solution, or `raised` and the exception."""
        bench = FarWorkbench(mailbox, facts)
        try:
            solver = next(each.solver for each in named_solvers(options) if each.label == label)
            return "value", solver.solve(task, bench)
        except BaseException as error:
            if not isinstance(error, (BudgetSpent, InfrastructureError)):
                bench.log("solver failed there", traceback=traceback.format_exc())
            return "raised", _portable(error)
        finally:
            shutil.rmtree(bench.scratch, ignore_errors=True)


def _portable(error: BaseException) -> BaseException:
    """The exception, or one that tells of it, where it can't be sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


class OnCluster:
    """A solver that works somewhere in the cluster; to an attempt it looks like the solver itself."""

    def __init__(self, named: NamedSolver, options: Options, stopping: threading.Event) -> None:
        """`stopping`: once it is set, what runs is ended."""
        self._inner: Solver = named.solver
        self._label, self._options, self._stopping = named.label, options, stopping

    @property
    def name(self) -> str:
        """As it stands in node ids, records and leaderboards."""
        return self._inner.name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """As the solver's own. Raises InfrastructureError where its node is lost."""
        import ray

        mailbox = ray.remote(Mailbox).options(num_cpus=0).remote()
        facts = _Facts(bench.sample, bench.seed, bench.shows_reference)
        there = ray.remote(SolverActor).options(num_cpus=0, max_restarts=0, scheduling_strategy="SPREAD").remote()
        result = there.solve.remote(self._options, self._label, task, facts, mailbox)
        try:
            with ThreadPoolExecutor(thread_name_prefix="workbench") as pool:
                how, answer = self._serve(bench, mailbox, result, pool)
        except ray.exceptions.RayError as error:
            raise InfrastructureError(
                f"the node on which {self._label} worked was lost ({type(error).__name__})"
            ) from None
        finally:
            ray.kill(there)
            ray.kill(mailbox)
        if how == "raised":
            raise answer
        solution: Solution | None = answer
        return solution

    def _serve(self, bench: Workbench, mailbox: Any, result: Any, pool: ThreadPoolExecutor) -> tuple[str, Any]:
        """Do what the solver asks for until it is done."""
        import ray

        ended: list[Stopped] = []

        def act(number: int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            try:
                answer = "value", _touch(bench, name, args, kwargs)
            except Stopped as stopped:
                ended.append(stopped)
                return
            except BaseException as error:
                answer = "raised", _portable(error)
            mailbox.answer.remote(number, answer)

        request = mailbox.next.remote()
        while True:
            done, _ = ray.wait([result, request], num_returns=1, timeout=1.0)
            if ended or self._stopping.is_set():
                raise Stopped
            if result in done:
                found: tuple[str, Any] = ray.get(result)
                return found
            if request in done:
                pool.submit(act, *ray.get(request))
                request = mailbox.next.remote()


def _touch(bench: Workbench, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    assert name in _ASKED, name
    if name == "model":
        return bench.model.name, bench.model.language_model
    if name == "complete":
        return bench.model.complete(*args, **kwargs)
    found = getattr(bench, name)
    return found(*args, **kwargs) if callable(found) else found
