"""Sort the rows of a matrix. A bitonic network in registers sorts rows, or runs of long rows; passes over memory then
merge runs two by two, each program a tile whose share of both runs it finds by search."""

import torch
import triton
import triton.language as tl


@triton.jit
def _key(x, DESCENDING: tl.constexpr):
    """An int32 whose ascending order is the wanted order of x."""
    if x.dtype.is_floating():
        if x.dtype.primitive_bitwidth == 16:
            x = x.to(tl.int16, bitcast=True).to(tl.int32)
            x ^= (x >> 31) & 0x7FFF
        else:
            x = x.to(tl.int32, bitcast=True)
            x ^= (x >> 31) & 0x7FFFFFFF
    return x ^ -1 if DESCENDING else x


@triton.jit
def _value(key, DTYPE: tl.constexpr, DESCENDING: tl.constexpr):
    """The inverse of `_key`."""
    x = key ^ -1 if DESCENDING else key
    if DTYPE.is_floating():
        if DTYPE.primitive_bitwidth == 16:
            x ^= (x >> 31) & 0x7FFF
            x = x.to(tl.int16).to(DTYPE, bitcast=True)
        else:
            x ^= (x >> 31) & 0x7FFFFFFF
            x = x.to(DTYPE, bitcast=True)
    return x


@triton.jit
def _exchange(x, BIT: tl.constexpr):
    """Of elements whose places differ in this bit only, the lesser goes where it is 0, the greater where it is 1."""
    x = tl.reshape(x, (x.numel >> (BIT + 1), 2, 1 << BIT))
    y = x ^ tl.xor_sum(x, 1, keep_dims=True)
    upper = tl.arange(0, 2)[None, :, None] == 1
    return tl.reshape(tl.where(upper, tl.maximum(x, y), tl.minimum(x, y)), (x.numel,))


@triton.jit
def _sort_runs(
    x_ptr, z_ptr, x_stride, n_rows, n_cols, DESCENDING: tl.constexpr, UNIT: tl.constexpr, EVEN: tl.constexpr,
    ROWS: tl.constexpr, RANK: tl.constexpr, LOW: tl.constexpr, THREADS: tl.constexpr,
):  # fmt: skip
    x_stride *= UNIT
    n_cols *= UNIT
    RUN: tl.constexpr = 2**RANK
    HIGH: tl.constexpr = RANK - LOW - THREADS
    REGS: tl.constexpr = LOW + HIGH
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    col = tl.program_id(1) * RUN + tl.arange(0, RUN)[None, :]
    mask = (row < n_rows) & (col < n_cols)
    if EVEN:
        key = _key(tl.load(x_ptr + row * x_stride + col), DESCENDING)
    else:
        key = _key(tl.load(x_ptr + row * x_stride + col, mask=mask, other=0), DESCENDING)
        key = tl.where(col < n_cols, key, 0x7FFFFFFF)

    # What comes first does not matter, so columns are numbered anew, those of one thread from 0 to 2**REGS - 1:
    # most exchanges are then between a thread's own registers.
    key = tl.permute(tl.reshape(key, (ROWS, 2**HIGH, 2**THREADS, 2**LOW)), (0, 2, 1, 3))
    key = tl.reshape(key, (ROWS * RUN,))
    # After stage s, spans of 2**s are sorted, ascending where bit s of the column is 0 and descending where it is 1.
    # Inverting the keys of the latter makes all exchanges alike.
    place = tl.arange(0, ROWS * RUN) % RUN
    key ^= -(place & 1)
    for stage in tl.static_range(1, REGS + 1):
        key ^= -((place >> stage ^ place >> (stage - 1)) & 1)
        for step in tl.static_range(stage):
            key = _exchange(key, stage - 1 - step)
    thread = (tl.arange(0, ROWS * 2**THREADS) % 2**THREADS)[:, None]
    for stage in range(1, THREADS + 1):
        turn = -((thread >> stage ^ thread >> (stage - 1)) & 1)
        key = tl.reshape(tl.reshape(key, (ROWS * 2**THREADS, 2**REGS)) ^ turn, (ROWS * RUN,))
        for step in tl.static_range(THREADS):
            if THREADS - step <= stage:
                key = _exchange(key, RANK - 1 - step)
        for step in tl.static_range(REGS):
            key = _exchange(key, REGS - 1 - step)

    z = _value(tl.reshape(key, (ROWS, RUN)), z_ptr.dtype.element_ty, DESCENDING)
    if EVEN:
        tl.store(z_ptr + row * n_cols + col, z)
    else:
        tl.store(z_ptr + row * n_cols + col, z, mask=mask)


@triton.jit
def _merge_runs(
    x_ptr, z_ptr, n_cols, run, DESCENDING: tl.constexpr, RANK: tl.constexpr, PROBES: tl.constexpr
):  # fmt: skip
    TILE: tl.constexpr = 2**RANK
    tiles = tl.cdiv(n_cols, TILE)
    row = tl.program_id(0) // tiles
    start = tl.program_id(0) % tiles * TILE
    x_ptr += row * n_cols
    z_ptr += row * n_cols + start
    # Runs a and b; the second may be short or lack.
    pair = start // (2 * run) * (2 * run)
    start -= pair
    n_a = tl.minimum(run, n_cols - pair)
    n_b = tl.minimum(run, n_cols - pair - n_a)
    a_ptr = x_ptr + pair
    b_ptr = a_ptr + n_a

    # How many of a are among the first `end` of the merged pair, for the tile's two ends: low to high at any time.
    end = tl.minimum(start + TILE * tl.arange(0, 2)[:, None], n_a + n_b)
    low = tl.maximum(end - n_b, 0)
    high = tl.minimum(end, n_a)
    probe = tl.arange(0, PROBES)[None, :] + 1
    left = run
    while left > 0:
        step = tl.cdiv(left, PROBES)
        place = low + probe * step - 1
        a = _key(tl.load(a_ptr + place, mask=place < high, other=0), DESCENDING)
        b = _key(tl.load(b_ptr + (end - 1 - place), mask=place < high, other=0), DESCENDING)
        low += step * tl.sum(((place < high) & (a <= b)).to(tl.int32), axis=1, keep_dims=True)
        high = tl.minimum(high, low + step - 1)
        left = step - 1
    first_a = tl.min(low)
    count_a = tl.max(low) - first_a
    first_b = start - first_a
    count = tl.minimum(TILE, n_a + n_b - start)

    # The part of a, then that of b backwards, rises and falls: one bitonic merge sorts it.
    place = tl.arange(0, TILE)
    of_a = place < count_a
    of_b = place >= TILE - (count - count_a)
    key = _key(
        tl.load(a_ptr + tl.where(of_a, first_a + place, n_a + first_b + (TILE - 1 - place)), mask=of_a | of_b, other=0),
        DESCENDING,
    )
    key = tl.where(of_a | of_b, key, 0x7FFFFFFF)
    for step in tl.static_range(RANK):
        key = _exchange(key, RANK - 1 - step)
    z = _value(key, z_ptr.dtype.element_ty, DESCENDING)
    tl.store(z_ptr + place, z, mask=place < count)


def _unit(*sizes: int) -> int:
    """The largest power of two, up to 16, that divides all sizes. Kernels get sizes in this unit, which tells Triton
    how wide accesses may be: of arguments it knows no more than whether they are multiples of 16."""
    joined = 16
    for size in sizes:
        joined |= size
    return joined & -joined


def _config(rows: int, cols: int, itemsize: int) -> tuple[int, int, int, int, int]:
    """(rows per program, elements per run, warps) for sorting runs; (elements per tile, probes) for merging."""
    few = rows * cols < 1 << 18  # too few programs: shorter, of more warps
    run = min(max(2, triton.next_power_of_2(cols)), 2048)
    if few and run >= 256:
        return 1, run, run // 256, 256, 64
    return max(1, 1024 // run), run, 1, 1024, 16


def sort(x: torch.Tensor, descending: bool) -> torch.Tensor:
    n_rows, n_cols = x.shape
    z = torch.empty((n_rows, n_cols), dtype=x.dtype, device=x.device)
    rows, run, warps, tile, probes = _config(n_rows, n_cols, x.element_size())
    unit = _unit(x.stride(0), n_cols)
    descending = bool(descending)
    # The column's bits within an access, and those between the threads of a row.
    rank = run.bit_length() - 1
    low = min(rank, (min(unit, 16 // x.element_size())).bit_length() - 1)
    threads = min(rank - low, _LANES + warps.bit_length() - 1)
    merges = (triton.cdiv(n_cols, run) - 1).bit_length()
    source, target = (torch.empty_like(z), z) if merges else (z, z)
    if merges % 2 == 0:
        source, target = target, source
    _sort_runs[(triton.cdiv(n_rows, rows), triton.cdiv(n_cols, run))](
        x, source, x.stride(0) // unit, n_rows, n_cols // unit, DESCENDING=descending, UNIT=unit,
        EVEN=n_cols % run == 0 and n_rows % rows == 0, ROWS=rows, RANK=rank, LOW=low, THREADS=threads, num_warps=warps,
    )  # fmt: skip
    for _ in range(merges):
        _merge_runs[(n_rows * triton.cdiv(n_cols, tile),)](
            source, target, n_cols, run, DESCENDING=descending, RANK=tile.bit_length() - 1, PROBES=probes, num_warps=1
        )
        source, target, run = target, source, 2 * run
    return z


_LANES = 5 if torch.version.hip is None else 6
"""Bits of a thread's number within its warp."""
