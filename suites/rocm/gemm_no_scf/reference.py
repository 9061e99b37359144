"""Matrix product with so few terms that one tile holds them all: a program loads its rows of `a` and columns of `b`
once, multiplies once and writes a tile of `c`. Writing is nearly all of the work."""

import torch
import triton
import triton.language as tl


@triton.jit
def _product(
    a_ptr, b_ptr, c_ptr, m, n, stride_a, stride_b,
    K: tl.constexpr, A_BY_K: tl.constexpr, B_BY_K: tl.constexpr,
    UNIT_A: tl.constexpr, UNIT_B: tl.constexpr, UNIT_N: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    n *= UNIT_N
    stride_a *= UNIT_A
    stride_b *= UNIT_B
    # Neighbouring programs write neighbouring tiles of the same rows.
    tiles_n = tl.cdiv(n, BLOCK_N)
    offs_m = tl.program_id(0) // tiles_n * BLOCK_M + tl.arange(0, BLOCK_M)[:, None]
    offs_n = tl.program_id(0) % tiles_n * BLOCK_N + tl.arange(0, BLOCK_N)[None, :]
    a_k = tl.arange(0, BLOCK_K)[None, :]
    b_k = tl.arange(0, BLOCK_K)[:, None]
    a_ptrs = a_ptr + (offs_m * stride_a + a_k if A_BY_K else a_k * stride_a + offs_m)
    b_ptrs = b_ptr + (offs_n * stride_b + b_k if B_BY_K else b_k * stride_b + offs_n)
    a = tl.load(a_ptrs, mask=(offs_m < m) & (a_k < K), other=0.0)
    b = tl.load(b_ptrs, mask=(offs_n < n) & (b_k < K), other=0.0)
    c = tl.dot(a, b).to(c_ptr.dtype.element_ty)
    tl.store(c_ptr + offs_m * n + offs_n, c, mask=(offs_m < m) & (offs_n < n))


def _unit(size: int) -> int:
    """The largest power of two, up to 16, that divides a size. Kernels get sizes in such units, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    return (size | 16) & -(size | 16)


def _config(m: int, n: int, block_k: int, itemsize: int) -> tuple[int, int, int]:
    """(BLOCK_M, BLOCK_N, warps). `itemsize` is that of the result."""
    if m * n >= 1 << 22:
        return 64, 128, 4
    return 32, 64, 4


_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def matmul_no_scf(a: torch.Tensor, b: torch.Tensor, out_dtype: str) -> torch.Tensor:
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty((m, n), dtype=_DTYPES[out_dtype], device=a.device)
    a_by_k, b_by_k = a.stride(1) == 1, b.stride(0) == 1
    stride_a, stride_b = a.stride(0 if a_by_k else 1), b.stride(1 if b_by_k else 0)
    unit_a, unit_b, unit_n = _unit(stride_a), _unit(stride_b), _unit(n)
    block_k = max(16, triton.next_power_of_2(k))
    block_m, block_n, warps = _config(m, n, block_k, c.element_size())
    _product[(triton.cdiv(m, block_m) * triton.cdiv(n, block_n),)](
        a, b, c, m, n // unit_n, stride_a // unit_a, stride_b // unit_b,
        K=k, A_BY_K=a_by_k, B_BY_K=b_by_k, UNIT_A=unit_a, UNIT_B=unit_b, UNIT_N=unit_n,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, num_warps=warps,
    )  # fmt: skip
    return c
