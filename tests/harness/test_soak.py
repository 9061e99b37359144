"""The soak, short: candidates of mixed fate through one engine leak nothing, and each is judged once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from harness.api import Judge
from tests.harness.commands import TOY
from tests.soak import FATES, candidates, soak


def test_nothing_leaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # other tests run beside, and have files of ours, too
    fates = {fate for fate, _ in candidates(60, gpu=False, seed=1)}
    assert fates == set(FATES), "take another seed: each fate should come"
    with Judge(TOY, device="interpreter", judges=2, stage_timeout=5, memory_limit=2) as judge:
        table, well = soak(judge, "interpreter", 60, seed=1)
    assert well, table
