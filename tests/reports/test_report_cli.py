"""The command, in process and as a process: what it prints, and that every mistake is one line and exit code 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import __version__
from harness.verdict import Outcome
from reports.cli import FORMATS, main
from reports.write import LeaderboardReport, summary, write_reports

ROOT = Path(__file__).parents[2]


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    line = [sys.executable, "-m", "reports.cli", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env=environment, timeout=60, **options)


SPENT: dict[str, Any] = {"seconds": 3.5, "held_seconds": 0.25, "phases": {"calls": 2.0, "rounds": 0.75}}


@pytest.fixture
def run(build: Any, verdict: Callable[..., Any]) -> Any:
    results = [
        (build.attempt("softmax"), verdict(1.5, 2.0, detail="line 1\n\tline 2", **SPENT)),
        (build.attempt("softmax", sample=2), verdict(Outcome.VALUES, detail="    0.1 is not 0.2")),
        (build.attempt("rope"), None),
    ]
    run = build.run(results, plan=[*(attempt for attempt, _ in results), build.attempt("matmul")])
    (run.sample(results[0][0]) / "solution.py").write_text("pass")
    return run


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["leaderboard", "tasks"])
def test_tables(name: str, form: str, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, str(run.folder), "--format", form]) == 0
    out, err = capsys.readouterr()
    assert err == "" and out.endswith("\n") and ("geak" in out)
    assert out.startswith(
        {"terminal": name.title(), "markdown": f"## {name.title()}", "json": "{", "latex": "%"}.get(form, "")
    )


OUTPUTS = [
    ("b.md", "## "),
    ("b.csv", "solver,"),
    ("b.txt", "Leaderboard"),
    ("b.json", '{\n "tables"'),
    ("b.tex", "% needs"),
]


@pytest.mark.parametrize(("file", "starts"), OUTPUTS)
def test_output_file(file: str, starts: str, run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", str(run.folder), "-o", str(tmp_path / file)]) == 0
    assert capsys.readouterr().out == "" and (tmp_path / file).read_text().startswith(starts)


def test_show(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(run.folder), run.planned()[0].id]) == 0
    out = capsys.readouterr().out
    assert "right: Right on all cases." in out and "    line 1\n        line 2\n" in out
    assert "judged in 3.5 s, the device held alone for 0.25 s: calls 2, rounds 0.75\n" in out
    assert "rows=1" in out and "rows=2" in out and "1.50 [1.43, 1.5" in out
    assert f"solution: {run.folder}/samples/rocm--softmax--geak--m1--1/solution.py\n" in out
    assert "transcript.jsonl (missing)" in out and "dollars 0.25" in out
    assert main(["show", str(run.folder), "softmax"]) == 0
    out = capsys.readouterr().out
    assert "wrong values: It stopped" in out and "--1\n" in out and "--2\n" in out
    assert main(["show", str(run.folder), "matmul"]) == 0
    assert "owed: nothing is recorded" in capsys.readouterr().out
    assert main(["show", str(run.folder), "rope"]) == 0
    assert "owed: the record holds no verdict" in capsys.readouterr().out


def test_show_a_damaged_record(build: Any, verdict: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    run = build.run([(build.attempt(), verdict(1.0))])
    line = json.loads((run.folder / "results.jsonl").read_text())
    line["verdict"] = {"outcome": 3, "reason": ["\x1b"], "detail": 4, "warnings": 5, "timings": [{}, 6]}
    (run.folder / "results.jsonl").write_text(json.dumps({**line, "spent": 7}) + "\n")
    assert main(["show", str(run.folder), "softmax"]) == 0
    out = capsys.readouterr().out
    assert "spent: evaluations unknown" in out and "\x1b" not in out


def test_runs(run: Any, build: Any, capsys: pytest.CaptureFixture[str]) -> None:
    torn = build.root / "torn"
    torn.mkdir()
    (torn / "run.json").write_text("{")
    assert main(["runs", str(build.root)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"2026-01-02 03:04  rocm  geak  m1  2/4 judged  NVIDIA H200  {run.folder}"
    assert second.startswith("unreadable") and "torn" in second
    assert main(["runs", str(run.folder)]) == 0


def test_every_mistake_is_one_line(run: Any, build: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, newer, foreign = build.run(plan=[build.attempt()]).folder, tmp_path / "newer", tmp_path / "foreign"
    for folder, text in ((newer, '{"schema": 2}'), (foreign, "")):
        folder.mkdir()
        (folder / ("run.json" if text else "x")).write_text(text)
    mistakes = {
        ("leaderboard", tmp_path / "none"): "is no folder: name a run folder",
        ("leaderboard", foreign): "has no run.json: name",
        ("leaderboard", newer): "report on it with the version that wrote it",
        ("leaderboard", empty): "none is recorded: continue with",
        ("tasks", empty): "none is recorded: continue with",
        ("tasks", foreign / "x"): "is no folder",
        ("show", run.folder, "softmx"): "did you mean softmax",
        ("show", run.folder, "zzzzzzzzz"): "it has softmax, rope, matmul",
        ("runs", tmp_path / "none"): "is no folder: name one",
        ("runs", foreign): "holds no run folder",
        ("leaderboard", run.folder, "-o", tmp_path / "no" / "file.md"): "name another file with -o",
    }
    for arguments, says in mistakes.items():
        assert main([str(each) for each in arguments]) == 2, arguments
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and says in err and err.startswith("kernel-assay: "), err


def test_results_that_can_not_be_read(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (run.folder / "results.jsonl").unlink()
    (run.folder / "results.jsonl").mkdir()
    assert main(["leaderboard", str(run.folder)]) == 2
    assert "check its owner and permissions" in capsys.readouterr().err


def test_as_a_process(run: Any, tmp_path: Path) -> None:
    assert command("--version").stdout == f"kernel-assay {__version__}\n"
    good = command("leaderboard", run.folder, env={"COLUMNS": "100"})
    assert good.returncode == 0 and max(map(len, good.stdout.splitlines())) <= 100 and good.stderr == ""
    bad = command("leaderboard", tmp_path)
    assert bad.returncode == 2 and "Traceback" not in bad.stderr and bad.stderr.count("\n") == 1
    assert command("frobnicate").returncode == 2


def test_a_terminal_without_unicode_gets_its_table(build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run([(build.attempt("核心\ud800"), verdict(1.0))])
    shown = command("tasks", run.folder, env={"PYTHONIOENCODING": "ascii"})
    assert shown.returncode == 0 and "right" in shown.stdout and shown.stderr == ""


def test_a_reader_that_has_enough(build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run([(build.attempt(f"t{n}"), verdict(1.0)) for n in range(600)])
    line = f"'{sys.executable}' -m reports.cli tasks {run.folder} | head -1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, shell=True, capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout == "Tasks\n" and done.stderr == ""


def test_starting_needs_neither_torch_nor_pandas() -> None:
    code = "import sys, reports.cli; print([m for m in ('torch', 'pandas', 'numpy') if m in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout == "[]\n", done


def test_write_reports_is_a_pure_function_of_the_record(run: Any) -> None:
    page = write_reports(run.folder)
    assert page == run.folder / "report" / "report.html"
    names = ["benchmark.json", "leaderboard.csv", "leaderboard.md", "leaderboard.txt", "report.html", "tasks.csv"]
    names.append("tasks.md")
    assert sorted(path.name for path in page.parent.iterdir()) == names
    before = {name: (page.parent / name).read_bytes() for name in names}
    assert LeaderboardReport().write(run.folder) == page
    assert before == {name: (page.parent / name).read_bytes() for name in names}


def test_summary_fits(run: Any, build: Any) -> None:
    text = LeaderboardReport.summary(run.folder, 80)
    assert text == summary(run.folder, 80) and max(map(len, text.splitlines())) <= 80
    assert summary(build.run().folder) == "no attempts were planned\n"
    assert "0.0" in summary(build.run(plan=[build.attempt()]).folder)
