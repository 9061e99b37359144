import torch
import triton
import triton.language as tl


@triton.jit
def _swizzle2d_kernel(out, stride, size_i, size_j, size_g, BLOCK: tl.constexpr):
    # Gather form: the inverse of the map, so that stores run along the rows.
    pos = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    row = pos // size_j
    col = pos % size_j
    first = row // size_g * size_g
    height = tl.minimum(size_i - first, size_g)
    index = first * size_j + col * height + (row - first)
    tl.store(out + row * stride + col, index.to(out.dtype.element_ty), mask=row < size_i)


def swizzle2d(out: torch.Tensor, size_g: int) -> None:
    size_i, size_j = out.shape
    size_g = min(size_g, size_i)
    BLOCK = 4096
    grid = (triton.cdiv(size_i * size_j, BLOCK),)
    _swizzle2d_kernel[grid](out, out.stride(0), size_i, size_j, size_g, BLOCK=BLOCK, num_warps=8)
