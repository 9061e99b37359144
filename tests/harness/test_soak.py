"""The soak, short: candidates of mixed fate through one engine leak nothing, and each is judged once."""

from __future__ import annotations

from harness.api import Judge
from tests.harness.commands import TOY
from tests.soak import FATES, candidates, soak


def test_nothing_leaks() -> None:
    fates = {fate for fate, _ in candidates(60, gpu=False, seed=1)}
    assert fates == set(FATES), "take another seed: each fate should come"
    with Judge(TOY, device="interpreter", judges=2, stage_timeout=5, memory_limit=2) as judge:
        table, well = soak(judge, "interpreter", 60, seed=1)
    assert well, table
