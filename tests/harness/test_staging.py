"""Without a GPU, or where its memory can't be shared, staging says so, and the host's memory serves."""

from __future__ import annotations

import pytest
import torch

from harness.sandbox import staging


def test_without_a_gpu_it_says_so() -> None:
    if staging.available():
        pytest.skip("here it can be had: tests/gpu_tests/test_staging.py")
    with pytest.raises(staging.StagingUnavailable, match="no cuda-bindings"):
        staging.DeviceArena.create(4096, 0)
    with pytest.raises(staging.StagingUnavailable):
        staging.DeviceArena.open(0, 4096, 0)
    staging.prepare()


def test_what_the_driver_refuses_is_unavailable() -> None:
    class Said(int):
        name = "CUDA_ERROR_NOT_SUPPORTED"

    assert staging.done((Said(0), 7)) == 7 and staging.done((Said(0),)) is None
    with pytest.raises(staging.StagingUnavailable, match="CUDA_ERROR_NOT_SUPPORTED"):
        staging.done((Said(801), None))


def test_a_piece_of_memory_looks_like_a_tensor_of_bytes() -> None:
    about = staging._Memory(1 << 40, 4096).__cuda_array_interface__
    assert about["data"] == (1 << 40, False) and about["shape"] == (4096,) and about["typestr"] == "|u1"
    assert torch.uint8.itemsize == 1
