"""Two chained products per batch: a program keeps its rows of `q` and of the result, and walks over the rows of `k` and
the columns of `v`; a tile of the first product goes from the accumulator straight into the second, as an operand.

Tensor cores take fp8 operands four at a time, but leave sums two at a time: rows of `k` are read in an order in which
each thread's sums are the operands that it needs, so that none moves between threads. On Hopper, 16-bit operands of
large products come by tensor descriptors (TMA)."""

import torch
import triton
import triton.language as tl
import triton.tools.tensor_descriptor


@triton.jit
def _weights(q, k, scale, FP8: tl.constexpr, INTERLEAVED: tl.constexpr):
    """A tile of the first product as an operand of the second, its columns in their own order again."""
    s = tl.dot(q, tl.trans(k))
    if FP8:
        s *= scale
    p = s.to(q.dtype)
    if INTERLEAVED:
        p = tl.permute(tl.reshape(p, (p.shape[0], p.shape[1] // 16, 2, 4, 2)), (0, 1, 3, 2, 4))
        p = tl.reshape(p, s.shape)
    return p


@triton.jit
def _chained_dot(
    q, k, v, out_ptr, M, N, stride_qz, stride_qm, stride_kz, stride_kn, stride_vz, stride_vd, scale_s, scale_out,
    D: tl.constexpr, FP8: tl.constexpr, TMA: tl.constexpr, INTERLEAVED: tl.constexpr,
    UNIT_K: tl.constexpr, UNIT_V: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    start_m = tl.program_id(0) * BLOCK_M
    z = tl.program_id(1)
    offs_m = start_m + tl.arange(0, BLOCK_M)
    offs_d = tl.arange(0, D)
    acc = tl.zeros((BLOCK_M, D), tl.float32)
    if TMA:
        # All batches are one matrix. What is read beyond the rows of one is not stored.
        x = q.load([z * M + start_m, 0])
        for block in range(0, tl.cdiv(N, BLOCK_N)):
            y = k.load([z * N + block * BLOCK_N, 0])
            w = v.load([z * D, block * BLOCK_N])
            acc = tl.dot(_weights(x, y, scale_s, FP8, INTERLEAVED), tl.trans(w), acc)
    else:
        stride_kn *= UNIT_K
        stride_vd *= UNIT_V
        offs_n = tl.arange(0, BLOCK_N)
        # Column 16 g + 8 h + 2 t + e of a tile of the first product is row 16 g + 4 t + 2 h + e of k.
        keys = offs_n // 16 * 16 + offs_n % 8 // 2 * 4 + offs_n % 16 // 8 * 2 + offs_n % 2 if INTERLEAVED else offs_n
        q += z.to(tl.int64) * stride_qz
        k += z.to(tl.int64) * stride_kz
        v += z.to(tl.int64) * stride_vz
        x = tl.load(q + offs_m[:, None] * stride_qm + offs_d[None, :], mask=(offs_m < M)[:, None], other=0.0)
        k_ptrs = k + keys[:, None] * stride_kn + offs_d[None, :]
        v_ptrs = v + offs_d[:, None] * stride_vd + offs_n[None, :]
        for block in range(0, N // BLOCK_N):
            y = tl.load(k_ptrs + block * BLOCK_N * stride_kn)
            w = tl.load(v_ptrs + block * BLOCK_N)
            acc = tl.dot(_weights(x, y, scale_s, FP8, INTERLEAVED), tl.trans(w), acc)
        if N % BLOCK_N != 0:
            # The last rows: those beyond the edge read the last row of k again, and zeros for v.
            first = N // BLOCK_N * BLOCK_N
            rows = tl.minimum(first + keys, N - 1)
            y = tl.load(k + rows[:, None] * stride_kn + offs_d[None, :])
            w = tl.load(v_ptrs + first, mask=(first + offs_n < N)[None, :], other=0.0)
            acc = tl.dot(_weights(x, y, scale_s, FP8, INTERLEAVED), tl.trans(w), acc)
    if FP8:
        acc *= scale_out
    row = z.to(tl.int64) * M + offs_m
    tl.store(out_ptr + row[:, None] * D + offs_d[None, :], acc.to(out_ptr.dtype.element_ty), mask=(offs_m < M)[:, None])


def _unit(size: int) -> int:
    """The largest power of two, up to 16, that divides a size. Kernels get sizes in such units, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    return (size | 16) & -(size | 16)


def _config(z: int, m: int, n: int, d: int, itemsize: int) -> tuple[int, int, int, int]:
    """(BLOCK_M, BLOCK_N, warps, stages)."""
    if z * m >= 96 * 128:  # enough of the largest tiles for all multiprocessors
        return 128, 64, 8 if itemsize == 2 else 4, 3
    if z * m >= 64 * 64:
        return 64, 64, 4, 3
    return 32, 64, 4, 2


def _has_tma(z: int, m: int, n: int, d: int, itemsize: int) -> bool:
    """Descriptors are made on the host, at every call: they pay for large products only."""
    if itemsize == 1 or z * m * n * d < 1 << 32:
        return False
    return torch.version.hip is None and torch.cuda.get_device_capability()[0] >= 9


def _joined(x: torch.Tensor) -> bool:
    """Are all batches one matrix, as a descriptor needs it: rows evenly apart, at multiples of 16 bytes?"""
    evenly = x.shape[0] == 1 or x.stride(0) == x.shape[1] * x.stride(1)
    return evenly and x.data_ptr() % 16 == 0 and x.stride(1) * x.element_size() % 16 == 0


def _describe(x: torch.Tensor, rows: int, cols: int) -> triton.tools.tensor_descriptor.TensorDescriptor:
    z, height, width = x.shape
    strides = [x.stride(1), 1]
    return triton.tools.tensor_descriptor.TensorDescriptor(x, [z * height, width], strides, [rows, cols])


def chained_dot(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    q_desc: float | None,
    k_desc: float | None,
    v_desc: float | None,
    s_sc: float | None,
    s_desc: float | None,
    o_sc: float | None,
) -> torch.Tensor:
    (z, m, d), n = q.shape, k.shape[1]
    out = torch.empty((z, m, d), dtype=q.dtype, device=q.device)
    size = q.element_size()
    fp8 = size == 1
    scale_s, scale_out = (q_desc * k_desc * s_sc, v_desc * s_desc * o_sc) if fp8 else (1.0, 1.0)
    block_m, block_n, warps, stages = _config(z, m, n, d, size)
    if torch.version.hip is not None:
        block_n, stages = min(block_n, 16384 // (d * size)), 2  # 64 KiB of shared memory
    strides = (*q.stride()[:2], *k.stride()[:2], *v.stride()[:2])
    unit_k, unit_v = _unit(k.stride(1)), _unit(v.stride(1))
    # In the last block of a batch, a descriptor would give the next batch's rows of k.
    tma = _has_tma(z, m, n, d, size) and n % block_n == 0 and _joined(q) and _joined(k) and _joined(v)
    if tma:
        q, k, v = _describe(q, block_m, d), _describe(k, block_n, d), _describe(v, d, block_n)
    _chained_dot[(triton.cdiv(m, block_m), z)](
        q, k, v, out, m, n, *strides[:3], strides[3] // unit_k, strides[4], strides[5] // unit_v, scale_s, scale_out,
        D=d, FP8=fp8, TMA=tma, INTERLEAVED=fp8 and not tma, UNIT_K=unit_k, UNIT_V=unit_v,
        BLOCK_M=block_m, BLOCK_N=block_n, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return out
