"""Product of matrices of two dtypes: tiles in an order that shares operands in the L2 cache, sizes chosen by shape.

Small products cast blocks as they come. Of large ones on Hopper, the operand of the other dtype is cast as a whole
first, which takes a fraction of the product's time: its tensor cores then take both operands from shared memory, where
tensor descriptors (TMA) put them."""

import torch
import triton
import triton.language as tl
import triton.tools.tensor_descriptor


@triton.jit
def _cast_rows(x_ptr, y_ptr, n_cols, x_stride, y_stride, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + row * x_stride + cols, mask=cols < n_cols)
    tl.store(y_ptr + row * y_stride + cols, x.to(y_ptr.dtype.element_ty), mask=cols < n_cols)


@triton.jit
def _place(tile, M, N, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, GROUP_M: tl.constexpr):
    """Where a tile starts: tiles that are worked on together are GROUP_M rows of them, column after column."""
    tiles_m = tl.cdiv(M, BLOCK_M)
    in_group = GROUP_M * tl.cdiv(N, BLOCK_N)
    first_m = tile // in_group * GROUP_M
    height = tl.minimum(tiles_m - first_m, GROUP_M)
    return (first_m + tile % in_group % height) * BLOCK_M, tile % in_group // height * BLOCK_N


@triton.jit
def _matmul(
    a_ptr, b_ptr, c_ptr, M, N, K, stride_am, stride_ak, stride_bk, stride_bn, DOT: tl.constexpr,
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
    a_ptrs = a_ptr + (rows[:, None] * stride_am + offs_k[None, :] * stride_ak)
    b_ptrs = b_ptr + (offs_k[:, None] * stride_bk + cols[None, :] * stride_bn)

    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for k in range(0, tl.cdiv(K, BLOCK_K)):
        if EVEN_K:
            x = tl.load(a_ptrs)
            y = tl.load(b_ptrs)
        else:
            left = K - k * BLOCK_K
            x = tl.load(a_ptrs, mask=offs_k[None, :] < left, other=0.0)
            y = tl.load(b_ptrs, mask=offs_k[:, None] < left, other=0.0)
        acc = tl.dot(x.to(DOT), y.to(DOT), acc)
        a_ptrs += BLOCK_K * stride_ak
        b_ptrs += BLOCK_K * stride_bk

    c_ptrs = c_ptr + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=(offs_m < M)[:, None] & (offs_n < N)[None, :])


@triton.jit
def _matmul_by_blocks(
    a, b, c, M, N, K, A_BY_K: tl.constexpr, B_BY_K: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP_M: tl.constexpr,
):  # fmt: skip
    # A program works on several tiles; loads for the next one begin while the last one is stored.
    tiles = tl.cdiv(M, BLOCK_M) * tl.cdiv(N, BLOCK_N)
    for tile in tl.range(tl.program_id(0), tiles, tl.num_programs(0), flatten=True):
        start_m, start_n = _place(tile, M, N, BLOCK_M, BLOCK_N, GROUP_M)
        acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
        for k in range(0, tl.cdiv(K, BLOCK_K)):
            x = a.load([start_m, k * BLOCK_K]) if A_BY_K else a.load([k * BLOCK_K, start_m]).T
            y = b.load([start_n, k * BLOCK_K]).T if B_BY_K else b.load([k * BLOCK_K, start_n])
            acc = tl.dot(x, y, acc)
        halves = tl.permute(tl.reshape(acc, (BLOCK_M, 2, BLOCK_N // 2)), (0, 2, 1))
        left_half, right_half = tl.split(halves)
        c.store([start_m, start_n], left_half.to(c.dtype))
        c.store([start_m, start_n + BLOCK_N // 2], right_half.to(c.dtype))


def _config(m: int, n: int, k: int, tma: bool) -> tuple[int, int, int, int, int, int]:
    """(BLOCK_M, BLOCK_N, BLOCK_K, GROUP_M, warps, stages)."""
    if m * n >= 120 * 128 * 256:  # enough of the largest tiles for all multiprocessors
        if tma:
            return 128, 256, 64, 16, 8, 3
        return 128, 128, 64, 8, 8, 3  # addresses take registers
    if m * n >= 1 << 18:
        return 64, 64, 64, 8, 4, 3  # blocks of 4-byte operands take twice the shared memory
    # The launch outweighs the work: small tiles, and as much of K at once as there is.
    return 32, 32, min(128, max(16, triton.next_power_of_2(k))), 8, 4, 3


_TRITON = {"float16": tl.float16, "bfloat16": tl.bfloat16}
_TORCH = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def _has_tma(m: int, n: int, k: int) -> bool:
    """Descriptors are made on the host, at every call: they pay for large products only."""
    if m * n * k < 1 << 35:
        return False
    return torch.version.hip is None and torch.cuda.get_device_capability()[0] >= 9


def _aligned(x: torch.Tensor) -> bool:
    """Base and rows (or columns) at multiples of 16 bytes, as descriptors need them."""
    return x.data_ptr() % 16 == 0 and max(x.stride()) * x.element_size() % 16 == 0


def _cast(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A copy in another dtype and the same layout, its rows (or columns) aligned."""
    if x.dtype == dtype:
        return x
    if x.stride(1) != 1:
        return _cast(x.t(), dtype).t()
    rows, cols = x.shape
    y = torch.empty((rows, triton.cdiv(cols, 16) * 16), dtype=dtype, device=x.device)
    block = 2048
    _cast_rows[(rows, triton.cdiv(cols, block))](x, y, cols, x.stride(0), y.stride(0), BLOCK=block, num_warps=4)
    return y[:, :cols]


def _programs(x: torch.Tensor, tiles: int) -> int:
    """As many as there are multiprocessors, and no more than tiles."""
    return min(tiles, torch.cuda.get_device_properties(x.device).multi_processor_count)


def _describe(x: torch.Tensor, block_rows: int, block_cols: int) -> triton.tools.tensor_descriptor.TensorDescriptor:
    from_tensor = triton.tools.tensor_descriptor.TensorDescriptor.from_tensor
    return from_tensor(x, [block_rows, block_cols])


def cast_matmul(a: torch.Tensor, b: torch.Tensor, dot_dtype: str, out_dtype: str) -> torch.Tensor:
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty((m, n), dtype=_TORCH[out_dtype], device=a.device)
    tma, a_by_k, b_by_k = _has_tma(m, n, k) and min(m, n) >= 1024 and _aligned(c), True, True
    if tma:
        a, b = _cast(a, _TORCH[dot_dtype]), _cast(b, _TORCH[dot_dtype])
        a_by_k, b_by_k = a.stride(1) == 1, b.stride(0) == 1
        tma = _aligned(a) and _aligned(b)
    block_m, block_n, block_k, group_m, warps, stages = _config(m, n, k, tma)
    tiles = triton.cdiv(m, block_m) * triton.cdiv(n, block_n)
    if tma:
        a = _describe(a, block_m, block_k) if a_by_k else _describe(a.t(), block_k, block_m)
        b = _describe(b.t(), block_n, block_k) if b_by_k else _describe(b, block_k, block_n)
        _matmul_by_blocks[(_programs(c, tiles),)](
            a, b, _describe(c, block_m, block_n // 2), m, n, k, A_BY_K=a_by_k, B_BY_K=b_by_k,
            BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, GROUP_M=group_m, num_warps=warps, num_stages=stages,
        )  # fmt: skip
        return c
    if torch.version.hip is not None:
        stages = 2  # 64 KiB of shared memory hold one buffer of the largest tiles
    _matmul[(tiles,)](
        a, b, c, m, n, k, *a.stride(), *b.stride(), DOT=_TRITON[dot_dtype],
        EVEN_M=m % block_m == 0, EVEN_N=n % block_n == 0, EVEN_K=k % block_k == 0,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, GROUP_M=group_m, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return c
