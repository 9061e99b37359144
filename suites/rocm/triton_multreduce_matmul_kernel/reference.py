"""Skinny matrix product. For few rows, and for float32, products are made and summed by plain arithmetic: a tile of `b`
is read straight into registers and multiplied with up to four rows of `a`. More rows of 16 bits go through the matrix
units. Where there are too few tiles, several programs share one tile's sum, and a second kernel adds their parts."""

import torch
import triton
import triton.language as tl


@triton.jit
def _load(ptrs, outer, inner, EVEN_OUTER: tl.constexpr, EVEN_INNER: tl.constexpr):
    """A tile, with zeros beyond the end of K, and anything beyond the last row or column: no sum needs that."""
    if EVEN_OUTER and EVEN_INNER:
        x = tl.load(ptrs)
    elif EVEN_OUTER:
        x = tl.load(ptrs, mask=inner, other=0.0)
    elif EVEN_INNER:
        x = tl.load(ptrs, mask=outer)
    else:
        x = tl.load(ptrs, mask=outer & inner, other=0.0)
    return x


@triton.jit
def _folded(
    a_ptrs, b, inside, EVEN_K: tl.constexpr, B_BY_K: tl.constexpr, FOLD: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Products of a row of `a` with all columns of a tile, summed over the FOLD of them that lie in one thread."""
    a = tl.load(a_ptrs) if EVEN_K else tl.load(a_ptrs, mask=inside, other=0.0)
    products = a.to(tl.float32) * b
    if B_BY_K:  # a thread has neighbours along K
        folded = tl.sum(tl.reshape(products, (BLOCK_N, BLOCK_K // FOLD, FOLD)), axis=2)
    else:  # along N; along K it has every so many
        folded = tl.sum(tl.reshape(products, (BLOCK_N, FOLD, BLOCK_K // FOLD)), axis=1)
    return folded


@triton.jit
def _finish(acc, bias_ptr, c_ptr, row, n, M, N, bias_stride, BIAS: tl.constexpr):
    c = tl.sum(acc, axis=1)
    if BIAS:
        c += tl.load(bias_ptr + row * bias_stride, mask=row < M).to(tl.float32)
    tl.store(c_ptr + row.to(tl.int64) * N + n, c.to(c_ptr.dtype.element_ty), mask=(n < N) & (row < M))


@triton.jit
def _multiply_reduce(
    a_ptr, b_ptr, bias_ptr, c_ptr, M, N, K, a_stride, b_stride, bias_stride, span,
    UNIT: tl.constexpr, A_BY_K: tl.constexpr, B_BY_K: tl.constexpr, BIAS: tl.constexpr,
    EVEN_N: tl.constexpr, EVEN_K: tl.constexpr, FOLD: tl.constexpr,
    ROWS: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    K *= UNIT
    a_stride *= UNIT
    b_stride *= UNIT
    tiles_m = tl.cdiv(M, ROWS)
    row = tl.program_id(0) % tiles_m * ROWS
    n = tl.program_id(0) // tiles_m * BLOCK_N + tl.arange(0, BLOCK_N)
    start = tl.program_id(1) * span
    k = start + tl.arange(0, BLOCK_K)[None, :]
    b_ptrs = b_ptr + (n[:, None] * b_stride + k if B_BY_K else k * b_stride + n[:, None])
    b_step = BLOCK_K if B_BY_K else BLOCK_K * b_stride
    # Rows beyond the last are the last once more; their sums are not stored.
    a_step = 1 if A_BY_K else a_stride
    a_row = a_stride if A_BY_K else 1
    a_ptrs0 = a_ptr + k * a_step + row * a_row
    a_ptrs1 = a_ptr + k * a_step + tl.minimum(row + 1, M - 1) * a_row
    a_ptrs2 = a_ptr + k * a_step + tl.minimum(row + 2, M - 1) * a_row
    a_ptrs3 = a_ptr + k * a_step + tl.minimum(row + 3, M - 1) * a_row

    acc0 = tl.zeros((BLOCK_N, BLOCK_K // FOLD), tl.float32)
    acc1 = acc0
    acc2 = acc0
    acc3 = acc0
    for done in range(start, tl.minimum(start + span, K), BLOCK_K):
        inside = tl.arange(0, BLOCK_K)[None, :] < K - done
        b = _load(b_ptrs, (n < N)[:, None], inside, EVEN_N, EVEN_K).to(tl.float32)
        acc0 += _folded(a_ptrs0, b, inside, EVEN_K, B_BY_K, FOLD, BLOCK_N, BLOCK_K)
        if ROWS != 1:
            acc1 += _folded(a_ptrs1, b, inside, EVEN_K, B_BY_K, FOLD, BLOCK_N, BLOCK_K)
        if ROWS == 4:
            acc2 += _folded(a_ptrs2, b, inside, EVEN_K, B_BY_K, FOLD, BLOCK_N, BLOCK_K)
            acc3 += _folded(a_ptrs3, b, inside, EVEN_K, B_BY_K, FOLD, BLOCK_N, BLOCK_K)
        b_ptrs += b_step
        a_ptrs0 += BLOCK_K * a_step
        a_ptrs1 += BLOCK_K * a_step
        a_ptrs2 += BLOCK_K * a_step
        a_ptrs3 += BLOCK_K * a_step

    c_ptr += tl.program_id(1).to(tl.int64) * M * N
    _finish(acc0, bias_ptr, c_ptr, row, n, M, N, bias_stride, BIAS)
    if ROWS != 1:
        _finish(acc1, bias_ptr, c_ptr, row + 1, n, M, N, bias_stride, BIAS)
    if ROWS == 4:
        _finish(acc2, bias_ptr, c_ptr, row + 2, n, M, N, bias_stride, BIAS)
        _finish(acc3, bias_ptr, c_ptr, row + 3, n, M, N, bias_stride, BIAS)


@triton.jit
def _dot(
    a_ptr, b_ptr, bias_ptr, c_ptr, M, N, K, a_stride, b_stride, bias_stride, span,
    UNIT: tl.constexpr, A_BY_K: tl.constexpr, B_BY_K: tl.constexpr, BIAS: tl.constexpr,
    EVEN_M: tl.constexpr, EVEN_N: tl.constexpr, EVEN_K: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    K *= UNIT
    a_stride *= UNIT
    b_stride *= UNIT
    # Programs that run together share columns of b: few rows of tiles stand over each other.
    tiles_m = tl.cdiv(M, BLOCK_M)
    start_m = tl.program_id(0) % tiles_m * BLOCK_M
    start_n = tl.program_id(0) // tiles_m * BLOCK_N
    start_k = tl.program_id(1) * span
    m = start_m + tl.arange(0, BLOCK_M)
    n = start_n + tl.arange(0, BLOCK_N)
    k = start_k + tl.arange(0, BLOCK_K)
    a_ptrs = a_ptr + (m[:, None] * a_stride + k[None, :] if A_BY_K else k[None, :] * a_stride + m[:, None])
    b_ptrs = b_ptr + (n[None, :] * b_stride + k[:, None] if B_BY_K else k[:, None] * b_stride + n[None, :])
    a_step = BLOCK_K if A_BY_K else BLOCK_K * a_stride
    b_step = BLOCK_K if B_BY_K else BLOCK_K * b_stride

    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for done in range(start_k, tl.minimum(start_k + span, K), BLOCK_K):
        inside = tl.arange(0, BLOCK_K) < K - done
        a = _load(a_ptrs, (m < M)[:, None], inside[None, :], EVEN_M, EVEN_K)
        b = _load(b_ptrs, (n < N)[None, :], inside[:, None], EVEN_N, EVEN_K)
        acc = tl.dot(a, b, acc)
        a_ptrs += a_step
        b_ptrs += b_step

    if BIAS:
        acc += tl.load(bias_ptr + m * bias_stride, mask=m < M).to(tl.float32)[:, None]
    c_ptrs = c_ptr + tl.program_id(1).to(tl.int64) * M * N + m.to(tl.int64)[:, None] * N + n[None, :]
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=(m < M)[:, None] & (n < N)[None, :])


@triton.jit
def _combine(
    parts_ptr, bias_ptr, c_ptr, size, N, bias_stride, BIAS: tl.constexpr, PARTS: tl.constexpr, BLOCK: tl.constexpr
):
    """c = the sum of all parts, in their order, plus the bias."""
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = place < size
    acc = tl.load(parts_ptr + place, mask=mask)
    for _ in tl.static_range(1, PARTS):
        parts_ptr += size
        acc += tl.load(parts_ptr + place, mask=mask)
    if BIAS:
        acc += tl.load(bias_ptr + place // N * bias_stride, mask=mask).to(tl.float32)
    tl.store(c_ptr + place, acc.to(c_ptr.dtype.element_ty), mask=mask)


def _unit(*sizes: int) -> int:
    """The largest power of two, up to 16, that divides all sizes. Kernels get sizes in this unit, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    joined = 16
    for size in sizes:
        joined |= size
    return joined & -joined


def _by_dot(m: int, itemsize: int) -> bool:
    """Are there rows enough to be worth the matrix units' smallest tile? float32 would lose digits in them."""
    return itemsize == 2 and m > 1


def _config(m: int, n: int, k: int, itemsize: int, dot: bool, b_by_k: bool) -> tuple[int, int, int, int, int, int]:
    """(BLOCK_M or ROWS, BLOCK_N, BLOCK_K, parts of the sum, warps, stages). Without dot, BLOCK_K is below the number of
    threads: Triton then has each thread load its own part of a row, with no exchange between them."""
    if not dot:
        block_n, block_k = (128 // itemsize, 128) if b_by_k else (512 // itemsize, 32)
        tile, warps, stages, programs = (1 if m == 1 else 2 if m == 2 else 4, block_n, block_k), 8, 1, 528
    elif m <= 32:
        tile, warps, stages, programs = (16 if m <= 16 else 32, 64, 128), 4, 3, 640
    elif m * n >= 120 * 128 * 128:
        tile, warps, stages, programs = (128, 128, 64), 8, 4, 132
    elif m * n >= 1 << 20:
        tile, warps, stages, programs = (64, 128, 64), 4, 4, 132
    else:
        tile, warps, stages, programs = (64, 64, 64), 4, 4, 132
    tiles = -(-m // tile[0]) * -(-n // tile[1])
    return *tile, max(1, min(programs // tiles, k // 512)), warps, stages  # shorter parts are not worth their sum


def multreduce_matmul(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    (m, k), n = a.shape, b.shape[1]
    c = torch.empty((m, n), dtype=a.dtype, device=a.device)
    a_by_k, b_by_k = a.stride(1) == 1, b.stride(0) == 1
    a_stride, b_stride = a.stride(0 if a_by_k else 1), b.stride(1 if b_by_k else 0)
    unit = _unit(k, a_stride, b_stride)
    bias_stride = 0 if bias is None else bias.stride(0)
    dot = _by_dot(m, a.element_size())
    block_m, block_n, block_k, parts, warps, stages = _config(m, n, k, a.element_size(), dot, b_by_k)
    span = (k - 1) // (parts * block_k) * block_k + block_k  # of K, for each part: whole blocks
    parts = triton.cdiv(k, span)
    grid = (triton.cdiv(m, block_m) * triton.cdiv(n, block_n), parts)
    target = c if parts == 1 else torch.empty((parts, m, n), dtype=torch.float32, device=a.device)
    if dot:
        if torch.version.hip is not None:
            stages = 2  # 64 KiB of shared memory hold one buffer of the largest tiles
        _dot[grid](
            a, b, bias, target, m, n, k // unit, a_stride // unit, b_stride // unit, bias_stride, span,
            UNIT=unit, A_BY_K=a_by_k, B_BY_K=b_by_k, BIAS=bias is not None and parts == 1,
            EVEN_M=m % block_m == 0, EVEN_N=n % block_n == 0, EVEN_K=k % block_k == 0,
            BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, num_warps=warps, num_stages=stages,
        )  # fmt: skip
    else:
        fold = min(unit, 16 // a.element_size()) if b_by_k else 4
        _multiply_reduce[grid](
            a, b, bias, target, m, n, k // unit, a_stride // unit, b_stride // unit, bias_stride, span,
            UNIT=unit, A_BY_K=a_by_k, B_BY_K=b_by_k, BIAS=bias is not None and parts == 1,
            EVEN_N=n % block_n == 0, EVEN_K=k % block_k == 0, FOLD=fold,
            ROWS=block_m, BLOCK_N=block_n, BLOCK_K=block_k, num_warps=warps,
        )  # fmt: skip
    if parts > 1:
        block = 1024 if m * n >= 1 << 18 else 256
        _combine[(triton.cdiv(m * n, block),)](
            target, bias, c, m * n, n, bias_stride, BIAS=bias is not None, PARTS=parts, BLOCK=block, num_warps=4
        )
    return c
