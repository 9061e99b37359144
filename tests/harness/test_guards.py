"""Bands around tensors tell what was written outside of them, where, and of which; they change nothing else."""

from __future__ import annotations

import torch

from harness.sandbox.guards import BAND, Guards


def test_bands_are_told_of_where_they_were_written() -> None:
    guards = Guards()
    assert guards.broken() == []
    given = [torch.arange(6.0).reshape(2, 3).t(), torch.tensor([True, False, True]), torch.arange(10)[3:7]]
    banded = [guards.banded(tensor, f"argument {number}") for number, tensor in enumerate(given)]
    for tensor, other in zip(given, banded, strict=True):
        assert torch.equal(tensor, other) and tensor.stride() == other.stride() and tensor.dtype == other.dtype
        other.zero_()
    assert guards.broken() == [], "inside they may"

    def whole(number: int) -> torch.Tensor:
        return torch.empty(0, dtype=torch.uint8).set_(banded[number].untyped_storage())

    whole(0)[BAND - 8 : BAND] = 0
    whole(2)[-3:] = 1
    whole(2)[:BAND] = 2
    assert guards.broken() == [
        "8 bytes were written before the start of argument 0",
        f"{BAND} bytes were written before the start of argument 2",
        "3 bytes were written past the end of argument 2",
    ]
