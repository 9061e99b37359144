"""The grouped index map from its inverse: what stands at a place follows from its row and column, so that tiles of
contiguous elements are written and nothing is scattered."""

import torch
import triton
import triton.language as tl


@triton.jit
def _swizzle2d(out_ptr, out_stride, size_i, size_j, size_g, UNIT: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr):
    out_stride *= UNIT
    size_j *= UNIT
    across = tl.cdiv(size_j, COLS)
    row = tl.program_id(0) // across * ROWS + tl.arange(0, ROWS)[:, None]
    col = tl.program_id(0) % across * COLS + tl.arange(0, COLS)[None, :]
    first = row // size_g * size_g
    # A group is numbered down its columns; the last one may have fewer rows.
    height = tl.minimum(size_i - first, size_g)
    index = first * size_j + (row - first) + col * height
    mask = (row < size_i) & (col < size_j)
    tl.store(out_ptr + row * out_stride + col, index.to(out_ptr.dtype.element_ty), mask=mask)


def _unit(*sizes: int) -> int:
    """The largest power of two, up to 16, that divides all sizes. The kernel gets sizes in this unit, which tells
    Triton how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    joined = 16
    for size in sizes:
        joined |= size
    return joined & -joined


def _config(size_i: int, size_j: int, itemsize: int) -> tuple[int, int, int]:
    """(rows, columns per program, warps)."""
    across = min(triton.next_power_of_2(size_j), 1024)
    return 1024 // across, across, 8 if size_i * size_j >= 1 << 20 else 4


def swizzle2d(out: torch.Tensor, size_g: int) -> None:
    size_i, size_j = out.shape
    stride = out.stride(0)
    unit = _unit(size_j, stride)
    rows, cols, warps = _config(size_i, size_j, out.element_size())
    grid = (triton.cdiv(size_i, rows) * triton.cdiv(size_j, cols),)
    _swizzle2d[grid](
        out, stride // unit, size_i, size_j // unit, size_g, UNIT=unit, ROWS=rows, COLS=cols, num_warps=warps
    )
