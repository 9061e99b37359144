"""Script tasks on a real GPU: memory that nobody wrote, and the timed half."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from harness.judge.judge import Judge
from harness.verdict import Outcome
from tests.harness import unwritten
from tests.harness.test_script import KERNEL, script
from tests.harness.test_script_timing import TIMED

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no GPU here: run python -m tests.gpu on a machine with one"
    ),
]

LARGE = TIMED.replace("(300, 200, 70)", "(30_000_000, 20_000_000, 70)")


def test_a_reference_beside_itself(judge: Judge) -> None:
    verdict = judge.judge(script(timed_half=LARGE), KERNEL)
    assert verdict.outcome is Outcome.RIGHT and not verdict.warnings, (verdict.reason, verdict.warnings)
    assert [timing.workload for timing in verdict.timings] == ["size 30000000", "size 20000000", "size 70"]
    for timing in verdict.timings[:2]:
        assert timing.clock == "device" and timing.speedup == pytest.approx(1.0, abs=0.05)


def test_who_hides_work_from_its_events_is_implausible(judge: Judge) -> None:
    lies = KERNEL + "torch.cuda.Event.elapsed_time = lambda self, other: 0.001\n"
    assert judge.judge(script(timed_half=LARGE), lies).outcome is Outcome.CHEATING
    later = KERNEL.replace("def scale(x, by):", "def _all(x, by):") + (
        "_side = torch.cuda.Stream()\n\ndef scale(x, by):\n"
        "    with torch.cuda.stream(_side):\n        for _ in range(4):\n            y = _all(x, by)\n"
        "    if x.numel() < 1000:\n        _side.synchronize()\n"
        "    return y\n"
    )
    verdict = judge.judge(script(timed_half=LARGE), later)
    assert verdict.outcome in (Outcome.IMPLAUSIBLE, Outcome.TIMED_WRONG, Outcome.VALUES), verdict.reason


@pytest.mark.parametrize("look", unwritten.LOOKS, ids=lambda look: look.__name__)
def test_memory_that_nobody_wrote(judge: Judge, look: Callable[[Judge], None]) -> None:
    look(judge)
