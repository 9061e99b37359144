"""The judge on a whole suite's road: right, wrong, tuned, unsupported, out of time; seeds; nothing is carried over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.judge.judge import Judge, JudgeLimits, device_ran_out
from harness.judge.trial import LONGEST_SOURCE, Scope
from harness.named import make_judge
from harness.options import Options
from harness.sandbox.isolation import Limits
from harness.task import Task
from harness.verdict import Feedback, Outcome, Stage, Verdict, geometric_mean
from tests.exploits.make import HONEST, candidate
from tests.harness.commands import NO_CACHE, Warm

ASSEMBLY = """
@triton.jit
def _asm(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    x = tl.load(x_ptr + offsets, mask=mask)
    y = tl.inline_asm_elementwise("add.f32 $0, $1, $1;", "=r,r", [x], dtype=tl.float32, is_pure=True, pack=1)
    tl.store(y_ptr + offsets, y, mask=mask)


def doubled(x):
    y = torch.empty_like(x)
    _asm[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BLOCK=256)
    return y
"""
TUNED = """
@triton.autotune(
    configs=[triton.Config({"BLOCK": 128, "FACTOR": 2}), triton.Config({"BLOCK": 64, "FACTOR": 3})], key=["n"]
)
@triton.jit
def _tuned(x_ptr, y_ptr, n, BLOCK: tl.constexpr, FACTOR: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    tl.store(y_ptr + offsets, FACTOR * tl.load(x_ptr + offsets, mask=mask), mask=mask)


def doubled(x):
    y = torch.empty_like(x)
    _tuned[lambda meta: (triton.cdiv(x.numel(), meta["BLOCK"]),)](x, y, x.numel())
    return y
"""


def test_right(judge: Judge, doubled: Task) -> None:
    verdict = judge.judge(doubled, doubled.reference)
    assert verdict.outcome is Outcome.RIGHT and verdict.right, verdict.reason
    assert verdict.cases_passed == verdict.cases == 3 and verdict.worst_error == 0.0
    (timing,) = verdict.timings
    assert timing.clock == "interpreted" and timing.low <= timing.speedup <= timing.high
    assert len(timing.candidate_samples_us) == len(timing.reference_samples_us) >= 1
    assert timing.limit_us is None and timing.fraction is None
    assert verdict.speedup == timing.speedup and 0.1 < timing.speedup < 10
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    assert all(verdict.passed(stage) for stage in Stage)


def test_wrong_on_a_workload_is_never_timed(judge: Judge, doubled: Task) -> None:
    """Its first call there, which follows those of the cases, is compared before the device is held."""
    source = doubled.reference.replace("def doubled(", "def _honest(") + (
        f"\n\n_calls = []\n\n\ndef doubled(x):\n    _calls.append(x)\n    y = _honest(x)\n"
        f"    return y if len(_calls) <= {len(doubled.cases)} else _honest(y)\n"
    )
    verdict = judge.judge(doubled, source)
    assert verdict.outcome is Outcome.VALUES and verdict.held_seconds == 0.0 and not verdict.timings, verdict.reason


@pytest.mark.parametrize(
    ("source", "outcome", "words"),
    [
        ("", Outcome.NO_CODE, "there is no code"),
        (" \n\t\n", Outcome.NO_CODE, "there is no code"),
        ("def doubled(x:", Outcome.SYNTAX, "SyntaxError"),
        ("def doubled(x):\n\treturn x\n        return y", Outcome.SYNTAX, "Error"),
        ("x = '\0'", Outcome.SYNTAX, "null"),
        ("x = '\ud800'", Outcome.SYNTAX, "UnicodeEncodeError"),
        ("(" * 5000 + ")" * 5000, Outcome.SYNTAX, "Error"),
        ("@" + "+".join("a" * 5000) + "\ndef doubled(x): pass", Outcome.SYNTAX, "RecursionError"),
        ("#" * (LONGEST_SOURCE + 1), Outcome.SYNTAX, "1000001 characters"),
        ("def tripled(x): return x", Outcome.NO_ENTRY_POINT, "the source does not define `doubled`: doubled(x: torch"),
        ("doubled = 3", Outcome.NO_ENTRY_POINT, "`doubled` is not a function"),
        ("class A:\n    def doubled(self): pass", Outcome.NO_ENTRY_POINT, "`doubled`"),
        ("def doubled(x): return x\nimport no_such_module", Outcome.IMPORT_ERROR, "ModuleNotFoundError"),
        ("def doubled(x): return x\n1 / 0", Outcome.IMPORT_ERROR, "ZeroDivisionError"),
        ("def doubled(): return 1", Outcome.CALL_ERROR, "takes 0 positional arguments"),
        ("def doubled(x): return helper(x)", Outcome.CALL_ERROR, "NameError"),
        ("def doubled(x): return x + x", Outcome.NO_TRITON, "defines no Triton kernel"),
    ],
)
def test_what_the_source_shows(source: str, outcome: Outcome, words: str, judge: Judge, doubled: Task) -> None:
    verdict = judge.judge(doubled, source)
    assert verdict.outcome is outcome and words in verdict.reason, (verdict.outcome, verdict.reason)
    assert "\n" not in verdict.reason and verdict.speedup is None and not verdict.right
    assert verdict.passed(Stage.CALL) == (outcome is Outcome.NO_TRITON)


@pytest.mark.parametrize(
    "source",
    ["doubled = honest", "from functools import partial as _p\ndoubled = _p(honest)", "doubled = lambda x: honest(x)"],
    ids=["assigned", "partial", "lambda"],
)
def test_an_entry_point_may_be_assigned(source: str, judge: Judge, doubled: Task) -> None:
    assert judge.judge(doubled, candidate(source), scope=Scope(timed=False)).outcome is Outcome.RIGHT


def test_warnings_of_the_source_are_not_the_judges(
    judge: Judge, doubled: Task, recwarn: pytest.WarningsRecorder
) -> None:
    source = candidate("PATTERN = '\\d'\ndef doubled(x):\n    return honest(x)")
    assert judge.judge(doubled, source, scope=Scope(timed=False)).outcome is Outcome.RIGHT
    assert [str(each.message) for each in recwarn] == []


def test_the_reason_names_case_and_line(judge: Judge, doubled: Task) -> None:
    verdict = judge.judge(doubled, HONEST + "\ndef doubled(x):\n    raise ValueError('no luck')\n")
    assert verdict.outcome is Outcome.CALL_ERROR
    assert verdict.reason == "on n=1: ValueError: no luck"
    assert "in doubled: raise ValueError('no luck')" in verdict.detail
    feedback = Feedback.of(verdict, 4)
    assert feedback.message == f"{verdict.reason}\n{verdict.detail}" and feedback.evaluation == 4
    assert not feedback.call and not feedback.right and "seed" not in vars(feedback)


def test_the_case_that_failed_is_recorded(judge: Judge, doubled: Task) -> None:
    crash = candidate("def doubled(x):\n    assert x.numel() != 257\n    return honest(x)")
    wrong = candidate("def doubled(x):\n    y = honest(x)\n    return y if x.numel() < 257 else 1.5 * y")
    assert judge.judge(doubled, crash).failed_on == judge.judge(doubled, wrong).failed_on == "n=257"
    assert judge.judge(doubled, candidate("def doubled(x):\n    return honest(x)")).failed_on is None
    assert judge.judge(doubled, "import").failed_on is None


def test_cases_may_be_called_before_others(judge: Judge, doubled: Task) -> None:
    source = candidate("def doubled(x):\n    raise RuntimeError(f'{x.numel()} came first')")
    scope = Scope(timed=False, before=("n=1000",))
    assert judge.judge(doubled, source, scope=scope).reason == "on n=1000: RuntimeError: 1000 came first"


def test_seeds(judge: Judge, doubled: Task) -> None:
    source = candidate("def doubled(x):\n    raise RuntimeError(str(float(x.reshape(-1)[0])))")
    told = [judge.judge(doubled, source, seed=seed) for seed in (5, 5, 6, None, None)]
    reasons = [verdict.reason for verdict in told]
    assert reasons[0] == reasons[1] and len(set(reasons)) == 4, reasons
    assert [verdict.seed for verdict in told[:3]] == [5, 5, 6]
    assert judge.judge(doubled, source, seed=told[3].seed).reason == reasons[3], "a recorded seed repeats it"


def test_one_wrong_configuration_is_caught_and_named(judge: Judge, doubled: Task) -> None:
    if not judge.device.interpreted:
        pytest.skip("on a GPU the autotuner's own choice is judged")
    verdict = judge.judge(doubled, HONEST + TUNED)
    assert verdict.outcome is Outcome.VALUES, verdict.reason
    assert "with the configuration" in verdict.reason and "BLOCK=64, FACTOR=3" in verdict.reason
    right = judge.judge(doubled, HONEST + TUNED.replace('"FACTOR": 3', '"FACTOR": 2'), scope=Scope(timed=False))
    assert right.outcome is Outcome.RIGHT and right.cases_passed == 4, right.reason


def test_unsupported_here(judge: Judge, doubled: Task) -> None:
    if not judge.device.interpreted:
        pytest.skip("a GPU has inline assembly")
    verdict = judge.judge(doubled, HONEST + ASSEMBLY)
    assert verdict.outcome is Outcome.UNSUPPORTED and "the interpreter has no" in verdict.reason, verdict.reason


def test_unsupported_is_a_skip_with_a_column_of_its_own(one: Path, warm: Warm) -> None:
    (one.parent / "predictions.jsonl").write_text(json.dumps({"task": "doubled", "source": HONEST + ASSEMBLY}) + "\n")
    asked = ("--solver=replay", "--predictions=predictions.jsonl", "--run-dir=run", "-rs")
    ran = warm.pytest(one, *asked, *NO_CACHE, cwd=one.parent)
    assert ran.code == 0 and "3 skipped" in ran.lines[-1], ran.text
    assert "unsupported here: on n=1: the interpreter has no" in ran.text
    table = (one.parent / "run" / "report" / "leaderboard.csv").read_text().splitlines()
    columns = dict(zip(table[0].split(","), table[1].split(","), strict=True))
    assert columns["unsupported"] == "1" and float(columns["attempts"]) == 1, columns


def test_a_stage_has_its_time(doubled: Task) -> None:
    from harness.device import find_device

    slow = "import time\ndef doubled(x):\n    time.sleep({})\n    return honest(x)"
    with Judge(find_device("interpreter"), JudgeLimits(stage_seconds=1.5, sandbox=Limits(memory=2 << 30))) as judge:
        for seconds in (0.7, 60):
            verdict = judge.judge(doubled, candidate(slow.format(seconds)))
            assert verdict.outcome is Outcome.TIMEOUT and verdict.reason.startswith("on n="), verdict.reason
            assert "no answer within" in verdict.reason or "took all of 1.5 s" in verdict.reason
            assert verdict.seconds < 8
        assert judge.judge(doubled, candidate("def doubled(x):\n    return honest(x)"), scope=Scope(timed=False)).right


HANGS = """
import time
_calls = 0
def doubled(x):
    global _calls
    _calls += 1
    while _calls > {after}:
        time.sleep(1)
    return honest(x)
"""


def test_a_call_and_timed_calls_have_less_time_than_a_stage(judge: Judge, doubled: Task) -> None:
    """What hangs when it is called, and what hangs only when it is timed, each by its own limit."""
    options = Options(stage_timeout=50, call_timeout=2, timing_timeout=1, memory_limit=2)
    checks = len(doubled.cases)
    with make_judge(options, judge.device, ()) as strict:
        for after, outcome, told in (
            (1, Outcome.TIMEOUT, "no answer within 2 s"),
            (checks + 1, Outcome.TIMING_FAILED, "no answer within 1 s"),
        ):
            verdict = strict.judge(doubled, candidate(HANGS.format(after=after)))
            assert verdict.outcome is outcome and told in verdict.reason, verdict.reason
            assert verdict.seconds < 15


def test_nothing_is_carried_over(judge: Judge, doubled: Task) -> None:
    spoil = (
        "import builtins, os, sys, tempfile\n"
        "torch.empty_like = lambda x: torch.zeros(1)\n"
        "tl.load = triton.cdiv = builtins.len = None\n"
        "triton.jit = lambda f: None\n"
        "os.environ['MARK'] = 'x'\nsys.path.insert(0, '/tmp')\n"
        "open('/tmp/mark', 'w').write('x')\nopen('/dev/shm/mark', 'w').write('x')\n"
        "def doubled(x):\n    return x\n"
    )
    assert not judge.judge(doubled, candidate(spoil)).right
    look = (
        "import os\n"
        "left = [p for p in ('/tmp/mark', '/dev/shm/mark') if os.path.exists(p)] + [os.environ.get('MARK', '')]\n"
        "assert left == [''], left\ndef doubled(x):\n    return honest(x)"
    )
    parent = judge.parent
    verdict = judge.judge(
        doubled, candidate(look if not parent.isolation.startswith("process") else look.replace("assert", "#"))
    )
    assert verdict.outcome is Outcome.RIGHT, (verdict.reason, verdict.detail)


def test_geometric_mean() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert geometric_mean([]) is None and geometric_mean([1.0, float("nan")]) is None


@pytest.mark.parametrize(
    ("said", "ran_out"),
    [
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB", True),
        ("RuntimeError: CUDA error: out of memory", True),
        ("RuntimeError: Triton Error [CUDA]: out of memory", True),
        ("the driver says CUDA_ERROR_OUT_OF_MEMORY", True),
        ("torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB", True),
        ("the judge's own memory on NVIDIA H200 ran out: CUDA out of memory.", True),
        ("its processes used more memory than the limit", False),
        ("MemoryError", False),
        ("RuntimeError: [enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory", False),
        ("OutOfResources: out of resource: shared memory, Required: 262144", False),
    ],
)
def test_only_a_devices_memory_is_shared_with_others(said: str, ran_out: bool) -> None:
    """A candidate that met the end of it is judged once more, with that memory to itself: that holds everybody up."""
    assert device_ran_out(said) is ran_out
