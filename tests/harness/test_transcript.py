"""The conversation of an attempt as Markdown, and the outcome of an answer that was cut."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.attempt import Setting, perform
from harness.errors import InfrastructureError
from harness.judge.judge import Judge
from harness.run import Attempt, Record, Run
from harness.solver import Budget, Message, Reply, Solution, TaskView, Usage, Workbench
from harness.task import Task
from harness.transcript import Transcript, fenced, section
from harness.verdict import STAGE_OF, Outcome, Stage, Verdict
from harness.workbench import Bench

USAGE = Usage(1, 1200, 300, 0.5, 1.25, cached_tokens=1000)


def bench_in(folder: Path, model: object = None) -> Bench:
    """A workbench with nothing to judge."""
    folder.mkdir(exist_ok=True)
    return Bench(folder=folder, judge=lambda _: Verdict(Outcome.VALUES, ""), model=model, budget=Budget(), seed=0)  # type: ignore[arg-type]


class Saying:
    """A model that gives its answers in turn, each with how it ended."""

    name = "saying"
    language_model = True

    def __init__(self, *answers: tuple[str, str]) -> None:
        self.answers = list(answers)

    def complete(self, messages: Sequence[Message], *, sample: int = 0) -> Reply:
        """The next one."""
        text, finish = self.answers.pop(0)
        return Reply(text, finish, USAGE, "saying-001")


class Asking:
    """Asks so many times, then hands in what it was given, fails, or has nothing."""

    name = "asking"

    def __init__(self, times: int, source: str = "", fails: bool = False) -> None:
        self.times, self.source, self.fails = times, source, fails

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """After all its questions."""
        for number in range(self.times):
            bench.model.complete([Message("user", f"{number}")])
        if self.fails:
            raise ZeroDivisionError
        return Solution(self.source) if self.source else None


def test_a_section() -> None:
    messages = [Message("system", "be brief"), Message("user", "Role: early\nwrite ``` code\nRole: generator\n")]
    text = section(3, messages, 7, Reply("````\nx", "length", USAGE, "tiny-001", cached=True))
    assert text == (
        "## Call 3\n\nRole: generator\n\n"
        "model tiny-001; sample 7; 1200 prompt tokens (1000 cached), 300 completion tokens (unknown reasoning); 1.2 s; "
        "finish reason length; from the cache\n\n"
        "### system\n\n```text\nbe brief\n```\n\n"
        "### user\n\n````text\nRole: early\nwrite ``` code\nRole: generator\n````\n\n"
        "### answer\n\n`````text\n````\nx\n`````\n\n"
    )


@pytest.mark.parametrize("text", ["", "\n", "```", "a ````` b\n``", "~~~", "\r\n```\r\n"])
def test_nothing_inside_closes_a_fence(text: str) -> None:
    whole = fenced(text)
    fence = re.match("`+", whole)
    assert fence is not None and len(fence[0]) >= 3
    assert fence[0] not in text and whole.endswith("\n" + fence[0])
    assert whole[len(fence[0]) + len("text\n") : -len(fence[0])].removesuffix("\n") == text.removesuffix("\n")


def test_no_file_before_the_first_call_and_none_of_an_earlier_try(tmp_path: Path) -> None:
    path = tmp_path / "transcript.md"
    path.write_text("of an earlier try")
    transcript = Transcript(path)
    assert not path.exists()
    transcript.add([Message("user", "\ud800 x\r\n")], 0, Reply("ok"))
    assert "\\ud800 x\r\n" in path.read_bytes().decode(), "at once, and as it was"
    transcript.add([], 0, Reply("again"))
    transcript.close()
    transcript.close()
    assert re.findall("## Call .", path.read_text()) == ["## Call 1", "## Call 2"]


def test_every_call_of_an_attempt(tmp_path: Path) -> None:
    model = Saying(*((f"answer {number}", "stop") for number in range(40)))
    bench = bench_in(tmp_path, model)
    threads = [
        threading.Thread(target=lambda: [bench.model.complete([Message("user", "Role: r")]) for _ in range(10)])
        for _ in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    bench.close()
    text = (tmp_path / "transcript.md").read_text()
    assert re.findall(r"^## Call (\d+)$", text, re.MULTILINE) == [str(number) for number in range(1, 41)]
    events = [json.loads(line) for line in (tmp_path / "transcript.jsonl").read_text().splitlines()]
    assert re.findall(r"^answer \d+$", text, re.MULTILINE) == [each["reply"]["text"] for each in events]


def test_answers_from_the_journal_are_told_again(tmp_path: Path) -> None:
    for model in (Saying(("one", "stop")), Saying()):
        bench = bench_in(tmp_path, model)
        bench.model.complete([Message("user", "?")])
        bench.close()
        assert (tmp_path / "transcript.md").read_text().count("## Call") == 1


def attempt_with(solver: Asking, model: Saying, folder: Path, judge: Judge, task: Task, budget: Budget) -> Record:
    """One attempt in a run of its own."""
    run = Run.create(folder, {})
    setting = Setting(judge=judge, device=judge.device, run=run, model=model, budget=budget, environment="e", seed=1)
    return perform(Attempt("toy", "doubled", "asking", "saying", 1), task, solver, setting)


@pytest.mark.parametrize(
    ("finishes", "solver", "budget", "outcome", "said"),
    [
        (("length",), Asking(1), Budget(), Outcome.CUT, "max_tokens may be too low"),
        (("stop", "length"), Asking(2), Budget(), Outcome.CUT, "cut at its length limit"),
        (("length", "stop"), Asking(2), Budget(), Outcome.NO_CODE, "gave no solution"),
        (("stop",), Asking(1), Budget(), Outcome.NO_CODE, "gave no solution"),
        (("length",), Asking(2), Budget(tokens=1), Outcome.CUT, r"\(budget spent: tokens\)"),
        (("length",), Asking(1, fails=True), Budget(), Outcome.NO_CODE, "ZeroDivisionError"),
        (("length",), Asking(1, "def doubled("), Budget(), Outcome.SYNTAX, ""),
    ],
    ids=["cut", "the last one cut", "not the last one", "whole", "and the budget spent", "failed by itself", "code"],
)
def test_an_answer_that_was_cut(
    finishes: tuple[str, ...],
    solver: Asking,
    budget: Budget,
    outcome: Outcome,
    said: str,
    tmp_path: Path,
    judge: Judge,
    doubled: Task,
) -> None:
    model = Saying(*(("some words", each) for each in finishes))
    record = attempt_with(solver, model, tmp_path / "run", judge, doubled, budget)
    assert record.status == "judged" and record.verdict is not None
    assert record.verdict.outcome is outcome and re.search(said, record.verdict.reason)
    assert Verdict.from_json(json.loads(json.dumps(record.verdict.to_json()))) == record.verdict


def test_cut_denies_the_first_stage() -> None:
    assert STAGE_OF[Outcome.CUT] is Stage.CALL and Outcome("answer cut") is Outcome.CUT
    assert set(STAGE_OF) == set(Outcome)


def test_a_full_disk_is_owed(tmp_path: Path, judge: Judge, doubled: Task) -> None:
    """As for the other files of an attempt: trouble of the machine, never a wrong kernel."""
    run = Run.create(tmp_path / "run", {})
    attempt = Attempt("toy", "doubled", "asking", "saying", 1)
    (run.sample(attempt) / "transcript.md").unlink(missing_ok=True)

    class Filling(Asking):
        """Makes the disk full, as far as this file goes, before it asks."""

        def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
            os.symlink("/dev/full", run.sample(attempt) / "transcript.md")
            return super().solve(task, bench)

    model = Saying(*[("x", "stop")] * 3)
    setting = Setting(judge=judge, device=judge.device, run=run, model=model, budget=Budget(), environment="e", seed=1)
    with pytest.raises(InfrastructureError, match="make room"):
        perform(attempt, doubled, Filling(1), setting)
    (record,) = run.records()
    assert record.status == "owed" and run.judged() == {}
