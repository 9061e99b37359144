"""Backward of RMS normalisation. Programs as many as the device holds take rows in turn: each reads a row once, keeps
it in registers for both gradients, and adds to a sum for the weight's gradient of its own; a second kernel adds those
sums. Rows longer than registers hold are cut into chunks, whose inner products come first."""

import torch
import triton
import triton.language as tl


@triton.jit
def _backward_rows(
    grad_ptr, x_ptr, weight_ptr, rsigma_ptr, dx_ptr, part_ptr, grad_stride, x_stride, n_rows, n_cols,
    CENTRED: tl.constexpr, UNIT: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    grad_stride *= UNIT
    x_stride *= UNIT
    n_cols *= UNIT
    col = tl.arange(0, COLS)[None, :]
    total = tl.zeros((ROWS, COLS), tl.float32)
    for first in range(tl.program_id(0) * ROWS, n_rows, tl.num_programs(0) * ROWS):
        row = first + tl.arange(0, ROWS)[:, None]
        mask = (row < n_rows) & (col < n_cols)
        grad = tl.load(grad_ptr + row * grad_stride + col, mask=mask, other=0.0).to(tl.float32)
        x = tl.load(x_ptr + row * x_stride + col, mask=mask, other=0.0).to(tl.float32)
        rsigma = tl.load(rsigma_ptr + row, mask=row < n_rows, other=0.0)
        # Read again for each row, from the cache: registers are what is short.
        gain = tl.load(weight_ptr + col, mask=col < n_cols, other=0.0).to(tl.float32)
        if CENTRED:
            gain += 1.0
        total += grad * (x * rsigma)
        grad *= gain
        inner = tl.sum(grad * x, axis=1, keep_dims=True) / n_cols
        dx = rsigma * (grad - x * (rsigma * rsigma * inner))
        tl.store(dx_ptr + row * n_cols + col, dx.to(dx_ptr.dtype.element_ty), mask=mask)
    total = tl.sum(total, axis=0, keep_dims=True)
    tl.store(part_ptr + tl.program_id(0) * n_cols + col, total.to(part_ptr.dtype.element_ty), mask=col < n_cols)


@triton.jit
def _chunk_products(
    grad_ptr, x_ptr, weight_ptr, inner_ptr, grad_stride, x_stride, n_cols, n_chunks,
    CENTRED: tl.constexpr, UNIT: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    grad_stride *= UNIT
    x_stride *= UNIT
    n_cols *= UNIT
    row = tl.program_id(1)
    chunk = tl.program_id(0)
    col = chunk * CHUNK + tl.arange(0, CHUNK)
    grad = tl.load(grad_ptr + row * grad_stride + col, mask=col < n_cols, other=0.0).to(tl.float32)
    x = tl.load(x_ptr + row * x_stride + col, mask=col < n_cols, other=0.0).to(tl.float32)
    gain = tl.load(weight_ptr + col, mask=col < n_cols, other=0.0).to(tl.float32)
    if CENTRED:
        gain += 1.0
    tl.store(inner_ptr + row * n_chunks + chunk, tl.sum(grad * gain * x, axis=0))


@triton.jit
def _backward_chunks(
    grad_ptr, x_ptr, weight_ptr, rsigma_ptr, inner_ptr, dx_ptr, part_ptr,
    grad_stride, x_stride, n_rows, n_cols, n_chunks,
    CENTRED: tl.constexpr, UNIT: tl.constexpr, CHUNK: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    grad_stride *= UNIT
    x_stride *= UNIT
    n_cols *= UNIT
    col = tl.program_id(0) * CHUNK + tl.arange(0, CHUNK)
    gain = tl.load(weight_ptr + col, mask=col < n_cols, other=0.0).to(tl.float32)
    if CENTRED:
        gain += 1.0
    chunk = tl.arange(0, CHUNKS)
    total = tl.zeros((CHUNK,), tl.float32)
    for row in range(tl.program_id(1), n_rows, tl.num_programs(1)):
        grad = tl.load(grad_ptr + row * grad_stride + col, mask=col < n_cols, other=0.0).to(tl.float32)
        x = tl.load(x_ptr + row * x_stride + col, mask=col < n_cols, other=0.0).to(tl.float32)
        rsigma = tl.load(rsigma_ptr + row)
        parts = tl.load(inner_ptr + row * n_chunks + chunk, mask=chunk < n_chunks, other=0.0)
        inner = tl.sum(parts, axis=0) / n_cols
        total += grad * (x * rsigma)
        dx = rsigma * (grad * gain - x * (rsigma * rsigma * inner))
        tl.store(dx_ptr + row * n_cols + col, dx.to(dx_ptr.dtype.element_ty), mask=col < n_cols)
    tl.store(part_ptr + tl.program_id(1) * n_cols + col, total.to(part_ptr.dtype.element_ty), mask=col < n_cols)


@triton.jit
def _sum_parts(part_ptr, dweight_ptr, n_parts, n_cols, PARTS: tl.constexpr, BLOCK: tl.constexpr):
    col = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[None, :]
    total = tl.zeros((PARTS, BLOCK), tl.float32)
    for first in range(0, n_parts, PARTS):
        part = first + tl.arange(0, PARTS)[:, None]
        total += tl.load(part_ptr + part * n_cols + col, mask=(part < n_parts) & (col < n_cols), other=0.0)
    total = tl.sum(total, axis=0, keep_dims=True)
    tl.store(dweight_ptr + col, total.to(dweight_ptr.dtype.element_ty), mask=col < n_cols)


def _unit(*sizes: int) -> int:
    """The largest power of two, up to 16, that divides all sizes. Kernels get sizes in this unit, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    joined = 16
    for size in sizes:
        joined |= size
    return joined & -joined


def _in_chunks(rows: int, cols: int) -> bool:
    return cols > 16384


def _config(rows: int, cols: int, itemsize: int, processors: int) -> tuple[int, int, int]:
    """(rows per program, warps, programs at most) for rows in registers; (elements per chunk, warps, programs at most
    for each chunk) for longer ones."""
    if _in_chunks(rows, cols):
        return 2048, 4, max(1, 8 * processors // triton.cdiv(cols, 2048))
    block = triton.next_power_of_2(cols)
    if block <= 1024:
        return max(1, min(8192 // block, 64)), 16, processors
    together = max(1, 4096 // block)
    warps = min(16, together * block // (512 if itemsize == 4 else 1024))
    return together, warps, processors * (16 // warps)


def rmsnorm_bwd(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, rsigma: torch.Tensor, zero_centered_gamma: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    n_rows, n_cols = x.shape
    dx = torch.empty((n_rows, n_cols), dtype=x.dtype, device=x.device)
    dweight = torch.empty((n_cols,), dtype=weight.dtype, device=x.device)
    unit = _unit(grad.stride(0), x.stride(0), n_cols)
    strides, cols = (grad.stride(0) // unit, x.stride(0) // unit), n_cols // unit
    centred = bool(zero_centered_gamma)
    processors = torch.cuda.get_device_properties(x.device).multi_processor_count
    size, warps, most = _config(n_rows, n_cols, x.element_size(), processors)
    in_chunks = _in_chunks(n_rows, n_cols)
    n_parts = min(most, n_rows if in_chunks else triton.cdiv(n_rows, size))
    part = torch.empty((n_parts, n_cols), dtype=torch.float32, device=x.device) if n_parts > 1 else dweight
    if not in_chunks:
        _backward_rows[(n_parts,)](
            grad, x, weight, rsigma, dx, part, *strides, n_rows, cols,
            CENTRED=centred, UNIT=unit, ROWS=size, COLS=triton.next_power_of_2(n_cols), num_warps=warps,
        )  # fmt: skip
    else:
        n_chunks = triton.cdiv(n_cols, size)
        inner = torch.empty((n_rows, n_chunks), dtype=torch.float32, device=x.device)
        _chunk_products[(n_chunks, n_rows)](
            grad, x, weight, inner, *strides, cols, n_chunks, CENTRED=centred, UNIT=unit, CHUNK=size, num_warps=warps
        )
        _backward_chunks[(n_chunks, n_parts)](
            grad, x, weight, rsigma, inner, dx, part, *strides, n_rows, cols, n_chunks,
            CENTRED=centred, UNIT=unit, CHUNK=size, CHUNKS=triton.next_power_of_2(n_chunks), num_warps=warps,
        )  # fmt: skip
    if n_parts > 1:
        _sum_parts[(triton.cdiv(n_cols, 64),)](part, dweight, n_parts, n_cols, PARTS=32, BLOCK=64, num_warps=4)
    return dx, dweight
