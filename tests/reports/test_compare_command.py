"""`kernel-assay compare`: what it prints in each form, and its exit codes."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.verdict import Outcome
from reports.cli import main
from reports.write import LeaderboardReport
from tests.reports.conftest import INTERPRETER

TASKS = 10


@pytest.fixture
def make(build: Any, verdict: Callable[..., Any]) -> Callable[..., str]:
    """A run whose first tasks are wrong, the others as fast as said; returns its folder."""

    def run(wrong: int = 0, speed: float = 1.0, solver: str = "geak", tasks: int = TASKS, **about: Any) -> str:
        clock = "interpreted" if about else "device"
        verdicts = [verdict(Outcome.VALUES) if n < wrong else verdict(speed, clock=clock) for n in range(tasks)]
        attempts = [build.attempt(f"task{n}", solver) for n in range(tasks)]
        return str(build.run(list(zip(attempts, verdicts, strict=True)), **about).folder)

    return run


def test_exit_code_is_one_exactly_where_a_regression_is_shown(
    make: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    base, worse, slower = make(), make(wrong=8), make(speed=0.9)
    for arguments, code, says in (
        ([base, worse], 1, "worse: execution 100.0 % to 20.0 %"),
        ([worse, base], 0, "better: execution 20.0 % to 100.0 %"),
        ([base, make()], 0, "no difference shown"),
        ([base, slower], 1, "worse: speed ×0.900"),
        ([base, slower, "--threshold=0.15"], 0, "no difference by more than 0.15 shown"),
        ([base, make(wrong=6), "--confidence=0.9"], 1, "worse: execution"),
        ([base, make(wrong=6), "--confidence=0.995"], 0, "no difference shown"),
    ):
        assert main(["compare", *arguments]) == code, arguments
        out, err = capsys.readouterr()
        assert err == "" and f"geak m1, 10 tasks: {says}" in " ".join(out.split()), out


def test_the_whole_is_told_in_every_form(
    make: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, new = make(), make(wrong=8)
    assert main(["compare", base, new]) == 1
    out = capsys.readouterr().out
    assert out.startswith("Comparison\ngeak m1, 10 tasks: worse: execution") and "Tasks that changed" in out
    assert "newly broken: task0, task1, task2, task3, task4, task5, task6, task7\n" in out and "exact" in out
    assert max(map(len, out.splitlines())) <= 120
    assert main(["compare", base, new, "--format=markdown"]) == 1
    assert "## Comparison" in capsys.readouterr().out
    assert main(["compare", base, new, "-o", str(tmp_path / "c.csv")]) == 1 and capsys.readouterr().out == ""
    rows = pd.read_csv(tmp_path / "c.csv")
    figures = rows[rows["measure"] == "execution"].iloc[0]
    assert (figures["base"], figures["new"], figures["verdict"]) == (1.0, 0.2, "worse")
    assert figures["p_worse"] == pytest.approx(0.5**8) and figures["p_worse_corrected"] >= figures["p_worse"]
    assert list(rows[rows["verdict"] == "broken"]["task"]) == [f"task{n}" for n in range(8)]


def test_interpreted_times_share_no_name_with_those_of_a_device(
    make: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    base, new = (make(speed=speed, environment=INTERPRETER) for speed in (1.0, 0.9))
    assert main(["compare", base, new, "--format=csv"]) == 1
    rows = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert list(rows["measure"]) == ["call", "execution", "interpreted_speed"] and rows["change"].iloc[2] < 1
    assert main(["compare", base, new]) == 1 and "interpreted" in capsys.readouterr().out
    assert main(["compare", make(), new]) == 0
    assert "speed is not compared (devices differ)" in " ".join(capsys.readouterr().out.split())


def test_sides_are_chosen(make: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    base, new = make(), make(speed=1.2, solver="geak2")
    options = ["--base-solver=geak", "--new-solver=geak2", "--base-model=m1", "--new-model=m1"]
    assert main(["compare", base, new, *options]) == 0
    assert capsys.readouterr().out.startswith("Comparison\ngeak m1 → geak2 m1, 10 tasks: better: speed ×1.200")


def test_mistakes_are_one_line_and_exit_code_two(
    make: Callable[..., str], build: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = make()
    mistakes = {
        (base, str(tmp_path / "none")): "is no folder",
        (base, base): "is compared with itself: name another run, or --base-solver and --new-solver",
        (base, make(), "--threshold=2"): "a threshold of 2.0",
        (base, make(), "--confidence=95"): "a confidence of 95.0",
        (base, make(), "--new-solver=x"): "--new-solver x: no such attempts, NEW has geak m1",
        (base, make(environment=INTERPRETER), "--strict"): "--strict: the runs are not alike: device: BASE NVIDIA H200",
        (base, str(build.run(plan=[build.attempt("task0")]).folder)): "9 in BASE only: continue with pytest --resume",
        (base, str(build.run([]).folder)): "NEW: no such attempts, NEW has no attempts",
    }
    for arguments, says in mistakes.items():
        assert main(["compare", *arguments]) == 2, arguments
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and says in err and err.startswith("kernel-assay: "), err


def test_help_says_how_sides_are_paired_and_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0 and "an owed attempt is no evidence" in out and "1 a regression shown" in out


def test_the_gate_of_a_session_is_the_same_comparison(make: Callable[..., str]) -> None:
    base, new = Path(make()), Path(make(wrong=8))
    told, regression = LeaderboardReport().gate(new, base, 0.95, 0.0)
    assert regression and told.startswith("geak m1, 10 tasks: worse: execution 100.0 % to 20.0 %")
    assert "newly broken: task0" in told
    assert LeaderboardReport().gate(base, new, 0.95, 0.0)[1] is False
    assert LeaderboardReport().gate(new, base, 0.9999, 0.0)[1] is False
