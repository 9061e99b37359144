"""Timing on a real GPU: the same kernel against itself, a slower one, and one that lies about its time."""

from __future__ import annotations

import pytest
import torch

from harness.device import find_device, measure_peaks
from harness.judge.judge import Judge, JudgeLimits
from harness.judge.trial import Scope
from harness.sandbox import sanitized
from harness.task import Cost, Task
from harness.verdict import Outcome
from tests.exploits.make import candidate

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no GPU here: run python -m tests.gpu on a machine with one"
    ),
]

LIES = """
import torch
torch.cuda.Event.elapsed_time = lambda self, other: {claim}
def doubled(x):
    for _ in range(20):
        y = honest(x)
    return y
"""

SLOW = """
def doubled(x):
    for _ in range(4):
        y = honest(x)
    return y
"""


def test_the_same_kernel_is_as_fast_as_itself(judge: Judge, doubled: Task) -> None:
    verdict = judge.judge(doubled, doubled.reference)
    assert verdict.outcome is Outcome.RIGHT, verdict.reason
    assert verdict.speedup == pytest.approx(1.0, abs=0.02)
    (timing,) = verdict.timings
    assert timing.clock == "device"
    assert timing.fraction is not None and 0.5 < timing.fraction < 1.1
    assert timing.judge_us is not None and timing.judge_us > timing.candidate_us


def test_what_its_kernels_take_is_told(judge: Judge, doubled: Task) -> None:
    (timing,) = judge.judge(doubled, doubled.reference).timings
    (kernel,) = timing.kernels
    assert kernel.name == "_doubled" and kernel.launches == 1 and kernel.warps == 4 and kernel.spills == 0
    assert kernel.registers is not None and 8 <= kernel.registers <= 64
    assert kernel.time_us is not None and 0.5 * timing.candidate_us < kernel.time_us < 1.5 * timing.candidate_us
    assert kernel.occupancy is None or 0.4 < kernel.occupancy <= 1.0
    assert timing.bandwidth is not None and judge.peaks is not None
    assert 0.3 * judge.peaks.bandwidth < timing.bandwidth < 1.5 * judge.peaks.bandwidth


def test_four_times_the_work_is_a_quarter_of_the_speed(judge: Judge, doubled: Task) -> None:
    verdict = judge.judge(doubled, candidate(SLOW))
    assert verdict.outcome is Outcome.RIGHT, verdict.reason
    assert verdict.speedup == pytest.approx(0.25, rel=0.25)


@pytest.mark.parametrize(
    "claim",
    [pytest.param("0.000001", id="nothing"), pytest.param("0.0296", id="just above the hardware's limit")],
)
def test_a_lying_clock_is_not_believed(judge: Judge, doubled: Task, claim: str) -> None:
    """20 times the work, with device events that claim less: the judge's own clock or the hardware's limit says no."""
    verdict = judge.judge(doubled, candidate(LIES.format(claim=claim)))
    assert verdict.outcome is Outcome.CHEATING, f"{verdict.outcome}: {verdict.reason}, {verdict.speedup}"
    assert "implausible time" in verdict.detail, "that the event's class was replaced is not all that speaks against it"
    assert verdict.speedup is None


def test_illegal_access_ends_that_candidate_alone(judge: Judge, doubled: Task) -> None:
    wild = candidate(
        "@triton.jit\ndef _wild(p, BLOCK: tl.constexpr):\n"
        "    tl.store(p + (1 << 40) + tl.arange(0, BLOCK), 1.0)\n"
        "def doubled(x):\n    _wild[(64,)](x, BLOCK=1024)\n    torch.cuda.synchronize()\n    return honest(x)"
    )
    assert judge.judge(doubled, wild).outcome is Outcome.ILLEGAL_ACCESS
    assert judge.judge(doubled, doubled.reference).outcome is Outcome.RIGHT


READS_BEYOND = """
@triton.jit
def _reads(x_ptr, y_ptr, n, BEYOND: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n + BEYOND, other=0.0)
    tl.store(y_ptr + at, 2 * x, mask=at < n)
def doubled(x):
    y = torch.empty_like(x)
    _reads[(triton.cdiv(x.numel(), 256),)](x, y, x.numel(), BEYOND={beyond}, BLOCK=256)
    return y
"""


@pytest.mark.skipif(sanitized.tool() is None, reason="no compute-sanitizer here")
@pytest.mark.parametrize("beyond", [0, 1])
def test_reads_beyond_are_found_by_the_sanitizer(doubled: Task, beyond: int) -> None:
    """What is read there is not stored: values, guard bands and the device say nothing."""
    source = candidate(READS_BEYOND.format(beyond=beyond))
    with Judge(find_device("cuda"), JudgeLimits(sanitizer=True)) as judge:
        verdict = judge.judge(doubled, source, scope=Scope(timed=False))
    if beyond:
        assert verdict.outcome is Outcome.ILLEGAL_ACCESS, verdict.reason
        assert "compute-sanitizer found an invalid __global__ read" in verdict.reason and "_reads" in verdict.reason
    else:
        assert verdict.outcome is Outcome.RIGHT, verdict.reason


def test_device_memory_runs_out(judge: Judge, doubled: Task) -> None:
    verdict = judge.judge(
        doubled, candidate("def doubled(x):\n    hog = torch.empty(1 << 45, device=x.device)\n    return x")
    )
    assert verdict.outcome is Outcome.MEMORY, verdict.reason


def test_peaks_are_near_the_datasheet() -> None:
    device = find_device("cuda")
    peaks = measure_peaks(device)
    assert peaks is not None
    if peaks.datasheet:
        assert 0.6 < peaks.bandwidth / peaks.datasheet["bandwidth"] <= 1.0
        for name, rate in peaks.rates.items():
            if name in peaks.datasheet and name != "int8":
                assert 0.4 < rate / peaks.datasheet[name] <= 1.0, name
    assert peaks.limit_us(Cost(bytes=peaks.bandwidth)) == pytest.approx(1e6)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU here")
def test_any_gpu_of_several_judges(doubled: Task) -> None:
    with Judge(find_device("cuda:1")) as judge:
        assert judge.judge(doubled, doubled.reference).outcome is Outcome.RIGHT
