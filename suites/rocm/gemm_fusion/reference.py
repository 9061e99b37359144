"""Two matrix products in one pass: a program keeps its rows of `a` and of the result, and walks over the rows of `b`
and `c`; a tile of the first product goes from the accumulator straight into the second product, as an operand.
Operands are read as they lie, row by row or column by column, and turned by the tensor cores.

On Hopper, operands of large products come by tensor descriptors (TMA), which need 16-byte alignment; elsewhere, and
where they are not aligned, by pointers."""

import torch
import triton
import triton.language as tl
import triton.tools.tensor_descriptor


@triton.jit
def _fused(
    a, b, c, e_ptr, m, n, stride_a, stride_b, stride_c,
    K: tl.constexpr, TMA: tl.constexpr, A_BY_K: tl.constexpr, B_BY_K: tl.constexpr, C_BY_K: tl.constexpr,
    UNIT_A: tl.constexpr, UNIT_B: tl.constexpr, UNIT_C: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    start_m = tl.program_id(0) * BLOCK_M
    offs_m = start_m + tl.arange(0, BLOCK_M)[:, None]
    offs_n = tl.arange(0, BLOCK_N)[:, None]
    offs_k = tl.arange(0, BLOCK_K)[None, :]
    acc = tl.zeros((BLOCK_M, BLOCK_K), tl.float32)
    if TMA:
        # Rows and columns beyond the matrices come as zeros.
        x = a.load([start_m, 0]) if A_BY_K else a.load([0, start_m]).T
        for block in range(0, tl.cdiv(n, BLOCK_N)):
            y = b.load([block * BLOCK_N, 0]).T if B_BY_K else b.load([0, block * BLOCK_N])
            z = c.load([block * BLOCK_N, 0]) if C_BY_K else c.load([0, block * BLOCK_N]).T
            acc = tl.dot(tl.dot(x, y).to(x.dtype), z, acc)
    else:
        stride_a *= UNIT_A
        stride_b *= UNIT_B
        stride_c *= UNIT_C
        a_ptrs = a + (offs_m * stride_a + offs_k if A_BY_K else offs_k * stride_a + offs_m)
        x = tl.load(a_ptrs, mask=(offs_m < m) & (offs_k < K), other=0.0)
        b_ptrs = b + (offs_n * stride_b + offs_k if B_BY_K else offs_k * stride_b + offs_n)
        c_ptrs = c + (offs_n * stride_c + offs_k if C_BY_K else offs_k * stride_c + offs_n)
        # From one block of rows to the next.
        step_b = BLOCK_N * stride_b if B_BY_K else BLOCK_N
        step_c = BLOCK_N * stride_c if C_BY_K else BLOCK_N
        for block in range(0, n // BLOCK_N):
            if BLOCK_K == K:
                y = tl.load(b_ptrs + block * step_b)
                z = tl.load(c_ptrs + block * step_c)
            else:
                y = tl.load(b_ptrs + block * step_b, mask=offs_k < K, other=0.0)
                z = tl.load(c_ptrs + block * step_c, mask=offs_k < K, other=0.0)
            acc = tl.dot(tl.dot(x, tl.trans(y)).to(x.dtype), z, acc)
        if n % BLOCK_N != 0:
            # The last rows: those beyond the edge read the last row of b again, and zeros for c.
            rows = n // BLOCK_N * BLOCK_N + offs_n
            last = tl.minimum(rows, n - 1)
            b_ptrs = b + (last * stride_b + offs_k if B_BY_K else offs_k * stride_b + last)
            y = tl.load(b_ptrs, mask=offs_k < K, other=0.0)
            z = tl.load(c_ptrs + n // BLOCK_N * step_c, mask=(rows < n) & (offs_k < K), other=0.0)
            acc = tl.dot(tl.dot(x, tl.trans(y)).to(x.dtype), z, acc)
    tl.store(e_ptr + offs_m * K + offs_k, acc.to(e_ptr.dtype.element_ty), mask=(offs_m < m) & (offs_k < K))


def _unit(size: int) -> int:
    """The largest power of two, up to 16, that divides a size. Kernels get sizes in such units, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    return (size | 16) & -(size | 16)


def _config(m: int, n: int, block_k: int) -> tuple[int, int, int, int]:
    """(BLOCK_M, BLOCK_N, warps, stages)."""
    if m >= 96 * 128:  # enough of the largest tiles for all multiprocessors
        return 128, 64, 8, 4
    if m > 4096:
        return 64, 64, 4, 3
    return (32 if m > 1024 else 16), (128 if n > 64 and block_k <= 64 else 64), 4, 2


def _has_tma(m: int, n: int, k: int) -> bool:
    """Descriptors are made on the host, at every call: they pay for large products only."""
    if m * n * k < 1 << 32:
        return False
    return torch.version.hip is None and torch.cuda.get_device_capability()[0] >= 9


def _aligned(x: torch.Tensor) -> bool:
    """Base and rows (or columns) at multiples of 16 bytes, as descriptors need them."""
    return x.data_ptr() % 16 == 0 and max(x.stride()) * x.element_size() % 16 == 0


def _layout(x: torch.Tensor) -> tuple[bool, int, int]:
    """(are elements of a row adjacent?, the stride between rows, else between columns, in units, the unit)"""
    by_k = x.stride(1) == 1
    stride = x.stride(0 if by_k else 1)
    unit = _unit(stride)
    return by_k, stride // unit, unit


def _describe(x: torch.Tensor, by_k: bool, rows: int, cols: int) -> triton.tools.tensor_descriptor.TensorDescriptor:
    from_tensor = triton.tools.tensor_descriptor.TensorDescriptor.from_tensor
    return from_tensor(x, [rows, cols]) if by_k else from_tensor(x.t(), [cols, rows])


def gemm_fusion(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    (m, k), n = a.shape, b.shape[0]
    e = torch.empty((m, k), dtype=a.dtype, device=a.device)
    block_k = max(16, triton.next_power_of_2(k))
    block_m, block_n, warps, stages = _config(m, n, block_k)
    if torch.version.hip is not None:
        block_n, stages = min(block_n, 8192 // block_k), 2  # 64 KiB of shared memory
    a_by_k, stride_a, unit_a = _layout(a)
    b_by_k, stride_b, unit_b = _layout(b)
    c_by_k, stride_c, unit_c = _layout(c)
    tma = _has_tma(m, n, k) and _aligned(a) and _aligned(b) and _aligned(c)
    if tma:
        a = _describe(a, a_by_k, block_m, block_k)
        b = _describe(b, b_by_k, block_n, block_k)
        c = _describe(c, c_by_k, block_n, block_k)
    _fused[(triton.cdiv(m, block_m),)](
        a, b, c, e, m, n, stride_a, stride_b, stride_c,
        K=k, TMA=tma, A_BY_K=a_by_k, B_BY_K=b_by_k, C_BY_K=c_by_k, UNIT_A=unit_a, UNIT_B=unit_b, UNIT_C=unit_c,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return e
