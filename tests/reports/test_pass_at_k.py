"""pass@k over several runs, each a file of answers of one model, and over samples."""

from __future__ import annotations

from typing import Any

import pytest

from harness.errors import UsageError
from harness.verdict import Outcome, Verdict
from reports.cli import main
from reports.pass_at_k import read, tables
from reports.table import Table


def said(outcome: Outcome, *rules: bool) -> Verdict:
    return Verdict(outcome, "so", rules=dict(zip(("paper call", "paper execution", "value"), rules, strict=False)))


RIGHT, WRONG = said(Outcome.RIGHT, True, True, True), said(Outcome.VALUES, True, False, False)
CHEATS = said(Outcome.NO_TRITON, True, True, True)


def cells(table: Table, header: str) -> list[str]:
    column = next(each for each in table.columns if each.header == header)
    return [each.split(" ")[0] for each in column.cells]


@pytest.fixture
def runs(build: Any) -> list[Any]:
    answers = [{"a": RIGHT, "b": WRONG, "c": CHEATS}, {"a": WRONG, "b": None, "c": WRONG}]
    return [
        build.run([(build.attempt(task, solver="replay"), each) for task, each in file.items()]) for file in answers
    ]


def test_files_of_answers_are_samples(runs: list[Any]) -> None:
    (table,) = tables(read([run.folder for run in runs]))
    assert cells(table, "k") == ["1", "2"]
    assert cells(table, "execution %") == ["16.7", "33.3"], "one of two answers to one of three tasks"
    assert cells(table, "execution\npaper %") == ["33.3", "66.7"]
    assert cells(table, "call %") == ["83.3", "100.0"], "what is owed did not run"
    assert "3 tasks, 6 answers" in table.facts


def test_samples_of_one_run_count_too_and_other_rules_are_left_out(build: Any) -> None:
    plan = [(build.attempt("a", sample=n), Verdict(Outcome.RIGHT if n == 2 else Outcome.VALUES, "so")) for n in (1, 2)]
    (table,) = tables(read([build.run(plan).folder]))
    assert [each.header for each in table.columns] == ["k", "call %", "execution %"]
    assert cells(table, "execution %") == ["50.0", "100.0"]


def test_one_answer_a_task_says_nothing(runs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="a single attempt"):
        read([runs[0].folder])
    assert main(["pass-at-k", str(runs[0].folder)]) == 2
    assert main(["pass-at-k", *(str(run.folder) for run in runs), "--format=markdown"]) == 0
    assert "33.3" in capsys.readouterr().out


def test_files_that_one_run_judged_are_joined_by_name(build: Any, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"replay:predictions=one_simp.jsonl": RIGHT, "replay:predictions=one_comp.jsonl": WRONG, "nop": WRONG}
    run = build.run([(build.attempt(task, solver=name), each) for name, each in files.items() for task in "ab"])
    with pytest.raises(UsageError, match="a single attempt"):
        read([run.folder])
    (table,) = tables(read([run.folder], of=["=one_"]))
    assert cells(table, "execution %") == ["50.0", "100.0"] and "2 tasks, 4 answers" in table.facts
    assert len(tables(read([run.folder], of=["one", "replay"]))) == 2
    assert main(["pass-at-k", str(run.folder), "--of=two"]) == 2
    assert "no solver of" in capsys.readouterr().err
