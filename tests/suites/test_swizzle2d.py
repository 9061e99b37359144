"""The oracle of triton_swizzle2d gives the map of `tl.swizzle2d`, and its short form in PyTorch is the same."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from harness.judge.judge import Judge
from harness.judge.trial import Scope
from harness.suite import load_suite
from harness.task import Rng, case

TASK = load_suite(Path(__file__).parents[2] / "suites" / "rocm").task("triton_swizzle2d")
SHAPES = [
    (1, 1, 1), (1, 1, 5), (1, 70, 3), (70, 1, 3), (4, 4, 2), (5, 7, 2), (6, 7, 4), (7, 5, 7), (7, 5, 8), (13, 9, 12),
    (64, 32, 16), (37, 29, 5), (100, 33, 64), (33, 100, 1), (97, 61, 10), (128, 64, 48), (90, 110, 89),
]  # fmt: skip
SOURCE = """
import torch
import triton
import triton.language as tl


@triton.jit
def _scatter(out_ptr, stride, size_i, size_j, size_g, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    i, j = place // size_j, place % size_j
    new_i, new_j = tl.swizzle2d(i, j, size_i, size_j, size_g)
    tl.store(out_ptr + new_i * stride + new_j, i * size_j + j, mask=place < size_i * size_j)


def swizzle2d(out, size_g):
    grid = (triton.cdiv(out.numel(), 4096),)
    _scatter[grid](out, out.stride(0), out.shape[0], out.shape[1], size_g, BLOCK=4096)
"""


def test_the_map_is_that_of_triton(judge: Judge) -> None:
    task = copy.copy(TASK)
    task.cases = [
        case(size_i=size_i, size_j=size_j, size_g=size_g, pad=pad, dtype=dtype)
        for size_i, size_j, size_g in SHAPES
        for pad, dtype in ((0, "int32"), (3, "int64"))
    ]
    task.cases += TASK.cases
    verdict = judge.judge(task, SOURCE, scope=Scope(timed=False))
    assert verdict.outcome.value == "right", verdict.reason


@pytest.mark.parametrize("case", TASK.cases, ids=lambda case: case.id)
def test_every_index_stands_once(case) -> None:
    out = TASK.expected(TASK.make_inputs(case, Rng(0)))[1]["out"]
    assert torch.equal(out.reshape(-1).sort().values, torch.arange(out.numel(), dtype=out.dtype))


@pytest.mark.parametrize("case", TASK.cases, ids=lambda case: case.id)
def test_the_inverse_is_the_same(case) -> None:
    inputs = TASK.make_inputs(case, Rng(0))
    _, changed = TASK.expected(inputs)
    TASK.run_eager(inputs)
    assert torch.equal(inputs["out"], changed["out"])


def test_the_example_on_the_page() -> None:
    out = torch.zeros(3, 4, dtype=torch.int32)
    changed = TASK.expected({"out": out, "size_g": 2})[1]["out"]
    assert changed.tolist() == [[0, 2, 4, 6], [1, 3, 5, 7], [8, 9, 10, 11]]
    page = "\n".join("    " + " ".join(f"{value:3d}" for value in row)[2:] for row in changed.tolist())
    assert page in TASK.instruction
