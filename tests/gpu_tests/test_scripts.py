"""Script tasks on a real GPU: memory that nobody wrote, and the timed half."""

from __future__ import annotations

import pytest
import torch

from harness.judge.judge import Judge
from harness.sandbox.candidate import CandidateProcess
from harness.verdict import Outcome
from tests.harness.test_script import KERNEL, TEST, script
from tests.harness.test_script_timing import TIMED

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no GPU here: run python -m tests.gpu on a machine with one"
    ),
]

LARGE = TIMED.replace("(300, 200, 70)", "(30_000_000, 20_000_000, 70)")
UNWRITTEN = 'unwritten = torch.empty(1 << 23, dtype=torch.uint8, device="cuda")\n'


LOOK = (
    f"import torch\n{UNWRITTEN}small = torch.empty(1000, dtype=torch.uint8, device='cuda')\n"
    "kept = [[int(each.min()), int(each.max())] for each in (unwritten, small)]\n"
    "kept.append(torch.cuda.memory_reserved() >> 20)\n"
)


def test_memory_that_is_given_out_holds_what_it_should(judge: Judge) -> None:
    judge.start()
    with CandidateProcess(judge.parent, judge.limits.sandbox, judge.device.torch) as process:
        process.load(KERNEL, "", 60.0)
        soils = (False, True, True, False, True)
        seen = [process.script(LOOK, "kept", 1, 60.0, soil=soil).value for soil in soils]
    for soil, told in zip(soils, seen, strict=True):
        assert isinstance(told, list)
        for least, most in told[:2]:
            assert least == most and (least > 0) is soil, seen


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


def test_a_reference_that_unwritten_memory_leads_astray_is_run_with_zeros(judge: Judge) -> None:
    astray = script(test=f"import torch\n{UNWRITTEN}assert int(unwritten.max()) == 0\n{TEST}")
    verdict = judge.judge(astray, KERNEL)
    standing = judge.standings.get(astray.digest)
    assert verdict.outcome is Outcome.RIGHT, (verdict.reason, standing)
    assert standing is not None and standing.runs and not standing.soiled and not standing.reason


def test_what_a_reference_leaves_unwritten_is_left_out(judge: Judge) -> None:
    kept = script(test=f"import torch\n{UNWRITTEN}{TEST}result_gold['unwritten'] = unwritten[:100].float()\n")
    verdict = judge.judge(kept, KERNEL)
    standing = judge.standings.get(kept.digest)
    assert verdict.outcome is Outcome.RIGHT, (verdict.reason, standing)
    assert standing is not None and standing.unsettled and verdict.notes[0].startswith("100 of "), verdict.notes
    wrong = judge.judge(kept, KERNEL.replace("by * tl.load", "by + tl.load"))
    assert wrong.outcome is Outcome.VALUES and "case 5" in wrong.reason
