"""Fresh values for timed calls: all of a tensor's elements and nothing else, in the tensor's own layout."""

from __future__ import annotations

import pytest
import torch

from harness.sandbox import refresh
from harness.sandbox.refresh import Base, redrawn, rotated

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


def test_floating_values_get_smaller_and_others_do_not() -> None:
    base = torch.full((64,), 1.5)
    sums = {redrawn(base, shift).sum().item() for shift in range(1 << 20, (1 << 20) + 50)}
    assert len(sums) > 40, "a sum must not be the same from call to call"
    assert all(0.75 * 96 <= total <= 96 for total in sums)
    whole = torch.arange(64, dtype=torch.int32)
    assert redrawn(whole, 12345).sum() == whole.sum()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_both_sides_make_the_same(dtype: torch.dtype) -> None:
    base = torch.randn(1000).to(dtype)
    once, twice = redrawn(base, 987654321), redrawn(base.clone(), 987654321)
    assert once.dtype is dtype and torch.equal(once.view(torch.uint8), twice.view(torch.uint8))
    assert not torch.equal(once.float(), rotated(base, 987654321).float())


def test_one_value_seen_many_times_is_made_smaller_once() -> None:
    expanded = torch.ones(1, 5).expand(4, 5)
    fresh = redrawn(expanded, 12345)
    assert fresh.stride() == expanded.stride() and fresh.unique().numel() == 1
    assert 0.75 <= fresh[0, 0].item() < 1


SHIFTS = [3, 987654321, 123456789, 0]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("farthest", [1 << 24, 100])
def test_sets_made_at_once_are_those_that_the_judge_makes(
    at_once: bool, farthest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "FARTHEST", farthest)
    values = [
        torch.randn(1000),
        torch.randn(30, 40).half().t(),
        torch.randn(8, 50).bfloat16()[:, :30],
        torch.randn(64).to(torch.float8_e4m3fn),
        torch.randn(5).double().expand(3, 5),
        torch.zeros(0),
        torch.arange(64, dtype=torch.int32),
        7,
        torch.arange(5.0),
        "fp16",
    ]
    rolled, copied = list(range(8)), [8]
    sets = Base(values, rolled, copied, at_once).sets(SHIFTS)
    for shift, fresh in zip(SHIFTS, sets, strict=True):
        for place, (got, value) in enumerate(zip(fresh, values, strict=True)):
            wanted = redrawn(value, shift) if place in rolled else value
            if not isinstance(wanted, torch.Tensor):
                assert got == wanted
                continue
            assert got.dtype is wanted.dtype and got.shape == wanted.shape and got.stride() == wanted.stride()
            assert torch.equal(got.float(), wanted.float()), place
    for place in (0, 1, 2, 3, 4, 6, 8):
        assert len({each[place].data_ptr() for each in sets}) == len(SHIFTS), "each call has memory of its own"
