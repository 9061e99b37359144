"""A progress line on a terminal while attempts run, and none elsewhere."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from harness.engine.progress import Progress, stage
from tests.harness.commands import NO_CACHE, SOLVERS, Warm

COMMAND = (f"--solver={SOLVERS}:Versions:versions=2", *NO_CACHE)


def _on_a_terminal(suite: Path, *arguments: str) -> str:
    """What a command writes there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", str(suite), *COMMAND, "--run-dir=run", *arguments],
        cwd=suite.parent,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):
        while data := os.read(ours, 4096):
            shown += data
    os.close(ours)
    assert process.wait(60) == 0, shown.decode()
    return shown.decode()


def test_on_a_terminal(one: Path) -> None:
    shown = _on_a_terminal(one)
    assert shown.count("suite/test_toy.py") == 2, "only once more after the line"
    told = re.findall(r"\r  doubled-versions:versions=2: ([^\r\n\x1b]*?) \((\d+) s\)", shown)
    steps = [text for text, _ in told]
    wanted = [
        "evaluation 1",
        r"evaluation 1: wrong values",
        "evaluation 2",
        r"evaluation 2: right, best .*x",
        "grading",
    ]
    assert len(steps) == len(wanted), steps
    assert all(re.fullmatch(pattern, text) for pattern, text in zip(wanted, steps, strict=True)), steps
    assert all(len(text) < 80 for text in steps)


def test_not_in_a_file(one: Path, warm: Warm) -> None:
    ran = warm.pytest(one, *COMMAND, "--run-dir=run", cwd=one.parent)
    assert ran.code == 0, ran.text
    assert "evaluation 1" not in ran.text and "grading" not in ran.text


def test_many_at_once_on_a_terminal(one: Path) -> None:
    shown = _on_a_terminal(one, "--samples=4", "--concurrency=2", "--judges=1")
    told = re.findall(r"\r  ([^\r\n\x1b]*?) \(\d+ s\)", shown)
    line = r"\d of 4 done \(\d right\)(, \d at work)?(, \d judged)?(, about .*)?"
    assert any(re.fullmatch(line, each) for each in told), told


def test_now_and_then_in_a_file(one: Path) -> None:
    code = "import sys, pytest, harness.progress_line as p; p._PLAIN_SECONDS = 0.5; sys.exit(pytest.main(sys.argv[1:]))"
    command = [str(one), *COMMAND, "--run-dir=run", "--samples=4", "--concurrency=2", "--judges=1"]
    ran = subprocess.run([sys.executable, "-c", code, *command], cwd=one.parent, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout
    assert re.search(r"^\d\d:\d\d:\d\d \d of 4 done \(\d right\), ", ran.stdout, re.MULTILINE), ran.stdout
    assert "\x1b" not in ran.stdout


def test_what_is_left() -> None:
    early = Progress(planned=10, done=2, right=1, new=2, doing=Counter(judged=1), seconds=10)
    assert early.left is None and str(early) == "2 of 10 done (1 right), 1 judged"
    later = Progress(100, 50, 20, 40, Counter({"waiting for models": 3, "judged": 2}), 400.0, held=0.614)
    assert later.left == 500
    assert str(later) == "50 of 100 done (20 right), 2 judged, 3 waiting for models, GPU timing 61%, about 8 min left"
    assert [stage(each) for each in ("evaluation 3", "evaluation 3: right", "grading", "waiting for the model")] == [
        "judged",
        "at work",
        "judged",
        "waiting for models",
    ]
