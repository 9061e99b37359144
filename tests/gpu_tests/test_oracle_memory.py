"""On a real GPU, oracles and comparisons of workloads take no more memory than they are counted with."""

from __future__ import annotations

import time

import pytest
import torch

from harness import registry
from harness.judge import screen
from harness.judge.compare import Expected, compare, expect, gaps_written
from harness.judge.oracles import memory_needed
from harness.sandbox.answers import Placed, Returned
from harness.suite import load_suite
from harness.task import Inputs, Rng, Task

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no GPU here: run python -m tests.gpu on a machine with one"
    ),
]
TASKS = load_suite(registry.suite_folder("rocm")).tasks


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    """As a judge is, who compares by kernels of its own."""
    screen.prepare("cuda:0")


@pytest.mark.parametrize("task", TASKS, ids=[task.name for task in TASKS])
def test_what_an_oracle_takes(task: Task) -> None:
    for case in task.workloads:
        moved = int(task.least_cost(case).bytes)
        inputs = task.make_inputs(case, Rng(7, "cuda:0"))
        returned = _right(task, inputs)
        start, before = _settled(), torch.cuda.memory_allocated()
        expected = expect(task, inputs)
        difference, _ = compare(task, inputs, expected, returned, "cuda")
        gaps_written(inputs, returned)
        took, seconds = torch.cuda.max_memory_allocated() - before, _settled() - start
        print(f"{task.name} {case.id}: {moved / 1e6:.0f} MB, {took / moved:.1f} bytes a byte, {seconds * 1e3:.0f} ms")
        assert difference is None, difference
        assert took <= memory_needed(task, case), case.id
        del expected, returned, inputs


def _settled() -> float:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    return time.monotonic()


def _right(task: Task, inputs: Inputs) -> Returned:
    """What a right candidate would have returned."""
    expected = expect(task, inputs)
    outputs = [layout.copy_(value) for layout, value in zip(expected.layout, expected.outputs, strict=True)]
    return Returned(tuple(Placed(each, "cuda", False) for each in outputs), _after(inputs, expected))


def _after(inputs: Inputs, expected: Expected) -> dict[int, torch.Tensor]:
    after = {}
    for place, (name, value) in enumerate(inputs.items()):
        if isinstance(value, torch.Tensor):
            after[place] = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)
            after[place].copy_(expected.changed.get(name, value))
    return after
