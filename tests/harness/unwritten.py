"""What scripts find in memory that nobody wrote: looks for a judge of any device."""

from __future__ import annotations

from harness.judge.judge import Judge
from harness.sandbox.candidate import CandidateProcess
from harness.verdict import Outcome
from tests.harness.test_script import KERNEL, TEST, script

UNWRITTEN = 'unwritten = torch.empty(1 << 23, dtype=torch.uint8, device="cuda")\n'
LOOK = (
    f"import torch\n{UNWRITTEN}small = torch.empty(1000, dtype=torch.uint8, device='cuda')\n"
    "kept = [[int(each.min()), int(each.max())] for each in (unwritten, small)]\n"
)


def it_holds_what_it_should(judge: Judge) -> None:
    judge.start()
    with CandidateProcess(judge.parent, judge.limits.sandbox, judge.device.torch) as process:
        process.load(KERNEL, "", 60.0)
        soils = (False, True, True, False, True)
        seen = [process.script(LOOK, "kept", 1, 60.0, soil=soil).value for soil in soils]
    for soil, told in zip(soils, seen, strict=True):
        assert isinstance(told, list)
        for least, most in told:
            assert least == most and (least > 0) is soil, seen


def who_is_led_astray_by_it_gets_zeros(judge: Judge) -> None:
    astray = script(test=f"import torch\n{UNWRITTEN}assert int(unwritten.max()) == 0\n{TEST}")
    verdict = judge.judge(astray, KERNEL)
    standing = judge.standings.get(astray.digest)
    assert verdict.outcome is Outcome.RIGHT, (verdict.reason, standing)
    assert standing is not None and standing.runs and not standing.soiled and not standing.reason


def what_a_reference_leaves_unwritten_is_left_out(judge: Judge) -> None:
    kept = script(test=f"import torch\n{UNWRITTEN}{TEST}result_gold['unwritten'] = unwritten[:100].float()\n")
    verdict = judge.judge(kept, KERNEL)
    standing = judge.standings.get(kept.digest)
    assert verdict.outcome is Outcome.RIGHT, (verdict.reason, standing)
    assert standing is not None and standing.unsettled and verdict.notes[0].startswith("100 of "), verdict.notes
    wrong = judge.judge(kept, KERNEL.replace("by * tl.load", "by + tl.load"))
    assert wrong.outcome is Outcome.VALUES and "case 5" in wrong.reason


LOOKS = (it_holds_what_it_should, who_is_led_astray_by_it_gets_zeros, what_a_reference_leaves_unwritten_is_left_out)
