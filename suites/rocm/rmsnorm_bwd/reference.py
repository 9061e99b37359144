"""Backward pass of RMS normalisation. A program holds rows of up to 16384 elements in registers, one after another,
and with them the sum of its share of the weight's gradient; longer rows are cut into chunks whose products are summed
first. A last kernel adds up the programs' shares, always in the same order."""

import torch
import triton
import triton.language as tl


@triton.jit
def _rows_backward(
    dy_ptr, x_ptr, weight_ptr, rsigma_ptr, dx_ptr, dweight_ptr, dy_stride, x_stride, n_rows, n_cols,
    CENTRED: tl.constexpr, UNIT: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    dy_stride *= UNIT
    x_stride *= UNIT
    n_cols *= UNIT
    col = tl.arange(0, COLS)[None, :]
    gain = tl.load(weight_ptr + col, mask=col < n_cols, other=0.0).to(tl.float32)
    if CENTRED:
        gain += 1.0
    dweight = tl.zeros((ROWS, COLS), tl.float32)
    for tile in tl.range(tl.program_id(0), tl.cdiv(n_rows, ROWS), tl.num_programs(0), num_stages=STAGES):
        row = tile * ROWS + tl.arange(0, ROWS)[:, None]
        mask = (row < n_rows) & (col < n_cols)
        x = tl.load(x_ptr + row * x_stride + col, mask=mask, other=0.0).to(tl.float32)
        dy = tl.load(dy_ptr + row * dy_stride + col, mask=mask, other=0.0).to(tl.float32)
        rsigma = tl.load(rsigma_ptr + row, mask=row < n_rows, other=0.0)
        x *= rsigma
        dweight += dy * x
        dy *= gain
        mean = tl.sum(dy * x, axis=1, keep_dims=True) / n_cols
        dx = (dy - x * mean) * rsigma
        tl.store(dx_ptr + row * n_cols + col, dx.to(dx_ptr.dtype.element_ty), mask=mask)
    total = tl.sum(dweight, axis=0, keep_dims=True).to(dweight_ptr.dtype.element_ty)
    tl.store(dweight_ptr + tl.program_id(0) * n_cols + col, total, mask=col < n_cols)


@triton.jit
def _chunk_products(
    dy_ptr, x_ptr, weight_ptr, part_ptr, dy_stride, x_stride, n_cols, n_chunks,
    CENTRED: tl.constexpr, UNIT: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    dy_stride *= UNIT
    x_stride *= UNIT
    n_cols *= UNIT
    row = tl.program_id(1)
    chunk = tl.program_id(0)
    col = chunk * CHUNK + tl.arange(0, CHUNK)
    x = tl.load(x_ptr + row * x_stride + col, mask=col < n_cols, other=0.0).to(tl.float32)
    dy = tl.load(dy_ptr + row * dy_stride + col, mask=col < n_cols, other=0.0).to(tl.float32)
    gain = tl.load(weight_ptr + col, mask=col < n_cols, other=0.0).to(tl.float32)
    if CENTRED:
        gain += 1.0
    tl.store(part_ptr + row * n_chunks + chunk, tl.sum(x * dy * gain, axis=0))


@triton.jit
def _chunk_backward(
    dy_ptr, x_ptr, weight_ptr, rsigma_ptr, dx_ptr, dweight_ptr, part_ptr, dy_stride, x_stride, n_rows, n_cols, n_chunks,
    CENTRED: tl.constexpr, UNIT: tl.constexpr, CHUNK: tl.constexpr, CHUNKS: tl.constexpr,
):  # fmt: skip
    dy_stride *= UNIT
    x_stride *= UNIT
    n_cols *= UNIT
    col = tl.program_id(0) * CHUNK + tl.arange(0, CHUNK)
    chunk = tl.arange(0, CHUNKS)
    gain = tl.load(weight_ptr + col, mask=col < n_cols, other=0.0).to(tl.float32)
    if CENTRED:
        gain += 1.0
    dweight = tl.zeros((CHUNK,), tl.float32)
    for row in range(tl.program_id(1), n_rows, tl.num_programs(1)):
        x = tl.load(x_ptr + row * x_stride + col, mask=col < n_cols, other=0.0).to(tl.float32)
        dy = tl.load(dy_ptr + row * dy_stride + col, mask=col < n_cols, other=0.0).to(tl.float32)
        rsigma = tl.load(rsigma_ptr + row)
        part = tl.load(part_ptr + row * n_chunks + chunk, mask=chunk < n_chunks, other=0.0)
        mean = tl.sum(part, axis=0) * rsigma / n_cols
        x *= rsigma
        dweight += dy * x
        dx = (dy * gain - x * mean) * rsigma
        tl.store(dx_ptr + row * n_cols + col, dx.to(dx_ptr.dtype.element_ty), mask=col < n_cols)
    total = dweight.to(dweight_ptr.dtype.element_ty)
    tl.store(dweight_ptr + tl.program_id(1) * n_cols + col, total, mask=col < n_cols)


@triton.jit
def _sum_shares(share_ptr, dweight_ptr, n_shares, n_cols, UNIT: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr):
    n_cols *= UNIT
    col = tl.program_id(0) * COLS + tl.arange(0, COLS)[None, :]
    row = tl.arange(0, ROWS)[:, None]
    dweight = tl.zeros((ROWS, COLS), tl.float32)
    for start in range(0, n_shares, ROWS):
        mask = (start + row < n_shares) & (col < n_cols)
        dweight += tl.load(share_ptr + (start + row) * n_cols + col, mask=mask, other=0.0)
    total = tl.sum(dweight, axis=0, keep_dims=True).to(dweight_ptr.dtype.element_ty)
    tl.store(dweight_ptr + col, total, mask=col < n_cols)


def _unit(*sizes: int) -> int:
    """The largest power of two, up to 16, that divides all sizes. Kernels get sizes in this unit, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    joined = 16
    for size in sizes:
        joined |= size
    return joined & -joined


def _in_chunks(rows: int, cols: int) -> bool:
    return cols > 16384


def _config(rows: int, cols: int, itemsize: int) -> tuple[int, int, int, int, int, int]:
    """(rows at once, programs, warps, stages) for rows in registers, (elements per chunk, programs per chunk, warps,
    unused) for longer ones; (shares at once, columns per program) for the sum of shares, in 4 warps."""
    if _in_chunks(rows, cols):
        return 2048, max(1, min(triton.cdiv(rows, 2), 264 * 2048 // cols)), 4, 1, 8, 128
    block = triton.next_power_of_2(cols)
    together = max(1, 4096 // block)
    warps = max(4, min(16, block // 1024))
    # Each program takes two tiles at least: its share of the weight's gradient has to be written and read again.
    programs = min(triton.cdiv(triton.cdiv(rows, together), 2), 132 * 16 // warps)
    return together, programs, warps, 1, 32, 32


def rmsnorm_bwd(
    grad_output: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, rsigma: torch.Tensor, zero_centered_gamma: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    n_rows, n_cols = x.shape
    dx = torch.empty((n_rows, n_cols), dtype=x.dtype, device=x.device)
    dweight = torch.empty((n_cols,), dtype=x.dtype, device=x.device)
    unit = _unit(grad_output.stride(0), x.stride(0), n_cols)
    sizes = grad_output.stride(0) // unit, x.stride(0) // unit, n_rows, n_cols // unit
    centred = bool(zero_centered_gamma)
    size, programs, warps, stages, shares, across = _config(n_rows, n_cols, x.element_size())
    share = dweight if programs == 1 else torch.empty((programs, n_cols), dtype=torch.float32, device=x.device)
    if not _in_chunks(n_rows, n_cols):
        _rows_backward[(programs,)](
            grad_output, x, weight, rsigma, dx, share, *sizes,
            CENTRED=centred, UNIT=unit, ROWS=size, COLS=triton.next_power_of_2(n_cols), STAGES=stages, num_warps=warps,
        )  # fmt: skip
    else:
        n_chunks = triton.cdiv(n_cols, size)
        part = torch.empty((n_rows, n_chunks), dtype=torch.float32, device=x.device)
        _chunk_products[(n_chunks, n_rows)](
            grad_output, x, weight, part, *sizes[:2], sizes[3], n_chunks,
            CENTRED=centred, UNIT=unit, CHUNK=size, num_warps=warps,
        )  # fmt: skip
        _chunk_backward[(n_chunks, programs)](
            grad_output, x, weight, rsigma, dx, share, part, *sizes, n_chunks,
            CENTRED=centred, UNIT=unit, CHUNK=size, CHUNKS=triton.next_power_of_2(n_chunks), num_warps=warps,
        )  # fmt: skip
    if programs > 1:
        _sum_shares[(triton.cdiv(n_cols, across),)](
            share, dweight, programs, n_cols // unit, UNIT=unit, ROWS=shares, COLS=across, num_warps=4
        )
    return dx, dweight
