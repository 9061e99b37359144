import torch
import triton
import triton.language as tl


@triton.jit
def _operand(ptr, s_ptr, row, ok, K, stride, k, KIND: tl.constexpr):
    """Tile of the operand as bfloat16; row, ok, k broadcast to the tile's shape."""
    m = ok & (k < K)
    r = row.to(tl.int64)
    if KIND == 0:  # bfloat16
        return tl.load(ptr + r * stride + k, mask=m, other=0.0)
    else:
        s = tl.load(s_ptr + r * (K // 32) + k // 32, mask=m, other=127).to(tl.int32)
        scale = (s << 23).to(tl.float32, bitcast=True)
        if KIND == 1:  # float8
            x = tl.load(ptr + r * stride + k, mask=m, other=0.0).to(tl.float32)
        else:  # fp4, two in a byte
            byte = tl.load(ptr + r * stride + k // 2, mask=m, other=0).to(tl.int32)
            code = (byte >> ((k % 2) * 4)) & 15
            e = (code >> 1) & 3
            f = code & 1
            mag = tl.where(e > 0, (2 + f) << e, 2 * f).to(tl.float32) * 0.25
            x = tl.where(code >= 8, -mag, mag)
        return (x * scale).to(tl.bfloat16)


@triton.jit
def _mxfp_kernel(
    a_ptr,
    sa_ptr,
    b_ptr,
    sb_ptr,
    c_ptr,
    M,
    N,
    K,
    stride_a,
    stride_b,
    nblocks_n,
    A_KIND: tl.constexpr,
    B_KIND: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
):
    pid = tl.program_id(0)
    i = (pid // nblocks_n) * BM + tl.arange(0, BM)
    j = (pid % nblocks_n) * BN + tl.arange(0, BN)
    kk = tl.arange(0, BK)
    ok_i = i < M
    ok_j = j < N
    acc = tl.zeros((BM, BN), dtype=tl.float32)
    for k0 in range(0, K, BK):
        k = k0 + kk
        a = _operand(a_ptr, sa_ptr, i[:, None], ok_i[:, None], K, stride_a, k[None, :], A_KIND)
        b = _operand(b_ptr, sb_ptr, j[None, :], ok_j[None, :], K, stride_b, k[:, None], B_KIND)
        acc = tl.dot(a, b, acc)
    offs = i.to(tl.int64)[:, None] * N + j[None, :]
    tl.store(c_ptr + offs, acc.to(c_ptr.dtype.element_ty), mask=ok_i[:, None] & ok_j[None, :])


def _kind(x):
    return {torch.bfloat16: 0, torch.uint8: 2}.get(x.dtype, 1)


def matmul_mxfp(a, a_scale, b, b_scale, out_dtype):
    M, N = a.shape[0], b.shape[0]
    ka, kb = _kind(a), _kind(b)
    K = a.shape[1] * (2 if ka == 2 else 1)
    c = torch.empty((M, N), dtype=getattr(torch, out_dtype), device=a.device)
    BM = 64 if M > 16 else 16
    BN = 64 if N > 16 else 16
    BK = 128
    nb = triton.cdiv(N, BN)
    _mxfp_kernel[(triton.cdiv(M, BM) * nb,)](
        a,
        a if a_scale is None else a_scale,
        b,
        b if b_scale is None else b_scale,
        c,
        M,
        N,
        K,
        a.stride(0),
        b.stride(0),
        nb,
        A_KIND=ka,
        B_KIND=kb,
        BM=BM,
        BN=BN,
        BK=BK,
        num_warps=4,
        num_stages=2,
    )
    return c
