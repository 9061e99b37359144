"""The script that measures reports on many attempts."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.load import load
from tests import large


def test_it_makes_a_run_and_measures(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    frame = load([large.make(tmp_path, 2000)])
    assert len(frame) == 2000 and frame["recorded"].all() and frame["task"].nunique() == large.TASKS
    assert large.main(["--attempts=200"]) == 0
    said = capsys.readouterr().out
    assert "200 attempts" in said and "leaderboard: " in said and "page: " in said and " GiB" in said
