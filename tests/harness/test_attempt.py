"""One attempt: budgets, solvers that fail or hand in nothing, the journal that answers what was asked before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.attempt import Setting, perform
from harness.errors import InfrastructureError, UsageError
from harness.judge.judge import Judge
from harness.run import Attempt, Record, Run
from harness.solver import Budget, Message, Model, Reply, Solution, Solver, TaskView, Usage, Workbench
from harness.task import Task
from harness.verdict import Outcome, Verdict
from harness.workbench import Bench
from tests.harness import solvers

ATTEMPT = Attempt("toy", "doubled", "tested", "", 1)


class Echo:
    """A model that says what it is asked, at a known or unknown price."""

    name = "echo"
    language_model = True

    def __init__(self, usage: Usage) -> None:
        self.usage, self.calls = usage, 0

    def complete(self, messages: Sequence[Message], *, sample: int = 0) -> Reply:
        """The last message."""
        self.calls += 1
        return Reply(messages[-1].content, usage=self.usage)


class Talking:
    """Talks to the model until something stops it."""

    name = "talking"

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """Never comes back by itself."""
        for number in range(10):
            bench.model.complete([Message("user", f"{number}")])
        raise AssertionError("no budget stopped it")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """An empty run."""
    return Run.create(tmp_path / "run", {})


def attempt_with(
    solver: Solver, run: Run, judge: Judge, task: Task, budget: Budget | None = None, model: Model | None = None
) -> Record:
    """One attempt, recorded."""
    setting = Setting(
        judge=judge, device=judge.device, run=run, model=model, budget=budget or Budget(), environment="e", seed=1
    )
    return perform(ATTEMPT, task, solver, setting)


def outcome(record: Record) -> Outcome:
    """Of the verdict that counts."""
    assert record.status == "judged" and record.verdict is not None
    return record.verdict.outcome


def journal(run: Run) -> list[dict[str, Any]]:
    """What came from outside."""
    return [json.loads(line) for line in (run.sample(ATTEMPT) / "journal.jsonl").read_text().splitlines()]


def test_evaluations_spent_and_the_best_is_graded(run: Run, judge: Judge, doubled: Task) -> None:
    record = attempt_with(solvers.Spender(), run, judge, doubled, Budget(evaluations=2))
    assert outcome(record) is Outcome.RIGHT
    assert record.stopped == "budget spent: evaluations" and record.spent.evaluations == 2
    entries = journal(run)
    assert [each["kind"] for each in entries] == ["evaluation", "evaluation", "grade"]
    best = max(entries[:2], key=lambda each: each["answer"]["speedup"])
    assert record.verdict is not None and record.verdict.digest == best["answer"]["digest"]
    folder = run.sample(ATTEMPT)
    assert sorted(path.name for path in (folder / "versions").iterdir()) == ["001.py", "002.py"]
    assert Solution((folder / "solution.py").read_text()).digest == record.verdict.digest
    assert Verdict.from_json(json.loads((folder / "verdict.json").read_text())) == record.verdict
    assert entries[2]["answer"]["seed"] not in [each["answer"]["seed"] for each in entries[:2]], "judged afresh"


def test_seconds_spent(run: Run, judge: Judge, doubled: Task) -> None:
    record = attempt_with(solvers.Spender(pause=1.5), run, judge, doubled, Budget(seconds=1.0))
    assert outcome(record) is Outcome.RIGHT
    assert record.stopped == "budget spent: seconds" and record.spent.evaluations == 1


@pytest.mark.parametrize(
    ("budget", "usage", "calls", "stopped"),
    [
        (Budget(tokens=25), Usage(1, 6, 4, 0.5), 3, "budget spent: tokens"),
        (Budget(dollars=1.0), Usage(1, 6, 4, 0.5), 2, "budget spent: dollars"),
        (Budget(dollars=1.0), Usage(1, 6, 4, None), 10, "the solver failed: AssertionError: no budget stopped it"),
    ],
    ids=["tokens", "dollars", "unknown price"],
)
def test_model_budget(
    budget: Budget, usage: Usage, calls: int, stopped: str, run: Run, judge: Judge, doubled: Task
) -> None:
    model = Echo(usage)
    record = attempt_with(Talking(), run, judge, doubled, budget, model)
    assert outcome(record) is Outcome.NO_CODE
    assert record.stopped == stopped
    assert model.calls == record.spent.calls == calls
    assert record.spent.dollars == (None if usage.dollars is None else calls * usage.dollars)
    again = Echo(usage)
    assert attempt_with(Talking(), run, judge, doubled, budget, again).spent.calls == calls
    assert again.calls == 0, "answered from the journal"


@pytest.mark.parametrize(
    ("solver", "wanted", "stopped"),
    [
        (solvers.Raising(), Outcome.NO_CODE, "the solver failed: ZeroDivisionError: its own fault"),
        (solvers.Raising(evaluate=True), Outcome.RIGHT, "the solver failed: ZeroDivisionError: its own fault"),
        (solvers.Nothing(), Outcome.NO_CODE, ""),
        (solvers.Nothing(wrong=True), Outcome.VALUES, ""),
        (solvers.Nothing(wrong=True, right=True), Outcome.RIGHT, ""),
    ],
    ids=["raises", "raises after a right one", "nothing", "only a wrong one", "a right one among wrong ones"],
)
def test_a_solver_without_a_solution(
    solver: Solver, wanted: Outcome, stopped: str, run: Run, judge: Judge, doubled: Task
) -> None:
    record = attempt_with(solver, run, judge, doubled)
    assert outcome(record) is wanted
    assert record.stopped == stopped


def test_a_missing_file_is_the_solvers_own_fault(run: Run, judge: Judge, doubled: Task) -> None:
    record = attempt_with(solvers.Missing(), run, judge, doubled)
    assert outcome(record) is Outcome.NO_CODE
    assert record.stopped.startswith("the solver failed: FileNotFoundError")


def test_asked_again_answers_come_from_the_journal(run: Run, judge: Judge, doubled: Task) -> None:
    first = attempt_with(solvers.Versions(), run, judge, doubled)
    before = journal(run)
    with (run.sample(ATTEMPT) / "journal.jsonl").open("ab") as file:
        file.write(b'{"kind": "grade", "key": "torn')
    second = attempt_with(solvers.Versions(), run, judge, doubled)
    assert second.verdict == first.verdict
    assert replace(second.spent, seconds=0.0) == replace(first.spent, seconds=0.0)
    text = (run.sample(ATTEMPT) / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in text if not line.endswith("torn")] == before
    more = attempt_with(solvers.Versions(versions=4), run, judge, doubled)
    assert more.spent.evaluations == 4
    kinds = [each["kind"] for each in map(json.loads, (line for line in _whole(run)))]
    assert kinds == [*(each["kind"] for each in before), "evaluation", "grade"]


def _whole(run: Run) -> list[str]:
    lines = (run.sample(ATTEMPT) / "journal.jsonl").read_text().splitlines()
    return [line for line in lines if line and not line.endswith("torn")]


def test_what_a_solver_may_not_see(run: Run, judge: Judge, doubled: Task) -> None:
    seen: dict[str, Any] = {}

    class Curious:
        name = "curious"

        def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
            seen.update(vars(task), scratch=bench.scratch, shows=bench.shows_reference)
            with pytest.raises(UsageError, match="does not show the reference"):
                bench.reference()
            with pytest.raises(UsageError, match="--model"):
                _ = bench.model
            assert bench.scratch.is_dir()
            return None

    record = attempt_with(Curious(), run, judge, doubled)
    assert outcome(record) is Outcome.NO_CODE and record.stopped == ""
    assert seen["shows"] is False and not seen["scratch"].exists()
    told = [seen[name] for name in ("instruction", "signature", "outputs", "entry_point", "device")]
    assert told == [doubled.instruction, doubled.signature, doubled.outputs, "doubled", judge.device.name]
    assert not {"reference", "cases", "workloads", "tolerance", "digest", "folder"} & seen.keys()


def test_trouble_three_times_is_owed(run: Run, judge: Judge, doubled: Task, tmp_path: Path) -> None:
    solver = solvers.Troubled(tmp_path / "met", times=3)
    with pytest.raises(InfrastructureError, match="overloaded"):
        attempt_with(solver, run, judge, doubled)
    (record,) = run.records()
    assert record.status == "owed" and record.verdict is None and run.judged() == {}
    attempt_with(solver, run, judge, doubled)
    assert list(run.judged()) == [ATTEMPT.id] and len(run.records()) == 1


def test_a_resumed_attempt_goes_on_with_the_numbers_of_its_judgements(tmp_path: Path) -> None:
    seen: list[int] = []

    def resumed(sources: list[str]) -> None:
        def judge(source: str) -> Verdict:
            seen.append(bench.judgements)
            return Verdict(Outcome.VALUES, "wrong")

        bench = Bench(folder=tmp_path, judge=judge, model=None, budget=Budget(), seed=1)
        for source in sources:
            bench.evaluate(source)
        bench.close()

    resumed(["a", "b"])
    resumed(["a", "b", "c"])
    assert seen == [1, 2, 3], "what the journal has is counted, and not judged again"
