"""Batched vector-matrix product. All rows of all matrices are one long list, of which each program takes a few; where
they belong to one matrix, its vector is loaded once for all of them."""

import torch
import triton
import triton.language as tl


@triton.jit
def _load(ptrs, inside, EVEN: tl.constexpr):
    """Elements of rows in float32, with zeros beyond the rows' end."""
    x = tl.load(ptrs) if EVEN else tl.load(ptrs, mask=inside, other=0.0)
    return x.to(tl.float32)


@triton.jit
def _vecmat(
    a_ptr, b_ptr, z_ptr, n_rows, N, K, a_stride, b_stride_m, b_stride_n,
    UNIT: tl.constexpr, EVEN_K: tl.constexpr, SHARED: tl.constexpr, ROWS: tl.constexpr, BLOCK_K: tl.constexpr,
    FOLD: tl.constexpr,
):  # fmt: skip
    K *= UNIT
    a_stride *= UNIT
    b_stride_m *= UNIT
    b_stride_n *= UNIT
    first = tl.program_id(0) * ROWS
    place = first + tl.arange(0, ROWS)
    k = tl.arange(0, BLOCK_K)[None, :]
    if SHARED:
        # All rows belong to one matrix: one vector for all.
        a_ptrs = a_ptr + first // N * a_stride + k
        b_ptrs = b_ptr + first // N * b_stride_m + first % N * b_stride_n
        b_ptrs += tl.arange(0, ROWS)[:, None] * b_stride_n + k
    else:
        row = tl.minimum(place, n_rows - 1)[:, None]  # the last program reads the last row again
        a_ptrs = a_ptr + row // N * a_stride + k
        b_ptrs = b_ptr + row // N * b_stride_m + row % N * b_stride_n + k
    acc = tl.zeros((ROWS, BLOCK_K // FOLD), tl.float32)
    for start in range(0, K, BLOCK_K):
        b = _load(b_ptrs, k < K - start, EVEN_K)
        a = _load(a_ptrs, k < K - start, EVEN_K)
        # FOLD elements lie in one thread: summed at once, they take one register.
        products = tl.reshape(a * b, (ROWS, BLOCK_K // FOLD, FOLD))
        acc += tl.sum(products, axis=2)
        a_ptrs += BLOCK_K
        b_ptrs += BLOCK_K
    tl.store(z_ptr + place, tl.sum(acc, axis=1).to(z_ptr.dtype.element_ty), mask=place < n_rows)


def _unit(*sizes: int) -> int:
    """The largest power of two, up to 16, that divides all sizes. Kernels get sizes in this unit, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    joined = 16
    for size in sizes:
        joined |= size
    return joined & -joined


def _config(m: int, n: int, k: int, itemsize: int) -> tuple[int, int, int]:
    """(rows, elements of each that a program takes at a time, warps). A vector shared by all rows must have fewer
    elements than there are threads: Triton then has each thread load its own part, with no exchange between them."""
    block_k = min(triton.next_power_of_2(k), 128)
    rows = min((32768 if m * n * k >= 1 << 24 else 16384) // itemsize // block_k, 256)
    together = n & -n  # so many rows never cross from one matrix into the next
    return min(rows, together) if together >= 16 else rows, block_k, 8


def batched_vecmat(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    m, n, k = b.shape
    z = torch.empty((m, n), dtype=a.dtype, device=a.device)
    strides = a.stride(0), b.stride(0), b.stride(1)
    unit = _unit(k, *strides)
    rows, block_k, warps = _config(m, n, k, a.element_size())
    _vecmat[(triton.cdiv(m * n, rows),)](
        a, b, z, m * n, n, k // unit, *(stride // unit for stride in strides),
        UNIT=unit, EVEN_K=k % block_k == 0, SHARED=n % rows == 0, ROWS=rows, BLOCK_K=block_k,
        FOLD=min(unit, 16 // a.element_size()), num_warps=warps,
    )  # fmt: skip
    return z
