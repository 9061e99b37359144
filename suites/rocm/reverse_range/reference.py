"""Reverse a vector. Where its size is a multiple of 16 bytes, groups of 16 bytes are read in reverse order and turned
round in registers, so that reads and writes are both wide; other vectors are read backwards element by element, and
written wide by way of shared memory."""

import torch
import triton
import triton.language as tl


@triton.jit
def _turn(x, WIDTH: tl.constexpr, STEPS: tl.constexpr):
    """Reverse the last axis: each step moves the lowest bit of the index, inverted, to the top."""
    for _ in tl.static_range(STEPS):
        even, odd = tl.split(tl.reshape(x, (x.shape[0], WIDTH // 2, 2)))
        x = tl.reshape(tl.permute(tl.join(odd, even), (0, 2, 1)), (x.shape[0], WIDTH))
    return x


@triton.jit
def _reverse_groups(x_ptr, y_ptr, n_groups, GROUPS: tl.constexpr, STEPS: tl.constexpr):
    WIDTH: tl.constexpr = 2**STEPS
    group = tl.program_id(0) * GROUPS + tl.arange(0, GROUPS)[:, None]
    lane = tl.arange(0, WIDTH)[None, :]
    mask = group < n_groups
    x = tl.load(x_ptr + (n_groups - 1 - group) * WIDTH + lane, mask=mask)
    tl.store(y_ptr + group * WIDTH + lane, _turn(x, WIDTH, STEPS), mask=mask)


@triton.jit
def _reverse_elements(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    LANES: tl.constexpr = 128
    start = tl.program_id(0) * BLOCK
    x_ptr += n - 1 - start
    y_ptr += start
    offsets = tl.arange(0, BLOCK)
    if n - start >= BLOCK:
        # Neighbouring threads read neighbouring elements: in the shape of the writes each thread would read eight in a
        # row, one by one, far from those of the next.
        lane = tl.arange(0, LANES)[:, None]
        piece = tl.arange(0, BLOCK // LANES)[None, :]
        x = tl.load(x_ptr - (piece * LANES + lane))
        # Without a mask: one whose edge may lie anywhere would cut writes down to single elements.
        tl.store(y_ptr + offsets, tl.reshape(tl.trans(x), (BLOCK,)))
    else:
        mask = offsets < n - start
        tl.store(y_ptr + offsets, tl.load(x_ptr - offsets, mask=mask), mask=mask)


def _config(itemsize: int, grouped: bool) -> tuple[int, int]:
    """(groups of 16 bytes or elements per program, warps)."""
    return (256, 4) if grouped else (2048, 4)


def reverse_range(x: torch.Tensor) -> torch.Tensor:
    n = x.shape[0]
    y = torch.empty((n,), dtype=x.dtype, device=x.device)
    steps = 2 if x.element_size() == 4 else 3  # 4 or 8 elements make 16 bytes
    grouped = n % (1 << steps) == 0
    block, warps = _config(x.element_size(), grouped)
    if grouped:
        n_groups = n >> steps
        _reverse_groups[(triton.cdiv(n_groups, block),)](x, y, n_groups, GROUPS=block, STEPS=steps, num_warps=warps)
    else:
        _reverse_elements[(triton.cdiv(n, block),)](x, y, n, BLOCK=block, num_warps=warps)
    return y
