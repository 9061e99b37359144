"""Maximum of each row. A row of up to 8192 elements is one block (several short rows together), a longer one is read
block by block; where there are few rows, several programs read parts of each, and the same kernel then takes the
maximum of the parts."""

import torch
import triton
import triton.language as tl


@triton.jit
def _row_max(
    x_ptr, y_ptr, x_stride, n_rows, n_cols, steps, UNIT: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr
):  # fmt: skip
    x_stride *= UNIT
    n_cols *= UNIT
    part = tl.program_id(1)
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    col = part * steps * COLS + tl.arange(0, COLS)[None, :]
    most = tl.full((ROWS, COLS), float("-inf"), tl.float32)
    for _ in range(steps):
        mask = (row[:, None] < n_rows) & (col < n_cols)
        x = tl.load(x_ptr + row[:, None] * x_stride + col, mask=mask, other=float("-inf"))
        most = tl.maximum(most, x.to(tl.float32))
        col += COLS
    y = tl.max(most, axis=1).to(y_ptr.dtype.element_ty)
    tl.store(y_ptr + row * tl.num_programs(1) + part, y, mask=row < n_rows)


def _unit(*sizes: int) -> int:
    """The largest power of two, up to 16, that divides all sizes. Kernels get sizes in this unit, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    joined = 16
    for size in sizes:
        joined |= size
    return joined & -joined


def _power_of_2_below(x: int) -> int:
    return 1 << (max(1, x).bit_length() - 1)


def _config(rows: int, cols: int, itemsize: int, unit: int) -> tuple[int, int, int, int]:
    """(rows per program, columns per block, blocks per program, warps)."""
    block = min(triton.next_power_of_2(cols), 8192)
    # Short rows that one warp reads at once take programs of four; others one warp each, or two would share each row.
    tile = 4096 if block <= 32 * min(unit, 16 // itemsize) else 1024
    together = max(1, min(tile // block, _power_of_2_below(rows // 256)))
    warps = min(8, max(1, together * block // (1024 if rows * cols >= 1 << 20 else 256)))
    blocks = triton.cdiv(cols, block)
    parts = min(blocks, triton.cdiv(1056, rows))
    return together, block, triton.cdiv(blocks, parts), warps


def load_reduce(x: torch.Tensor) -> torch.Tensor:
    n_rows, n_cols = x.shape
    y = torch.empty((n_rows,), dtype=x.dtype, device=x.device)
    unit = _unit(x.stride(0), n_cols)
    rows, cols, steps, warps = _config(n_rows, n_cols, x.element_size(), unit)
    parts = triton.cdiv(n_cols, cols * steps)
    grid = (triton.cdiv(n_rows, rows), parts)
    target = torch.empty((n_rows, parts), dtype=torch.float32, device=x.device) if parts > 1 else y
    _row_max[grid](
        x, target, x.stride(0) // unit, n_rows, n_cols // unit, steps, UNIT=unit, ROWS=rows, COLS=cols, num_warps=warps
    )
    if parts > 1:
        rows, cols, steps, warps = _config(n_rows, parts, 4, 1)
        grid = (triton.cdiv(n_rows, rows),)
        _row_max[grid](target, y, parts, n_rows, parts, steps, UNIT=1, ROWS=rows, COLS=cols, num_warps=warps)
    return y
