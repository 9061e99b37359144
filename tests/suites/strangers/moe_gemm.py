import torch
import triton
import triton.language as tl


@triton.jit
def _moe_kernel(
    a_ptr,
    b_ptr,
    sa_ptr,
    sb_ptr,
    w_ptr,
    ids_ptr,
    experts_ptr,
    ntok_ptr,
    c_ptr,
    slots,
    N,
    K,
    top_k,
    stride_a,
    stride_be,
    stride_bn,
    nblocks_n,
    SA_MODE: tl.constexpr,
    SB_MODE: tl.constexpr,
    HAS_W: tl.constexpr,
    COMPUTE: tl.constexpr,
    CAST_A: tl.constexpr,
    CAST_B: tl.constexpr,
    INT_ACC: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
):
    pid = tl.program_id(0)
    p = pid // nblocks_n
    pn = pid % nblocks_n
    count = tl.load(ntok_ptr)
    if p * BM < count:
        slot = tl.load(ids_ptr + p * BM + tl.arange(0, BM))
        e = tl.load(experts_ptr + p).to(tl.int64)
        ok_m = (slot >= 0) & (slot < slots)
        slot = tl.where(ok_m, slot, 0)
        token = slot // top_k
        n = pn * BN + tl.arange(0, BN)
        ok_n = n < N
        kk = tl.arange(0, BK)
        a_rows = a_ptr + token.to(tl.int64) * stride_a
        b_rows = b_ptr + e * stride_be + n.to(tl.int64) * stride_bn
        if INT_ACC:
            acc = tl.zeros((BM, BN), dtype=tl.int32)
        else:
            acc = tl.zeros((BM, BN), dtype=tl.float32)
        for k0 in range(0, K, BK):
            k = k0 + kk
            ok_k = k < K
            a = tl.load(a_rows[:, None] + k[None, :], mask=ok_m[:, None] & ok_k[None, :], other=0.0)
            b = tl.load(b_rows[None, :] + k[:, None], mask=ok_n[None, :] & ok_k[:, None], other=0.0)
            if CAST_A:
                a = a.to(tl.float32).to(COMPUTE)
            if CAST_B:
                b = b.to(tl.float32).to(COMPUTE)
            if INT_ACC:
                acc = tl.dot(a, b, acc, out_dtype=tl.int32)
            else:
                acc = tl.dot(a, b, acc)
        r = acc.to(tl.float32)
        if SA_MODE == 1:
            r = r * tl.load(sa_ptr)
        elif SA_MODE == 2:
            r = r * tl.load(sa_ptr + token)[:, None]
        if SB_MODE == 1:
            r = r * tl.load(sb_ptr + e)
        elif SB_MODE == 2:
            r = r * tl.load(sb_ptr + e * N + n, mask=ok_n, other=0.0)[None, :]
        if HAS_W:
            r = r * tl.load(w_ptr + slot)[:, None]
        offs = slot.to(tl.int64)[:, None] * N + n[None, :]
        tl.store(c_ptr + offs, r.to(c_ptr.dtype.element_ty), mask=ok_m[:, None] & ok_n[None, :])


def moe_gemm(
    a,
    b,
    a_scale,
    b_scale,
    topk_weights,
    sorted_token_ids,
    expert_ids,
    num_tokens_post_padded,
    top_k,
    block_size,
    out_dtype,
):
    M, K = a.shape
    E, N, _ = b.shape
    c = torch.empty((M, top_k, N), dtype=getattr(torch, out_dtype), device=a.device)
    if a_scale is None:
        sa_mode = 0
    elif a_scale.numel() == 1:
        sa_mode = 1
    else:
        sa_mode = 2
    sb_mode = 0 if b_scale is None else b_scale.dim()
    int_acc = a.dtype == torch.int8
    if int_acc:
        compute = tl.int8
    elif a.dtype == torch.bfloat16:
        compute = tl.bfloat16
    else:  # float16, and float8, which is exact in float16
        compute = tl.float16
    BN = 128
    BK = 64 if a.dtype.itemsize == 2 else 128
    nb = triton.cdiv(N, BN)
    P = expert_ids.shape[0]
    _moe_kernel[(P * nb,)](
        a,
        b,
        a if a_scale is None else a_scale,
        a if b_scale is None else b_scale,
        a if topk_weights is None else topk_weights,
        sorted_token_ids,
        expert_ids,
        num_tokens_post_padded,
        c,
        M * top_k,
        N,
        K,
        top_k,
        a.stride(0),
        b.stride(0),
        b.stride(1),
        nb,
        SA_MODE=sa_mode,
        SB_MODE=sb_mode,
        HAS_W=topk_weights is not None,
        COMPUTE=compute,
        CAST_A=a.dtype.itemsize == 1 and not int_acc,
        CAST_B=b.dtype.itemsize == 1 and not int_acc,
        INT_ACC=int_acc,
        BM=block_size,
        BN=BN,
        BK=BK,
        num_warps=8 if block_size == 128 else 4,
        num_stages=2,
    )
    return c
