"""Oracles of the tasks with random numbers give the streams of `tl.randint` and `tl.randn`."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from harness.judge.judge import Judge
from harness.judge.trial import Scope
from harness.suite import load_suite
from harness.task import Case, Task, grid

SUITE = load_suite(Path(__file__).parents[2] / "suites" / "rocm")
SEEDS = [0, 1, 42, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, 0x0123456789ABCDEF, (1 << 63) - 1]
SOURCE = """
import torch
import triton
import triton.language as tl


@triton.jit
def _fill(x_ptr, n, seed, BLOCK: tl.constexpr):
    i = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.{offsets})
    tl.store(x_ptr + i, tl.{function}(seed, i), mask=i < n)


def {function}(x, seed):
    _fill[(triton.cdiv(x.numel(), 8192),)](x, x.numel(), seed, BLOCK=8192)
"""

offsets = pytest.mark.parametrize("offsets", ["int32", "int64"])


def with_cases(name: str, cases: list[Case]) -> Task:
    task = copy.copy(SUITE.task(name))
    task.cases = cases
    return task


@offsets
def test_integers_are_those_of_triton(judge: Judge, offsets: str) -> None:
    task = with_cases("random_int", grid(n=5003, seed=SEEDS, dtype=["int32", "int64"]))
    task.cases += grid(n=100_003, seed=42, dtype="int64")
    verdict = judge.judge(task, SOURCE.format(function="randint", offsets=offsets), scope=Scope(timed=False))
    assert verdict.outcome.value == "right", verdict.reason


@offsets
def test_normal_numbers_are_those_of_triton(judge: Judge, offsets: str) -> None:
    task = with_cases("randn", grid(n=5003, seed=SEEDS, dtype=["fp32", "bf16"]))
    # Seeds of the task's own cases among them: the ends of the uniform numbers.
    task.cases += grid(n=20_011, seed=[2_360_573, 394_086, 984_547], dtype=["fp32", "fp16"])
    verdict = judge.judge(task, SOURCE.format(function="randn", offsets=offsets), scope=Scope(timed=False))
    assert verdict.outcome.value == "right", verdict.reason
    assert verdict.worst_error < 0.6, "tl.randn itself lies well within the tolerance"


def test_a_known_answer() -> None:
    """The generator's published answer for counter and key 0: 6627e8d5 e169c58d bc57ac4c 9b00dbd8."""
    for dtype, want in ((torch.int32, 0x6627E8D5), (torch.int64, 0x6627E8D5)):
        _, changed = SUITE.task("random_int").expected({"x": torch.zeros(1, dtype=dtype), "seed": 0})
        assert changed["x"].tolist() == [want]


def test_words_are_signed_as_int32_and_not_as_int64() -> None:
    narrow, wide = (
        SUITE.task("random_int").expected({"x": torch.zeros(4096, dtype=dtype), "seed": 42})[1]["x"].to(torch.int64)
        for dtype in (torch.int32, torch.int64)
    )
    assert bool((narrow < 0).any()) and int(wide.min()) >= 0 and int(wide.max()) > 1 << 31
    assert torch.equal(narrow & 0xFFFFFFFF, wide)


def test_elements_at_the_ends_of_the_uniform_numbers() -> None:
    """What the seeds are for that the task chose."""
    task = SUITE.task("randn")
    for seed, element, radius in ((2_360_573, 690, 5.6777), (394_086, 720, 3.4527e-4), (984_547, 1005, 7e-4)):
        _, changed = task.expected({"x": torch.zeros(1999), "seed": seed})
        assert radius * 0.5 < abs(float(changed["x"][element])) <= radius
        assert any(case["seed"] == seed and case["n"] > element for case in task.cases)


def test_normal_numbers_are_normal() -> None:
    _, changed = SUITE.task("randn").expected({"x": torch.zeros(1 << 18), "seed": 7})
    x = changed["x"]
    assert abs(float(x.mean())) < 1e-2 and abs(float(x.std()) - 1) < 1e-2
    assert abs(float((x.abs() < 1).double().mean()) - 0.6827) < 4e-3
