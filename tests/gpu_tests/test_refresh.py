"""On a real GPU, the sets that a candidate's process makes at once are those that the judge makes one by one."""

from __future__ import annotations

import pytest
import torch

from harness.sandbox.refresh import Base, redrawn

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no GPU here: run python -m tests.gpu on a machine with one"
    ),
]


@pytest.mark.parametrize(
    "dtype",
    [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2],
)
@pytest.mark.parametrize("length", [1, 1000, 100_003, 40_000_000])
def test_bit_by_bit(dtype: torch.dtype, length: int) -> None:
    value = torch.randn(length, device="cuda").to(dtype)
    shifts = [1, 123456789, 987654321, (1 << 30) - 1]
    for shift, (fresh,) in zip(shifts, Base([value], [0], []).sets(shifts), strict=True):
        assert torch.equal(fresh.view(torch.uint8), redrawn(value, shift).view(torch.uint8))
