"""Normal numbers by Philox 4x32-10 and the Box-Muller transform: one counter an element, bound by multiplications."""

import torch
import triton
import triton.language as tl


@triton.jit
def _multiply(x, FACTOR: tl.constexpr):
    """High and low word of a product: one wide multiplication where the hardware has it."""
    product = x.to(tl.uint64) * FACTOR
    return (product >> 32).to(tl.uint32), product.to(tl.uint32)


@triton.jit
def _words(i, seed):
    """Words 0 and 1 of the generator at counter (i, 0, 0, 0)."""
    key = seed.to(tl.uint64)
    k0 = key.to(tl.uint32)
    k1 = (key >> 32).to(tl.uint32)
    # Three words of the counter are 0: after the first round c0 is the same for all elements, so half of the second
    # round is scalar too.
    hi, c3 = _multiply(i.to(tl.uint32), 0xD2511F53)
    c0 = k0
    c1 = 0
    c2 = hi ^ k1
    for _ in tl.static_range(9):
        k0 += 0x9E3779B9
        k1 += 0xBB67AE85
        p_hi, p_lo = _multiply(c0, 0xD2511F53)
        q_hi, q_lo = _multiply(c2, 0xCD9E8D57)
        c0 = q_hi ^ (c1 ^ k0)
        c1 = q_lo
        c2 = p_hi ^ (c3 ^ k1)
        c3 = p_lo
    return c0, c1


@triton.jit
def _normal(i, seed, FAST: tl.constexpr):
    first, second = _words(i, seed)
    SCALE: tl.constexpr = (1.0 - 2.0**-24) * 2.0**-31
    TWO_PI: tl.constexpr = 6.283185307179586
    x = first.to(tl.int32)
    u = tl.maximum((x ^ (x >> 31)).to(tl.float32) * SCALE, 1e-7)
    if FAST:
        # The fast logarithm's error of 2^-22 is too much where the logarithm itself is near 0: there two terms of its
        # series are better. For the angle, -x and -x - 1 are the same to float32.
        below = 1.0 - u
        near = below * (below + 2.0)
        square = tl.where(below < 2.0**-9, near, tl.extra.libdevice.fast_log2f(u) * -1.3862943611198906)
        turn = tl.abs(second.to(tl.int32).to(tl.float32))
        cosine = tl.extra.libdevice.fast_cosf(turn * (SCALE * TWO_PI))
    else:
        y = second.to(tl.int32)
        square = -2.0 * tl.log(u)
        cosine = tl.cos((y ^ (y >> 31)).to(tl.float32) * SCALE * TWO_PI)
    return tl.sqrt(square) * cosine


@triton.jit(do_not_specialize=["seed"])
def _randn(x_ptr, n, seed, FAST: tl.constexpr, BLOCK: tl.constexpr):
    start = tl.program_id(0) * BLOCK
    x_ptr += start
    offsets = tl.arange(0, BLOCK)
    # Each branch has its own numbers, each in the layout of its own store.
    if n - start >= BLOCK:
        tl.store(x_ptr + offsets, _normal(start + offsets, seed, FAST).to(x_ptr.dtype.element_ty))
    else:
        mask = offsets < n - start
        tl.store(x_ptr + offsets, _normal(start + offsets, seed, FAST).to(x_ptr.dtype.element_ty), mask=mask)


def _config(n: int, itemsize: int) -> tuple[int, int]:
    """(elements per program, warps)."""
    return (2048, 4) if n >= 1 << 20 else (1024, 4)


def randn(x: torch.Tensor, seed: int) -> None:
    n = x.numel()
    block, warps = _config(n, x.element_size())
    fast = torch.version.hip is None  # NVIDIA's library has them
    _randn[(triton.cdiv(n, block),)](x, n, seed, FAST=fast, BLOCK=block, num_warps=warps)
