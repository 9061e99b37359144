"""Matrix product by blocks: tiles in an order that shares operands in the L2 cache, sizes chosen by shape.

On Hopper, blocks of large products are loaded and stored by tensor descriptors (TMA), tiles of results in halves; small
products, whose time descriptors would double, and other hardware use pointers."""

import torch
import triton
import triton.language as tl
import triton.tools.tensor_descriptor


@triton.jit
def _place(tile, M, N, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, GROUP_M: tl.constexpr):
    """Where a tile starts: tiles that are worked on together are GROUP_M rows of them, column after column."""
    tiles_m = tl.cdiv(M, BLOCK_M)
    in_group = GROUP_M * tl.cdiv(N, BLOCK_N)
    first_m = tile // in_group * GROUP_M
    height = tl.minimum(tiles_m - first_m, GROUP_M)
    return (first_m + tile % in_group % height) * BLOCK_M, tile % in_group // height * BLOCK_N


@triton.jit
def _gemm(
    a_ptr, b_ptr, c_ptr, M, N, K, stride_a, stride_b, TRANS_A: tl.constexpr, TRANS_B: tl.constexpr,
    EVEN_M: tl.constexpr, EVEN_N: tl.constexpr, EVEN_K: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP_M: tl.constexpr,
):  # fmt: skip
    start_m, start_n = _place(tl.program_id(0), M, N, BLOCK_M, BLOCK_N, GROUP_M)

    offs_m = start_m + tl.arange(0, BLOCK_M)
    offs_n = start_n + tl.arange(0, BLOCK_N)
    offs_k = tl.arange(0, BLOCK_K)
    # Ragged edges read the last row or column again.
    rows = offs_m if EVEN_M else tl.minimum(offs_m, M - 1)
    cols = offs_n if EVEN_N else tl.minimum(offs_n, N - 1)
    a_ptrs = a_ptr + (
        offs_k[None, :] * stride_a + rows[:, None] if TRANS_A else rows[:, None] * stride_a + offs_k[None, :]
    )
    b_ptrs = b_ptr + (
        cols[None, :] * stride_b + offs_k[:, None] if TRANS_B else offs_k[:, None] * stride_b + cols[None, :]
    )

    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for k in range(0, tl.cdiv(K, BLOCK_K)):
        if EVEN_K:
            x = tl.load(a_ptrs)
            y = tl.load(b_ptrs)
        else:
            left = K - k * BLOCK_K
            x = tl.load(a_ptrs, mask=offs_k[None, :] < left, other=0.0)
            y = tl.load(b_ptrs, mask=offs_k[:, None] < left, other=0.0)
        acc = tl.dot(x, y, acc)
        a_ptrs += BLOCK_K * stride_a if TRANS_A else BLOCK_K
        b_ptrs += BLOCK_K if TRANS_B else BLOCK_K * stride_b

    c_ptrs = c_ptr + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=(offs_m < M)[:, None] & (offs_n < N)[None, :])


@triton.jit
def _gemm_by_blocks(
    a, b, c, M, N, K, TRANS_A: tl.constexpr, TRANS_B: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP_M: tl.constexpr,
):  # fmt: skip
    # A program works on several tiles; loads for the next one begin while the last one is stored.
    tiles = tl.cdiv(M, BLOCK_M) * tl.cdiv(N, BLOCK_N)
    for tile in tl.range(tl.program_id(0), tiles, tl.num_programs(0), flatten=True):
        start_m, start_n = _place(tile, M, N, BLOCK_M, BLOCK_N, GROUP_M)
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
        for k in range(0, tl.cdiv(K, BLOCK_K)):
            x = a.load([k * BLOCK_K, start_m]).T if TRANS_A else a.load([start_m, k * BLOCK_K])
            y = b.load([start_n, k * BLOCK_K]).T if TRANS_B else b.load([k * BLOCK_K, start_n])
            acc = tl.dot(x, y, acc)
        halves = tl.permute(tl.reshape(acc, (BLOCK_M, 2, BLOCK_N // 2)), (0, 2, 1))
        left_half, right_half = tl.split(halves)
        c.store([start_m, start_n], left_half.to(c.dtype))
        c.store([start_m, start_n + BLOCK_N // 2], right_half.to(c.dtype))


def _config(m: int, n: int, k: int, tma: bool) -> tuple[int, int, int, int, int, int]:
    """(BLOCK_M, BLOCK_N, BLOCK_K, GROUP_M, warps, stages)."""
    if tma:
        return 128, 256 if m * n >= 120 * 128 * 256 else 128, 64, 16, 8, 3
    if m * n >= 120 * 128 * 256:  # enough of large tiles for all multiprocessors
        return 128, 128, 64, 8, 8, 3
    if m * n >= 1 << 20:
        return 64, 128, 64, 8, 4, 4
    if m * n >= 1 << 18:
        return 64, 64, 64, 8, 4, 4
    # The launch outweighs the work: small tiles, and as much of K at once as there is.
    return 32, 32, min(128, max(16, triton.next_power_of_2(k))), 8, 4, 3


_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def _has_tma(m: int, n: int, k: int) -> bool:
    """Descriptors are made on the host, at every call: they pay for large products only."""
    if m * n * k < 1 << 35:
        return False
    return torch.version.hip is None and torch.cuda.get_device_capability()[0] >= 9


def _programs(x: torch.Tensor, tiles: int) -> int:
    """As many as there are multiprocessors, and no more than tiles."""
    return min(tiles, torch.cuda.get_device_properties(x.device).multi_processor_count)


def _describe(x: torch.Tensor, block_rows: int, block_cols: int) -> triton.tools.tensor_descriptor.TensorDescriptor:
    from_tensor = triton.tools.tensor_descriptor.TensorDescriptor.from_tensor
    return from_tensor(x, [block_rows, block_cols])


def tma_store_gemm(a: torch.Tensor, b: torch.Tensor, trans_a: bool, trans_b: bool, out_dtype: str) -> torch.Tensor:
    k, m = a.shape if trans_a else a.shape[::-1]
    n = b.shape[0 if trans_b else 1]
    c = torch.empty((m, n), dtype=_DTYPES[out_dtype], device=a.device)
    tma = _has_tma(m, n, k)
    block_m, block_n, block_k, group_m, warps, stages = _config(m, n, k, tma)
    tiles = triton.cdiv(m, block_m) * triton.cdiv(n, block_n)
    if tma:
        a = _describe(a, block_k, block_m) if trans_a else _describe(a, block_m, block_k)
        b = _describe(b, block_n, block_k) if trans_b else _describe(b, block_k, block_n)
        _gemm_by_blocks[(_programs(c, tiles),)](
            a, b, _describe(c, block_m, block_n // 2), m, n, k, TRANS_A=trans_a, TRANS_B=trans_b,
            BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, GROUP_M=group_m, num_warps=warps, num_stages=stages,
        )  # fmt: skip
        return c
    if torch.version.hip is not None:
        stages = 2  # 64 KiB of shared memory hold one buffer of the largest tiles
    _gemm[(tiles,)](
        a, b, c, m, n, k, a.stride(0), b.stride(0), TRANS_A=trans_a, TRANS_B=trans_b,
        EVEN_M=m % block_m == 0, EVEN_N=n % block_n == 0, EVEN_K=k % block_k == 0,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, GROUP_M=group_m, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return c
