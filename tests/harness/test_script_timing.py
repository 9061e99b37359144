"""The timed half of a script task: candidate and reference on the published workloads, in turn and by value."""

from __future__ import annotations

import pytest

from harness.judge.judge import Judge
from harness.judge.limits import spread
from harness.judge.script_timing import MOST_WORKLOADS
from harness.script import ScriptTask
from harness.verdict import Outcome
from tests.harness.test_script import KERNEL, script

TIMED = """
import torch

def describe_workloads():
    _all.extend(torch.randn(n) for n in (300, 200, 70))
    return [(f"size {each.numel()}", 4 * each.numel()) for each in _all]

_all = []

def make_workload(number):
    x = _all[number].cuda()
    return (lambda: scale(x, 3.0)), [x]
"""


def timed(half: str = TIMED, reference: str = KERNEL) -> ScriptTask:
    return script(reference, timed_half=half, seeds=1)


def test_the_smallest_is_timed_on_the_interpreter(judge: Judge) -> None:
    verdict = judge.judge(timed(), KERNEL)
    assert verdict.outcome is Outcome.RIGHT, verdict.reason
    (timing,) = verdict.timings
    assert (timing.workload, timing.clock) == ("size 70", "interpreted")
    assert len(timing.candidate_samples_us) == len(timing.reference_samples_us) >= 3
    assert 0.2 < timing.speedup < 5 and verdict.speedup == pytest.approx(timing.speedup)
    assert timing.worst_error is not None and timing.worst_error < 1
    assert "times the reference's speed" in verdict.reason


def test_a_slower_one_is_slower(judge: Judge) -> None:
    slow = KERNEL.replace(
        "    return y", "    for _ in range(5):\n        _scale[(9,)](x, y, 0, by, BLOCK=64)\n    return y"
    )
    verdict = judge.judge(timed(), slow)
    assert verdict.outcome is Outcome.RIGHT and verdict.speedup is not None and verdict.speedup < 0.7, verdict.reason


CACHES = "_seen = {}\n\ndef scale(x, by):\n    key = (x.data_ptr(), x.numel())\n"
CACHES += "    if key not in _seen:\n        _seen[key] = _work(x, by)\n    return _seen[key]\n"
LATER = "_calls = []\n\ndef scale(x, by):\n    _calls.append(1)\n"
LATER += "    return _work(x, by) if len(_calls) < 5 or x.numel() != 70 else torch.zeros_like(x)\n"
WRONG = {
    "cached by address": (CACHES, Outcome.TIMED_WRONG, "on size 70: "),
    "nothing later": (LATER, Outcome.TIMED_WRONG, "what it gave"),
    "no such size": (
        "def scale(x, by):\n    assert x.numel() != 70\n    return _work(x, by)\n",
        Outcome.TIMING_FAILED,
        "on size 70: ",
    ),
    "another shape": (
        "def scale(x, by):\n    return _work(x, by) if x.numel() != 70 else _work(x, by)[None]\n",
        Outcome.TIMED_WRONG,
        "(1, 70)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_when_timed_is_found(judge: Judge, name: str) -> None:
    more, outcome, said = WRONG[name]
    source = f"{KERNEL.replace('def scale', 'def _work')}\n{more}"
    verdict = judge.judge(timed(), source)
    assert verdict.outcome is outcome and said in verdict.reason, (verdict.outcome, verdict.reason)
    assert verdict.speedup is None and verdict.rules["value"]


AGAIN = "not timed on size 70: the published reference gives other values when it is called again"
UNTIMED = {
    "nothing published": ("", "not timed: there are no published workloads"),
    "it fails": (
        "raise RuntimeError('no')",
        "not timed: on the published workloads the published reference fails: RuntimeError: no",
    ),
    "it has none": (
        "def describe_workloads():\n    return []\n",
        "not timed: the published file makes no workloads",
    ),
    "its inputs can't be made": (
        TIMED.replace("x = _all", "raise MemoryError\n    x = _all"),
        "not timed on size 70: the published reference fails: MemoryError",
    ),
    "its values are random": (TIMED.replace("3.0)", "__import__('random').SystemRandom().random())"), AGAIN),
}


def test_what_the_reference_leaves_unwritten_times_nobody(judge: Judge) -> None:
    """It writes the first 64 values of a timed input; a solution that writes them all is better than it."""
    lazy = KERNEL.replace("mask=at < n)\n", "mask=at < tl.where(n == 70, 64, n))\n")
    assert lazy != KERNEL
    for source in (KERNEL, lazy):
        verdict = judge.judge(timed(reference=lazy), source)
        assert verdict.outcome is Outcome.RIGHT and not verdict.timings, verdict.reason
        assert verdict.notes == ("not timed on size 70: the published reference gives NaN, or leaves values unwritten",)


@pytest.mark.parametrize("name", UNTIMED)
def test_what_can_not_be_timed_is_right_without_a_time(judge: Judge, name: str) -> None:
    half, note = UNTIMED[name]
    verdict = judge.judge(timed(half), KERNEL)
    assert verdict.outcome is Outcome.RIGHT and not verdict.timings and verdict.speedup is None, verdict.reason
    assert verdict.notes == (note,)


TURNS = """

_times = []

def scale(x, by):
    _times.append(x.numel())
    return _work(x, by + 0.1 * (x.numel() == 70 and _times.count(70) == 4))
"""


def test_a_reference_that_differs_from_itself_later_times_nobody(judge: Judge) -> None:
    """Its first three calls agree, the fourth is held against a solution: where they differ, it is called once more."""
    turning = KERNEL.replace("def scale", "def _work") + TURNS
    verdict = judge.judge(timed(reference=turning), KERNEL)
    assert verdict.outcome is Outcome.RIGHT and not verdict.timings, verdict.reason
    assert verdict.notes == (
        "not timed: on the published workloads the published reference fails: it gives other values when it is called "
        "again",
    )


def test_what_works_in_place_is_compared_by_its_inputs(judge: Judge) -> None:
    half = TIMED.replace("(lambda: scale(x, 3.0)), [x]", "(lambda: doubled(x)), {'x': x, 'n': 3}")
    head = KERNEL + "\ndef doubled(x):\n    x.copy_(scale(x, {by}))\n"
    reference = head.replace("{by}", "2.0")
    assert judge.judge(timed(half, reference), reference).timings
    verdict = judge.judge(timed(half, reference), head.replace("{by}", "2.5"))
    assert verdict.outcome is Outcome.TIMED_WRONG and "['x']" in verdict.reason, verdict.reason


def test_workloads_are_chosen_evenly_with_the_last() -> None:
    assert spread(0, 8) == [] and spread(1, 8) == [0] and spread(8, 8) == spread(8, None) == list(range(8))
    many = spread(30, MOST_WORKLOADS)
    assert len(many) == MOST_WORKLOADS and many[-1] == 29 and many == sorted(set(many)) and many[0] <= 4
    assert spread(8, 3) == [2, 5, 7] and spread(8, 1) == [7] and spread(2, 5) == [0, 1]
