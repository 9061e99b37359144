"""Histories of real run folders: what is one series, what is marked, what is said, in all forms."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.verdict import Outcome
from reports.cli import main
from reports.history import read
from reports.history_table import history_tables
from reports.render import terminal
from reports.table import Table

TASKS = 20


@pytest.fixture
def night(build: Any, verdict: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """One nightly run: so many of the tasks right, so many times as fast."""
    random = np.random.default_rng(4)

    def run(day: int, right: int, faster: float = 1.0, owed: int = 0, **more: Any) -> Any:
        solved = set(random.permutation(TASKS)[:right])
        results = []
        for task in range(TASKS):
            speed = float(faster * (1 + task / 10) * np.exp(random.normal(0, 0.02)))
            said = None if task < owed else verdict(speed) if task in solved else verdict(Outcome.VALUES)
            results.append((build.attempt(f"t{task:02}"), said))
        return build.run(results, **{"created": f"2026-03-{day:02}T02:00:00+00:00", **more})

    return run


def notes(tables: Sequence[Table]) -> str:
    return "\n".join(note for table in tables for note in table.notes)


def column(table: Table, header: str) -> tuple[str, ...]:
    return next(column.cells for column in table.columns if column.header == header)


def test_changes_are_marked_and_explained(build: Any, night: Callable[..., Any]) -> None:
    newer = {**build.about([])["environment"], "torch": "2.12.0", "digest": "f" * 64}
    for day in range(1, 17):
        right = 9 if day <= 8 else 16
        more = {"environment": newer} if day > 11 else {}
        night(day, right + day % 2, 1.0 if day <= 11 else 1.25, **more)
    (series,), skipped = read(build.root)
    assert skipped == [] and len(series.points) == 16 and len(series.tasks) == TASKS
    changes = series.changes()
    assert [(change.what, change.at, change.up) for change in changes] == [("execution", 8, True), ("speed", 11, True)]
    faster, (low, high) = changes[1].after
    assert low < faster < high and faster == pytest.approx(1.25, abs=0.02) and low > 1.2
    assert changes[0].before[0] == pytest.approx(9.5 / TASKS) and changes[0].after[0] == pytest.approx(16.5 / TASKS)

    (table,) = history_tables([series])
    marks = column(table, "change")
    assert marks[8] == "execution up [1]" and marks[11] == "speed up [2], torch [3]"
    assert [mark for n, mark in enumerate(marks) if n not in (8, 11)] == ["-"] * 14
    assert "Execution 47.5 [" in table.notes[0] and "→ 82.5 [" in table.notes[0]
    assert table.notes[2] == "torch: 2.11.0 before, 2.12.0 from this run on."
    assert column(table, "execution %")[0] == "50.0 [29.9, 70.1]"


def test_speed_does_not_change_with_what_is_right(build: Any, night: Callable[..., Any]) -> None:
    for day in range(1, 21):
        night(day, 5 if day <= 10 else 18)
    (series,), _ = read(build.root)
    means = [point.row["speedup"] for point in series.points]
    assert np.std(means[:10]) > 0.05, "the mean over right kernels moves with them"
    assert [change.what for change in series.changes()] == ["execution"]


def test_conditions_are_never_mixed(build: Any, night: Callable[..., Any], interpreter: Any) -> None:
    environment = build.about([])["environment"]
    suite = build.about([])["suites"][0]
    others = [
        {"environment": {**environment, "device": "NVIDIA A100", "digest": "a"}},
        {"environment": {**environment, "isolation": "landlock", "digest": "b"}},
        {"environment": interpreter},
        {"suites": [{**suite, "digest": "6" * 64}]},
        {"options": {"max_evaluations": 50}},
    ]
    for day in range(1, 4):
        night(day, 9)
    for day, more in enumerate(others, 4):
        night(day, 9, **more)
    series, _ = read(build.root)
    assert sorted(len(each.points) for each in series) == [1, 1, 1, 1, 1, 3]
    first, alone = history_tables(series)
    assert first.title == "History: geak, m1"
    assert "NVIDIA H200" in first.facts[0] and "isolation namespaces" in first.facts[0] and "55555555" in first.facts[0]
    assert column(alone, "device").count("NVIDIA H200") == 3 and "NVIDIA A100" in column(alone, "device")
    assert {"66666666", "55555555"} == set(column(alone, "suite\ndigest"))
    assert alone.data is not None and first.data is not None
    assert alone.data["interpreted_speedup"].notna().sum() == 1 and alone.data["speedup"].notna().sum() == 4
    assert [cell.endswith("[1]") for cell in column(alone, "speedup")].count(True) == 1


def test_other_tasks_are_another_series(build: Any, verdict: Callable[..., Any], night: Callable[..., Any]) -> None:
    night(1, 9), night(2, 9)
    build.run([(build.attempt("t01"), verdict(1.0))])
    series, _ = read(build.root)
    assert [len(each.points) for each in series] == [2, 1]
    assert series[1].tasks == ("t01",)


def test_runs_stand_by_time_and_answers_may_differ(build: Any, night: Callable[..., Any]) -> None:
    for day in (3, 1, 2):
        night(day, 9, options={"predictions": f"night{day}.jsonl", "max_evaluations": 5})
    (series,), _ = read(build.root)
    assert [point.created.day for point in series.points] == [1, 2, 3]
    (table,) = history_tables([series])
    assert column(table, "change") == ("-", "answers [1]", "answers [2]")
    assert "night1.jsonl before" in table.notes[0] and "3 whole runs: changes are searched from 9 on" in notes([table])


def test_a_stopped_run_is_no_change(build: Any, night: Callable[..., Any]) -> None:
    for day in range(1, 17):
        night(day, 15 + day % 2, owed=12 if day >= 15 else 0)
    (series,), _ = read(build.root)
    assert series.changes() == []
    (table,) = history_tables([series])
    assert column(table, "change")[-2:] == ("owed [1]", "owed [1]")
    assert column(table, "owed")[-1] == "12" and "denominator" in notes([table])


def test_unreadable_folders_are_left_out_with_a_note(
    build: Any, night: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for day in range(1, 4):
        night(day, 9)
    for name, text in (("torn", "{"), ("newer", '{"schema": 99}'), ("undated", None)):
        folder = build.root / name
        folder.mkdir()
        if text is None:
            about = json.loads((build.root / "run0" / "run.json").read_text())
            text = json.dumps({**about, "created": "\x1b[31mlong ago"})
        (folder / "run.json").write_text(text)
    (build.root / "foreign").mkdir()
    assert main(["history", str(build.root)]) == 0
    out, err = capsys.readouterr()
    words = " ".join(out.split())
    assert err == "" and "\x1b" not in out and words.count("left out: ") == 3 and "History: geak, m1" in words
    for said in ("torn/run.json can't be read", "reads 1: report on it with", "does not say when it was created"):
        assert said in words


def test_one_clear_line_where_nothing_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, torn = tmp_path / "empty", tmp_path / "torn"
    empty.mkdir()
    (torn / "run").mkdir(parents=True)
    (torn / "run" / "run.json").write_text("")
    for folder, says in (
        (tmp_path / "none", "is no folder"),
        (empty, "--run-dir points into"),
        (torn, "can't be read"),
    ):
        assert main(["history", str(folder)]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and says in err, err


def test_forms_of_the_same_frame(build: Any, night: Callable[..., Any], tmp_path: Path) -> None:
    for day in range(1, 11):
        night(day, 4 if day <= 5 else 19)
    paths = {end: tmp_path / f"h.{end}" for end in ("json", "csv", "md", "tex", "txt")}
    for path in paths.values():
        assert main(["history", str(build.root), "-o", str(path)]) == 0
    (table,) = json.loads(paths["json"].read_text())["tables"]
    rows = list(csv.DictReader(io.StringIO(paths["csv"].read_text())))
    assert len(rows) == len(table["rows"]) == 10 and list(rows[0]) == table["columns"]
    assert [row["execution_change"] for row in table["rows"]] == [None] * 5 + ["up"] + [None] * 4
    assert float(rows[5]["execution_change_p"]) == table["rows"][5]["execution_change_p"] <= 0.025
    assert "\\toprule" in paths["tex"].read_text() and "| run" in paths["md"].read_text()
    assert "execution up [1]" in paths["txt"].read_text()


def test_hostile_names_are_cleaned(build: Any, verdict: Callable[..., Any]) -> None:
    name = "\x1b[2Jgeak\u202e"
    for day in (1, 2):
        environment = {**build.about([])["environment"], "torch": f"\x1b{day}"}
        attempt = build.attempt(name, name, name)
        build.run([(attempt, verdict(1.0))], created=f"2026-03-0{day}T00:00:00", environment=environment)
    shutil.move(build.root / "run0", build.root / "run\x1b")
    shown = terminal(history_tables(*read(build.root)))
    assert "\x1b" not in shown and "\u202e" not in shown and "torch [1]" in shown
