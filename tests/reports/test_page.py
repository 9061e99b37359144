"""The page: what it holds, in one file and in a folder, the same each time, and that nothing hostile becomes markup."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.run import Run
from harness.verdict import Outcome
from reports import cli
from reports.leaderboard import leaderboard
from reports.load import load
from reports.page import build as page_build
from reports.page.axes import Axes, Scale
from reports.page.board import board
from reports.page.samples import LONGEST_TEXT, difference
from tests.reports.conftest import Builder, verdict

SOURCE = "import triton\n\n@triton.jit\ndef kernel(x):  # of it\n    return '<b>'\n"


def written(run: Run, attempt: Any, source: str = SOURCE, events: list[dict[str, Any]] | None = None) -> None:
    """The files of a sample."""
    folder = run.sample(attempt)
    (folder / "solution.py").write_text(source)
    (folder / "transcript.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events or []))


def some(build_run: Builder, **more: Any) -> Run:
    """Two solvers on four tasks."""
    results = [
        (build_run.attempt(task, solver), said)
        for solver, speeds in (("geak", (1.2, 2.1, 0.8, None)), ("direct", (1.0, None, 0.7, None)))
        for task, said in zip(
            ("add", "softmax", "gemm", "sort"),
            (verdict(speed) if speed else verdict(Outcome.VALUES) for speed in speeds),
            strict=True,
        )
    ]
    run = build_run.run(results, **more)
    for attempt, _ in results:
        written(run, attempt)
        run.note_task("rocm", attempt.task, f"# {attempt.task}\n\nWrite it.")
    return run


def samples(text: str) -> list[dict[str, Any]]:
    """What the page's script reads."""
    return [json.loads(each) for each in re.findall(r'class="sample" id="s\d+">(.*?)</script>', text)]


def test_one_file_holds_everything(build: Builder, tmp_path: Path) -> None:
    run = some(build)
    output = page_build.build([run], tmp_path / "page.html")
    assert output == tmp_path / "page.html"
    text = output.read_text()
    told = samples(text)
    assert [each["task"] for each in told] == ["add", "softmax", "gemm", "sort"] * 2
    assert told[0]["source"] == SOURCE and told[0]["instruction"].startswith("# add")
    assert told[0]["timings"][0]["speedup"] == 1.2 and told[3]["verdict"]["outcome"] == "wrong values"
    data = json.loads(re.search(r'id="data">(.*?)</script>', text).group(1))  # type: ignore[union-attr]
    assert [row["name"] for row in data["rows"]] == ["geak, m1", "direct, m1"]
    assert data["attempts"][1] == [1, 0, 1, 0, 2.1, 1, 0] and data["stages"][data["attempts"][3][3]][0] == "execution"
    assert "options max_evaluations=5" in text and "driver 570.1" in text
    unknown = build.run([(build.attempt(), verdict(1.0))], options={}, environment={"device": "NVIDIA H200"})
    said = page_build.build([unknown], tmp_path / "unknown.html").read_text()
    (conditions,) = re.findall(r'class="conditions">(.*?)</p>', said)
    assert "device NVIDIA H200" in conditions and "options" not in conditions and "unknown" not in conditions
    assert "75.0" in text and "As published by others" in text and "fast_p" in text


def test_built_twice_it_is_the_same(build: Builder, tmp_path: Path) -> None:
    run = some(build)
    first, second = (page_build.build([run], tmp_path / f"{n}.html").read_bytes() for n in "ab")
    assert first == second


def test_what_is_large_becomes_a_folder(build: Builder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = some(build)
    monkeypatch.setattr(page_build, "LARGEST_FILE", 4000)
    monkeypatch.setattr(page_build, "A_PAGE", 3000)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "old.html").write_text("of an earlier one")
    index = page_build.build([run], tmp_path / "page.html")
    assert index == tmp_path / "page" / "index.html" and not (tmp_path / "page" / "old.html").exists()
    pages = sorted((tmp_path / "page" / "samples").iterdir())
    assert len(pages) > 1 and not samples(index.read_text())
    told = [each for page in pages for each in samples(page.read_text())]
    assert len(told) == 8
    data = json.loads(re.search(r'id="data">(.*?)</script>', index.read_text()).group(1))  # type: ignore[union-attr]
    for number, attempt in enumerate(data["attempts"]):
        page = (tmp_path / "page" / "samples" / f"{attempt[-1]:04}.html").read_text()
        assert f'id="s{number}"' in page
    assert sorted(path.name for path in tmp_path.glob(".page*")) == []


def test_no_markup_stands_in_what_strangers_wrote(build: Builder, tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028<!--"
    attempt = build.attempt("softmax", evil, evil)
    run = build.run([(attempt, verdict(1.5, reason=evil, detail=evil, warnings=(evil,)))])
    written(run, attempt, evil, [{"event": evil, "text": evil}, {"event": "model", "reply": {"text": evil}}])
    run.note_task("rocm", "softmax", evil)
    text = page_build.build([run], tmp_path / "page.html").read_text()
    assert "<img" not in text and "alert(1)</script>" not in text and "\u2028" not in text
    assert samples(text)[0]["source"] == evil and samples(text)[0]["verdict"]["warnings"] == [evil]
    assert text.count("<script") == 3, "the data, one sample, and the script"


def test_ranks_are_shared_where_intervals_overlap(build: Builder) -> None:
    right, wrong = verdict(1.1), verdict(Outcome.VALUES)
    tasks = [f"t{n}" for n in range(40)]
    results = [(build.attempt(task, "good"), right) for task in tasks]
    results += [(build.attempt(task, "alike"), right if n else wrong) for n, task in enumerate(tasks)]
    results += [(build.attempt(task, "bad"), right if n < 10 else wrong) for n, task in enumerate(tasks)]
    (group,), numbers = board(load([build.run(results)]))
    assert [(entry.solver, entry.rank) for entry in group.entries] == [("good", 1), ("alike", 1), ("bad", 3)]
    assert numbers.value_counts().to_dict() == {0: 40, 1: 40, 2: 40}


def test_interpreted_times_share_no_table_with_a_devices(build: Builder, interpreter: dict[str, str]) -> None:
    runs = [some(build), build.run([(build.attempt(), verdict(1.0, clock="interpreted"))], environment=interpreter)]
    groups, _ = board(load(runs))
    assert [(group.clock, len(group.entries)) for group in groups] == [("device", 2), ("interpreted", 1)]


def test_numbers_are_those_of_the_leaderboard(build: Builder) -> None:
    frame = load([some(build)])
    (group,), _ = board(frame)
    for entry, row in zip(group.entries, leaderboard(frame).to_dict("records"), strict=True):
        orders = [cell.order for cell in entry.cells]
        assert orders[1:7] == [row[name] for name in ("call", "execution", "fast_1", "fast_1_5", "fast_2", "speedup")]


def test_long_texts_are_cut_and_it_is_said(build: Builder, tmp_path: Path) -> None:
    attempt = build.attempt()
    run = build.run([(attempt, verdict(Outcome.VALUES, detail="d" * (LONGEST_TEXT + 7)))])
    written(run, attempt, events=[{"event": "model", "reply": {"text": "x" * 50_000}}] * 4)
    (told,) = samples(page_build.build([run], tmp_path / "page.html").read_text())
    assert told["verdict"]["detail"].endswith("… 7 characters more") and told["cut"] is True
    assert sum(len(event["text"]) for event in told["events"]) < page_build.TRANSCRIPT + 1000


def test_versions_are_beside_what_was_handed_in(build: Builder, tmp_path: Path) -> None:
    attempt = build.attempt()
    run = build.run([(attempt, verdict(1.5))])
    versions = [("a = 1\n", False, None), ("a = 2\n", True, 1.9), ("a = 3\n", True, 1.1)]
    events = [
        {"event": "turn", "turn": n, "version": {"number": n, "source": source, "right": right, "speedup": speed}}
        for n, (source, right, speed) in enumerate(versions, 1)
    ]
    written(run, attempt, "a = 3\n", [*events, {"event": "turn", "version": {"source": 7}}, {"event": "turn"}])
    (told,) = samples(page_build.build([run], tmp_path / "page.html").read_text())
    assert (told["previous"], told["best"]) == (2, 2)
    assert told["to_best"] == difference("a = 2\n", "a = 3\n") == "@@ -1 +1 @@\n-a = 2\n+a = 3"
    assert [version["difference"][:2] for version in told["versions"]] == ["", "@@", "@@"]


@pytest.mark.parametrize("broken", ["nothing recorded", "no files", "odd types", "not a number"])
def test_what_is_missing_or_broken_is_shown_as_far_as_it_goes(build: Builder, tmp_path: Path, broken: str) -> None:
    attempt = build.attempt()
    run = build.run([] if broken == "nothing recorded" else [(attempt, verdict(1.5))], plan=[attempt])
    if broken == "odd types":
        written(run, attempt, events=[{"event": 3, "reply": 4}, {"event": "turn", "turn": "x", "version": []}])
        (run.folder / "device.json").write_text('{"name": 3, "peaks": [1]}')
    if broken == "not a number":
        line = run.folder / "results.jsonl"
        line.write_text(line.read_text().replace('"worst_error": null', '"worst_error": NaN'))
    text = page_build.build([run], tmp_path / "page.html").read_text()
    (told,) = samples(text)
    assert told["task"] == "softmax" and (told["verdict"] is None) == (broken == "nothing recorded")


def test_a_copy_of_a_run_counts_once_and_it_is_said(build: Builder, tmp_path: Path) -> None:
    attempt = build.attempt()
    times = {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:01:00+00:00"}
    run = build.run([], plan=[attempt])
    run.append(build.record(attempt, verdict(1.5), **times))
    shutil.copytree(run.folder, tmp_path / "copy")
    text = page_build.build([run.folder, tmp_path / "copy"], tmp_path / "page.html").read_text()
    assert len(samples(text)) == 1 and "1 copies of a judgement" in text
    other = build.run([(attempt, verdict(1.6))])
    assert len(samples(page_build.build([run, other], tmp_path / "page.html").read_text())) == 2


def test_bad_input_is_one_line(build: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(tmp_path / "nowhere")]) == 2
    assert "is no folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert cli.main(["report", str(some(build).folder), "-o", str(tmp_path / "file" / "page.html")]) == 2
    said = capsys.readouterr().err
    assert "can't be written" in said and said.count("\n") == 1
    with pytest.raises(UsageError, match="nothing was planned"):
        page_build.build([build.run([], plan=[])], tmp_path / "page.html")


def test_the_command_says_where_the_page_is(
    build: Builder, tmp_path: Path, capsys: pytest.CaptureFixture[str], timing: Any
) -> None:
    attempt = build.attempt()
    said = verdict(1.5, timings=(timing(1.5, rate=1e12, bandwidth=1e11), timing(1.4)))
    run = build.run([(attempt, said)])
    rates = {"bandwidth": 4e12, "rates": {"fp16": 7e14, "fp32": 5e13}}
    (run.folder / "device.json").write_text(json.dumps({"name": "NVIDIA H200", "peaks": rates}))
    assert cli.main(["report", str(run.folder), "-o", str(tmp_path / "page.html")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'}\n"
    text = (tmp_path / "page.html").read_text()
    assert "Roofline" in text and "1 of 1 timed workloads" in text and "fp16: 700T a second" in text


def test_scales() -> None:
    scale = Scale(1.0, 100.0, 0.0, 200.0, log=True)
    assert [scale(value) for value in (0.5, 1.0, 10.0, 100.0, 1e6)] == pytest.approx([0, 0, 100, 200, 200])
    assert Scale(0.0, 1.0, 0.0, 1.0).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert Scale(0.25, 4.0, 0.0, 1.0, log=True).ticks() == [0.5, 1.0, 2.0]
    axes = Axes.of((0.0, 1.0), (0.0, 1.0), ("<x>", "y"), (False, False))
    axes.dot(0.5, 0.5, "s0", "<i>")
    assert "&lt;x&gt;" in axes.svg("a & b") and "&lt;i&gt;" in axes.svg("") and "a &amp; b" in axes.svg("a & b")
