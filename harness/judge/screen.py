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
"""Outputs that can be compared here; wanted values are fp64 or fp32."""
LEAST = 1 << 16
"""Elements; PyTorch is fast enough for fewer."""
_ready = False
_TILE, _TILES = 2048, 16
"""Elements that a program has in its registers; so many such tiles, one after the other, of the same rows."""


@triton.jit  # type: ignore[untyped-decorator]
def _wanted(want, FORMAT: tl.constexpr):  # type: ignore[no-untyped-def]
    """In fp64; what the output's format can't hold is wanted as infinity."""
    want = want.to(tl.float64)
    if tl.float64 == FORMAT:
        return want
    held = want.to(tl.float32).to(FORMAT).to(tl.float32).to(tl.float64)
    return tl.where(tl.abs(held) == float("inf"), held, want)


@triton.jit  # type: ignore[untyped-decorator]
def _magnitudes(  # type: ignore[no-untyped-def]
    have_ptr,
    want_ptr,
    squares_ptr,
    counts_ptr,
    strange_ptr,
    rows,
    columns,
    FORMAT: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    TILES: tl.constexpr,
):
    """Of each row: the sum of squares of what is wanted, and how many of these are finite. `strange_ptr` counts places
    where NaN or infinity differ."""
    across = tl.cdiv(columns, BLOCK_C * TILES)
    row = (tl.program_id(0) // across).to(tl.int64) * BLOCK_R + tl.arange(0, BLOCK_R)
    first = (tl.program_id(0) % across).to(tl.int64) * BLOCK_C * TILES
    squares = tl.zeros([BLOCK_R], tl.float64)
    counts = tl.zeros([BLOCK_R], tl.float64)
    strange = tl.zeros([BLOCK_R], tl.int32)
    for tile in range(TILES):
        column = first + tile * BLOCK_C + tl.arange(0, BLOCK_C)
        inside = (row[:, None] < rows) & (column[None, :] < columns)
        at = row[:, None] * columns + column[None, :]
        have = tl.load(have_ptr + at, mask=inside, other=0.0).to(tl.float64)
        want = _wanted(tl.load(want_ptr + at, mask=inside, other=0.0), FORMAT)
        infinite = (tl.abs(have) == float("inf")) | (tl.abs(want) == float("inf"))
        differs = ((have != have) != (want != want)) | (infinite & (have != want))
        finite = tl.abs(want) < float("inf")
        squares += tl.sum(tl.where(finite, want * want, 0.0), axis=1)
        counts += tl.sum(tl.where(finite & inside, 1.0, 0.0).to(tl.float64), axis=1)
        strange += tl.sum((differs & inside).to(tl.int32), axis=1)
    tl.atomic_add(squares_ptr + row, squares, mask=row < rows)
    tl.atomic_add(counts_ptr + row, counts, mask=row < rows)
    tl.atomic_add(strange_ptr, tl.sum(strange, axis=0))


@triton.jit  # type: ignore[untyped-decorator]
def _worst_shares(  # type: ignore[no-untyped-def]
    have_ptr,
    want_ptr,
    squares_ptr,
    counts_ptr,
    bound_ptr,
    worst_ptr,
    rows,
    columns,
    FORMAT: tl.constexpr,
    OF_ROWS: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    TILES: tl.constexpr,
):
    """Of each program: the largest error as a share of what is allowed. `bound_ptr`: the magnitude of the whole, the
    relative and the absolute bound, the smallest step, and the least share of the whole that a row counts for."""
    across = tl.cdiv(columns, BLOCK_C * TILES)
    row = (tl.program_id(0) // across).to(tl.int64) * BLOCK_R + tl.arange(0, BLOCK_R)
    first = (tl.program_id(0) % across).to(tl.int64) * BLOCK_C * TILES
    scale = tl.zeros([BLOCK_R], tl.float64) + tl.load(bound_ptr)
    if OF_ROWS:
        squares = tl.load(squares_ptr + row, mask=row < rows, other=0.0)
        counts = tl.load(counts_ptr + row, mask=row < rows, other=1.0)
        counts = tl.where(counts < 1.0, 1.0, counts)
        own = tl.sqrt(squares / counts)
        least = scale * tl.load(bound_ptr + 4)
        scale = tl.where(own > least, own, least)
    rtol, smallest = tl.load(bound_ptr + 1), tl.load(bound_ptr + 3)
    floor = scale * tl.load(bound_ptr + 2) + smallest
    worst = tl.zeros([BLOCK_R], tl.float64)
    for tile in range(TILES):
        column = first + tile * BLOCK_C + tl.arange(0, BLOCK_C)
        inside = (row[:, None] < rows) & (column[None, :] < columns)
        at = row[:, None] * columns + column[None, :]
        have = tl.load(have_ptr + at, mask=inside, other=0.0).to(tl.float64)
        want = _wanted(tl.load(want_ptr + at, mask=inside, other=0.0), FORMAT)
        finite = tl.abs(want) < float("inf")
        error = tl.where(finite & inside, tl.abs(have - want), 0.0)
        allowed = tl.where(finite, tl.abs(want), 0.0) * rtol + floor[:, None]
        share = tl.where(error == 0.0, 0.0, error / allowed)
        largest = tl.max(share, axis=1)
        worst = tl.where(largest > worst, largest, worst)
    tl.store(worst_ptr + tl.program_id(0), tl.max(worst, axis=0))


def worst_share(
    have: torch.Tensor, want: torch.Tensor, of_rows: bool, least: float, bound: tuple[float, float, float]
) -> float | None:
    """The worst error as a share of what is allowed; None where NaN or infinity differ.

    `have` and `want` have the same shape, and dtypes that `FORMATS` and its note name. `of_rows`: each row of the last
    axis has a magnitude of its own, of at least the share `least` of the whole's; else all count by the whole's.
    `bound`: the relative and the absolute bound, and half a step of the format's smallest numbers.
    """
    columns = have.shape[-1] if of_rows else have.numel()
    rows = have.numel() // columns
    have, want = have.reshape(rows, columns).contiguous(), want.reshape(rows, columns).contiguous()
    wide = min(triton.next_power_of_2(columns), _TILE // 2)
    sizes = {"FORMAT": FORMATS[have.dtype], "BLOCK_R": _TILE // wide if rows > 1 else 1, "BLOCK_C": wide}
    sizes["TILES"] = min(_TILES, triton.cdiv(columns, wide))
    grid = (triton.cdiv(rows, sizes["BLOCK_R"]) * triton.cdiv(columns, sizes["BLOCK_C"] * sizes["TILES"]),)
    told = torch.zeros(2, rows, dtype=torch.float64, device=have.device)
    strange = torch.zeros(1, dtype=torch.int32, device=have.device)
    worst = torch.empty(grid, dtype=torch.float64, device=have.device)
    _magnitudes[grid](have, want, told[0], told[1], strange, rows, columns, **sizes)
    squares, count = told.sum(1)
    whole = squares.div(count.clamp(min=1)).sqrt()
    limits = torch.cat([whole.view(1), torch.tensor([*bound, least], dtype=torch.float64).to(have.device)])
    _worst_shares[grid](have, want, told[0], told[1], limits, worst, rows, columns, OF_ROWS=of_rows, **sizes)
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
        for rows, columns in ((1, 1 << 16), (64, 1 << 10)):
            have = torch.zeros(rows, columns, dtype=dtype, device=device)
            worst_share(have, have.double(), rows > 1, 1e-3, (0.0, 0.0, 1e-9))
