"""Where a run's time went: from the journals, each judgement once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from reports.cli import main
from reports.times import read, table


def _journal(run: Any, attempt: Any, *entries: tuple[str, Any]) -> None:
    folder = run.sample(attempt)
    lines = [json.dumps({"kind": kind, "key": "k", "occurrence": 1, "answer": answer}) for kind, answer in entries]
    (folder / "journal.jsonl").write_text("\n".join([*lines, '{"kind": "grade", "torn']))


@pytest.fixture
def run(build: Any, verdict: Callable[..., Any]) -> Any:
    one, two = build.attempt("softmax"), build.attempt("softmax", sample=2)
    run = build.run([(one, verdict(1.5)), (two, verdict(1.5))], devices=2)

    def said(seed: int, **more: Any) -> dict[str, Any]:
        phases = {"calls": 2.0, "timed calls": 1.0}
        told = verdict(
            1.0, 2.0, seed=seed, seconds=4.0, phases=phases, held_phases={"timed calls": 0.5}, held_seconds=0.5, **more
        )
        return json.loads(json.dumps(told.to_json()))

    _journal(run, one, ("evaluation", said(1)), ("model", {"text": "hello"}), ("grade", said(2)))
    _journal(run, two, ("evaluation", {"phases": "?", "seconds": None, "seed": 9}), ("grade", said(2)))
    return run


def test_each_judgement_counts_once(run: Any) -> None:
    (times,) = read([run.folder])
    assert (times.judgements, times.workloads, times.judging, times.devices) == (3, 4, 8.0, 2)
    assert times.phases == {"calls": 4.0, "timed calls": 2.0} and times.held == {"timed calls": 1.0}
    assert times.models == 24.0


def test_the_table_says_how_busy_the_devices_were(run: Any) -> None:
    (times,) = read([run.folder])
    times.wall = 5.0
    made = table(times)
    assert [column.cells for column in made.columns] == [
        ("calls", "timed calls", "all else", "all"),
        ("4.0", "2.0", "2.0", "8.0"),
        ("50", "25", "25", "100"),
        ("0.0", "1.0", "0.0", "1.0"),
        ("0", "250", "0", "250"),
    ]
    assert "held alone: 10 % of the time" in made.facts[1], "one second of five, on two devices"


def test_the_command(run: Any, build: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["times", str(run.folder)]) == 0
    assert "3 judgements, 4 workloads timed, on 2 × " in capsys.readouterr().out
    with pytest.raises(UsageError, match="nothing was judged"):
        read([build.run(plan=[build.attempt()]).folder])
