import torch
import triton
import triton.language as tl


@triton.jit
def _round(x, MAX: tl.constexpr, EMIN: tl.constexpr):
    """float32 to the nearest 8-bit value with 3 bits of mantissa (ties to even, saturating), kept in float32."""
    x = tl.minimum(tl.maximum(x, -MAX), MAX)
    e = ((x.to(tl.int32, bitcast=True) >> 23) & 255) - 127
    e = tl.maximum(e, EMIN)
    # 1.5 * 2^(20 + e): a float32 there has the unit 2^(e - 3)
    magic = (((e + 20 + 127) << 23) | 0x400000).to(tl.float32, bitcast=True)
    return (x + magic) - magic


@triton.jit
def _chained_kernel(
    q_ptr,
    k_ptr,
    v_ptr,
    o_ptr,
    M,
    N,
    qz,
    qm,
    kz,
    kn,
    vz,
    vd,
    s_scale,
    o_scale,
    nblocks_m,
    FP8: tl.constexpr,
    MAX: tl.constexpr,
    EMIN: tl.constexpr,
    D: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
):
    pid = tl.program_id(0)
    z = (pid // nblocks_m).to(tl.int64)
    i = (pid % nblocks_m) * BM + tl.arange(0, BM)
    d = tl.arange(0, D)
    ok_i = i < M
    q = tl.load(q_ptr + z * qz + i.to(tl.int64)[:, None] * qm + d[None, :], mask=ok_i[:, None], other=0.0)
    if FP8:
        q = q.to(tl.float16)
    acc = tl.zeros((BM, D), dtype=tl.float32)
    for n0 in range(0, N, BN):
        j = n0 + tl.arange(0, BN)
        ok_j = j < N
        k = tl.load(k_ptr + z * kz + j.to(tl.int64)[None, :] * kn + d[:, None], mask=ok_j[None, :], other=0.0)
        v = tl.load(v_ptr + z * vz + d.to(tl.int64)[None, :] * vd + j[:, None], mask=ok_j[:, None], other=0.0)
        if FP8:
            k = k.to(tl.float16)
            v = v.to(tl.float16)
        s = tl.dot(q, k)
        if FP8:
            s = _round(s * s_scale, MAX, EMIN)
        acc = tl.dot(s.to(tl.float16), v, acc)
    if FP8:
        acc = _round(acc * o_scale, MAX, EMIN)
    offs = (z * M + i)[:, None] * D + d[None, :]
    tl.store(o_ptr + offs, acc.to(o_ptr.dtype.element_ty), mask=ok_i[:, None])


def chained_dot(q, k, v, q_desc, k_desc, v_desc, s_sc, s_desc, o_sc):
    Z, M, D = q.shape
    N = k.shape[1]
    out = torch.empty((Z, M, D), dtype=q.dtype, device=q.device)
    fp8 = q.dtype.itemsize == 1
    s_scale = o_scale = 1.0
    if fp8:
        s_scale = float(q_desc) * float(k_desc) * float(s_sc)
        o_scale = float(s_desc) * float(v_desc) * float(o_sc)
    fnuz = q.dtype == torch.float8_e4m3fnuz
    BM = BN = 64
    nb = triton.cdiv(M, BM)
    _chained_kernel[(Z * nb,)](
        q,
        k,
        v,
        out,
        M,
        N,
        q.stride(0),
        q.stride(1),
        k.stride(0),
        k.stride(1),
        v.stride(0),
        v.stride(1),
        s_scale,
        o_scale,
        nb,
        FP8=fp8,
        MAX=240.0 if fnuz else 448.0,
        EMIN=-7 if fnuz else -6,
        D=D,
        BM=BM,
        BN=BN,
        num_warps=4,
        num_stages=2,
    )
    return out
