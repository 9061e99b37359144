"""Random integers by Philox 4x32-10: one counter an element, bound by multiplications."""

import torch
import triton
import triton.language as tl


@triton.jit
def _multiply(x, FACTOR: tl.constexpr):
    """High and low word of a product: one wide multiplication where the hardware has it."""
    product = x.to(tl.uint64) * FACTOR
    return (product >> 32).to(tl.uint32), product.to(tl.uint32)


@triton.jit
def _word(i, seed):
    """Word 0 of the generator at counter (i, 0, 0, 0)."""
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
    return c0


@triton.jit(do_not_specialize=["seed"])
def _randint(x_ptr, n, seed, BLOCK: tl.constexpr):
    start = tl.program_id(0) * BLOCK
    x_ptr += start
    offsets = tl.arange(0, BLOCK)
    # Each branch has its own words, each in the layout of its own store.
    if n - start >= BLOCK:
        tl.store(x_ptr + offsets, _word(start + offsets, seed).to(x_ptr.dtype.element_ty))
    else:
        mask = offsets < n - start
        tl.store(x_ptr + offsets, _word(start + offsets, seed).to(x_ptr.dtype.element_ty), mask=mask)


def _config(n: int, itemsize: int) -> tuple[int, int]:
    """(elements per program, warps)."""
    return (2048, 4) if n >= 1 << 20 else (1024, 4)


def randint(x: torch.Tensor, seed: int) -> None:
    n = x.numel()
    block, warps = _config(n, x.element_size())
    _randint[(triton.cdiv(n, block),)](x, n, seed, BLOCK=block, num_warps=warps)
