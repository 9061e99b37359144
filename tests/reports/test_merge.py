"""Several runs as one: what counts once, what is refused, and that the new folder is whole or not there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.run import Attempt, Run
from harness.verdict import Outcome
from reports.cli import main
from reports.duplicates import distinct
from reports.leaderboard import leaderboard
from reports.load import load
from reports.merge import merge
from reports.pass_at_k import read as pass_at_k
from reports.records import latest, open_run
from tests.harness.commands import NO_CACHE, SOLVERS, Warm
from tests.harness.suites import write_suite

EARLY = {"started": "2026-01-02T03:04:05.000+00:00", "finished": "2026-01-02T03:05:05.000+00:00"}
LATE = {"started": "2026-01-02T03:04:06.000+00:00", "finished": "2026-01-02T03:06:05.000+00:00"}


@pytest.fixture
def attempts(build: Any) -> list[Attempt]:
    return [build.attempt(task) for task in ("a", "b", "c")]


@pytest.fixture
def runs(build: Any, verdict: Any, attempts: list[Attempt]) -> list[Run]:
    """Two that planned the same: the one judged a and b, the other b and c, and b better and later."""
    first, second = build.run(plan=attempts, session="1"), build.run(plan=attempts, session="2")
    first.append(build.record(attempts[0], verdict(2.0), **EARLY))
    first.append(build.record(attempts[1], verdict(Outcome.VALUES), **EARLY))
    second.append(build.record(attempts[1], verdict(3.0), **LATE))
    second.append(build.record(attempts[2], verdict(4.0), **LATE))
    return [first, second]


def _copied(run: Run, name: str) -> Run:
    return open_run(Path(shutil.copytree(run.folder, run.folder.with_name(name))))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _outcomes(*runs: Run, rule: str = "samples") -> list[tuple[str, str | None]]:
    frame, _ = distinct(runs, rule)
    return [(task, outcome) for task, outcome in zip(frame["task"], frame["outcome"], strict=True)]


def test_two_runs_are_two_samples(runs: list[Run]) -> None:
    frame, resolved = distinct(runs)
    assert len(frame) == 6 and (frame["status"] == "owed").sum() == 2 and resolved.note == ""
    (row,) = leaderboard(frame).to_dict("records")
    assert (row["attempts"], row["tasks"], row["runs"], row["owed"]) == (6, 3, 2, 2)


def test_a_copy_counts_once(runs: list[Run]) -> None:
    frame, resolved = distinct([runs[0], _copied(runs[0], "copy")])
    assert len(frame) == 3 and frame["run"].nunique() == 1
    assert "2 copies of a judgement; 1 that are owed here and recorded there" in resolved.note
    assert resolved.note.endswith(f"Left out of {runs[0].folder.with_name('copy')}.")


def test_a_copy_that_was_resumed_elsewhere(runs: list[Run], build: Any, verdict: Any, attempts: list[Attempt]) -> None:
    stale = _copied(runs[0], "stale")
    runs[0].append(build.record(attempts[2], verdict(5.0), **LATE))
    assert _outcomes(stale, runs[0]) == [("a", "right"), ("b", "wrong values"), ("c", "right")]
    stale.append(build.record(attempts[2], verdict(Outcome.CRASH), **EARLY))
    for order in ([stale, runs[0]], [runs[0], stale]):
        frame, resolved = distinct(order)
        told = dict(zip(frame["task"], frame["outcome"], strict=True))
        assert told == {"a": "right", "b": "wrong values", "c": "crash"}, "what finished first, not what is better"
        assert "1 judged more than once, of which what finished first counts" in resolved.note


def test_a_copy_that_was_changed_is_named(runs: list[Run]) -> None:
    copy = _copied(runs[0], "better")
    lines = [json.loads(line) for line in (copy.folder / "results.jsonl").read_text().splitlines()]
    lines[1]["verdict"]["outcome"] = "right"
    (copy.folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    frame, resolved = distinct([runs[0], copy])
    assert frame["outcome"].tolist() == ["right", "wrong values", None]
    assert "COPIES THAT TELL ANOTHER OUTCOME, the first named counts: b geak." in resolved.note
    with pytest.raises(UsageError, match=r"another outcome \(rocm--b--.*: a record was changed"):
        merge([runs[0], copy], copy.folder.with_name("merged"), "first")


@pytest.mark.parametrize(("rule", "of_b"), [("first", "wrong values"), ("last", "right")])
def test_runs_taken_for_one(rule: str, of_b: str, runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    for order in (runs, runs[::-1]):
        assert sorted(_outcomes(*order, rule=rule)) == [("a", "right"), ("b", of_b), ("c", "right")]
    folders = [str(run.folder) for run in runs]
    assert main(["tasks", *folders, f"--duplicates={rule}", "--format=markdown"]) == 0
    out = capsys.readouterr().out
    assert "In several runs, and counted once: 2 that are owed here" in out and f"what finished {rule} counts" in out
    assert main(["leaderboard", *folders, "--duplicates=refuse"]) == 2
    assert "1 attempt is judged in several runs (b geak)" in capsys.readouterr().err


def test_other_conditions_and_other_tasks_are_no_duplicates(build: Any, verdict: Any) -> None:
    attempt = build.attempt()
    first = build.run([(attempt, verdict(1.0))])
    for about in ({"options": {"max_evaluations": 50}}, {"environment": {"device": "other", "digest": "d"}}):
        assert len(_outcomes(first, build.run([(attempt, verdict(1.0))], **about), rule="first")) == 2
    changed = build.run(plan=[attempt])
    changed.append(build.record(attempt, verdict(1.0), task_digest="another"))
    assert len(_outcomes(first, changed, rule="first")) == 2
    assert len(_outcomes(first, build.run([(attempt, verdict(1.0))]), rule="first")) == 1


def test_tasks_of_several_runs_say_which(
    runs: list[Run], build: Any, verdict: Any, interpreter: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    said = verdict(1.5, clock="interpreted")
    other = build.run([(build.attempt("d"), said)], environment=interpreter)
    assert main(["tasks", *(str(run.folder) for run in (*runs, other)), "--format=markdown"]) == 0
    first, second = capsys.readouterr().out.split("## Tasks\n")[1:]
    assert "| b | run0 " in " ".join(first.split()) and "| b | run1 " in " ".join(first.split())
    assert "interpreter on a CPU" not in first and "interpreter on a CPU" in second and "1.50" in second


def test_pass_at_k_counts_a_copy_once(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(run.folder) for run in (*runs, _copied(runs[1], "copy"))]
    assert {len(tried) for tried in pass_at_k(list(map(Path, folders)))["rocm", "geak", "m1"].values()} == {3}
    assert main(["pass-at-k", *folders]) == 0
    out = capsys.readouterr().out
    assert "3 tasks, 6 answers" in out and "2 copies of a judgement" in out


def test_merged_runs_are_one(runs: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run, text in zip(runs, ("first", "second"), strict=True):
        for attempt in run.planned():
            (run.sample(attempt) / "solution.py").write_text(text)
    (runs[1].folder / "device.json").write_text("{}")
    before = [_files(run.folder) for run in runs]
    folders, target = [str(run.folder) for run in runs], tmp_path / "merged"
    assert main(["merge", *folders, "-o", str(target)]) == 2
    assert "rocm--b--geak--m1--1" in capsys.readouterr().err and not target.exists()
    assert main(["merge", *folders, "-o", str(target), "--duplicates=first"]) == 0
    assert capsys.readouterr().out.startswith(f"{target}: 2 runs, 3 attempts, 3 judged, 0 owed\nIn several runs, and")
    assert [_files(run.folder) for run in runs] == before, "the inputs are only read"
    merged = open_run(target)
    frame = load([merged])
    assert frame["task"].tolist() == ["a", "b", "c"] and frame["outcome"].tolist() == ["right", "wrong values", "right"]
    sources = [(merged.sample(each) / "solution.py").read_text() for each in merged.planned()]
    assert sources == ["first", "first", "second"] and (target / "device.json").exists()
    raw = (target / "results.jsonl").read_bytes().splitlines()
    assert set(raw) <= {line for run in runs for line in (run.folder / "results.jsonl").read_bytes().splitlines()}
    assert [(part["run"], len(part["attempts"])) for part in merged.about["merged"]] == [
        (folders[0], 2),
        (folders[1], 1),
    ]
    assert _outcomes(merged, runs[0]) == [(t, o) for t, o in zip(frame["task"], frame["outcome"], strict=True)] + [
        ("c", None)
    ], "what came from the run counts once; what it owes is a sample of its own"
    again = merge([merged, _copied(merged, "copy")], tmp_path / "again")
    assert open_run(tmp_path / "again").about["merged"] == merged.about["merged"] and again.resolved.copies == 3


def test_what_can_not_be_one_run(build: Any, verdict: Any, tmp_path: Path) -> None:
    attempt, target = build.attempt(), tmp_path / "merged"
    first = build.run([(attempt, verdict(1.0))])
    environment = first.about["environment"]
    others: list[tuple[dict[str, Any], str]] = [
        ({"environment": {**environment, "device": "NVIDIA H100", "digest": "d"}}, "device is NVIDIA H200 in one and"),
        ({"environment": {**environment, "torch": "2.12", "digest": "d"}}, "torch is 2.11.0 in one and 2.12 in"),
        ({"environment": {}}, "does not say what it was judged on"),
        ({"suites": [{"name": "rocm", "version": "1.0", "digest": "6" * 64}]}, "suite rocm is 5555"),
        (
            {"options": {"max_evaluations": 6, "seed": 7, "model_option": []}},
            "option max_evaluations is 5 in one and 6",
        ),
        ({"solvers": [{"label": "geak", "shows_reference": True}]}, "solver geak is"),
        ({"model": {"name": "m2"}}, "model's name is m1 in one and m2"),
    ]
    for about, says in others:
        with pytest.raises(UsageError, match=says) as caught:
            merge([first, build.run(plan=[build.attempt("other")], **about)], target)
        assert "\n" not in str(caught.value)
    changed = build.run(plan=[build.attempt(sample=2)])
    changed.append(build.record(build.attempt(sample=2), verdict(1.0), task_digest="another"))
    with pytest.raises(UsageError, match=r"the task softmax of .* is not that of"):
        merge([first, changed], target)
    with pytest.raises(UsageError, match="name the others, too"):
        merge([first, open_run(first.folder / ".")], target)
    shard = build.run([(build.attempt("other", solver="nop"), verdict(1.0))], model=None)
    for place, says in ((first.folder / "in", "only read"), (shard.folder, "is there already")):
        with pytest.raises(UsageError, match=says):
            merge([first, shard], place)
    assert not target.exists() and not list(tmp_path.glob(".*"))
    merge([first, shard], target)
    assert open_run(target).about["model"]["name"] == "m1" and len(open_run(target).about["solvers"]) == 2


def test_a_torn_last_line_and_what_is_no_plain_file(
    build: Any, verdict: Any, runs: list[Run], tmp_path: Path, attempts: list[Attempt]
) -> None:
    path = runs[0].folder / "results.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    torn = runs[1].folder / "results.jsonl"
    torn.write_bytes(torn.read_bytes()[:-40])
    sample = runs[0].sample(attempts[0])
    os.mkfifo(sample / "pipe")
    (sample / "link").symlink_to("/etc/hostname")
    (sample / "versions").mkdir()
    (sample / "versions" / "1.py").write_text("pass")
    merged = merge(runs, tmp_path / "merged", "first")
    assert (merged.attempts, merged.judged) == (3, 2)
    names = sorted(path.name for path in (tmp_path / "merged" / "samples" / attempts[0].id).rglob("*"))
    assert names == ["1.py", "versions"]
    assert {key[1]: line["status"] for key, line in latest(open_run(tmp_path / "merged")).items()} == {
        "a": "judged",
        "b": "judged",
    }


def test_whole_or_not_there(runs: list[Run], tmp_path: Path) -> None:
    target, part = tmp_path / "merged", tmp_path / ".merged.merging"
    stale = part / "samples"
    stale.mkdir(parents=True)  # of a merge that was killed
    (stale / "stale").touch()
    with (part / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="is being written by another merge"):
            merge(runs, target, "first")
        assert (stale / "stale").exists()
    merge(runs, target, "first")
    assert not part.exists() and not (target / "samples" / "stale").exists()
    (runs[0].folder / "device.json").touch()
    (runs[1].folder / "device.json").mkdir()  # a file in one run, a folder in the other
    with pytest.raises(OSError):
        merge(runs, tmp_path / "other", "first")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merged", "run0", "run1"], "nothing half done"


def test_shards_of_real_runs_go_on(tmp_path: Path, warm: Warm, capsys: pytest.CaptureFixture[str]) -> None:
    write_suite(tmp_path / "suite", {"doubled": 2, "tripled": 3})
    asked = ("suite", "--solver=reference", f"--solver={SOLVERS}:Nothing", "--device=interpreter", *NO_CACHE)
    for name in ("doubled", "tripled"):
        ran = warm.pytest(*asked, "-k", name, f"--run-dir={name}", cwd=tmp_path)
        assert (tmp_path / name / "results.jsonl").read_text().count("\n") == 2, ran.text
    torn = tmp_path / "tripled" / "results.jsonl"
    torn.write_text(torn.read_text()[:-100])
    place = str(tmp_path / "merged")
    assert main(["merge", str(tmp_path / "doubled"), str(tmp_path / "tripled"), "-o", place]) == 0
    assert "2 runs, 4 attempts, 3 judged, 1 owed" in capsys.readouterr().out
    ran = warm.pytest("suite", "--resume=merged", *NO_CACHE, cwd=tmp_path)
    assert "merged, 3 attempts judged before" in ran.text and "resumed" in ran.text, ran.text
    assert (tmp_path / "merged" / "results.jsonl").read_text().count("\n") == 4, ran.text
    for command in ("leaderboard", "tasks", "times", "show"):
        assert main([command, place, *(["doubled"] if command == "show" else [])]) == 0, command
    frame, resolved = distinct([tmp_path / name for name in ("merged", "doubled", "tripled")])
    assert len(frame) == 4 and resolved.copies == 3 and resolved.owed == 1
