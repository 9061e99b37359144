import torch
import triton
import triton.language as tl


@triton.jit
def _iv_kernel(
    a_ptr, b_ptr, at_ptr, bt_ptr, c_ptr, M, N, KA, KB, T, am, ak, bk, bn, nblocks_n, BM: tl.constexpr, BN: tl.constexpr
):
    pid = tl.program_id(0)
    i = (pid // nblocks_n) * BM + tl.arange(0, BM)
    j = (pid % nblocks_n) * BN + tl.arange(0, BN)
    s = tl.arange(0, 64)
    ok_i = i < M
    ok_j = j < N
    a_rows = a_ptr + i.to(tl.int64)[:, None] * am
    b_cols = b_ptr + j.to(tl.int64)[None, :] * bn
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for t in range(0, T):
        ka = tl.load(at_ptr + t) * 64 + s
        kb = tl.load(bt_ptr + t) * 64 + s
        ok = (ka < KA) & (kb < KB)
        a = tl.load(a_rows + ka.to(tl.int64)[None, :] * ak, mask=ok_i[:, None] & ok[None, :], other=0.0)
        b = tl.load(b_cols + kb.to(tl.int64)[:, None] * bk, mask=ok_j[None, :] & ok[:, None], other=0.0)
        acc = tl.dot(a, b, acc)
    offs = i.to(tl.int64)[:, None] * N + j[None, :]
    tl.store(c_ptr + offs, acc.to(c_ptr.dtype.element_ty), mask=ok_i[:, None] & ok_j[None, :])


def iv_dependent_matmul(a, b, a_blocks, b_blocks):
    M, KA = a.shape
    KB, N = b.shape
    T = a_blocks.shape[0]
    c = torch.empty((M, N), dtype=a.dtype, device=a.device)
    B = 64 if a.dtype == torch.float32 else 128
    nb = triton.cdiv(N, B)
    _iv_kernel[(triton.cdiv(M, B) * nb,)](
        a,
        b,
        a_blocks,
        b_blocks,
        c,
        M,
        N,
        KA,
        KB,
        T,
        a.stride(0),
        a.stride(1),
        b.stride(0),
        b.stride(1),
        nb,
        BM=B,
        BN=B,
        num_warps=4 if B == 64 else 8,
        num_stages=2,
    )
    return c
