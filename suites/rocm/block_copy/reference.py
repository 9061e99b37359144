"""Copy the first half of a vector: whole blocks below the bound are copied and whole ones beyond it filled without a
mask, 16 bytes per access; the block with the bound in it and the last one take the general way."""

import torch
import triton
import triton.language as tl


@triton.jit
def _copy(a_ptr, b_ptr, half, n, NAN: tl.constexpr, BLOCK: tl.constexpr):
    PAD: tl.constexpr = float("nan") if NAN else 0
    # The block's start moves into the pointers, so that the offsets inside it stay small.
    start = tl.program_id(0) * BLOCK
    a_ptr += start
    b_ptr += start
    offsets = tl.arange(0, BLOCK)
    if half - start >= BLOCK:
        # Without a mask: one whose edge may lie anywhere would cut accesses down to single elements.
        tl.store(b_ptr + offsets, tl.load(a_ptr + offsets))
    elif (start >= half) & (n - start >= BLOCK):
        tl.store(b_ptr + offsets, tl.full((BLOCK,), PAD, b_ptr.dtype.element_ty))
    else:
        a = tl.load(a_ptr + offsets, mask=offsets < half - start, other=PAD)
        tl.store(b_ptr + offsets, a, mask=offsets < n - start)


def _config(itemsize: int) -> tuple[int, int]:
    """(elements per program, warps): two accesses of 16 bytes a thread, whatever the size."""
    return 4096 // itemsize, 4


def block_copy(a: torch.Tensor, padding: str | None) -> torch.Tensor:
    half = a.shape[0] // 2
    n = half if padding is None else a.shape[0]
    b = torch.empty((n,), dtype=a.dtype, device=a.device)
    block, warps = _config(a.element_size())
    _copy[(triton.cdiv(n, block),)](a, b, half, n, NAN=padding == "nan", BLOCK=block, num_warps=warps)
    return b
