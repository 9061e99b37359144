"""Grouped product for mixture-of-experts: one program per block of sorted slots and block of columns; programs that
run together share an expert's weights. Rows of a are gathered by pointers; weights come by pointers too, or, for large
products on Hopper, by a tensor descriptor over all experts' rows.

Where a block has few slots the tile is computed transposed: Hopper's tensor cores want 64 rows, which the weights have.
"""

import torch
import triton
import triton.language as tl
import triton.tools.tensor_descriptor


@triton.jit
def _moe_gemm(
    a_ptr, b, c_ptr, a_scale_ptr, b_scale_ptr, weight_ptr, slot_ptr, expert_ptr, padded_ptr,
    slots, N, K, top_k, stride_am, stride_as, stride_be, stride_bn,
    KIND: tl.constexpr, TMA: tl.constexpr, SWAP: tl.constexpr, EVEN_N: tl.constexpr, EVEN_K: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP_M: tl.constexpr, PROMOTE: tl.constexpr,
):  # fmt: skip
    # How many blocks there are is known on the device alone: the grid has room for the most.
    tiles_m = tl.load(padded_ptr) // BLOCK_M
    tiles_n = tl.cdiv(N, BLOCK_N)
    pid = tl.program_id(0)
    if pid >= tiles_m * tiles_n:
        return
    # Programs that run together work on GROUP_M blocks of slots, column after column.
    in_group = GROUP_M * tiles_n
    first_m = pid // in_group * GROUP_M
    height = tl.minimum(tiles_m - first_m, GROUP_M)
    pid_m = first_m + pid % in_group % height
    start_n = pid % in_group // height * BLOCK_N

    expert = tl.load(expert_ptr + pid_m)
    slot = tl.load(slot_ptr + pid_m * BLOCK_M + tl.arange(0, BLOCK_M))
    token = tl.minimum(slot, slots - 1) // top_k  # padding reads the last row again
    offs_n = start_n + tl.arange(0, BLOCK_N)
    offs_k = tl.arange(0, BLOCK_K)
    cols = offs_n if EVEN_N else tl.minimum(offs_n, N - 1)
    a_ptrs = a_ptr + (token.to(tl.int64)[:, None] * stride_am + offs_k[None, :])
    if not TMA:
        b_ptrs = b + expert.to(tl.int64) * stride_be + (cols[:, None] * stride_bn + offs_k[None, :])

    SUM: tl.constexpr = tl.int32 if KIND == "int8" else tl.float32
    acc = tl.zeros((BLOCK_N, BLOCK_M) if SWAP else (BLOCK_M, BLOCK_N), SUM)
    if KIND == "fp8":
        part = acc
    for k in range(0, tl.cdiv(K, BLOCK_K)):
        x = tl.load(a_ptrs) if EVEN_K else tl.load(a_ptrs, mask=offs_k[None, :] < K - k * BLOCK_K, other=0.0)
        if TMA:
            y = b.load([expert * N + start_n, k * BLOCK_K])
        elif EVEN_K:
            y = tl.load(b_ptrs)
        else:
            y = tl.load(b_ptrs, mask=offs_k[None, :] < K - k * BLOCK_K, other=0.0)
        if KIND == "mixed":
            y = y.to(x.dtype)
        if KIND == "fp8":
            # Hopper sums fp8 products with about 14 bits: now and then the sum goes over to float32.
            part = tl.dot(y, tl.trans(x), part) if SWAP else tl.dot(x, tl.trans(y), part)
            if k % PROMOTE == PROMOTE - 1:
                acc += part
                part = tl.zeros_like(part)
        elif SWAP:
            acc = tl.dot(y, tl.trans(x), acc, out_dtype=SUM)
        else:
            acc = tl.dot(x, tl.trans(y), acc, out_dtype=SUM)
        a_ptrs += BLOCK_K
        if not TMA:
            b_ptrs += BLOCK_K
    if KIND == "fp8":
        acc += part
    if SWAP:
        acc = tl.trans(acc)

    result = acc.to(tl.float32)
    if KIND == "fp8":
        result *= tl.load(b_scale_ptr + expert)
    elif KIND != "float":
        result *= tl.load(b_scale_ptr + expert.to(tl.int64) * N + cols)[None, :]
    if a_scale_ptr is not None:
        result *= tl.load(a_scale_ptr + token * stride_as)[:, None]
    if weight_ptr is not None:
        result *= tl.load(weight_ptr + tl.minimum(slot, slots - 1))[:, None]
    c_ptrs = c_ptr + slot.to(tl.int64)[:, None] * N + offs_n[None, :]
    tl.store(c_ptrs, result.to(c_ptr.dtype.element_ty), mask=(slot < slots)[:, None] & (offs_n < N)[None, :])


def _config(block_m: int, slots: int, n: int, kind: str, tma: bool) -> tuple[int, int, int, bool, int, int]:
    """(BLOCK_N, BLOCK_K, GROUP_M, whether the tile is transposed, warps, stages)."""
    block_k = 64 if kind == "float" else 128
    if slots * n < 1 << 18:
        return 64, block_k, 8, block_m < 64, 4, 3
    if kind == "mixed":
        return 128, 128, 8, False, 8, 4  # converted weights go to the tensor cores from registers
    if block_m < 128:
        return 128, 128, 8, block_m < 64, 4, 3
    if kind == "int8":
        return 256, 128, 8, False, 8, 4
    if tma or kind == "fp8":
        return 256, 64, 8, False, 8, 4
    return 128, 64, 8, False, 8, 3


_PROMOTE = 1024
"""Products of fp8 that are summed before the sum goes over to float32."""

_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def _has_tma(slots: int, n: int, k: int) -> bool:
    """A descriptor is made on the host, at every call: it pays for large products only."""
    if slots * n * k < 1 << 35:
        return False
    return torch.version.hip is None and torch.cuda.get_device_capability()[0] >= 9


def _kind(a: torch.Tensor, b: torch.Tensor) -> str:
    if a.dtype == b.dtype:
        return "int8" if not a.is_floating_point() else "fp8" if a.element_size() == 1 else "float"
    return "mixed"


def moe_gemm(
    a: torch.Tensor,
    b: torch.Tensor,
    a_scale: torch.Tensor | None,
    b_scale: torch.Tensor | None,
    topk_weights: torch.Tensor | None,
    sorted_token_ids: torch.Tensor,
    expert_ids: torch.Tensor,
    num_tokens_post_padded: torch.Tensor,
    top_k: int,
    block_size: int,
    out_dtype: str,
) -> torch.Tensor:
    m, k = a.shape
    experts, n, _ = b.shape
    slots = m * top_k
    c = torch.empty((m, top_k, n), dtype=_DTYPES[out_dtype], device=a.device)
    kind = _kind(a, b)
    size = b.element_size()
    stride_be, stride_bn, _ = b.stride()
    # The experts' rows have to follow one another at one distance, a multiple of 16 bytes.
    tma = stride_be == n * stride_bn and stride_bn * size % 16 == 0 and b.data_ptr() % 16 == 0 and _has_tma(slots, n, k)
    block_n, block_k, group_m, swap, warps, stages = _config(block_size, slots, n, kind, tma)
    if torch.version.hip is not None:
        stages = 2  # 64 KiB of shared memory
    if tma:
        from_tensor = triton.tools.tensor_descriptor.TensorDescriptor.from_tensor
        b = from_tensor(b.view(experts * n, k), [block_n, block_k])
    _moe_gemm[(expert_ids.shape[0] * triton.cdiv(n, block_n),)](
        a, b, c, a_scale, b_scale, topk_weights, sorted_token_ids, expert_ids, num_tokens_post_padded,
        slots, n, k, top_k, a.stride(0), 0 if a_scale is None or a_scale.numel() == 1 else 1, stride_be, stride_bn,
        KIND=kind, TMA=tma, SWAP=swap, EVEN_N=n % block_n == 0, EVEN_K=k % block_k == 0,
        BLOCK_M=block_size, BLOCK_N=block_n, BLOCK_K=block_k, GROUP_M=group_m, PROMOTE=_PROMOTE // block_k,
        num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return c
