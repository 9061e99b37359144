"""Fresh values for timed calls: all of a tensor's elements and nothing else, in the tensor's own layout."""

from __future__ import annotations

import pytest
import torch

from harness.sandbox.refresh import redrawn, rotated

DENSE = torch.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize("tensor", [DENSE, DENSE.t(), DENSE[:, :1].clone()], ids=["rows", "columns", "one column"])
def test_a_dense_tensor_is_rotated(tensor: torch.Tensor) -> None:
    fresh = rotated(tensor, 5)
    assert fresh.stride() == tensor.stride() and fresh.shape == tensor.shape
    assert sorted(fresh.flatten().tolist()) == sorted(tensor.flatten().tolist())
    assert fresh.data_ptr() != tensor.data_ptr()
    if tensor.numel() > 1 and 5 % tensor.numel():
        assert not torch.equal(fresh, tensor)


def test_what_stands_between_rows_stays_there() -> None:
    """Poison that a kernel must not read must not become data either."""
    whole = torch.arange(15.0).reshape(3, 5)
    whole[:, 3:] = 1e4
    fresh = rotated(whole[:, :3], 4)
    assert sorted(fresh.flatten().tolist()) == sorted(whole[:, :3].flatten().tolist())
    assert fresh.stride() == (5, 1)
    between = fresh.as_strided((2, 2), (5, 1), fresh.storage_offset() + 3)
    assert between.eq(1e4).all()


def test_a_seed_moves_on_within_31_bits() -> None:
    assert redrawn(7, 5) == 12
    assert redrawn((1 << 31) - 1, 2) == 1
