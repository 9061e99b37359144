"""Product of blocks that tables name: tiles in an order that shares operands in the L2 cache, sizes chosen by shape.

Every step reads the numbers of its blocks first; they lie in one line of the cache, and the loads of later steps are
under way meanwhile. On Hopper, blocks of large operands come by tensor descriptors (TMA), which need 16-byte alignment
and fill what lies beyond the edge with zeros; elsewhere, and where rows are not aligned, by pointers."""

import torch
import triton
import triton.language as tl
import triton.tools.tensor_descriptor


@triton.jit
def _matmul(
    a, b, c, a_blocks_ptr, b_blocks_ptr, M, N, KA, KB, terms, stride_am, stride_ak, stride_bk, stride_bn,
    BLOCK: tl.constexpr, TMA: tl.constexpr, A_BY_K: tl.constexpr, B_BY_K: tl.constexpr,
    EVEN_M: tl.constexpr, EVEN_N: tl.constexpr, EVEN_K: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP_M: tl.constexpr,
):  # fmt: skip
    # Programs that run together work on GROUP_M rows of tiles, column after column.
    pid = tl.program_id(0)
    tiles_m = tl.cdiv(M, BLOCK_M)
    tiles_n = tl.cdiv(N, BLOCK_N)
    in_group = GROUP_M * tiles_n
    first_m = pid // in_group * GROUP_M
    height = tl.minimum(tiles_m - first_m, GROUP_M)
    start_m = (first_m + pid % in_group % height) * BLOCK_M
    start_n = pid % in_group // height * BLOCK_N

    offs_m = start_m + tl.arange(0, BLOCK_M)
    offs_n = start_n + tl.arange(0, BLOCK_N)
    offs_k = tl.arange(0, BLOCK_K)
    if not TMA:
        # Ragged edges read the last row or column again.
        rows = offs_m if EVEN_M else tl.minimum(offs_m, M - 1)
        cols = offs_n if EVEN_N else tl.minimum(offs_n, N - 1)
        a_ptrs = a + (rows[:, None] * stride_am + offs_k[None, :] * stride_ak)
        b_ptrs = b + (offs_k[:, None] * stride_bk + cols[None, :] * stride_bn)

    PARTS: tl.constexpr = BLOCK // BLOCK_K
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for step in range(0, terms * PARTS):
        part = step % PARTS * BLOCK_K
        at_a = tl.load(a_blocks_ptr + step // PARTS) * BLOCK + part
        at_b = tl.load(b_blocks_ptr + step // PARTS) * BLOCK + part
        if TMA:
            x = a.load([start_m, at_a]) if A_BY_K else a.load([at_a, start_m]).T
            y = b.load([start_n, at_b]).T if B_BY_K else b.load([at_b, start_n])
        elif EVEN_K:
            x = tl.load(a_ptrs + at_a * stride_ak)
            y = tl.load(b_ptrs + at_b * stride_bk)
        else:
            x = tl.load(a_ptrs + at_a * stride_ak, mask=offs_k[None, :] < KA - at_a, other=0.0)
            y = tl.load(b_ptrs + at_b * stride_bk, mask=offs_k[:, None] < KB - at_b, other=0.0)
        acc = tl.dot(x, y, acc)

    if TMA:
        c.store([start_m, start_n], acc.to(c.dtype))
    else:
        c_ptrs = c + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
        tl.store(c_ptrs, acc.to(c.dtype.element_ty), mask=(offs_m < M)[:, None] & (offs_n < N)[None, :])


_BLOCK = 64
"""Columns of a and rows of b that a table's element names."""


def _config(m: int, n: int, itemsize: int, tma: bool) -> tuple[int, int, int, int, int, int]:
    """(BLOCK_M, BLOCK_N, BLOCK_K, GROUP_M, warps, stages); BLOCK_K divides the tables' blocks."""
    block_k = 128 // itemsize
    if m * n >= 120 * 128 * 256:  # enough of the largest tiles for all multiprocessors
        if tma:
            return 128, 128, block_k, 16, 4, 4
        return 128, 128, block_k, 8, 8, 3  # addresses take registers
    if m * n >= 1 << 20:
        return 64, 128, block_k, 8, 4, 4
    if m * n >= 1 << 18:
        return 64, 64, block_k, 8, 4, 4
    return 32, 32, block_k, 8, 4, 4  # the launch outweighs the work


def _has_tma(m: int, n: int, k: int) -> bool:
    """Descriptors are made on the host, at every call: they pay for large products only."""
    if m * n * k < 1 << 35:
        return False
    return torch.version.hip is None and torch.cuda.get_device_capability()[0] >= 9


def _aligned(x: torch.Tensor) -> bool:
    """Base and rows (or columns) at multiples of 16 bytes, as descriptors need them."""
    return x.data_ptr() % 16 == 0 and max(x.stride()) * x.element_size() % 16 == 0


def _describe(x: torch.Tensor, block_rows: int, block_cols: int) -> triton.tools.tensor_descriptor.TensorDescriptor:
    from_tensor = triton.tools.tensor_descriptor.TensorDescriptor.from_tensor
    return from_tensor(x, [block_rows, block_cols])


def iv_dependent_matmul(
    a: torch.Tensor, b: torch.Tensor, a_blocks: torch.Tensor, b_blocks: torch.Tensor
) -> torch.Tensor:
    (m, ka), (kb, n), terms = a.shape, b.shape, a_blocks.numel()
    c = torch.empty((m, n), dtype=a.dtype, device=a.device)
    tma, a_by_k, b_by_k = _has_tma(m, n, terms * _BLOCK), True, True
    if tma:
        a_by_k, b_by_k = a.stride(1) == 1, b.stride(0) == 1
        tma = a.element_size() == 2 and _aligned(a) and _aligned(b) and _aligned(c)
    block_m, block_n, block_k, group_m, warps, stages = _config(m, n, a.element_size(), tma)
    if torch.version.hip is not None:
        stages = 2  # 64 KiB of shared memory hold one buffer of the largest tiles
    strides = (*a.stride(), *b.stride())
    if tma:
        a = _describe(a, block_m, block_k) if a_by_k else _describe(a.t(), block_k, block_m)
        b = _describe(b.t(), block_n, block_k) if b_by_k else _describe(b, block_k, block_n)
    _matmul[(triton.cdiv(m, block_m) * triton.cdiv(n, block_n),)](
        a, b, _describe(c, block_m, block_n) if tma else c, a_blocks, b_blocks, m, n, ka, kb, terms, *strides,
        BLOCK=_BLOCK, TMA=tma, A_BY_K=a_by_k, B_BY_K=b_by_k,
        EVEN_M=m % block_m == 0, EVEN_N=n % block_n == 0, EVEN_K=ka % _BLOCK == 0 and kb % _BLOCK == 0,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, GROUP_M=group_m, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return c
