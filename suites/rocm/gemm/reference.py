"""Matrix product: tiles in an order that shares operands in the L2 cache, sizes chosen by shape and dtype.

On Hopper, operands come by tensor descriptors (TMA), which need 16-byte alignment; elsewhere, and where rows are not
aligned, by pointers. Tensor cores take 8-bit and 32-bit operands along K only: a large one that lies the other way is
turned first, unless it is ragged."""

import torch
import triton
import triton.language as tl
import triton.tools.tensor_descriptor


@triton.jit
def _turn(x_ptr, y_ptr, x_stride, y_stride, BLOCK: tl.constexpr):
    """y[j, i] = x[i, j], both row-major, of whole blocks."""
    row = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK))[:, None]
    col = (tl.program_id(1) * BLOCK + tl.arange(0, BLOCK))[None, :]
    x = tl.load(x_ptr + row * x_stride + col)
    tl.store(y_ptr + tl.trans(col) * y_stride + tl.trans(row), tl.trans(x))


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
    a, b, c, a_scale_ptr, b_scale_ptr, M, N, K, stride_am, stride_ak, stride_bk, stride_bn,
    KIND: tl.constexpr, SCALES: tl.constexpr, LEAKY: tl.constexpr, TMA: tl.constexpr, TMA_C: tl.constexpr,
    A_BY_K: tl.constexpr, B_BY_K: tl.constexpr, EVEN_M: tl.constexpr, EVEN_N: tl.constexpr, EVEN_K: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP_M: tl.constexpr, PROMOTE: tl.constexpr,
):  # fmt: skip
    start_m, start_n = _place(tl.program_id(0), M, N, BLOCK_M, BLOCK_N, GROUP_M)

    offs_m = start_m + tl.arange(0, BLOCK_M)
    offs_n = start_n + tl.arange(0, BLOCK_N)
    offs_k = tl.arange(0, BLOCK_K)
    # Ragged edges read the last row or column again.
    rows = offs_m if EVEN_M else tl.minimum(offs_m, M - 1)
    cols = offs_n if EVEN_N else tl.minimum(offs_n, N - 1)
    if not TMA:
        a_ptrs = a + (rows[:, None] * stride_am + offs_k[None, :] * stride_ak)
        b_ptrs = b + (offs_k[:, None] * stride_bk + cols[None, :] * stride_bn)

    SUM: tl.constexpr = tl.int32 if KIND == "int" else tl.float32
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32 if SCALES == "block" else SUM)
    if SCALES == "block":
        # One block of K and one of N have one scale of b: a number, not a vector.
        tl.static_assert(BLOCK_K == 128 and 128 % BLOCK_N == 0)
        a_scale_ptrs = a_scale_ptr + rows * tl.cdiv(K, 128)
        b_scale_ptrs = b_scale_ptr + start_n // 128
    elif KIND == "fp8":
        part = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)

    for k in range(0, tl.cdiv(K, BLOCK_K)):
        if TMA:
            x = a.load([start_m, k * BLOCK_K]) if A_BY_K else a.load([k * BLOCK_K, start_m]).T
            y = b.load([start_n, k * BLOCK_K]).T if B_BY_K else b.load([k * BLOCK_K, start_n])
        elif EVEN_K:
            x = tl.load(a_ptrs)
            y = tl.load(b_ptrs)
        else:
            left = K - k * BLOCK_K
            x = tl.load(a_ptrs, mask=offs_k[None, :] < left, other=0.0)
            y = tl.load(b_ptrs, mask=offs_k[:, None] < left, other=0.0)
        if SCALES == "block":
            scale = tl.load(a_scale_ptrs + k) * tl.load(b_scale_ptrs + k * tl.cdiv(N, 128))
            acc += tl.dot(x, y, out_dtype=SUM).to(tl.float32) * scale[:, None]
        elif KIND == "fp8":
            # Hopper sums fp8 products with about 14 bits: now and then the sum goes over to float32.
            part = tl.dot(x, y, part)
            if k % PROMOTE == PROMOTE - 1:
                acc += part
                part = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
        else:
            acc = tl.dot(x, y, acc, out_dtype=SUM)
        if not TMA:
            a_ptrs += BLOCK_K * stride_ak
            b_ptrs += BLOCK_K * stride_bk

    if KIND == "fp8" and SCALES != "block":
        acc += part
    if SCALES == "tensor":
        acc = acc.to(tl.float32) * (tl.load(a_scale_ptr) * tl.load(b_scale_ptr))
    if LEAKY:
        acc = tl.where(acc >= 0, acc, 0.01 * acc)
    if TMA_C:
        c.store([start_m, start_n], acc.to(c.dtype))
    else:
        c_ptrs = c + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
        tl.store(c_ptrs, acc.to(c.dtype.element_ty), mask=(offs_m < M)[:, None] & (offs_n < N)[None, :])


@triton.jit
def _gemm_by_blocks(
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
        c.store([start_m, start_n], acc.to(c.dtype))


def _config(m: int, n: int, kind: str, itemsize: int, scales: str, tma: bool) -> tuple[int, int, int, int, int, int]:
    """(BLOCK_M, BLOCK_N, BLOCK_K, GROUP_M, warps, stages), from measurements on Hopper."""
    block_k = 128 // itemsize
    if scales == "block":
        return (64, 128, 128, 8, 4, 3) if m * n >= 1 << 20 else (64, 64, 128, 8, 4, 3)
    if m * n >= 120 * 128 * 256:  # enough of the largest tiles for all multiprocessors
        if kind == "int":
            return 128, 128, block_k, 8, 4, 3  # two programs a multiprocessor
        if not tma:
            return 128, 128, block_k, 8, 8, 3  # addresses take registers
        if kind == "fp8":
            return 128, 128, block_k, 8, 4, 3
        return 128, 256, block_k, 16, 8, 3 if itemsize == 2 else 4
    if m * n >= 1 << 20:
        return 64, 128, block_k, 8, 4, 4
    if m * n >= 1 << 18:
        return 64, 64, block_k, 8, 4, 4
    return 32, 64, block_k, 8, 4, 4


_PROMOTE = 1024
"""Products of fp8 that are summed before the sum goes over to float32."""

_DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "int32": torch.int32,
}


def _has_tma(m: int, n: int, k: int) -> bool:
    """Descriptors are made on the host, at every call: they pay for large products only."""
    if m * n * k < 1 << 35:
        return False
    return torch.version.hip is None and torch.cuda.get_device_capability()[0] >= 9


def _aligned(x: torch.Tensor) -> bool:
    """Base and rows (or columns) at multiples of 16 bytes, as descriptors need them."""
    return x.data_ptr() % 16 == 0 and max(x.stride()) * x.element_size() % 16 == 0


_BLOCK = 64
"""Of what is turned, both sides."""


def _along_k(x: torch.Tensor) -> torch.Tensor:
    """The matrix with stride 1 along its rows: itself, or a copy; a ragged one is left as it is."""
    rows, cols = x.shape
    if x.stride(1) == 1 or rows % _BLOCK or cols % _BLOCK:
        return x
    y = torch.empty((rows, cols), dtype=x.dtype, device=x.device)
    _turn[(cols // _BLOCK, rows // _BLOCK)](x, y, x.stride(1), y.stride(0), BLOCK=_BLOCK, num_warps=8)
    return y


def _programs(x: torch.Tensor, tiles: int) -> int:
    """As many as there are multiprocessors, and no more than tiles."""
    return min(tiles, torch.cuda.get_device_properties(x.device).multi_processor_count)


def _describe(x: torch.Tensor, block_rows: int, block_cols: int) -> triton.tools.tensor_descriptor.TensorDescriptor:
    from_tensor = triton.tools.tensor_descriptor.TensorDescriptor.from_tensor
    return from_tensor(x, [block_rows, block_cols])


def gemm(
    a: torch.Tensor,
    b: torch.Tensor,
    a_scale: torch.Tensor | None,
    b_scale: torch.Tensor | None,
    activation: str | None,
    out_dtype: str,
) -> torch.Tensor:
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty((m, n), dtype=_DTYPES[out_dtype], device=a.device)
    scales = "none" if a_scale is None else "tensor" if a_scale.numel() == b_scale.numel() == 1 else "block"
    kind = "int" if not a.is_floating_point() else "fp8" if a.element_size() == 1 else "float"
    tma = _has_tma(m, n, k)
    if tma and a.element_size() != 2 and min(m, n) >= 1024:
        a, b = _along_k(a), _along_k(b.t()).t()  # a copy costs little against the product
    a_by_k, b_by_k = a.stride(1) == 1, b.stride(0) == 1
    tma = tma and _aligned(a) and _aligned(b) and (a.element_size() == 2 or (a_by_k and b_by_k))
    tma_c = tma and c.element_size() == 2 and _aligned(c)  # a tile of 4-byte results would not fit
    size = a.element_size()
    block_m, block_n, block_k, group_m, warps, stages = _config(m, n, kind, size, scales, tma)
    if torch.version.hip is not None:
        stages = 2  # 64 KiB of shared memory hold one buffer of the largest tiles
    strides = (*a.stride(), *b.stride())
    if tma:
        a = _describe(a, block_m, block_k) if a_by_k else _describe(a.t(), block_k, block_m)
        b = _describe(b.t(), block_n, block_k) if b_by_k else _describe(b, block_k, block_n)
    tiles = triton.cdiv(m, block_m) * triton.cdiv(n, block_n)
    if tma_c and size == 2 and activation is None:
        _gemm_by_blocks[(_programs(c, tiles),)](
            a, b, _describe(c, block_m, block_n), m, n, k, A_BY_K=a_by_k, B_BY_K=b_by_k,
            BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, GROUP_M=group_m, num_warps=warps, num_stages=stages,
        )  # fmt: skip
        return c
    _gemm[(tiles,)](
        a, b, _describe(c, block_m, block_n) if tma_c else c, a_scale, b_scale, m, n, k, *strides,
        KIND=kind, SCALES=scales, LEAKY=activation == "leaky_relu", TMA=tma, TMA_C=tma_c,
        A_BY_K=a_by_k, B_BY_K=b_by_k,
        EVEN_M=m % block_m == 0, EVEN_N=n % block_n == 0, EVEN_K=k % block_k == 0, PROMOTE=_PROMOTE // block_k,
        BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, GROUP_M=group_m, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return c
