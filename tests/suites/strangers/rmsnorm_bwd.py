import torch
import triton
import triton.language as tl


@triton.jit
def _dx_kernel(
    grad,
    x,
    weight,
    rsigma,
    dx,
    n_rows,
    n_cols,
    stride_g,
    stride_x,
    n_steps,
    ZERO_CENTERED: tl.constexpr,
    BR: tl.constexpr,
    BC: tl.constexpr,
):
    rows = (tl.program_id(0).to(tl.int64) * BR + tl.arange(0, BR))[:, None]
    row_ok = rows < n_rows
    r = tl.load(rsigma + rows, mask=row_ok, other=0.0)
    acc = tl.zeros([BR, BC], tl.float32)
    k = 0
    while k < n_steps:
        start = k * BC
        cols = (start + tl.arange(0, BC).to(tl.int64))[None, :]
        col_ok = cols < n_cols
        ok = row_ok & col_ok
        g = tl.load(grad + rows * stride_g + cols, mask=ok, other=0.0).to(tl.float32)
        v = tl.load(x + rows * stride_x + cols, mask=ok, other=0.0).to(tl.float32)
        w = tl.load(weight + cols, mask=col_ok, other=0.0).to(tl.float32)
        if ZERO_CENTERED:
            w += 1.0
        acc += g * w * (v * r)
        k += 1
    inner = tl.sum(acc, axis=1)[:, None] / n_cols
    k = 0
    while k < n_steps:
        start = k * BC
        cols = (start + tl.arange(0, BC).to(tl.int64))[None, :]
        col_ok = cols < n_cols
        ok = row_ok & col_ok
        g = tl.load(grad + rows * stride_g + cols, mask=ok, other=0.0).to(tl.float32)
        v = tl.load(x + rows * stride_x + cols, mask=ok, other=0.0).to(tl.float32)
        w = tl.load(weight + cols, mask=col_ok, other=0.0).to(tl.float32)
        if ZERO_CENTERED:
            w += 1.0
        # r^3 is split up so that it neither over- nor underflows
        d = r * (g * w - (v * r) * inner)
        tl.store(dx + rows * n_cols + cols, d.to(dx.dtype.element_ty), mask=ok)
        k += 1


@triton.jit
def _dw_partial_kernel(
    grad, x, rsigma, partial, n_rows, n_cols, stride_g, stride_x, rows_per, n_steps, BR: tl.constexpr, BC: tl.constexpr
):
    part = tl.program_id(1).to(tl.int64)
    cols = tl.program_id(0).to(tl.int64) * BC + tl.arange(0, BC)
    col_ok = cols < n_cols
    acc = tl.zeros([BR, BC], tl.float32)
    k = 0
    while k < n_steps:  # rows_per is a multiple of BR
        start = k * BR
        rows = (part * rows_per + start + tl.arange(0, BR))[:, None]
        row_ok = rows < n_rows
        ok = row_ok & col_ok[None, :]
        r = tl.load(rsigma + rows, mask=row_ok, other=0.0)
        g = tl.load(grad + rows * stride_g + cols[None, :], mask=ok, other=0.0).to(tl.float32)
        v = tl.load(x + rows * stride_x + cols[None, :], mask=ok, other=0.0).to(tl.float32)
        acc += g * (v * r)
        k += 1
    tl.store(partial + part * n_cols + cols, tl.sum(acc, axis=0), mask=col_ok)


@triton.jit
def _dw_final_kernel(partial, dweight, n_parts, n_cols, n_steps, BP: tl.constexpr, BC: tl.constexpr):
    cols = tl.program_id(0).to(tl.int64) * BC + tl.arange(0, BC)
    col_ok = cols < n_cols
    acc = tl.zeros([BP, BC], tl.float32)
    k = 0
    while k < n_steps:
        start = k * BP
        parts = (start + tl.arange(0, BP).to(tl.int64))[:, None]
        acc += tl.load(partial + parts * n_cols + cols[None, :], mask=(parts < n_parts) & col_ok[None, :], other=0.0)
        k += 1
    tl.store(dweight + cols, tl.sum(acc, axis=0).to(dweight.dtype.element_ty), mask=col_ok)


def rmsnorm_bwd(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, rsigma: torch.Tensor, zero_centered_gamma: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    n_rows, n_cols = x.shape
    dx = torch.empty((n_rows, n_cols), dtype=x.dtype, device=x.device)
    dweight = torch.empty((n_cols,), dtype=weight.dtype, device=x.device)
    TILE = 4096

    BC = min(triton.next_power_of_2(n_cols), TILE)
    BR = min(TILE // BC, triton.next_power_of_2(n_rows))
    _dx_kernel[(triton.cdiv(n_rows, BR),)](
        grad,
        x,
        weight,
        rsigma,
        dx,
        n_rows,
        n_cols,
        grad.stride(0),
        x.stride(0),
        triton.cdiv(n_cols, BC),
        ZERO_CENTERED=bool(zero_centered_gamma),
        BR=BR,
        BC=BC,
        num_warps=8,
    )

    BC = min(triton.next_power_of_2(n_cols), 128 if n_rows > 8 else 1024)
    BR = min(TILE // BC, triton.next_power_of_2(n_rows))
    n_parts = min(triton.cdiv(n_rows, 4 * BR), 256)
    rows_per = triton.cdiv(triton.cdiv(n_rows, n_parts), BR) * BR
    n_parts = triton.cdiv(n_rows, rows_per)
    partial = torch.empty((n_parts, n_cols), dtype=torch.float32, device=x.device)
    _dw_partial_kernel[(triton.cdiv(n_cols, BC), n_parts)](
        grad,
        x,
        rsigma,
        partial,
        n_rows,
        n_cols,
        grad.stride(0),
        x.stride(0),
        rows_per,
        rows_per // BR,
        BR=BR,
        BC=BC,
        num_warps=8,
    )
    BP = min(triton.next_power_of_2(n_parts), 32)
    _dw_final_kernel[(triton.cdiv(n_cols, BC),)](
        partial, dweight, n_parts, n_cols, triton.cdiv(n_parts, BP), BP=BP, BC=BC, num_warps=4
    )
    return dx, dweight
