"""--summary=FILE: a page for CI, appended, within GitHub's limit, told what was cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from harness import summary_file
from harness.errors import UsageError
from harness.run import Attempt, Record, Run
from harness.verdict import Outcome, Verdict
from reports.summary_page import summary_page
from tests.harness.commands import NO_CACHE, Warm

HOSTILE = "\x1b[31m</details><script>alert(1)</script> | `x` ![](http://evil/x.png) \u202e\n# Title\n\n| a |"


def made(folder: Path, results: list[tuple[str, Verdict | None]]) -> Path:
    """A run folder with these results."""
    plan = [Attempt("toy", task, "replay", "", number) for number, (task, _) in enumerate(results, 1)]
    about = {"suites": [], "solvers": [], "options": {}, "environment": {}, "plan": [vars(each) for each in plan]}
    run = Run.create(folder, about)
    for attempt, (_, verdict) in zip(plan, results, strict=True):
        if verdict is not None:
            run.append(Record(attempt, "judged", verdict, "d", "e", 1, "c"))
    return folder


def html(text: str) -> str:
    return MarkdownIt("commonmark").enable("table").render(text)


def test_a_page_is_appended(two: Path, warm: Warm) -> None:
    here = two.parent
    (here / "step.md").write_text("before, without an end of line")
    solvers = ("--solver=reference", "--solver=nop")
    ran = warm.pytest("suite", *solvers, "--run-dir=run", "--summary=step.md", "-q", *NO_CACHE, cwd=here)
    assert ran.code == 1 and "summary: step.md" in ran.text, ran.text
    text = (here / "step.md").read_text()
    assert text.startswith("before, without an end of line\n\n## Kernel Assay: toy\n")
    assert text.count("## Kernel Assay") == 1
    assert "**2 of 4 attempts are right.** Stopped at: execution 2." in text
    assert "### Leaderboard, interpreted times" in text and "### What failed" in text
    assert text.count("| execution | ") == 2 and "| nop" in text and "execution: runs, and is wrong" in text
    first = len(text)
    ran = warm.pytest("suite", "--resume=run", "--summary=step.md", "-q", *NO_CACHE, cwd=here)
    assert (here / "step.md").read_text()[first:].startswith("\n## Kernel Assay: toy\n"), ran.text


def test_a_file_that_can_not_be_written_costs_no_run(one: Path, warm: Warm) -> None:
    here = one.parent
    ran = warm.pytest("suite", "--solver=nop", "--run-dir=run", "--summary=no/step.md", *NO_CACHE, cwd=here)
    assert ran.code == pytest.ExitCode.USAGE_ERROR and len(ran.lines) == 1, ran.text
    assert "--summary no/step.md can't be written (No such file or directory): name another file" in ran.text
    assert not (here / "run" / "run.json").exists()
    ran = warm.pytest("suite", "--doctor", "--summary=step.md", *NO_CACHE, cwd=here)
    assert ran.code == pytest.ExitCode.USAGE_ERROR and "leave it out" in ran.text
    ran = warm.pytest("suite", "--solver=nop", "--summary=step.md", "--collect-only", "-q", *NO_CACHE, cwd=here)
    assert ran.code == 0 and not (here / "step.md").exists(), "what only collects writes nothing"


def test_by_stage_and_task(tmp_path: Path) -> None:
    results = [
        ("b", Verdict(Outcome.VALUES, "first reason")),
        ("b", Verdict(Outcome.VALUES, "second reason")),
        ("b", Verdict(Outcome.RIGHT, "right")),
        ("a", Verdict(Outcome.SYNTAX, "line 1")),
        ("c", Verdict(Outcome.UNSUPPORTED, "inline assembly")),
        ("d", Verdict(Outcome.IMPLAUSIBLE, "too fast")),
        ("e", None),
    ]
    text = summary_page(made(tmp_path / "run", results), 1 << 20)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if " of " in line]
    assert [row for row in rows if row[0] in ("call", "execution", "speedup", "unsupported", "owed")] == [
        ["call", "a", "syntax error", "1 of 1", "line 1"],
        ["execution", "b", "wrong values", "2 of 3", "first reason"],
        ["speedup", "d", "implausible time", "1 of 1", "too fast"],
        ["unsupported", "c", "unsupported here", "1 of 1", "inline assembly"],
        ["owed", "e", "owed", "1 of 1", "not judged yet"],
    ]
    assert "**2 of 7 attempts are right.** Stopped at: call 1, execution 2, speedup 1, unsupported 1, owed 1." in text


def test_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    run = made(tmp_path / "run", [(f"t{n}", Verdict(Outcome.VALUES, "ä" * 150)) for n in range(300)])
    whole = summary_page(run, 1 << 20)
    assert "left out" not in whole and whole.count("| execution | ") == 300
    for room in (len(whole.encode()) - 1, 20_000, 5_000):
        text = summary_page(run, room)
        assert len(text.encode()) <= room
        kept = text.count("| execution | ")
        assert f"{300 - kept} of 301 rows were left out, for GitHub's limit" in text and 0 < kept < 300
        assert len(text.encode()) > room - 800, "no more was cut than had to be"
    assert summary_page(run, 100) == ""


def test_the_limit_is_of_the_file(tmp_path: Path) -> None:
    file, rooms = tmp_path / "step.md", list[int]()

    def page(room: int) -> str:
        rooms.append(room)
        return "é" * (room // 2)

    file.write_bytes(b"x" * (summary_file.LIMIT - 1001))
    summary_file.append(file, page)
    assert rooms == [999] and file.stat().st_size <= summary_file.LIMIT == 1024 * 1024
    before = file.read_bytes()
    too_long: list[Callable[[int], str]] = [lambda room: "", lambda room: "x" * 3000]
    for each in too_long:
        with pytest.raises(UsageError, match="is full"):
            summary_file.append(file, each)
    assert file.read_bytes() == before


def test_hostile_text_is_text(tmp_path: Path) -> None:
    run = made(tmp_path / "run", [(HOSTILE, Verdict(Outcome.VALUES, HOSTILE * 20)), ("fine", None)])
    text = summary_page(run, 1 << 20)
    shown = html(text)
    assert "\x1b" not in text and "\u202e" not in text
    assert "<script" not in shown and "<img" not in shown and "<a " not in shown and "<code" not in shown
    assert shown.count("<h2>") == 1 and shown.count("<h3>") == 2 and "<h1>" not in shown
    assert shown.count("<table>") == 2


def test_a_run_without_attempts(tmp_path: Path) -> None:
    assert "No attempts were planned." in summary_page(made(tmp_path / "run", []), 1 << 20)
