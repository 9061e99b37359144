"""Folders that are torn, empty, foreign or older, and records that make no sense: one clear line, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.cli import main

NAMES = (
    *("leaderboard", "tasks", "scaling", "times", "rules", "pass-at-k", "proof", "verify", "show", "merge"),
    *("report", "compare", "agree"),
)
ABOUTS: dict[str, dict[str, Any]] = {
    "bare": {},
    "mistyped": {
        **{"suites": {"a": 1}, "options": [1], "environment": [2], "solvers": 7, "model": "m", "merged": [3]},
        **{"devices": "x", "created": 5, "session": 6},
    },
    "nested": {
        "suites": [1, {"name": ["x"]}],
        "options": {"stage_timeout": "x", "predictions": 3, "samples": "q", "solver": 5},
        "environment": {"device": 3, "device_kind": "interpreter", "digest": "e"},
        "merged": [{"attempts": [["x"]], "created": 1}, {"attempts": 3}],
    },
}
VERDICTS: dict[str, dict[str, Any]] = {
    "unknown": {"outcome": "haunted", "reason": "r", "digest": "d", "stages": {"call": True}},
    "mistyped": {"outcome": ["x"], "digest": 3, "timings": 3, "rules": 5, "stages": 4, "reason": ["\x1b"]},
    "bare": {"outcome": "right"},
    "right": {
        **{"outcome": "right", "timings": [3, {"rate": "x", "speedup": [1], "kernels": 4}], "warnings": 5},
        **{"accuracy": 6, "detail": 7, "reason": 8, "cases": "x"},
    },
}


def _arguments(name: str, run: Path, other: Path) -> list[str]:
    more = {
        "show": ["softmax"],
        "merge": [str(other), "-o", str(run.with_name(f"{run.name}-merged"))],
        "report": ["-o", str(run.with_name(f"{run.name}.html"))],
        "compare": [str(other)],
        "agree": [str(other)],
    }
    return [name, str(run), *more.get(name, [])]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_run_of_ours(
    name: str, build: Any, verdict: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = build.run([(build.attempt(), verdict(1.0))])
    whole = (run.folder / "run.json").read_text()
    texts = {"torn": whole[: len(whole) // 2], "nothing": "", "foreign": '{"name": "npm"}', "older": '{"schema": 0}'}
    for kind, text in texts.items():
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "run.json").write_text(text)
    (tmp_path / "empty").mkdir()
    for kind in (*texts, "empty", "missing"):
        assert main(_arguments(name, tmp_path / kind, run.folder)) == 2, kind
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and kind in err, err


@pytest.mark.parametrize("said", VERDICTS)
@pytest.mark.parametrize("about", ABOUTS)
def test_a_record_that_makes_no_sense(
    about: str, said: str, build: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [tmp_path / "first", tmp_path / "second"]
    for run in runs:
        run.mkdir()
        plan = build.about([build.attempt()])["plan"]
        (run / "run.json").write_text(json.dumps({"schema": 1, "plan": plan, **ABOUTS[about]}))
        line = {"attempt": plan[0], "status": "judged", "verdict": VERDICTS[said], "spent": 4, "started": 3}
        (run / "results.jsonl").write_text(json.dumps({**line, "environment": [1]}) + "\n")
    for name in NAMES:
        code = main(_arguments(name, *runs))
        out, err = capsys.readouterr()
        assert (code == 2 and out == "" and err.count("\n") == 1) or (
            code in (0, int(name == "verify")) and out and not err
        ), (name, err)
        assert "\x1b" not in out + err
