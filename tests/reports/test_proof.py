"""The doctor's table over several runs: what one device finds counts for the other, and nothing stale counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.doctor.finding import Check, Finding, Result
from harness.doctor.record import DoctorRun
from harness.errors import UsageError
from reports.proof import Proof, ProofReport, checks_table, survivors_table, tables, workloads_table
from reports.render import markdown
from reports.table import Table
from tests.reports.conftest import ENVIRONMENT, INTERPRETER

WORKLOAD = {
    "workload": "n=8",
    "reference_us": 100.0,
    "limit_us": 80.0,
    "fraction": 0.8,
    "speedup": 1.001,
    "low": 0.998,
    "high": 1.004,
    "eager_us": 120.0,
    "compiled_us": None,
    "without": "",
}
FIGURES: dict[Check, dict[str, Any]] = {
    Check.PAGE: {"tolerance": "rounding"},
    Check.CASES: {"cases": 9},
    Check.NULLS: {"zeros": {"right": 0, "cases": 9}},
    Check.REFERENCE: {"seeds": 25},
    Check.MUTANTS: {"killed": ["a", "b"], "survived": [], "equivalent": [], "unreached": [], "stillborn": []},
    Check.LIMIT: {"workloads": [WORKLOAD], "best_fraction": 0.8},
}


def finding(check: Check, environment: dict[str, Any], task: str = "softmax", **more: Any) -> Finding:
    values: dict[str, Any] = {
        "suite": "rocm",
        "task": task,
        "task_digest": "d1" * 32,
        "check": check,
        "result": Result.PROVEN,
        "sentences": ("fine",),
        "device": environment["device"],
        "device_kind": environment["device_kind"],
        "environment": environment["digest"],
        "level": 3,
        "category": "softmax",
        "figures": FIGURES[check],
        "finished": "2026-11-25T10:00:00+00:00",
    }
    return Finding(**{**values, **more})


def run(folder: Path, environment: dict[str, Any], *found: Finding, tasks: tuple[str, ...] = ("softmax",)) -> Path:
    about = {"environment": environment, "created": "2026-11-25T09:00:00", "suites": [{"name": "rocm", "tasks": tasks}]}
    made = DoctorRun.create(folder, about)
    for each in found:
        made.append(each)
    return folder


def everything(environment: dict[str, Any], **more: Any) -> list[Finding]:
    gpu = environment is ENVIRONMENT
    return [finding(check, environment, **more) for check in Check if gpu or check is not Check.LIMIT]


def column(table: Table, header: str) -> tuple[str, ...]:
    return next(each.cells for each in table.columns if each.header == header)


def test_a_task_is_proven_where_every_check_is_on_every_device(tmp_path: Path) -> None:
    both = [
        run(tmp_path / "cpu", INTERPRETER, *everything(INTERPRETER)),
        run(tmp_path / "gpu", ENVIRONMENT, *everything(ENVIRONMENT)),
    ]
    table = checks_table(Proof.read(both))
    assert "1 of 1 tasks are proven on interpreter and cuda" in table.facts
    assert column(table, "reference\ninterpreter") == column(table, "reference\nGPU") == ("25 seeds",)
    assert column(table, "limit") == ("80%",)
    assert any("NVIDIA H200" in fact for fact in table.facts)


def test_a_missing_check_or_task_is_not_proven(tmp_path: Path) -> None:
    found = everything(INTERPRETER)[:-1]
    proof = Proof.read([run(tmp_path / "cpu", INTERPRETER, *found, tasks=("softmax", "gemm"))])
    table = checks_table(proof)
    assert "0 of 2 tasks are proven on interpreter" in table.facts
    assert column(table, "task") == ("gemm", "softmax")
    assert column(table, "page") == ("-", "rounding")


def test_the_newest_digest_counts_alone(tmp_path: Path) -> None:
    old = everything(INTERPRETER)
    new = finding(Check.PAGE, INTERPRETER, task_digest="d2" * 32, finished="2026-11-25T11:00:00+00:00")
    table = checks_table(Proof.read([run(tmp_path / "cpu", INTERPRETER, *old, new)]))
    assert column(table, "digest") == ("d2d2d2d2",)
    assert "0 of 1 tasks are proven on interpreter" in table.facts
    assert all(each.header in ("task", "digest", "level", "page") for each in table.columns)


def test_a_mutant_is_killed_where_one_device_kills_it(tmp_path: Path) -> None:
    cpu = {**FIGURES[Check.MUTANTS], "killed": ["a"], "survived": ["c"], "unreached": ["b", "u"], "equivalent": ["e"]}
    gpu = {
        **FIGURES[Check.MUTANTS],
        "killed": ["b", "c"],
        "survived": ["s", "a"],
        "unreached": ["u"],
        "stillborn": ["x"],
    }
    proof = Proof.read(
        [
            run(
                tmp_path / "cpu",
                INTERPRETER,
                finding(Check.MUTANTS, INTERPRETER, figures={**cpu, "reasons": {"e": "why"}}),
            ),
            run(
                tmp_path / "gpu",
                ENVIRONMENT,
                finding(Check.MUTANTS, ENVIRONMENT, figures=gpu, result=Result.FAILED, sentences=("survived: s",)),
            ),
        ]
    )
    table = checks_table(proof)
    assert "mutants: 3 of 5 killed (60.0%)" in table.facts
    assert column(table, "mutants\nGPU") == ("2/4 FAILED",)
    survivors = survivors_table(proof)
    assert sorted(column(survivors, "mutant")) == ["e", "s", "u"]
    assert "equivalent: why" in column(survivors, "what it is")


def test_workloads_stand_beside_the_limit_and_pytorch(tmp_path: Path) -> None:
    short = {**WORKLOAD, "workload": "n=1", "reference_us": 5.0, "fraction": 0.1}
    slow = {**WORKLOAD, "workload": "n=2", "fraction": 0.6}
    figures = {"workloads": [WORKLOAD, short], "best_fraction": 0.8}
    other = {"workloads": [slow], "best_fraction": 0.6}
    proof = Proof.read(
        [
            run(
                tmp_path / "gpu",
                ENVIRONMENT,
                finding(Check.LIMIT, ENVIRONMENT, figures=figures),
                finding(Check.LIMIT, ENVIRONMENT, "gemm", figures=other),
                tasks=("gemm", "softmax"),
            )
        ]
    )
    table = workloads_table(proof)
    assert "1 of 2 references reach 70%" in table.facts[0]
    assert column(table, "workload") == ("n=2", "n=8", "n=1")
    assert column(table, "% of\nlimit") == ("60", "80", "10")
    assert column(table, "eager\nµs") == ("120", "120", "120") and column(table, "compiled\nµs") == ("-", "-", "-")
    assert column(table, "") == ("", "", "launch-bound")


def test_waivers_are_listed_with_their_reasons(tmp_path: Path) -> None:
    waived = finding(Check.CASES, INTERPRETER, result=Result.WAIVED, sentences=("strided: contiguous by contract",))
    proof = Proof.read([run(tmp_path / "cpu", INTERPRETER, waived)])
    page = markdown(tables(proof))
    assert "9 (w)" in page and "strided: contiguous by contract" in page


def test_torn_and_strange_lines_are_passed_over(tmp_path: Path) -> None:
    folder = run(tmp_path / "cpu", INTERPRETER, finding(Check.PAGE, INTERPRETER))
    with (folder / "findings.jsonl").open("a") as file:
        file.write('{"check": "tea leaves"}\n[1]\n{"task": "soft')
    DoctorRun.open(folder).append(finding(Check.CASES, INTERPRETER))
    assert [each.check for each in DoctorRun.open(folder).findings()] == [Check.PAGE, Check.CASES]


def test_the_report_is_a_pure_function_of_the_run(tmp_path: Path) -> None:
    folder = run(tmp_path / "cpu", INTERPRETER, *everything(INTERPRETER))
    first = ProofReport.write(folder).read_text()
    assert ProofReport.write(folder).read_text() == first
    assert "softmax" in ProofReport.summary(folder, 100)


@pytest.mark.parametrize("text", ["{", '{"schema": 99}', "[]"])
def test_an_unreadable_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "doctor.json").write_text(text)
    with pytest.raises(UsageError):
        Proof.read([tmp_path])
