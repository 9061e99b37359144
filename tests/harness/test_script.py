"""Script tasks: a test half runs in the candidate's process, and every value that it keeps is held against what the
published reference gives for the same seed."""

from __future__ import annotations

import hashlib

import pytest
import torch

from harness.judge.judge import Judge
from harness.judge.published_rules import close
from harness.judge.values import differ, says_something
from harness.sandbox.answers import Foreign, Placed, Scripted
from harness.script import PUBLISHED, PUBLISHED_PRODUCTS, ScriptTask, published_tolerance
from harness.task import case
from harness.verdict import Outcome

KERNEL = """
import torch
import triton
import triton.language as tl

@triton.jit
def _scale(x_ptr, y_ptr, n, by, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + at, by * tl.load(x_ptr + at, mask=at < n), mask=at < n)

def scale(x, by):
    y = torch.empty_like(x)
    _scale[(triton.cdiv(x.numel(), 64),)](x, y, x.numel(), by, BLOCK=64)
    return y
"""
TEST = """
def test_scale():
    kept = {}
    for n in (5, 130):
        x = torch.randn(n, device="cuda")
        kept[f"case {n}"] = scale(x, 3.0)
    kept["many"] = (scale(torch.rand(4, 4, device="cuda"), 2.0).double(), [1, 2.5, "text", None, True])
    return kept

result_gold = test_scale()
"""


def script(
    reference: str = KERNEL, test: str = TEST, variable: str = "result_gold", timed_half: str = "", seeds: int = 3
) -> ScriptTask:
    task = ScriptTask(
        entry_point="",
        signature="",
        outputs="()",
        level=1,
        category="published",
        origin="",
        cases=[case(seed=number + 1) for number in range(seeds)],
        workloads=[],
        tolerance=PUBLISHED,
        script=test,
        variable=variable,
        timed_half=timed_half,
    )
    task.name, task.suite, task.reference = "scale", "scripts", reference
    task.digest = hashlib.sha256(f"{reference}\0{test}\0{variable}\0{timed_half}".encode()).hexdigest()
    return task


def test_a_run_finds_nothing_of_an_earlier_one(judge: Judge) -> None:
    once = script(test=f'{TEST}\nassert "kept_before" not in globals()\nkept_before = torch.ones(3)\n')
    verdict = judge.judge(once, KERNEL)
    assert verdict.outcome is Outcome.RIGHT, verdict.reason


def test_the_reference_is_right(judge: Judge) -> None:
    verdict = judge.judge(script(), KERNEL)
    assert verdict.outcome is Outcome.RIGHT, verdict.reason
    assert (verdict.cases_passed, verdict.cases, verdict.speedup) == (3, 3, None) and not verdict.warnings
    assert verdict.reason == "right on 3 seeds"


WRONG = {
    "no code": ("", Outcome.NO_CODE, "no code"),
    "no Python": ("def scale(:", Outcome.SYNTAX, "SyntaxError"),
    "no such function": (KERNEL.replace("def scale(", "def scales("), Outcome.CALL_ERROR, "scale"),
    "another factor": (KERNEL.replace("by * tl", "1.01 * by * tl"), Outcome.VALUES, "result_gold['case 5']"),
    "nothing at the end": (
        KERNEL.replace("empty_like", "zeros_like").replace("at < n), mask=at < n", "at < n), mask=at < min(n, 128)"),
        Outcome.VALUES,
        "2 of 130 values of result_gold['case 130']",
    ),
    "another shape": (KERNEL.replace("return y", "return y[None]"), Outcome.SHAPE, "(1, 5)"),
    "another dtype": (KERNEL.replace("return y", "return y.half()"), Outcome.DTYPE, "fp16"),
    "no plain tensor": (
        KERNEL.replace("return y", "return y.as_subclass(Lazy)") + "class Lazy(torch.Tensor):\n    pass\n",
        Outcome.STRUCTURE,
        "a Lazy",
    ),
    "PyTorch": ("import torch\ndef scale(x, by):\n    return by * x\n", Outcome.NO_TRITON, "no Triton kernel"),
    "an exit": (KERNEL + "import os\ndef scale(x, by):\n    os._exit(0)\n", Outcome.EXIT, ""),
    "an exception": (KERNEL + "def scale(x, by):\n    raise ValueError('so')\n", Outcome.CALL_ERROR, "so"),
    "a module that is not there": ("import not_there\n" + KERNEL, Outcome.IMPORT_ERROR, "not_there"),
    "easy inputs": (
        KERNEL + "torch.randn = lambda *shape, **how: torch.ones(*shape, **how)\n",
        Outcome.CHEATING,
        "torch.randn",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(judge: Judge, name: str) -> None:
    source, outcome, said = WRONG[name]
    verdict = judge.judge(script(), source)
    assert verdict.outcome is outcome and said in verdict.reason, (verdict.outcome, verdict.reason)


def test_a_value_that_is_set_before_the_test_half_runs_counts_for_nothing(judge: Judge) -> None:
    early = script(test=TEST.replace("result_gold = test_scale()", "test_scale()"))
    verdict = judge.judge(early, f"{KERNEL}\nresult_gold = {{'case 5': torch.ones(5)}}\n")
    assert verdict.outcome is Outcome.UNSUPPORTED and "keeps nothing" in verdict.reason


QUARANTINED = {
    "it fails": (KERNEL + "raise RuntimeError('not on this device')\n", TEST, "can't be loaded"),
    "its test fails": (KERNEL, "def test_scale():\n    return nobody()\nresult_gold = test_scale()\n", "fails here"),
    "its values are random": (
        KERNEL + "import random\n_own = random.SystemRandom()\n",
        TEST.replace("scale(x, 3.0)", "scale(x, _own.random())"),
        "other values when it is run again",
    ),
    "its values say nothing": (
        KERNEL,
        TEST.replace("return kept", "return tuple(kept['case 5'].shape)"),
        "says nothing",
    ),
}


@pytest.mark.parametrize("name", QUARANTINED)
def test_a_reference_that_can_not_judge_judges_nobody(judge: Judge, name: str) -> None:
    reference, test, said = QUARANTINED[name]
    for source in (KERNEL, "def scale(:"):
        verdict = judge.judge(script(reference, test), source)
        expected = Outcome.SYNTAX if "(:" in source else Outcome.UNSUPPORTED
        assert verdict.outcome is expected, verdict.reason
    verdict = judge.judge(script(reference, test), KERNEL.replace("3", "3 "))
    assert verdict.outcome is Outcome.UNSUPPORTED and said in verdict.reason and not verdict.warnings
    assert not verdict.rules["value"]


def test_where_nobody_can_judge_the_published_rules_are_asked_all_the_same(judge: Judge) -> None:
    """They run a solution once, and compare what is printed: nothing, here."""
    _, test, _ = QUARANTINED["its values say nothing"]
    for reference, source, said in (
        (KERNEL, KERNEL, (True, True)),
        (KERNEL, KERNEL + "print('something')\n" + KERNEL.replace("return y", "print(1)\n    return y"), (True, False)),
        (KERNEL, KERNEL.replace("return y", "raise ValueError"), (False, False)),
        (KERNEL + "raise RuntimeError('not here')\n", KERNEL, (True, False)),
    ):
        verdict = judge.judge(script(reference, test), source)
        assert verdict.outcome is Outcome.UNSUPPORTED, verdict.reason
        assert (verdict.rules["paper call"], verdict.rules["paper execution"]) == said, source


def test_a_kernel_may_stand_in_the_test_half(judge: Judge) -> None:
    """Triton reads the source of a kernel from its file."""
    head, _, scale = KERNEL.partition("def scale")
    test = f"{head}\ndef helped{scale}{TEST}".replace("scale(x, 3.0)", "helped(scale(x, 1.5), 2.0)")
    verdict = judge.judge(script(test=test), KERNEL)
    assert verdict.outcome is Outcome.RIGHT, verdict.reason


def test_launches_are_asked_for_where_the_reference_makes_any_there(judge: Judge) -> None:
    """A test half may launch in a process of its own, which nobody sees into: that is noted."""
    elsewhere = "kept = {'x': torch.randn(9)}\nresult_gold = kept\n"
    verdict = judge.judge(script(test=elsewhere), KERNEL)
    assert verdict.outcome is Outcome.RIGHT and any("in its own process" in each for each in verdict.notes)
    idle = KERNEL.replace("    _scale[", "    return by * x\n    _scale[")
    verdict = judge.judge(script(), idle)
    assert verdict.outcome is Outcome.NO_TRITON and not verdict.notes, verdict.reason


def test_a_reference_that_changes_its_mind_judges_nobody_any_more(judge: Judge) -> None:
    """It gave the same values six times, so that it was taken for one that can judge; the first of each seed's judge
    whoever came first."""
    late = TEST.replace("kept = {}", "kept = {'runs': _runs.append(1)}").replace("3.0", "3.0 + (len(_runs) > 6)")
    reference = KERNEL + "_runs = []\n"
    task = script(reference, late.replace("_runs.append(1)", "[_runs.append(1), None][1]"))
    assert judge.judge(task, reference).outcome is Outcome.RIGHT
    assert judge.judge(task, reference).outcome is Outcome.VALUES, "each run after the sixth gives the same again"
    random_late = task.script.replace(
        "(len(_runs) > 6)", "(len(_runs) > 6) * __import__('random').SystemRandom().random()"
    )
    assert judge.judge(script(reference, random_late), reference).outcome is Outcome.RIGHT
    for _ in range(2):
        verdict = judge.judge(script(reference, random_late), reference)
        assert verdict.outcome is Outcome.UNSUPPORTED and "other values when it is run again" in verdict.reason


def test_what_the_reference_does_itself_is_no_fault(judge: Judge) -> None:
    compiles = KERNEL + "import torch._inductor.config\n"
    alone = judge.judge(script(), compiles)
    assert alone.outcome is Outcome.TORCH_WORK, alone.reason
    verdict = judge.judge(script(compiles), compiles.replace("3", "3 "))
    assert verdict.outcome is Outcome.RIGHT and not verdict.warnings, verdict.reason
    verdict = judge.judge(script(compiles), compiles + "import cffi\n")
    assert len(verdict.warnings) <= 1 and not any("PyTorch" in each for each in verdict.warnings)


def test_seeds_differ_and_a_judgement_can_be_repeated(judge: Judge) -> None:
    again = "    _seen.append(float(x.reshape(-1)[0]))\n    assert len(_seen) == len(set(_seen))\n"
    remembers = KERNEL.replace("    y = torch", f"{again}    y = torch").replace("def scale", "_seen = []\n\ndef scale")
    verdict = judge.judge(script(), remembers, seed=5)
    assert verdict.outcome is Outcome.RIGHT, verdict.reason


def placed(tensor: torch.Tensor) -> Placed:
    return Placed(tensor, "cpu")


def test_trees_are_compared_by_all_that_they_hold() -> None:
    expected = {"a": [placed(torch.arange(20.0)), 1], "b": (float("nan"), None), "c": Foreign("Thing")}
    assert differ(expected, {**expected}, PUBLISHED, "x") == (None, 0.0)
    for got, said in (
        ({**expected, "c": Foreign("Other")}, "x['c'] is a Other, Thing is wanted"),
        ({"a": expected["a"], "b": expected["b"]}, "x has 2 values, 3 are wanted"),
        ({**expected, "b": (1.0, None)}, "x['b'][0] is not finite as wanted"),
        ({**expected, "b": [float("nan"), None]}, "x['b'] is a list, a tuple is wanted"),
        ({**expected, "a": [placed(torch.arange(20.0)), 2]}, "x['a'][1] differs"),
        ({**expected, "a": [placed(torch.arange(20.0)), True]}, "x['a'][1] is a bool, a int is wanted"),
        ({**expected, "a": [placed(torch.arange(20.0) + 1), 1]}, "are out of tolerance"),
    ):
        difference, _ = differ(expected, got, PUBLISHED, "x")
        assert difference is not None and said in difference.sentence, difference


def _as_tf32(x: torch.Tensor) -> torch.Tensor:
    """Ten bits of the fraction, the others cut off."""
    return (x.view(torch.int32) & ~0x1FFF).view(torch.float32)


@pytest.mark.parametrize("k", [16, 256, 4096])
def test_products_in_tf32_are_right_and_one_that_is_left_out_is_not(k: int) -> None:
    draw = torch.Generator().manual_seed(k)
    a, b = (torch.randn(size, generator=draw) for size in ((256, k), (k, 256)))
    whole, rounded = placed(a @ b), placed(_as_tf32(a) @ _as_tf32(b))
    tolerance = published_tolerance("acc += tl.dot(a, b)")
    for one, other in ((whole, rounded), (rounded, whole)):
        assert differ(one, other, tolerance, "c")[0] is None
    assert differ(whole, rounded, PUBLISHED, "c")[0] is not None, "which is why it is wider"
    assert published_tolerance("y = tl.dotted(x)") == PUBLISHED != PUBLISHED_PRODUCTS == tolerance
    less = placed(a[:, 1:] @ b[1:])
    difference, _ = differ(whole, less, tolerance, "c")
    assert difference is not None and difference.outcome is Outcome.VALUES


def test_what_says_something() -> None:
    assert says_something([placed(torch.tensor([1.0, 2.0]))])
    for nothing in (None, 1.5, [], placed(torch.ones(5)), {"a": placed(torch.tensor(3.0))}, placed(torch.empty(0))):
        assert not says_something(nothing)


def test_limits_hold_for_scripts_too(hasty_judge: Judge) -> None:
    endless = KERNEL + "def scale(x, by):\n    while True:\n        pass\n"
    verdict = hasty_judge.judge(script(), endless)
    assert verdict.outcome is Outcome.TIMEOUT, verdict.reason


RULES = {
    "right": (KERNEL, (True, True, True)),
    "wrong values": (KERNEL.replace("by * tl", "1.01 * by * tl"), (True, True, False)),
    "PyTorch alone": ("import torch\ndef scale(x, by):\n    return by * x\n", (True, True, True)),
    "printed": (KERNEL + "print('before is not looked at')\n", (True, True, True)),
    "printed by a call": (KERNEL.replace("    y = torch", "    print(1)\n    y = torch"), (True, False, True)),
    "an exception": (KERNEL + "def scale(x, by):\n    raise ValueError('so')\n", (False, False, False)),
    "an exit": (KERNEL + "import os\ndef scale(x, by):\n    os._exit(0)\n", (True, True, False)),
    "an exit that says so": (KERNEL + "import os\ndef scale(x, by):\n    os._exit(1)\n", (False, False, False)),
}


@pytest.mark.parametrize("name", RULES)
def test_three_rules_stand_side_by_side(judge: Judge, name: str) -> None:
    source, said = RULES[name]
    rules = judge.judge(script(), source).rules
    assert tuple(rules[each] for each in ("paper call", "paper execution", "value")) == said


def test_geak_evals_rule_compares_as_far_as_both_go() -> None:
    a = placed(torch.arange(3.0))
    expected = Scripted({"a": a, "b": [a, 1]}, 1, "")
    for value, right in (
        ({"a": a, "b": [a, 1]}, True),
        ({"x": a, "y": [a]}, True),
        ({"a": placed(a.tensor + 5e-4), "b": [a, 1]}, True),
        ({"a": placed(a.tensor + 5e-2), "b": [a, 1]}, False),
        ({"a": placed(torch.zeros(1)), "b": [a, 1]}, False),
        ({"a": placed(torch.zeros(2)), "b": [a, 1]}, False),
        ({"a": placed(a.tensor.half()), "b": [a, 1]}, False),
        ({"a": a, "b": [a, 2]}, False),
        ([a], False),
        (None, False),
    ):
        assert close(expected, Scripted(value, 1, "")) is right, value
