"""A recount with a real judge on the interpreter: what is as recorded, and everything that may not be."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from harness.run import Attempt
from harness.verdict import Outcome, Verdict
from reports.cli import main
from reports.render import markdown, terminal
from reports.verify import Found, compare, read
from reports.verify_table import verify_table
from tests.harness.commands import NO_CACHE, SOLVERS, Warm
from tests.harness.suites import write_suite

ROOT = Path(__file__).parents[2]
WRONGS = "versions:versions=1"
ASKED = ("suite", "--solver=reference", *(f"--solver={SOLVERS}:{name}" for name in ("Versions:versions=1", "Nothing")))
RIGHT, WRONG, EMPTY = (Attempt("toy", "doubled", name, "", 1).id for name in ("reference", WRONGS, "nothing"))
OTHER = Attempt("toy", "tripled", "reference", "", 1).id


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Path:
    """A folder with a suite of two tasks, and a run of it: of six attempts two give nothing."""
    place = tmp_path_factory.mktemp("recorded")
    write_suite(place / "suite", {"doubled": 2, "tripled": 3})
    ran = warm.pytest(*ASKED, *NO_CACHE, "--device=interpreter", "--run-dir=run", cwd=place)
    assert ran.code == 1 and (place / "run" / "results.jsonl").read_text().count("\n") == 6, ran.text
    return place


@pytest.fixture
def place(recorded: Path, tmp_path: Path) -> Path:
    """A copy to do something to."""
    shutil.copytree(recorded, tmp_path / "copy")
    return tmp_path / "copy"


def _verify(place: Path, *arguments: str) -> int:
    return main(["verify", str(place / "run"), f"--suite={place / 'suite'}", "--judges=2", *arguments])


def _rewrite(place: Path, attempt: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change one attempt's line in the record."""
    path = place / "run" / "results.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if Attempt(**line["attempt"]).id == attempt:
            change(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _forge(place: Path, attempt: str, source: str) -> None:
    """A source and a record that fit each other."""
    (place / "run" / "samples" / attempt / "solution.py").write_bytes(source.encode(errors="backslashreplace"))
    digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    _rewrite(place, attempt, lambda line: line["verdict"].update(digest=digest))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _rows(text: str) -> dict[str, dict[str, str]]:
    return {row["attempt"]: row for row in csv.DictReader(StringIO(text))}


def test_all_as_recorded(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _files(place / "run")
    assert _verify(place) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "verified 4 of 4: the same outcome" and err == ""
    assert "2 attempts whose solver gave no code" in out and "differs" not in out
    assert out.count("interpreter, torch") == 2 and "now: interpreter" in out
    assert _files(place / "run") == before, "nothing in the run folder is changed"


def test_everything_that_may_differ(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = place / "run" / "samples"
    (samples / RIGHT / "solution.py").write_text((samples / RIGHT / "solution.py").read_text() + "# better\n")
    (samples / OTHER / "solution.py").unlink()
    _rewrite(place, WRONG, lambda line: line["verdict"].update(outcome="right", reason="=so it says"))
    assert _verify(place, "--format=csv") == 1
    out, err = capsys.readouterr()
    assert err == "kernel-assay: verified 1 of 4: the same outcome; 3 not (source 2, stages 1)\n"
    rows = _rows(out)
    assert list(rows) == [RIGHT, WRONG, OTHER]
    assert rows[RIGHT]["outcome"] == "" and "digest is not the verdict's" in rows[RIGHT]["reason"]
    assert rows[OTHER]["differs"] == "source" and "missing" in rows[OTHER]["reason"]
    told = rows[WRONG]
    assert (told["differs"], told["recorded_outcome"], told["outcome"]) == ("stages, outcome", "right", "wrong values")
    assert told["recorded_reason"] == "'=so it says" and told["torch"] == told["recorded_torch"] != ""
    assert told["harness"] == told["recorded_harness"] != "" and told["seed"] != told["recorded_seed"] != ""


def test_what_a_candidate_says_is_shown_as_it_stands(place: Path) -> None:
    recount = read_run(place)
    hostile = {"outcome": "crash", "reason": "<b>\x1b[31m|`x`", "stages": {}}
    for each in recount.chosen:
        recount.found[each.key] = Found()
    recount.found[recount.chosen[0].key] = Found(("stages",), hostile)
    recount.found[recount.chosen[1].key] = Found(("source",), None, "solution.py is missing")
    shown = verify_table(recount)
    text, page = terminal([shown], 200), markdown([shown])
    assert "\x1b" not in text + page and "&lt;b&gt;" in page and "<b>" not in page and "\\|" in page
    assert f"[1] TAMPERED WITH OR DAMAGED: 1 source is not what the record says was judged: {WRONG}." in text
    assert text.splitlines()[-1] == "verified 2 of 4: the same outcome; 2 not (stages 1, source 1)"
    assert page.splitlines()[-1] == "- verified 2 of 4: the same outcome; 2 not (stages 1, source 1)"


def test_stages_and_a_speedup_that_nobody_measured(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def faster(line: dict[str, Any]) -> None:
        (timing,) = line["verdict"]["timings"]
        timing.update(speedup=90.0, low=80.0, high=100.0)

    _rewrite(place, RIGHT, faster)
    _rewrite(place, WRONG, lambda line: line["verdict"]["stages"].update(execution=True))
    assert _verify(place, "--format=csv", "--task=doubled", "--same-seed") == 1
    rows = _rows(capsys.readouterr().out)
    assert all(row["seed"] == row["recorded_seed"] != "" for row in rows.values())
    assert {name: row["differs"] for name, row in rows.items()} == {RIGHT: "speedup", WRONG: "stages"}
    assert float(rows[RIGHT]["recorded_speedup"]) == 90 and 0.1 < float(rows[RIGHT]["speedup"]) < 10


def test_a_task_that_changed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = place / "suite" / "doubled" / "instruction.md"
    page.write_text(page.read_text() + "\nOne more word.\n")
    shutil.rmtree(place / "suite" / "tripled")
    assert _verify(place, "--format=csv") == 1
    rows = _rows(capsys.readouterr().out)
    assert [row["differs"] for row in rows.values()] == ["task"] * 4
    assert "--changed" in rows[RIGHT]["reason"] and "no such task" in rows[OTHER]["reason"]
    assert _verify(place, "--changed", "--task=doubled") == 0
    out = capsys.readouterr().out
    assert "2 attempts are at tasks that have changed since" in out and "Suite toy has changed since" in out
    assert "verified 2 of 2: the same outcome" in out


def test_a_sample_can_be_drawn_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "run" / "samples" / OTHER / "solution.py").unlink()
    seeds = [seed for seed in range(40) if OTHER in _drawn(place, seed)]
    assert 0 < len(seeds) < 40, "a draw of one leaves out and takes, by its seed"
    assert _verify(place, "--sample=1", f"--sample-seed={seeds[0]}") == 1
    out = capsys.readouterr().out
    assert f"sample: 1 of 4 attempts, --sample-seed={seeds[0]}" in out and "verified 0 of 1" in out
    fresh = {read_run(place, sample=1).seed for _ in range(3)}
    assert len(fresh) == 3 and None not in fresh


def read_run(place: Path, **options: Any) -> Any:
    from reports.records import open_run

    return read(open_run(place / "run"), **options)


def _drawn(place: Path, seed: int) -> list[str]:
    return [each.folder.name for each in read_run(place, sample=1, seed=seed).chosen]


def test_sources_that_a_file_holds_in_another_spelling(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = (place / "run" / "samples" / RIGHT / "solution.py").read_text()
    _forge(place, RIGHT, source.replace("\n", "\r\n") + "# \ud800\r\n")
    _forge(place, OTHER, source + '# "\\ud800"\n')
    recount = read_run(place)
    assert [each.damage for each in recount.chosen] == [""] * 4
    assert recount.chosen[0].source.endswith("# \ud800\r\n")
    (place / "run" / "samples" / RIGHT / "solution.py").write_bytes(b"\xff")
    (place / "run" / "samples" / OTHER / "solution.py").unlink()
    (place / "run" / "samples" / OTHER / "solution.py").mkdir()
    (place / "run" / "samples" / EMPTY / "solution.py").write_text("a source that no verdict is of")
    damages = {each.folder.name: each.damage for each in read_run(place).chosen if each.damage}
    assert list(damages) == [RIGHT, EMPTY, OTHER]
    assert "no text" in damages[RIGHT] and "no file" in damages[OTHER] and "digest" in damages[EMPTY]


@pytest.mark.parametrize(
    ("now", "times", "differs"),
    [
        ({}, True, ()),
        ({"spread": 1.3, "speedup": 1.9}, True, ()),
        ({"speedup": 2.4}, True, ("speedup",)),
        ({"speedup": 1.6}, True, ("speedup",)),
        ({"speedup": 2.4}, False, ()),
        ({"speedup": 2.2155}, True, ()),  # the intervals' gap is less than what two processes differ by
        ({"timings": ()}, True, ("speedup",)),
        ({"timings": ()}, False, ()),
        ({"outcome": Outcome.IMPLAUSIBLE, "speedup": 9.0}, True, ("stages", "outcome")),
    ],
)
def test_what_counts_as_different(
    now: dict[str, Any], times: bool, differs: tuple[str, ...], build: Any, verdict: Any, timing: Any
) -> None:
    def said(outcome: Outcome = Outcome.RIGHT, **values: Any) -> Verdict:
        timings = values.pop("timings", None)
        timings = (timing(values.pop("speedup", 2.0), **values),) if timings is None else timings
        return replace(verdict(2.0), outcome=outcome, timings=timings)

    run = build.run([(build.attempt(), said())])
    (recorded,) = read(run).chosen
    told = json.loads(json.dumps(said(**now).to_json()))
    assert compare(recorded, told, times) == differs
    only_slower = differs == ("speedup",) and "timings" not in now
    assert compare(recorded, told, times, interpreted=True) == (() if only_slower else differs)


def test_times_of_another_device_are_not_compared(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = json.loads((place / "run" / "run.json").read_text())
    older = {"schema": 1, "plan": about["plan"], "environment": {"device_kind": "cuda", "device": "NVIDIA H200"}}
    (place / "run" / "run.json").write_text(json.dumps(older))
    _rewrite(place, RIGHT, lambda line: line["verdict"]["timings"][0].update(speedup=90.0, low=80.0, high=100.0))
    if _has_no_gpu():
        assert _verify(place) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and "was judged on NVIDIA H200 (cuda), and there is none here" in err
    assert _verify(place, "--device=interpreter", "--task=doubled") == 0
    out = capsys.readouterr().out
    assert "Speedups of 2 attempts are not compared" in out
    assert "recorded: NVIDIA H200, torch unknown" in out and "Recorded by version unknown of the harness" in out


def _has_no_gpu() -> bool:
    import torch

    return not torch.cuda.is_available()


def test_every_mistake_is_one_line(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, suite = str(place / "run"), f"--suite={place / 'suite'}"
    older = shutil.copytree(place / "run", tmp_path / "older")
    about = json.loads((older / "run.json").read_text())
    (older / "run.json").write_text(json.dumps({key: about[key] for key in ("schema", "plan")}))
    torn = shutil.copytree(place / "run", tmp_path / "torn")
    (torn / "run.json").write_text((place / "run" / "run.json").read_text()[:100])
    owed = shutil.copytree(place / "run", tmp_path / "owed")
    (owed / "results.jsonl").write_text((place / "run" / "results.jsonl").read_text()[:100])
    (tmp_path / "empty").mkdir()
    mistakes = {
        (run,): "no suite toy is known here: name its folder with --suite=FOLDER",
        (run, suite, "--task=doubeld"): "no attempt at 'doubeld': it has doubled",
        (run, "--suite=nowhere"): "no such suite or folder",
        (run, suite, "--sample-seed=1"): "no meaning without --sample",
        (run, suite, "--isolation=castle"): "--isolation",
        (run, f"--suite={tmp_path / 'empty'}"): "no suite.toml there",
        (run, suite, "--device=abacus"): "--device 'abacus' is unknown",
        (run, suite, "--stage-timeout=-1"): "a number above zero",
        (str(older), suite): "does not say what it was judged on: name a device with --device",
        (str(torn), suite): "can't be read",
        (str(owed), suite): "nothing to verify: of 6 attempts 6 are owed",
        (str(tmp_path / "empty"),): "no run folder",
    }
    for arguments, says in mistakes.items():
        assert main(["verify", *arguments]) == 2, arguments
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and says in err, err


def test_ctrl_c_leaves_with_what_was_found(place: Path) -> None:
    source = (place / "run" / "samples" / OTHER / "solution.py").read_text()
    _forge(place, OTHER, source.replace("def tripled(x):", "def tripled(x):\n    while True: pass\n"))
    ours, theirs = pty.openpty()
    line = ["-m", "reports.cli", "verify", place / "run", f"--suite={place / 'suite'}", "--judges=1"]
    process = subprocess.Popen(
        [sys.executable, *map(str, line), "--stage-timeout=100"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(theirs)
    shown, end = b"", time.monotonic() + 60
    while b"2 of 4 judged again" not in shown and time.monotonic() < end:
        shown += os.read(ours, 4096)
    time.sleep(0.5)  # it hangs by now
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    os.close(ours)
    assert process.returncode == 130 and "Traceback" not in out
    assert out.splitlines()[-1] == "verified 2 of 4: the same outcome; stopped before 2 were judged"
