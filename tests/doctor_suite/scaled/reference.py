"""A matrix times a number: a block of a row per program."""

import torch
import triton
import triton.language as tl


@triton.jit
def _scaled(x_ptr, y_ptr, factor, x_stride, n_cols, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    col = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = col < n_cols
    x = tl.load(x_ptr + row * x_stride + col, mask=mask, other=0.0).to(tl.float32)
    tl.store(y_ptr + row * n_cols + col, (factor * x).to(y_ptr.dtype.element_ty), mask=mask)


def scaled(x: torch.Tensor, factor: float) -> torch.Tensor:
    rows, cols = x.shape
    y = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
    _scaled[(rows, triton.cdiv(cols, 64))](x, y, factor, x.stride(0), cols, BLOCK=64)
    return y
