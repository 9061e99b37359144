"""The plug-in under pytest's own options: three tests an attempt, header, summary, -k, -x, --lf, --junitxml, -q, -n."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import harness
from tests.harness.commands import SOLVERS, Warm
from tests.harness.suites import write_suite

STAGES = ("call_accuracy", "execution_accuracy", "speedup")


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Path:
    """A suite of two tasks in pytester's folder."""
    return write_suite(pytester.path / "suite", {"doubled": 2, "tripled": 3})


def run(pytester: pytest.Pytester, *arguments: object) -> pytest.RunResult:
    """One command, in a process of its own."""
    return pytester.runpytest_subprocess(*map(str, arguments), timeout=120)


def test_three_tests_an_attempt_with_header_and_summary(pytester: pytest.Pytester, suite: Path) -> None:
    result = run(pytester, suite, "--solver=reference", "--solver=nop", "--run-dir=run", "-vrs", "--junitxml=junit.xml")
    result.assert_outcomes(passed=8, failed=2, skipped=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    out = result.stdout
    about = json.loads((pytester.path / "run" / "run.json").read_text())
    out.fnmatch_lines(
        [
            f"suite: toy 1, 2 tasks ({about['suites'][0]['digest'][:12]})",
            "device: interpreter (*times are marked interpreted*); torch *, triton *",
            f"isolation: {about['environment']['isolation']}",
            "solvers: reference, nop",
        ]
    )
    out.no_fnmatch_line("model: *")
    assert about["harness"] == harness.__version__
    ids = re.findall(r"test_toy\.py::test_(\w+)\[([\w-]+)\]", out.str().partition("leaderboard")[0])
    attempts = ["doubled-reference", "doubled-nop", "tripled-reference", "tripled-nop"]
    assert ids == [(stage, attempt) for attempt in attempts for stage in STAGES], "in order, attempt by attempt"
    out.fnmatch_lines(["*test_execution_accuracy[[]doubled-nop[]] FAILED*"])
    out.fnmatch_lines(["SKIPPED * not reached, stopped at execution: wrong *"])
    out.fnmatch_lines(["*= leaderboard =*", "reference*100.0*", f"report: {pytester.path}/run/report/report.html"])
    out.fnmatch_lines([f"run: {pytester.path}/run"])
    out.fnmatch_lines(["wrong *: on n=*"])  # a wrong kernel's failure is one sentence, no traceback
    assert "attempt.require" not in out.str()
    cases = list(ET.parse(pytester.path / "junit.xml").iter("testcase"))
    assert len(cases) == 12
    assert sum(case.find("failure") is not None for case in cases) == 2
    assert sum(case.find("skipped") is not None for case in cases) == 2


def test_selection_by_keyword_first_failure_and_last_failed(pytester: pytest.Pytester, suite: Path) -> None:
    result = run(pytester, suite, "--solver=nop", "--solver=reference", "-k", "doubled", "-x", "--run-dir=a")
    result.assert_outcomes(passed=1, failed=1, deselected=6)
    plan = json.loads((pytester.path / "a" / "run.json").read_text())["plan"]
    assert [(each["task"], each["solver"]) for each in plan] == [("doubled", "nop"), ("doubled", "reference")]
    result = run(pytester, suite, "--solver=nop", "--solver=reference", "--lf", "--run-dir=b", "-q")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED suite/test_toy.py::test_execution_accuracy[[]doubled-nop[]]*", "1 failed*"])
    result.stdout.no_fnmatch_line("solvers: *")
    lines = (pytester.path / "b" / "results.jsonl").read_text().splitlines()
    assert len(lines) == 1, "only the attempt whose test was selected was run"


def test_xdist_records_each_attempt_once(pytester: pytest.Pytester, suite: Path) -> None:
    result = run(pytester, suite, "--solver=reference", "--solver=nop", "--samples=2", "-n", "2", "--run-dir=run")
    result.assert_outcomes(passed=16, failed=4, skipped=4)
    result.stdout.fnmatch_lines(["*= leaderboard =*", f"run: {pytester.path}/run"])
    about = json.loads((pytester.path / "run" / "run.json").read_text())
    assert len(about["plan"]) == 8 and about["options"]["samples"] == 2
    rows = [json.loads(line) for line in (pytester.path / "run" / "results.jsonl").read_text().splitlines()]
    keys = [(row["attempt"]["task"], row["attempt"]["solver"], row["attempt"]["sample"]) for row in rows]
    assert sorted(keys) == sorted(
        (task, solver, sample)
        for task in ("doubled", "tripled")
        for solver in ("reference", "nop")
        for sample in (1, 2)
    )
    assert sorted(path.name for path in pytester.path.iterdir() if path.name.startswith("runs")) == []


def test_collecting_makes_nothing(two: Path, warm: Warm) -> None:
    here = two.parent
    ran = warm.pytest(two, f"--solver={SOLVERS}:Versions:versions=2", "--samples=2", "--collect-only", "-q", cwd=here)
    lines = [line for line in ran.lines if "::" in line]
    assert lines[:3] == [f"suite/test_toy.py::test_{stage}[doubled-versions:versions=2-1]" for stage in STAGES]
    assert len(lines) == 12
    ran = warm.pytest("suite/test_toy.py::test_speedup", "--solver=nop", "--collect-only", "-q", cwd=here)
    assert [line for line in ran.lines if "::" in line] == [
        f"suite/test_toy.py::test_speedup[{task}-nop]" for task in ("doubled", "tripled")
    ]
    assert not (here / "runs").exists()


def test_a_folder_of_suites_needs_no_solver_but_runs_with_one(two: Path, warm: Warm) -> None:
    here = two.parent
    (here / "test_other.py").write_text("def test_it(): pass\n")
    ran = warm.pytest(".", cwd=here)
    assert ran.code == 0 and "1 passed, 3 skipped" in ran.text, ran.text
    ran = warm.pytest(".", "--solver=nop", "-k", "tripled", "-x", cwd=here)
    assert ran.code == 1 and "1 failed, 1 passed, 4 deselected" in ran.text, ran.text
    (made,) = (here / "runs").iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}-toy-nop-\d+", made.name)
