"""On a GPU, outputs of a workload are compared in two passes over them, by kernels of the judge's own.

What `harness.judge.compare` computes with PyTorch in fp64, some forty operations each as large as the output, is done
here in two: magnitudes first, then the worst error as a share of what is allowed. It only says whether all is within
what is allowed; whatever is not is compared again by PyTorch, which says where and by how much.
"""

from __future__ import annotations

import contextlib

import torch
import triton
import triton.language as tl

FORMATS = {torch.float16: tl.float16, torch.bfloat16: tl.bfloat16, torch.float32: tl.float32, torch.float64: tl.float64}
"""Outputs that can be compared here; wanted values are fp64, or fp32 which is made so."""
LEAST = 1 << 16
"""Elements; PyTorch is fast enough for fewer."""
_ready = False
_ROWS, _COLUMNS, _TILES = 32, 64, 16
"""What a program has in its registers, and so many such tiles, one after the other. A row is one of the output, or so
many elements of it. That is the same for all outputs, so that kernels differ by the formats alone, and none has to be
compiled while the device is held."""
_ANY = ["rows", "columns", "elements", "tiles"]


@triton.jit  # type: ignore[untyped-decorator]
def _wanted(want, FORMAT: tl.constexpr):  # type: ignore[no-untyped-def]
    """What the output's format can't hold is wanted as infinity."""
    if tl.float64 == FORMAT:
        return want
    held = want.to(tl.float32).to(FORMAT).to(tl.float32).to(tl.float64)
    return tl.where(tl.abs(held) == float("inf"), held, want)


@triton.jit(do_not_specialize=_ANY)  # type: ignore[untyped-decorator]
def _magnitudes(  # type: ignore[no-untyped-def]
    have_ptr,
    want_ptr,
    squares_ptr,
    counts_ptr,
    strange_ptr,
    rows,
    columns,
    elements,
    tiles,
    FORMAT: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Of each row: the sum of squares of what is wanted, and how many of these are finite. `strange_ptr` counts places
    where NaN or infinity differ."""
    across = tl.cdiv(columns, COLUMNS * tiles)
    row = (tl.program_id(0) // across).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    first = (tl.program_id(0) % across).to(tl.int64) * COLUMNS * tiles
    squares = tl.zeros([ROWS, COLUMNS], tl.float64)
    counts = tl.zeros([ROWS, COLUMNS], tl.int32)
    strange = tl.zeros([ROWS, COLUMNS], tl.int32)
    tile = 0
    while tile < tiles:  # Triton's own interpreter has no `range` of what is not known before
        column = first + tile * COLUMNS + tl.arange(0, COLUMNS)
        at = row[:, None] * columns + column[None, :]
        inside = (row[:, None] < rows) & (column[None, :] < columns) & (at < elements)
        have = tl.load(have_ptr + at, mask=inside, other=0.0).to(tl.float64)
        want = _wanted(tl.load(want_ptr + at, mask=inside, other=0.0), FORMAT)
        infinite = (tl.abs(have) == float("inf")) | (tl.abs(want) == float("inf"))
        differs = ((have != have) != (want != want)) | (infinite & (have != want))
        finite = tl.abs(want) < float("inf")
        squares += tl.where(finite, want * want, 0.0)
        counts += (finite & inside).to(tl.int32)
        strange += (differs & inside).to(tl.int32)
        tile += 1
    if across == 1:
        tl.store(squares_ptr + row, tl.sum(squares, axis=1), mask=row < rows)
        tl.store(counts_ptr + row, tl.sum(counts, axis=1).to(tl.float64), mask=row < rows)
    else:
        tl.atomic_add(squares_ptr + row, tl.sum(squares, axis=1), mask=row < rows)
        tl.atomic_add(counts_ptr + row, tl.sum(counts, axis=1).to(tl.float64), mask=row < rows)
    odd = tl.sum(tl.sum(strange, axis=1), axis=0)
    if odd > 0:
        tl.atomic_add(strange_ptr, odd)


@triton.jit(do_not_specialize=_ANY)  # type: ignore[untyped-decorator]
def _worst_shares(  # type: ignore[no-untyped-def]
    have_ptr,
    want_ptr,
    squares_ptr,
    counts_ptr,
    bound_ptr,
    worst_ptr,
    rows,
    columns,
    elements,
    tiles,
    FORMAT: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Of each program: the largest error as a share of what is allowed. `bound_ptr`: the magnitude of the whole, the
    relative and the absolute bound, the smallest step, the least share of the whole that a row counts for, and whether
    rows have a magnitude of their own."""
    across = tl.cdiv(columns, COLUMNS * tiles)
    row = (tl.program_id(0) // across).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    first = (tl.program_id(0) % across).to(tl.int64) * COLUMNS * tiles
    squares = tl.load(squares_ptr + row, mask=row < rows, other=0.0)
    counts = tl.load(counts_ptr + row, mask=row < rows, other=1.0)
    counts = tl.where(counts < 1.0, 1.0, counts)
    whole = tl.load(bound_ptr)
    least = whole * tl.load(bound_ptr + 4)
    own = tl.sqrt(squares / counts)
    own = tl.where(own > least, own, least)
    scale = tl.where(tl.load(bound_ptr + 5) > 0.0, own, whole)
    rtol, smallest = tl.load(bound_ptr + 1), tl.load(bound_ptr + 3)
    floor = scale * tl.load(bound_ptr + 2) + smallest
    worst = tl.zeros([ROWS, COLUMNS], tl.float64)
    tile = 0
    while tile < tiles:  # Triton's own interpreter has no `range` of what is not known before
        column = first + tile * COLUMNS + tl.arange(0, COLUMNS)
        at = row[:, None] * columns + column[None, :]
        inside = (row[:, None] < rows) & (column[None, :] < columns) & (at < elements)
        have = tl.load(have_ptr + at, mask=inside, other=0.0).to(tl.float64)
        want = _wanted(tl.load(want_ptr + at, mask=inside, other=0.0), FORMAT)
        finite = tl.abs(want) < float("inf")
        error = tl.where(finite & inside, tl.abs(have - want), 0.0)
        allowed = tl.where(finite, tl.abs(want), 0.0) * rtol + floor[:, None]
        share = tl.where(error == 0.0, 0.0, error / allowed)
        worst = tl.where(share > worst, share, worst)
        tile += 1
    tl.store(worst_ptr + tl.program_id(0), tl.max(tl.max(worst, axis=1), axis=0))


def worst_share(
    have: torch.Tensor, want: torch.Tensor, of_rows: bool, least: float, bound: tuple[float, float, float]
) -> float | None:
    """The worst error as a share of what is allowed; None where NaN or infinity differ.

    `have` and `want` have the same shape, and dtypes that `FORMATS` and its note name. `of_rows`: each row of the last
    axis has a magnitude of its own, of at least the share `least` of the whole's; else all count by the whole's.
    `bound`: the relative and the absolute bound, and half a step of the format's smallest numbers.
    """
    have, want = have.contiguous(), want.double().contiguous()
    elements, columns = have.numel(), have.shape[-1] if of_rows else _COLUMNS * _TILES
    rows = triton.cdiv(elements, columns)
    tiles = min(_TILES, triton.cdiv(columns, _COLUMNS))
    grid = (triton.cdiv(rows, _ROWS) * triton.cdiv(columns, _COLUMNS * tiles),)
    sizes = {"FORMAT": FORMATS[have.dtype], "ROWS": _ROWS, "COLUMNS": _COLUMNS}
    squares, counts = (torch.zeros(rows, dtype=torch.float64, device=have.device) for _ in range(2))
    strange = torch.zeros(1, dtype=torch.int32, device=have.device)
    worst = torch.empty(grid, dtype=torch.float64, device=have.device)
    _magnitudes[grid](have, want, squares, counts, strange, rows, columns, elements, tiles, **sizes)
    whole = squares.sum().div(counts.sum().clamp(min=1)).sqrt()
    told = torch.tensor([*bound, least, float(of_rows)], dtype=torch.float64).to(have.device)
    limits = torch.cat([whole.view(1), told])
    _worst_shares[grid](have, want, squares, counts, limits, worst, rows, columns, elements, tiles, **sizes)
    odd, found = torch.stack([strange[0].double(), worst.max()]).tolist()
    return None if odd else float(found)


def compares(have: torch.Tensor, want: torch.Tensor) -> bool:
    """Can these be compared here, and is it worth it?"""
    there = have.dtype in FORMATS and want.dtype in (torch.float32, torch.float64)
    return _ready and have.is_cuda and have.numel() >= LEAST and there


def prepare(device: torch.device | str) -> None:
    """Compile what workloads will need, before the device is held. Where that fails, PyTorch compares everything."""
    global _ready
    with contextlib.suppress(Exception):
        _compile(device)
        _ready = True


def _compile(device: torch.device | str) -> None:
    for dtype in FORMATS:
        have = torch.zeros(LEAST, dtype=dtype, device=device)
        worst_share(have, have.double(), False, 1e-3, (0.0, 0.0, 1e-9))
