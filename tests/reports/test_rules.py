"""Three rules side by side, every planned attempt in every denominator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.verdict import Outcome, Verdict
from reports.cli import main
from reports.rules import read, table


def _said(outcome: Outcome, *rules: bool) -> Verdict:
    names = ("paper call", "paper execution", "value")
    return Verdict(outcome, "so", rules=dict(zip(names, rules, strict=False)))


@pytest.fixture
def run(build: Any) -> Any:
    verdicts = [
        _said(Outcome.RIGHT, True, True, True),
        _said(Outcome.NO_TRITON, True, True, True),
        _said(Outcome.VALUES, True, True, False),
        _said(Outcome.EXIT, True, True, False),
        _said(Outcome.CALL_ERROR, False, False, False),
        _said(Outcome.SYNTAX, False, False, False),
        _said(Outcome.NO_CODE),
        _said(Outcome.UNSUPPORTED),
    ]
    attempts = [(build.attempt(f"task {n}", solver="replay"), each) for n, each in enumerate(verdicts)]
    return build.run([*attempts, (build.attempt("owed", solver="replay"), None)])


def test_what_each_rule_lets_pass(run: Any) -> None:
    (row,) = read([run.folder])
    assert (row.attempts, row.unjudged) == (9, 1)
    assert list(row.passed.values()) == [6, 4, 3, 4, 2, 1]
    made = table([row])
    assert made.columns[-1].cells == ("33.3",), "three of nine: the paper's rule asks less"
    assert [column.cells[0].split(" ")[0] for column in made.columns[3:-1]] == [
        "66.7",
        "44.4",
        "33.3",
        "44.4",
        "22.2",
        "11.1",
    ]


def test_the_command_prints_it(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", str(run.folder), "--format=markdown"]) == 0
    assert "44.4" in capsys.readouterr().out


def test_a_file_of_answers_is_named_by_itself(build: Any) -> None:
    label = "replay:predictions=output_gpt-4o_simp.jsonl"
    run = build.run([(build.attempt(solver=label, model=""), _said(Outcome.RIGHT, True, True, True))])
    assert [row.label for row in read([run.folder])] == ["rocm output_gpt-4o_simp"]


def test_a_run_of_another_suite_is_refused(build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run([(build.attempt("softmax"), replace(verdict(1.5), rules={}))])
    with pytest.raises(UsageError, match="only pytest suites/published records them"):
        read([Path(run.folder)])
