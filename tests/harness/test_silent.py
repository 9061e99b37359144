"""A test half that keeps nothing a wrong kernel would get wrong: what the timed half calls is compared instead."""

from __future__ import annotations

import pytest

from harness.judge.judge import Judge, JudgeLimits
from harness.script import ScriptTask
from harness.verdict import Outcome
from tests.harness.test_script import KERNEL, TEST, script
from tests.harness.test_script_timing import TIMED

SHAPES = TEST.replace("return kept", "return {name: tuple(each.shape) for name, each in list(kept.items())[:2]}")


def silent(timed_half: str = TIMED, reference: str = KERNEL) -> ScriptTask:
    return script(reference, SHAPES, timed_half=timed_half, seeds=2)


@pytest.mark.parametrize("timed", [True, False])
def test_what_is_right_on_the_workloads_is_right(judge: Judge, timed: bool) -> None:
    with Judge(judge.device, JudgeLimits(stage_seconds=60.0, timed=timed)) as one:
        verdict = one.judge(silent(), KERNEL)
        assert verdict.outcome is Outcome.RIGHT and all(verdict.rules.values()), verdict.reason
        (note,) = verdict.notes
        assert "says nothing" in note and "compared on 1 of the published workloads" in note
        assert bool(verdict.timings) is timed
        assert one.judge(silent(), KERNEL.replace("64", "32")).outcome is Outcome.RIGHT, "known by now"


SHORT, FAILS = "return y[:-1] if y.numel() == 70 else y", "    assert x.numel() != 70\n    y = "
WRONG = {
    "other values": (KERNEL.replace("by * tl.load", "by + tl.load"), Outcome.VALUES, "on size 70: "),
    "another shape": (KERNEL.replace("return y", SHORT), Outcome.VALUES, "on size 70: "),
    "it fails there": (KERNEL.replace("    y = ", FAILS), Outcome.CALL_ERROR, "on size 70: "),
    "it fails in the test half": (KERNEL.replace("return y", "return y[:-1]"), Outcome.VALUES, "result_gold"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_on_the_workloads_is_wrong(judge: Judge, name: str) -> None:
    source, outcome, said = WRONG[name]
    verdict = judge.judge(silent(), source)
    assert verdict.outcome is outcome and said in verdict.reason, (verdict.outcome, verdict.reason)
    assert not verdict.rules["value"] and not verdict.timings


NOTHING = {
    "no workloads": (
        TIMED.replace("return [(f", "return [][:0] or [(f").replace("in _all]", "in []]"),
        "no published workload",
    ),
    "constant values": (TIMED.replace("torch.randn(n)", "torch.zeros(n)"), "no published workload"),
    "it fails": (TIMED.replace("x = _all[number]", "raise ValueError\n    x = _all[number]"), "no published workload"),
    "none at all": ("", "says nothing"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_where_they_say_nothing_either_nobody_is_judged(judge: Judge, name: str) -> None:
    half, said = NOTHING[name]
    verdict = judge.judge(silent(half), KERNEL)
    assert verdict.outcome is Outcome.UNSUPPORTED and said in verdict.reason, verdict.reason
    assert not verdict.notes and not verdict.rules["value"]
