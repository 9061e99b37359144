"""Product of microscaling matrices on tensor cores that take bfloat16: each value times its scale is exact in it.

Three ways. A small product converts both operands on the fly. A large one converts them first, into bfloat16 matrices
that come by tensor descriptors (TMA) on Hopper. One with few rows on one side is bound by the bytes of the other, which
are converted in registers, two elements at a time: a 16-bit half of a word holds 2 or 4 of them, and those at one place
of all halves make a product of their own with the few rows, whose columns were sorted for it."""

import torch
import triton
import triton.language as tl
import triton.tools.tensor_descriptor


@triton.jit
def _values(raw, scale_ptr, group, mask, KIND: tl.constexpr):
    """A block of elements, (rows, k), times their groups' scales, (rows, k / 32), in bfloat16: all of it is exact."""
    x = raw
    if KIND == "fp4":
        # The bits in the places of bfloat16's: numbers 2^126 times too small, subnormal ones included.
        byte = raw.to(tl.uint16)
        low = ((byte & 0x08) << 12) | ((byte & 0x07) << 6)
        high = ((byte & 0x80) << 8) | ((byte & 0x70) << 2)
        x = tl.reshape(tl.join(low, high), (raw.shape[0], 2 * raw.shape[1])).to(tl.bfloat16, bitcast=True) * 2.0**126
    elif KIND == "fp8":
        x = raw.to(tl.bfloat16)
    if KIND != "bf16":
        scale = tl.load(scale_ptr + group, mask=mask, other=0)
        power = (scale.to(tl.uint16) << 7).to(tl.bfloat16, bitcast=True)[:, :, None]
        x *= tl.reshape(tl.broadcast_to(power, (power.shape[0], power.shape[1], 32)), x.shape)
    return x


@triton.jit
def _convert(
    x_ptr, scale_ptr, out_ptr, rows, K, stride, KIND: tl.constexpr, PLANES: tl.constexpr, SHIFT: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """One block of a row in bfloat16, times 2^SHIFT. Element k goes to column k // PLANES of plane k % PLANES."""
    PACK: tl.constexpr = 2 if KIND == "fp4" else 1
    row = tl.program_id(0).to(tl.int64)
    start = tl.program_id(1) * BLOCK
    byte = start // PACK + tl.arange(0, BLOCK // PACK)[None, :]
    raw = tl.load(x_ptr + row * stride + byte, mask=byte < K // PACK, other=0.0)
    group = start // 32 + tl.arange(0, BLOCK // 32)[None, :]
    x = _values(raw, scale_ptr, row * (K // 32) + group, group < K // 32, KIND) * 2.0**SHIFT
    k = start + tl.arange(0, BLOCK)[None, :]
    place = (k % PLANES * rows + row) * (K // PLANES) + k // PLANES
    tl.store(out_ptr + place, x, mask=k < K)


@triton.jit
def _place(tile, X, Y, BLOCK_X: tl.constexpr, BLOCK_Y: tl.constexpr, GROUP: tl.constexpr):
    """Where a tile starts: tiles that are worked on together are GROUP rows of them, column after column."""
    tiles_x = tl.cdiv(X, BLOCK_X)
    in_group = GROUP * tl.cdiv(Y, BLOCK_Y)
    first_x = tile // in_group * GROUP
    height = tl.minimum(tiles_x - first_x, GROUP)
    return (first_x + tile % in_group % height) * BLOCK_X, tile % in_group // height * BLOCK_Y


@triton.jit
def _store(c_ptr, acc, offs_x, offs_y, X, Y, stride_cx, stride_cy):
    c_ptrs = c_ptr + (offs_x.to(tl.int64)[:, None] * stride_cx + offs_y.to(tl.int64)[None, :] * stride_cy)
    tl.store(c_ptrs, acc.to(c_ptr.dtype.element_ty), mask=(offs_x < X)[:, None] & (offs_y < Y)[None, :])


@triton.jit
def _product(
    x_ptr, x_scale_ptr, y_ptr, y_scale_ptr, c_ptr, X, Y, K, stride_x, stride_y, stride_cx, stride_cy,
    X_KIND: tl.constexpr, Y_KIND: tl.constexpr, EVEN_K: tl.constexpr,
    BLOCK_X: tl.constexpr, BLOCK_Y: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """c = x y^T, both converted block by block."""
    X_PACK: tl.constexpr = 2 if X_KIND == "fp4" else 1
    Y_PACK: tl.constexpr = 2 if Y_KIND == "fp4" else 1
    start_x, start_y = _place(tl.program_id(0), X, Y, BLOCK_X, BLOCK_Y, GROUP)
    offs_x = start_x + tl.arange(0, BLOCK_X)
    offs_y = start_y + tl.arange(0, BLOCK_Y)
    # Ragged edges read the last row again.
    rows_x = tl.minimum(offs_x, X - 1)[:, None].to(tl.int64)
    rows_y = tl.minimum(offs_y, Y - 1)[:, None].to(tl.int64)
    bytes_x = tl.arange(0, BLOCK_K // X_PACK)[None, :]
    bytes_y = tl.arange(0, BLOCK_K // Y_PACK)[None, :]
    x_ptrs = x_ptr + rows_x * stride_x + bytes_x
    y_ptrs = y_ptr + rows_y * stride_y + bytes_y
    acc = tl.zeros((BLOCK_X, BLOCK_Y), tl.float32)
    for k in range(0, tl.cdiv(K, BLOCK_K)):
        if EVEN_K:
            x_raw = tl.load(x_ptrs)
            y_raw = tl.load(y_ptrs)
        else:
            left = K - k * BLOCK_K
            x_raw = tl.load(x_ptrs, mask=bytes_x < left // X_PACK, other=0.0)
            y_raw = tl.load(y_ptrs, mask=bytes_y < left // Y_PACK, other=0.0)
        group = k * (BLOCK_K // 32) + tl.arange(0, BLOCK_K // 32)[None, :]
        x = _values(x_raw, x_scale_ptr, rows_x * (K // 32) + group, group < K // 32, X_KIND)
        y = _values(y_raw, y_scale_ptr, rows_y * (K // 32) + group, group < K // 32, Y_KIND)
        acc = tl.dot(x, tl.trans(y), acc)
        x_ptrs += BLOCK_K // X_PACK
        y_ptrs += BLOCK_K // Y_PACK
    _store(c_ptr, acc, offs_x, offs_y, X, Y, stride_cx, stride_cy)


@triton.jit
def _product_by_blocks(
    x, y, c, X, Y, K, stride_cx, stride_cy, TMA_C: tl.constexpr,
    BLOCK_X: tl.constexpr, BLOCK_Y: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """c = x y^T of bfloat16 matrices. A program works on several tiles; loads for the next one begin while the last one
    is stored."""
    tiles = tl.cdiv(X, BLOCK_X) * tl.cdiv(Y, BLOCK_Y)
    for tile in tl.range(tl.program_id(0), tiles, tl.num_programs(0), flatten=True):
        start_x, start_y = _place(tile, X, Y, BLOCK_X, BLOCK_Y, GROUP)
        acc = tl.zeros((BLOCK_X, BLOCK_Y), tl.float32)
        for k in range(0, tl.cdiv(K, BLOCK_K)):
            acc = tl.dot(x.load([start_x, k * BLOCK_K]), y.load([start_y, k * BLOCK_K]).T, acc)
        if TMA_C:
            c.store([start_x, start_y], acc.to(c.dtype))
        else:
            offs_x = start_x + tl.arange(0, BLOCK_X)
            offs_y = start_y + tl.arange(0, BLOCK_Y)
            _store(c, acc, offs_x, offs_y, X, Y, stride_cx, stride_cy)


@triton.jit
def _pairs(word, power, J: tl.constexpr, BITS: tl.constexpr, MANTISSA: tl.constexpr):
    """The elements at place J of the halves of each word, as bfloat16 and times `power`: (rows, 2 * words)."""
    SIGN: tl.constexpr = 16 - BITS - BITS * J  # how far it goes to the left
    REST: tl.constexpr = 7 - MANTISSA - BITS * J
    MASK: tl.constexpr = ((1 << BITS - 1) - 1 << 7 - MANTISSA) * 0x10001
    rest = word << REST if REST >= 0 else word >> -REST
    both = ((word << SIGN) & 0x80008000) | (rest & MASK)
    # The high half first: in the other order the compiler swaps them, before the multiplication and after it.
    high = (both >> 16).to(tl.uint16).to(tl.bfloat16, bitcast=True) * power
    low = both.to(tl.uint16).to(tl.bfloat16, bitcast=True) * power
    return tl.reshape(tl.join(low, high), (word.shape[0], 2 * word.shape[1]))


@triton.jit
def _narrow_product(
    x_ptr, x_scale_ptr, y_ptr, c_ptr, X, Y, K, stride_x, stride_cx, stride_cy,
    BITS: tl.constexpr, MANTISSA: tl.constexpr, LIFT: tl.constexpr, EVEN_K: tl.constexpr,
    BLOCK_X: tl.constexpr, BLOCK_Y: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """c = x y^T, y being a few rows: bfloat16 in planes, as `_convert` leaves them."""
    PLANES: tl.constexpr = 16 // BITS
    WORDS: tl.constexpr = BLOCK_K * BITS // 32
    offs_x = tl.program_id(0) * BLOCK_X + tl.arange(0, BLOCK_X)
    offs_y = tl.arange(0, BLOCK_Y)
    rows_x = tl.minimum(offs_x, X - 1)[:, None].to(tl.int64)
    words = tl.arange(0, WORDS)[None, :]
    quads = tl.arange(0, BLOCK_K // 128)[None, :]  # of scales
    cols_y = tl.arange(0, BLOCK_K // PLANES)[None, :]
    x_ptrs = x_ptr.to(tl.pointer_type(tl.uint32)) + rows_x * (stride_x // 4) + words
    scale_ptrs = x_scale_ptr.to(tl.pointer_type(tl.uint32)) + rows_x * (K // 128) + quads
    y_ptrs = y_ptr + tl.minimum(offs_y, Y - 1)[:, None] * (K // PLANES) + cols_y
    acc = tl.zeros((BLOCK_X, BLOCK_Y), tl.float32)
    for k in range(0, tl.cdiv(K, BLOCK_K)):
        left = K - k * BLOCK_K
        if EVEN_K:
            word = tl.load(x_ptrs)
            quad = tl.load(scale_ptrs)
        else:
            word = tl.load(x_ptrs, mask=words < left * BITS // 32, other=0)
            quad = tl.load(scale_ptrs, mask=quads < left // 128, other=0)
        # Four exponents e of a quad become the bfloat16 numbers 2^(e + LIFT - 127).
        even = ((quad << 7) & 0x7F807F80) + LIFT * 0x800080
        odd = ((quad >> 1) & 0x7F807F80) + LIFT * 0x800080
        first = tl.join(even.to(tl.uint16), odd.to(tl.uint16))
        second = tl.join((even >> 16).to(tl.uint16), (odd >> 16).to(tl.uint16))
        power = tl.permute(tl.join(first, second), (0, 1, 3, 2))
        power = tl.reshape(power, (BLOCK_X, BLOCK_K // 32, 1)).to(tl.bfloat16, bitcast=True)
        power = tl.reshape(tl.broadcast_to(power, (BLOCK_X, BLOCK_K // 32, BITS)), (BLOCK_X, WORDS))
        for j in tl.static_range(PLANES):
            if EVEN_K:
                y = tl.load(y_ptrs + j * Y * (K // PLANES))
            else:
                y = tl.load(y_ptrs + j * Y * (K // PLANES), mask=cols_y < left // PLANES, other=0.0)
            acc = tl.dot(_pairs(word, power, j, BITS, MANTISSA), tl.trans(y), acc)
        x_ptrs += WORDS
        scale_ptrs += BLOCK_K // 128
        y_ptrs += BLOCK_K // PLANES

    _store(c_ptr, acc, offs_x, offs_y, X, Y, stride_cx, stride_cy)


def _config(x: int, y: int, k: int, kind: str, bits: int) -> tuple[str, int, int, int, int, int, int]:
    """(which way, BLOCK_X, BLOCK_Y, BLOCK_K, GROUP, warps, stages), given the numbers of rows, and what x holds."""
    if y <= 64 and kind != "bf16" and k % 128 == 0 and x * k >= 1 << 17:
        block_x = 128 if bits == 4 and x >= 1 << 14 else 64
        return "narrow", block_x, max(16, triton.next_power_of_2(y)), 256, 0, 4, 2
    if x * y * k >= 1 << 33:
        return "wide", 128, 256, 64, 16, 8, 3
    block_k = min(triton.next_power_of_2(k), 128) if k <= 128 else 64
    if x * y >= 1 << 22:
        return "direct", 128, 128, block_k, 8, 8, 3
    return "direct", 64, 64, block_k, 8, 4, 3


_CONVERTED = 4096
"""Elements that a program converts."""

_KINDS = {
    # (kind, bits, bits of mantissa, bias of the exponent)
    torch.bfloat16: ("bf16", 16, 7, 127),
    torch.uint8: ("fp4", 4, 1, 1),
    torch.float8_e4m3fn: ("fp8", 8, 3, 7),
    torch.float8_e5m2: ("fp8", 8, 2, 15),
    torch.float8_e4m3fnuz: ("fp8", 8, 3, 8),
    torch.float8_e5m2fnuz: ("fp8", 8, 2, 16),
}

_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}

_SHIFT = 40
"""The few rows are taken so many powers of two larger and the many smaller, lest the latter's scales overflow."""


def _has_tma() -> bool:
    return torch.version.hip is None and torch.cuda.get_device_capability()[0] >= 9


def _describe(x: torch.Tensor, block_rows: int, block_cols: int) -> triton.tools.tensor_descriptor.TensorDescriptor:
    from_tensor = triton.tools.tensor_descriptor.TensorDescriptor.from_tensor
    return from_tensor(x, [block_rows, block_cols])


def _converted(x: torch.Tensor, scale: torch.Tensor | None, k: int, planes: int, shift: int) -> torch.Tensor:
    """A matrix in bfloat16, cut into planes of columns."""
    kind = _KINDS[x.dtype][0]
    rows = x.shape[0]
    out = torch.empty((planes * rows, k // planes), dtype=torch.bfloat16, device=x.device)
    _convert[(rows, triton.cdiv(k, _CONVERTED))](
        x, scale, out, rows, k, x.stride(0), KIND=kind, PLANES=planes, SHIFT=shift, BLOCK=_CONVERTED, num_warps=4
    )
    return out


def matmul_mxfp(
    a: torch.Tensor, a_scale: torch.Tensor | None, b: torch.Tensor, b_scale: torch.Tensor | None, out_dtype: str
) -> torch.Tensor:
    m, n = a.shape[0], b.shape[0]
    k = a.shape[1] * (2 if a.dtype == torch.uint8 else 1)
    c = torch.empty((m, n), dtype=_DTYPES[out_dtype], device=a.device)
    # x is a, but b where a has few rows.
    x, x_scale, y, y_scale, stride_cx, stride_cy = a, a_scale, b, b_scale, n, 1
    if m < n and m <= 64:
        x, x_scale, y, y_scale, stride_cx, stride_cy = b, b_scale, a, a_scale, 1, n
    rows_x, rows_y = x.shape[0], y.shape[0]
    kind, bits, mantissa, bias = _KINDS[x.dtype]
    way, block_x, block_y, block_k, group, warps, stages = _config(rows_x, rows_y, k, kind, bits)
    if torch.version.hip is not None:
        stages = 2  # 64 KiB of shared memory
    if way == "narrow":
        y = _converted(y, y_scale, k, 16 // bits, _SHIFT)
        _narrow_product[(triton.cdiv(rows_x, block_x),)](
            x, x_scale, y, c, rows_x, rows_y, k, x.stride(0), stride_cx, stride_cy,
            BITS=bits, MANTISSA=mantissa, LIFT=127 - bias - _SHIFT, EVEN_K=k % block_k == 0,
            BLOCK_X=block_x, BLOCK_Y=block_y, BLOCK_K=block_k, num_warps=warps, num_stages=stages,
        )  # fmt: skip
        return c
    if way == "wide":
        x = x if kind == "bf16" else _converted(x, x_scale, k, 1, 0)
        y = y if y.dtype == torch.bfloat16 else _converted(y, y_scale, k, 1, 0)
    tiles = triton.cdiv(rows_x, block_x) * triton.cdiv(rows_y, block_y)
    if way == "wide" and _has_tma():
        tma_c = stride_cy == 1 and c.element_size() == 2 and n % 8 == 0  # a tile of 4-byte results would not fit
        programs = min(tiles, torch.cuda.get_device_properties(c.device).multi_processor_count)
        _product_by_blocks[(programs,)](
            _describe(x, block_x, block_k), _describe(y, block_y, block_k),
            _describe(c, block_x, block_y) if tma_c else c, rows_x, rows_y, k, stride_cx, stride_cy, TMA_C=tma_c,
            BLOCK_X=block_x, BLOCK_Y=block_y, BLOCK_K=block_k, GROUP=group, num_warps=warps, num_stages=stages,
        )  # fmt: skip
        return c
    _product[(tiles,)](
        x, x_scale, y, y_scale, c, rows_x, rows_y, k, x.stride(0), y.stride(0), stride_cx, stride_cy,
        X_KIND=_KINDS[x.dtype][0], Y_KIND=_KINDS[y.dtype][0], EVEN_K=k % block_k == 0,
        BLOCK_X=block_x, BLOCK_Y=block_y, BLOCK_K=block_k, GROUP=group, num_warps=warps, num_stages=stages,
    )  # fmt: skip
    return c
