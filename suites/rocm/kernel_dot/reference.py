"""Squares of 16 by 16 matrices: several in one program, which holds them whole before it writes, as one batched dot."""

import torch
import triton
import triton.language as tl


@triton.jit
def _square(z_ptr, n, matrix_stride, row_stride, UNIT: tl.constexpr, PRECISION: tl.constexpr, MATRICES: tl.constexpr):
    start = tl.program_id(0) * MATRICES
    matrix = tl.arange(0, MATRICES)[:, None, None]
    row = tl.arange(0, 16)[None, :, None]
    col = tl.arange(0, 16)[None, None, :]
    matrix_stride *= UNIT
    row_stride *= UNIT
    z_ptr += start.to(tl.int64) * matrix_stride
    z_ptrs = z_ptr + matrix * matrix_stride + row * row_stride + col
    mask = matrix < n - start  # whole matrices: accesses stay wide
    z = tl.load(z_ptrs, mask=mask)
    tl.store(z_ptrs, tl.dot(z, z, input_precision=PRECISION).to(z.dtype), mask=mask)


def _unit(*sizes: int) -> int:
    """The largest power of two, up to 16, that divides all sizes. Kernels get sizes in this unit, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    joined = 16
    for size in sizes:
        joined |= size
    return joined & -joined


def _config(itemsize: int) -> tuple[int, int]:
    """(matrices per program, warps): no element is loaded by two threads, so none can be overwritten in between."""
    return (4, 1) if itemsize == 2 else (4, 4)


_PRECISION = "ieee" if torch.version.hip is not None else "tf32x3"
"""Of float32 products. NVIDIA's matrix units take tf32: three products of halves make up for what one would lose."""


def kernel_dot(z: torch.Tensor) -> None:
    n, matrix_stride, row_stride = z.shape[0], z.stride(0), z.stride(1)
    unit = _unit(matrix_stride, row_stride)
    matrices, warps = _config(z.element_size())
    _square[(triton.cdiv(n, matrices),)](
        z, n, matrix_stride // unit, row_stride // unit,
        UNIT=unit, PRECISION=_PRECISION, MATRICES=matrices, num_warps=warps,
    )  # fmt: skip
