import torch
import triton
import triton.language as tl


@triton.jit
def _uniform(c):
    folded = tl.where(c < 0x80000000, c, 0xFFFFFFFF - c).to(tl.int32)
    return folded.to(tl.float32) * 4.656612595521636e-10  # (1 - 2^-24) * 2^-31


@triton.jit(do_not_specialize=["seed"])
def _randn_kernel(x, n, seed, BLOCK: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    zero = tl.full([BLOCK], 0, tl.int64)
    key = (zero + seed).to(tl.uint64)
    # All words are kept in 64 bits and are below 2^32.
    k0 = key & 0xFFFFFFFF
    k1 = key >> 32
    c0 = i.to(tl.uint64)
    c1 = zero.to(tl.uint64)
    c2 = c1
    c3 = c1
    for _ in tl.static_range(10):
        p = c0 * 0xD2511F53
        q = c2 * 0xCD9E8D57
        c0 = (q >> 32) ^ c1 ^ k0
        c1 = q & 0xFFFFFFFF
        c2 = (p >> 32) ^ c3 ^ k1
        c3 = p & 0xFFFFFFFF
        k0 = (k0 + 0x9E3779B9) & 0xFFFFFFFF
        k1 = (k1 + 0xBB67AE85) & 0xFFFFFFFF
    u = tl.maximum(_uniform(c0), 1.0e-7)
    v = _uniform(c1)
    # log(u) = 2 artanh(s) near 1, with full relative accuracy; u - 1 is exact there.
    s = (u - 1.0) / (u + 1.0)
    t = s * s
    near = 2.0 * s * (1.0 + t * (1.0 / 3 + t * (1.0 / 5 + t * (1.0 / 7 + t * (1.0 / 9 + t * (1.0 / 11 + t / 13))))))
    log_u = tl.where(u > 0.7, near, tl.log(u))
    z = tl.sqrt(-2.0 * log_u) * tl.cos(6.283185307179586 * v)
    tl.store(x + i, z.to(x.dtype.element_ty), mask=i < n)


def randn(x: torch.Tensor, seed: int) -> None:
    n = x.numel()
    BLOCK = 4096
    _randn_kernel[(triton.cdiv(n, BLOCK),)](x, n, seed, BLOCK=BLOCK, num_warps=8)
