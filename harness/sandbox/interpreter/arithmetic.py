"""Arithmetic of Triton's interpreter, right to the last bit of the format.

The interpreter's builder computes with numpy on a tensor's storage. For bfloat16 and the 8-bit floats that storage is
raw bits, so every operation on them is done here as: decode to float32, compute, round once. For the types that numpy
knows, the operations are done here too where a supported release of Triton differs from a GPU: one-bit integers, the
number-preferring minimum and maximum, fused multiply-add (one rounding), the high half of a product, conversions out
of range.

``METHODS`` maps the builder's methods to their replacements; :mod:`builder` puts them in place.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton._C.libtriton import ir
from triton.runtime.interpreter import TensorHandle

from .formats import FORMATS, Format, fused_multiply_add, narrow
from .host import to_numpy
from .storage import numpy_type

Handle = Any
Array = Any

METHODS: dict[str, Callable[..., Any]] = {}
"""Replacements for methods of the interpreter's builder, by name."""


def method(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function as the builder's method(s) of these names."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            METHODS[name] = function
        return function

    return register


def format_of(handle: Handle) -> Format | None:
    """The raw-bit format of a handle's elements; None if numpy computes on them directly."""
    return FORMATS.get(handle.dtype.scalar.name)


def values(handle: Handle) -> Array:
    """The numbers of a handle: decoded to float32 if it holds raw bits."""
    fmt = FORMATS.get(handle.dtype.scalar.name)
    return handle.data if fmt is None else fmt.decode(handle.data)


def pack(numbers: Array, ty: Any) -> Handle:
    """Numbers to a handle of type ``ty``, rounding once if they are wider than it."""
    scalar = ty.scalar
    fmt = FORMATS.get(scalar.name)
    if fmt is not None:
        return TensorHandle(narrow(numbers, fmt), scalar)
    dtype = numpy_type(scalar)
    return TensorHandle(numbers if numbers.dtype == dtype else numbers.astype(dtype), scalar)


# --- binary -----------------------------------------------------------------------------------------------------------


def _binary(op: Callable[..., Array]) -> Callable[..., Handle]:
    def run(_builder: Any, lhs: Handle, rhs: Handle) -> Handle:
        ty = lhs.dtype.scalar
        fmt = FORMATS.get(ty.name)
        if fmt is not None:
            encode = fmt.choose if op in EXACT else fmt.encode
            return TensorHandle(encode(op(fmt.decode(lhs.data), values(rhs))), ty)
        left, right = lhs.data, rhs.data
        if left.dtype == np.bool_ and right.dtype == np.bool_:
            # One-bit integers wrap around; numpy's booleans saturate.
            wide = op(left.astype(np.int8), right.astype(np.int8))
            return TensorHandle((wide & 1).astype(np.bool_), ty)
        out = op(left, right)
        return TensorHandle(out if out.dtype == left.dtype else out.astype(numpy_type(ty)), ty)

    return run


def _compare(op: Callable[..., Array]) -> Callable[..., Handle]:
    def run(_builder: Any, lhs: Handle, rhs: Handle) -> Handle:
        return TensorHandle(op(values(lhs), values(rhs)), tl.int1)

    return run


def _unordered(op: Callable[..., Array]) -> Callable[..., Array]:
    """Comparisons that are true where an operand is NaN."""
    return lambda a, b: op(a, b) | np.isnan(a) | np.isnan(b)


def _bitwise(op: Callable[..., Array]) -> Callable[..., Handle]:
    def run(_builder: Any, lhs: Handle, rhs: Handle) -> Handle:
        out = op(lhs.data, rhs.data)
        ty = lhs.dtype.scalar
        return TensorHandle(out if out.dtype == lhs.data.dtype else out.astype(numpy_type(ty)), ty)

    return run


def _quotient(a: Array, b: Array) -> Array:
    """Integer division toward zero. By zero it is undefined on a GPU, and no trap: all bits are set here, so that what
    is addressed by it lies far away."""
    out = np.floor_divide(a, b)
    if a.dtype.kind == "i":
        out = out + ((out < 0) & (out * b != a))
    none = np.equal(b, 0)
    return np.where(none, np.invert(np.zeros_like(out)), out) if none.any() else out


def _rest(a: Array, b: Array) -> Array:
    """What that leaves: by zero, all of it."""
    none = np.equal(b, 0)
    return np.where(none, a, np.fmod(a, b)) if none.any() else np.fmod(a, b)


def _ordered_not_equal(a: Array, b: Array) -> Array:
    return np.not_equal(a, b) & ~(np.isnan(a) | np.isnan(b))


def _extreme(op: Callable[..., Array], of_mixed_zeros: float, prefer_numbers: bool) -> Callable[..., Array]:
    """Minimum and maximum as PTX has them: -0 below +0, and NaN wins or loses whatever its payload.

    numpy's own differ between the vector and the scalar loop for signalling NaN and for zeros.
    """

    def run(a: Array, b: Array) -> Array:
        out = op(a, b)
        nan = np.isnan(out)
        if nan.any() and prefer_numbers:
            out = np.where(np.isnan(a), b, np.where(np.isnan(b), a, out))
        mixed = (out == 0) & (a == b) & (np.signbit(a) != np.signbit(b))
        return np.where(mixed, out.dtype.type(of_mixed_zeros), out) if mixed.any() else out

    return run


minimum_number = _extreme(np.minimum, -0.0, prefer_numbers=True)
maximum_number = _extreme(np.maximum, 0.0, prefer_numbers=True)
minimum_nan = _extreme(np.minimum, -0.0, prefer_numbers=False)
maximum_nan = _extreme(np.maximum, 0.0, prefer_numbers=False)

EXACT = frozenset({minimum_number, maximum_number, minimum_nan, maximum_nan})
"""Operations whose result is one of their operands."""

ARITHMETIC: dict[str, Callable[..., Array]] = {
    "create_fadd": np.add,
    "create_fsub": np.subtract,
    "create_fmul": np.multiply,
    "create_fdiv": np.divide,
    "create_precise_divf": np.divide,
    "create_approx_divf": np.divide,
    "create_frem": np.fmod,
    "create_add": np.add,
    "create_sub": np.subtract,
    "create_mul": np.multiply,
    "create_srem": _rest,
    "create_urem": _rest,
    "create_sdiv": _quotient,
    "create_udiv": _quotient,
    "create_minsi": np.minimum,
    "create_minui": np.minimum,
    "create_maxsi": np.maximum,
    "create_maxui": np.maximum,
    "create_minimumf": minimum_nan,
    "create_maximumf": maximum_nan,
    "create_minnumf": minimum_number,
    "create_maxnumf": maximum_number,
}

COMPARISONS: dict[str, Callable[..., Array]] = {
    **{f"create_icmp{sign}LE": np.less_equal for sign in "SU"},
    **{f"create_icmp{sign}LT": np.less for sign in "SU"},
    **{f"create_icmp{sign}GE": np.greater_equal for sign in "SU"},
    **{f"create_icmp{sign}GT": np.greater for sign in "SU"},
    "create_icmpEQ": np.equal,
    "create_icmpNE": np.not_equal,
    "create_fcmpOLT": np.less,
    "create_fcmpOLE": np.less_equal,
    "create_fcmpOGT": np.greater,
    "create_fcmpOGE": np.greater_equal,
    "create_fcmpOEQ": np.equal,
    "create_fcmpONE": _ordered_not_equal,
    "create_fcmpULT": _unordered(np.less),
    "create_fcmpULE": _unordered(np.less_equal),
    "create_fcmpUGT": _unordered(np.greater),
    "create_fcmpUGE": _unordered(np.greater_equal),
    "create_fcmpUEQ": _unordered(np.equal),
    "create_fcmpUNE": np.not_equal,
}

BITWISE: dict[str, Callable[..., Array]] = {
    "create_and": np.bitwise_and,
    "create_or": np.bitwise_or,
    "create_xor": np.bitwise_xor,
    "create_shl": np.left_shift,
}

for _table, _maker in ((ARITHMETIC, _binary), (COMPARISONS, _compare), (BITWISE, _bitwise)):
    for _name, _op in _table.items():
        METHODS[_name] = _maker(_op)

_SIGNED = {np.dtype(f"u{n}"): np.dtype(f"i{n}") for n in (1, 2, 4, 8)}
_UNSIGNED = {np.dtype(f"i{n}"): np.dtype(f"u{n}") for n in (1, 2, 4, 8)}


@method("create_idiv")
def _idiv(builder: Any, lhs: Handle, rhs: Handle) -> Handle:
    return builder.create_sdiv(lhs, rhs)


@method("create_ashr")
def _ashr(_builder: Any, lhs: Handle, rhs: Handle) -> Handle:
    data = lhs.data.view(_SIGNED.get(lhs.data.dtype, lhs.data.dtype))
    count = rhs.data.view(_SIGNED.get(rhs.data.dtype, rhs.data.dtype))
    return TensorHandle(np.right_shift(data, count).astype(numpy_type(lhs.dtype)), lhs.dtype.scalar)


@method("create_lshr")
def _lshr(_builder: Any, lhs: Handle, rhs: Handle) -> Handle:
    data = lhs.data.view(_UNSIGNED.get(lhs.data.dtype, lhs.data.dtype))
    count = rhs.data.view(_UNSIGNED.get(rhs.data.dtype, rhs.data.dtype))
    return TensorHandle(np.right_shift(data, count).astype(numpy_type(lhs.dtype)), lhs.dtype.scalar)


@method("create_umulhi")
def _umulhi(_builder: Any, lhs: Handle, rhs: Handle) -> Handle:
    dtype = lhs.data.dtype
    unsigned = _UNSIGNED.get(dtype, dtype)
    a, b = (np.ascontiguousarray(h.data).view(unsigned) for h in (lhs, rhs))
    return TensorHandle(high_product(a, b).view(dtype), lhs.dtype.scalar)


def high_product(a: Array, b: Array) -> Array:
    """The upper half of the double-width product of two arrays of one unsigned type."""
    width = a.dtype.itemsize * 8
    if width < 64:
        wide = np.multiply(a, b, dtype=np.dtype(f"u{width // 4}"))
        return (wide >> wide.dtype.type(width)).astype(a.dtype)
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    a_low, a_high, b_low, b_high = a & mask, a >> shift, b & mask, b >> shift
    middle = a_high * b_low + ((a_low * b_low) >> shift)
    cross = a_low * b_high + (middle & mask)
    return a_high * b_high + (middle >> shift) + (cross >> shift)


# --- ternary ----------------------------------------------------------------------------------------------------------


@method("create_select")
def _select(_builder: Any, condition: Handle, lhs: Handle, rhs: Handle) -> Handle:
    left, right = lhs.data, rhs.data
    if left.dtype != right.dtype:  # signedness apart, the types agree
        left = left.astype(right.dtype)
    return TensorHandle(np.where(condition.data, left, right), rhs.dtype.scalar)


@method("create_clampf")
def _clampf(_builder: Any, x: Handle, low: Handle, high: Handle, propagate_nans: Any) -> Handle:
    a, b, c = values(x), values(low), values(high)
    if propagate_nans == ir.PROPAGATE_NAN.NONE:
        return pack(minimum_number(maximum_number(a, b), c), x.dtype)
    return pack(minimum_nan(maximum_nan(a, b), c), x.dtype)


def _libm_fma() -> Callable[..., Array]:
    fma = ctypes.CDLL(None).fma
    fma.restype, fma.argtypes = ctypes.c_double, [ctypes.c_double] * 3
    return np.vectorize(fma, otypes=[np.float64])


_fma64: list[Callable[..., Array]] = []


def fma(x: Array, y: Array, z: Array, dtype: Any) -> Array:
    """Fused multiply-add of numbers into a numpy float type, with one rounding."""
    if dtype == np.float64:
        if not _fma64:
            _fma64.append(_libm_fma())
        return np.asarray(_fma64[0](x, y, z))
    exact = fused_multiply_add(x, y, z)
    return exact.astype(dtype)


@method("create_fma")
def _fma(_builder: Any, x: Handle, y: Handle, z: Handle) -> Handle:
    ty = z.dtype.scalar
    if ty == tl.float64:
        return TensorHandle(fma(x.data, y.data, z.data, np.float64), ty)
    return pack(fused_multiply_add(values(x), values(y), values(z)), ty)


# --- unary ------------------------------------------------------------------------------------------------------------


def _unary(op: Callable[[Array], Array]) -> Callable[..., Handle]:
    def run(_builder: Any, x: Handle) -> Handle:
        fmt = format_of(x)
        if fmt is not None and op is np.negative:
            return TensorHandle(fmt.choose(op(fmt.decode(x.data))), x.dtype.scalar)
        return pack(op(values(x)), x.dtype)

    return run


def _in_double(op: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Computes in float64, where numpy's own function in the narrow type is rounded twice."""
    return lambda x: op(x.astype(np.float64))


def erf(x: Array) -> Array:
    """The error function, in float64."""
    wide = np.array(x, dtype=np.float64)
    return to_numpy(torch.special.erf(torch.from_numpy(wide.reshape(-1)))).reshape(wide.shape)


UNARY: dict[str, Callable[[Array], Array]] = {
    "create_fneg": np.negative,
    "create_floor": np.floor,
    "create_ceil": np.ceil,
    "create_exp": np.exp,
    "create_exp2": np.exp2,
    "create_log": np.log,
    "create_log2": np.log2,
    "create_sin": np.sin,
    "create_cos": np.cos,
    "create_sqrt": np.sqrt,
    "create_precise_sqrt": np.sqrt,
    "create_rsqrt": _in_double(lambda x: 1.0 / np.sqrt(x)),
    "create_erf": erf,
    "create_iabs": np.abs,
}

for _name, _op in UNARY.items():
    METHODS[_name] = _unary(_op)


@method("create_fabs")
def _fabs(_builder: Any, x: Handle) -> Handle:
    fmt = format_of(x)
    if fmt is None:
        return TensorHandle(np.abs(x.data), x.dtype.scalar)
    if fmt.name in ("fp8e4b8", "fp8e5b16"):  # the sign bit alone is their NaN
        return pack(np.abs(fmt.decode(x.data)), x.dtype)
    sign = fmt.storage.type(1 << (fmt.storage.itemsize * 8 - 1))
    return TensorHandle(x.data & ~sign, x.dtype.scalar)
