"""On a real GPU, tensors go to and from a candidate's process through memory of the device that both have mapped."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from harness.judge.judge import Judge
from harness.sandbox.answers import Placed
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.isolation import Limits
from harness.sandbox.staging import DeviceArena, available
from harness.task import Task

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available() or not available(),
        reason="no GPU and cuda-bindings here: run python -m tests.gpu on a machine with them",
    ),
]


@pytest.fixture
def process(judge: Judge, doubled: Task) -> Iterator[CandidateProcess]:
    """One that doubles vectors."""
    judge.start()
    with CandidateProcess(judge.parent, Limits(), judge.device.torch) as process:
        process.load(doubled.reference, doubled.entry_point, 60.0)
        yield process


def _doubles(process: CandidateProcess, elements: int) -> None:
    x = torch.randn(elements, device=process.device)
    returned = process.call({"x": x}, 16 * elements + 4096, [0], 60.0)
    (output,) = returned.outputs
    assert isinstance(output, Placed)
    assert output.tensor.is_cuda and torch.equal(output.tensor, 2 * x) and torch.equal(returned.after[0], x)


def test_small_and_large_tensors_go_through_the_device(process: CandidateProcess) -> None:
    sizes = []
    for elements in (1000, 30_000_000, 999, 50_000_000):
        _doubles(process, elements)
        assert process._arena is not None and process._arena.on_device
        sizes.append(process._arena.size)
    assert sizes[0] < sizes[1] == sizes[2] < sizes[3]
    process.release(60.0)
    assert process._arena is None, "much of the device's memory is given back between workloads"
    _doubles(process, 77)


def test_what_lies_on_the_host_goes_there_and_back(process: CandidateProcess) -> None:
    """Its function has it on the device; then comes what lies there."""
    for elements in (1000, 2_000_000):
        x = torch.randn(elements)
        returned = process.call({"x": x}, 16 * elements + 4096, [0], 60.0, host=True)
        (output,) = returned.outputs
        assert isinstance(output, Placed) and output.device == "cuda"
        assert not output.tensor.is_cuda and torch.equal(output.tensor, 2 * x) and torch.equal(returned.after[0], x)
        assert process._arena is not None and not process._arena.on_device
    _doubles(process, 77)
    assert process._arena.on_device


def test_the_hosts_memory_serves_where_the_devices_cannot_be_shared(process: CandidateProcess) -> None:
    process._stages = False
    _doubles(process, 100_000)
    assert process._arena is not None and not process._arena.on_device


def test_new_memory_is_zeroed_and_given_back(judge: Judge) -> None:
    free = torch.cuda.mem_get_info(judge.device.index)[0]
    for _ in range(3):
        arena = DeviceArena.create(1 << 30, judge.device.index)
        assert not arena.bytes.any()
        arena.bytes.fill_(255)
        arena.close()
        torch.cuda.empty_cache()
    assert torch.cuda.mem_get_info(judge.device.index)[0] > free - (1 << 30)
