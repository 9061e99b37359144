"""Occupancy by NVIDIA's count, and what is told of a candidate's kernels."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from harness.judge.occupancy import kernels, occupancy
from harness.verdict import Feedback, Kernel, Outcome, Timing, Verdict

H100 = SimpleNamespace(
    warp_size=32,
    max_threads_per_multi_processor=2048,
    regs_per_multiprocessor=65536,
    shared_memory_per_multiprocessor=233472,
)


@pytest.mark.parametrize(
    ("warps", "registers", "shared", "share"),
    [
        (4, 32, 0, 1.0),  # sixteen programs of 128 threads
        (4, 33, 0, 0.75),  # 33 count as 40 a thread: twelve programs
        (8, 255, 0, 0.125),  # one program
        (8, 64, 100 * 1024, 0.25),  # two programs by shared memory
        (4, 16, 227 * 1024, 0.0625),
        (1, 16, 0, 0.5),  # no more than 32 programs
        (32, 64, 0, 0.5),
        (4, 32, 300 * 1024, 0.0),  # does not fit at all
    ],
)
def test_occupancy(warps: int, registers: int, shared: int, share: float) -> None:
    assert occupancy(H100, warps, registers, shared) == share


def test_a_device_that_does_not_tell() -> None:
    assert occupancy(SimpleNamespace(warp_size=64), 4, 32, 0) is None
    assert occupancy(H100, 0, 32, 0) is None


def test_kernels_are_told_longest_first_with_what_is_known() -> None:
    ran = [("_sum", 5.0), ("_scale", 30.0), ("_sum", 6.0), ("memset", 100.0)]
    compiled = {"_scale": {"warps": 4, "registers": 32, "spills": 1, "shared": 0}, "_sum": {"warps": 8}}
    found = kernels(ran, ["_sum", "_scale", "_sum", "_unseen"], compiled, H100)
    assert found == (
        Kernel("_scale", 1, 30.0, 4, 32, 1, 0, 1.0),
        Kernel("_sum", 2, 11.0, 8, None, None, None, None),
        Kernel("_unseen", 1, None, None, None, None, None, None),
    )


def test_they_are_in_the_record_and_in_what_a_solver_sees() -> None:
    kernel = Kernel("_scale", 1, 30.0, 4, 32, 1, 0, 1.0)
    timing = Timing("n=4", 1.0, 1.0, 1.0, 30.0, 30.0, (30.0,), (30.0,), "device", bandwidth=2e12, kernels=(kernel,))
    verdict = Verdict(Outcome.RIGHT, "right", timings=(timing,))
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    (seen,) = Feedback.of(verdict, 1).workloads
    assert (seen.bandwidth, seen.rate, seen.kernels) == (2e12, None, (kernel,))
    old = verdict.to_json()
    for name in ("bandwidth", "rate", "kernels"):
        del old["timings"][0][name]
    assert Verdict.from_json(old).timings[0].kernels == ()
