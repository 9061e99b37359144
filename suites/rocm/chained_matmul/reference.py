"""Two matrix products in one pass: a program keeps its rows of `a` and of the result, and walks over the rows of `b`
and `c`; a tile of the first product goes from the accumulator straight into the second product, as an operand.

On Hopper, operands of large products come by tensor descriptors (TMA), elsewhere by pointers."""

import torch
import triton
import triton.language as tl
import triton.tools.tensor_descriptor


@triton.jit
def _chain(
    a, b, c, out_ptr, m, n,
    K: tl.constexpr, TMA: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    start_m = tl.program_id(0) * BLOCK_M
    offs_m = start_m + tl.arange(0, BLOCK_M)[:, None]
    offs_n = tl.arange(0, BLOCK_N)[:, None]
    offs_k = tl.arange(0, BLOCK_K)[None, :]
    acc = tl.zeros((BLOCK_M, BLOCK_K), tl.float32)
    if TMA:
        # Rows and columns beyond the matrices come as zeros.
        x = a.load([start_m, 0])
        for block in range(0, tl.cdiv(n, BLOCK_N)):
            y = b.load([block * BLOCK_N, 0])
            z = c.load([block * BLOCK_N, 0])
            acc = tl.dot(tl.dot(x, tl.trans(y)).to(x.dtype), z, acc)
    else:
        x = tl.load(a + offs_m * K + offs_k, mask=(offs_m < m) & (offs_k < K), other=0.0)
        b_ptrs = b + offs_n * K + offs_k
        c_ptrs = c + offs_n * K + offs_k
        for block in range(0, n // BLOCK_N):
            if BLOCK_K == K:
                y = tl.load(b_ptrs + block * BLOCK_N * K)
                z = tl.load(c_ptrs + block * BLOCK_N * K)
            else:
                y = tl.load(b_ptrs + block * BLOCK_N * K, mask=offs_k < K, other=0.0)
                z = tl.load(c_ptrs + block * BLOCK_N * K, mask=offs_k < K, other=0.0)
            acc = tl.dot(tl.dot(x, tl.trans(y)).to(x.dtype), z, acc)
        if n % BLOCK_N != 0:
            # The last rows: those beyond the edge read the last row of b again, and zeros for c.
            offs_n += n // BLOCK_N * BLOCK_N
            y = tl.load(b + tl.minimum(offs_n, n - 1) * K + offs_k, mask=offs_k < K, other=0.0)
            z = tl.load(c + offs_n * K + offs_k, mask=(offs_n < n) & (offs_k < K), other=0.0)
            acc = tl.dot(tl.dot(x, tl.trans(y)).to(x.dtype), z, acc)
    out_ptrs = out_ptr + offs_m * K + offs_k
    tl.store(out_ptrs, acc.to(out_ptr.dtype.element_ty), mask=(offs_m < m) & (offs_k < K))


def _config(m: int, n: int, block_k: int) -> tuple[int, int, int, int]:
    """(BLOCK_M, BLOCK_N, warps, stages)."""
    if block_k == 512:
        return (64, 32, 8, 2) if m > 2048 else (16, 32, 8, 2)
    if m >= 96 * 128:  # enough of the largest tiles for all multiprocessors
        return {256: (128, 32, 8, 4), 128: (128, 64, 8, 4)}.get(block_k, (64, 128, 4, 3))
    if m > 1024:
        return 64, 64, 4, 2
    return 16, 32 if n <= 32 else 64, 8 if block_k == 256 else 4, 2


def _has_tma(m: int, n: int, k: int) -> bool:
    """Descriptors are made on the host, at every call: they pay for large products only."""
    if m * n * k < 1 << 32:
        return False
    return torch.version.hip is None and torch.cuda.get_device_capability()[0] >= 9


def _describe(x: torch.Tensor, block_rows: int, block_cols: int) -> triton.tools.tensor_descriptor.TensorDescriptor:
    from_tensor = triton.tools.tensor_descriptor.TensorDescriptor.from_tensor
    return from_tensor(x, [block_rows, block_cols])


def chained_matmul(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    (m, k), n = a.shape, b.shape[0]
    out = torch.empty((m, k), dtype=a.dtype, device=a.device)
    block_k = max(16, triton.next_power_of_2(k))
    tma = _has_tma(m, n, k) and block_k <= 256 and k % 8 == 0
    block_m, block_n, warps, stages = _config(m, n, block_k)
    if torch.version.hip is not None:
        block_n, stages = min(block_n, 8192 // block_k), 2  # 64 KiB of shared memory
    if tma:
        a, b, c = (_describe(x, rows, block_k) for x, rows in ((a, block_m), (b, block_n), (c, block_n)))
    _chain[(triton.cdiv(m, block_m),)](
        a, b, c, out, m, n,
        K=k, TMA=tma, BLOCK_M=block_m, BLOCK_N=block_n, BLOCK_K=block_k, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return out
