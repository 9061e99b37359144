"""Curves over turns: recounted by hand from transcripts, with every planned attempt in the denominator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.run import Attempt, Run
from reports.cli import main
from reports.scaling import instances_table, pass_at_k, read, tables, turns_table
from reports.table import Table
from tests.reports.conftest import INTERPRETER, Builder

Turn = tuple[int, int, bool, bool, float | None]
"""Instance, turn, did it run, was it right, speedup."""


def write(run: Run, attempt: Attempt, *turns: Turn) -> None:
    with (run.sample(attempt) / "transcript.jsonl").open("w") as file:
        file.write('{"event": "geak"}\n')
        for instance, turn, ran, right, speedup in turns:
            version = {"feedback": {"call": ran}, "right": right, "speedup": speedup}
            file.write(json.dumps({"event": "turn", "instance": instance, "turn": turn, "version": version}) + "\n")
        file.write('{"event": "turn", "turn": 2}\n{"event": "tu')


def cells(table: Table | None, header: str) -> list[str]:
    assert table is not None
    return [cell.partition(" ")[0] for cell in next(each.cells for each in table.columns if each.header == header)]


def test_the_curve_is_what_turns_had_brought_until_then(build: Builder) -> None:
    quick, late, never, owed = (build.attempt(task) for task in ("a", "b", "c", "d"))
    run = build.run(plan=[quick, late, never, owed])
    write(run, quick, (0, 1, True, True, 2.0), (0, 2, True, True, 1.0), (0, 3, True, True, 8.0))
    write(run, late, (0, 1, False, False, None), (0, 2, True, False, None), (0, 3, True, True, 0.5))
    write(run, never, (0, 1, False, False, None))
    (lines,) = read([run.folder])
    table = turns_table(lines)
    assert cells(table, "turn") == ["1", "2", "3"]
    assert cells(table, "call %") == ["25.0", "50.0", "50.0"]
    assert cells(table, "execution %") == ["25.0", "25.0", "50.0"]
    assert cells(table, "speedup") == ["2.000", "2.000", "2.000"], "sqrt(8 * 0.5) in the end"
    assert cells(table, "failures\n= 1") == ["1.189", "1.189", "1.414"], "the fourth root of 2, and of 4"
    assert instances_table(lines) is None


def test_instances_are_counted_by_task(build: Builder) -> None:
    first, second = build.attempt("a"), build.attempt("b")
    run = build.run(plan=[first, second])
    write(run, first, (0, 1, True, True, 1.0), (1, 1, False, False, None), (2, 1, True, True, 3.0))
    write(run, second, *((number, 1, True, False, None) for number in range(3)))
    (lines,) = read([run.folder])
    assert cells(instances_table(lines), "pass@k %") == ["33.3", "50.0", "50.0"]
    assert cells(turns_table(lines), "speedup") == ["3.000"], "the best of all instances"


def test_samples_are_instances_too(build: Builder) -> None:
    plan = [build.attempt("a", sample=number) for number in (1, 2)]
    run = build.run(plan=plan)
    write(run, plan[0], (0, 1, True, True, 1.0))
    (lines,) = read([run.folder])
    assert cells(instances_table(lines), "pass@k %") == ["50.0", "100.0"], "an attempt without turns failed"


def test_pass_at_k() -> None:
    assert [pass_at_k(4, 2, k) for k in (1, 2, 3)] == [0.5, pytest.approx(5 / 6), 1.0]
    assert pass_at_k(3, 0, 3) == 0.0


def test_solvers_and_models_have_curves_of_their_own(build: Builder, capsys: pytest.CaptureFixture[str]) -> None:
    plan = [
        build.attempt(solver=solver, model=model) for solver, model in (("geak", "m1"), ("geak", "m2"), ("nop", ""))
    ]
    run = build.run(plan=plan, environment=INTERPRETER)
    for attempt in plan[:2]:
        write(run, attempt, (0, 1, True, True, 1.0))
    assert [each.title for each in tables(read([run.folder]))] == ["Turns: geak, m1", "Turns: geak, m2"]
    assert main(["scaling", str(run.folder)]) == 0
    assert "they say nothing of speed on a GPU" in capsys.readouterr().out


def test_a_run_without_turns(build: Builder, tmp_path: Path) -> None:
    run = build.run(plan=[build.attempt(solver="nop")])
    with pytest.raises(UsageError, match="no transcript tells of turns"):
        read([run.folder])
    with pytest.raises(UsageError):
        read([tmp_path / "nowhere"])
