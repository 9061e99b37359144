"""On a real GPU, the judge's own kernels compare as PyTorch does."""

from __future__ import annotations

import pytest
import torch

from harness.judge import compare, screen
from harness.judge.judge import Judge
from harness.task import Bound
from tests.harness.screened import differences

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no GPU here: run python -m tests.gpu on a machine with one"
    ),
]


def test_nothing_is_compiled_while_the_device_is_held(judge: Judge) -> None:
    judge.start()
    kernels = (screen._magnitudes, screen._worst_shares)
    before = [len(each.device_caches[0][0]) for each in kernels]
    for shape in ((1 << 16,), (65537,), (333, 1000), (1, 131072), (70_000, 1), (16, 4096), (3, 5, 16384)):
        for dtype in (torch.float16, torch.bfloat16, torch.float32):
            want = torch.randn(shape, dtype=torch.float64, device=judge.device.torch)
            assert compare._worst_at_once(want.to(dtype), want, Bound(1e-1, 1e-1)) is not None
    assert before == [len(each.device_caches[0][0]) for each in kernels] and min(before) >= 3


def test_the_kernels_say_what_pytorch_says(judge: Judge) -> None:
    judge.start()
    assert differences(1, judge.device.torch) == ([], 106)


@pytest.mark.parametrize("shape", [(1 << 27,), (1 << 14, 1 << 13), (3, 1 << 25), (1 << 22, 16)])
def test_large_ones_too(judge: Judge, shape: tuple[int, ...]) -> None:
    judge.start()
    want = torch.randn(shape, dtype=torch.float64, device=judge.device.torch)
    have = (want * (1 + 1e-3 * torch.randn_like(want))).half()
    assert screen.compares(have, want)
    bound, wide = Bound(1e-3, 1e-3), len(shape) > 1
    mine = screen.worst_share(have, want, wide, compare._FLOOR, (bound.rtol, bound.atol, compare._smallest(have.dtype)))
    parts = compare.PART
    try:
        compare.PART = 1 << 40
        torchs = compare._worst_by_parts(have, want, bound)
    finally:
        compare.PART = parts
    assert mine == pytest.approx(torchs, rel=1e-9)
