"""NVIDIA's libdevice and AMD's ocml in numpy, by the common part of their symbols.

``__nv_expf``, ``__nv_exp``, ``__ocml_exp_f32`` and ``__ocml_exp_f64`` are all ``exp`` here. Transcendental functions
are computed in float64 and rounded once to the type of the result, so in float32 they are at least as precise as a
GPU's. The ``fast_`` ones are the precise ones: a GPU's are off by a few units in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from . import rounding
from .arithmetic import fma, high_product
from .host import to_numpy

Array = Any


def _vector(fn: Callable[..., float]) -> Callable[..., Array]:
    """A function of Python floats on arrays; what it refuses is NaN."""

    def one(*operands: float) -> float:
        try:
            return fn(*operands)
        except (ValueError, OverflowError, ZeroDivisionError):
            return math.nan

    return np.vectorize(one, otypes=[np.float64])


def _torch(fn: Callable[[Any], Any]) -> Callable[[Array], Array]:
    def run(x: Array) -> Array:
        wide = np.array(x, dtype=np.float64)
        return np.asarray(to_numpy(fn(torch.from_numpy(wide.reshape(-1))))).reshape(wide.shape)

    return run


def _gamma(x: float) -> float:
    if x == 0.0:
        return math.copysign(math.inf, x)
    try:
        return math.gamma(x)
    except OverflowError:
        return math.inf


def _round_half_away(x: Array) -> Array:
    whole = np.trunc(x)
    return np.where(np.abs(x - whole) >= 0.5, whole + np.sign(x), whole)


def _sinpi(x: Array) -> Array:
    reduced = np.fmod(x, 2.0)
    return np.where(reduced == np.trunc(reduced), np.copysign(0.0, x), np.sin(np.pi * reduced))


def _cospi(x: Array) -> Array:
    reduced = np.abs(np.fmod(x, 2.0))
    return np.where(np.abs(reduced - 1.0) == 0.5, 0.0, np.cos(np.pi * reduced))


def _bessel_j(order: Array, x: Array) -> Array:
    """Bessel's integral by the trapezoid rule, which converges geometrically on a period."""
    pair = np.broadcast_arrays(order.astype(np.float64), x.astype(np.float64))
    order, x = pair[0], pair[1]
    reach = float(np.max(np.abs(np.where(np.isfinite(x), x, 0.0)), initial=0.0) + np.max(np.abs(order), initial=0.0))
    points = int(min(2 * reach + 64, 1 << 16))
    angle = (np.arange(points) + 0.5) * (np.pi / points)
    phase = order[..., None] * angle - x[..., None] * np.sin(angle)
    return np.where(np.isinf(x), 0.0, np.cos(phase).mean(axis=-1))


def _bessel_y(order: Array, x: Array) -> Array:
    """Upward recurrence from Y0 and Y1, which is stable for Y."""
    mixed = np.broadcast_arrays(order.astype(np.int64), x.astype(np.float64))
    order, x = mixed[0], mixed[1]
    y0, y1 = _torch(torch.special.bessel_y0)(x), _torch(torch.special.bessel_y1)(x)
    out: Array = np.where(order == 0, y0, y1)
    before, now = y0, y1
    for n in range(1, int(np.max(order, initial=1))):
        before, now = now, 2.0 * n / x * now - before
        out = np.where(order == n + 1, now, out)
    return np.where(order < 0, np.nan, out)


def _ilogb(x: Array) -> Array:
    exponent = np.frexp(x)[1].astype(np.int64) - 1
    exponent = np.where(np.isinf(x), 2**31 - 1, exponent)
    return np.where((x == 0) | np.isnan(x), -(2**31), exponent).astype(np.int32)


def _logb(x: Array) -> Array:
    exponent = (np.frexp(x)[1] - 1).astype(np.float64)
    exponent = np.where(x == 0, -np.inf, exponent)
    return np.where(np.isnan(x), x, np.where(np.isinf(x), np.inf, exponent))


def _ndtri(x: Array) -> Array:
    return _torch(torch.special.ndtri)(x)


def _erfcinv(x: Array) -> Array:
    return -_ndtri(x / 2.0) / math.sqrt(2.0)


FLOATS: dict[str, Callable[..., Array]] = {
    # Operands as float64, the result rounded to the function's type.
    "fabs": np.abs,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "rint": np.rint,
    "nearbyint": np.rint,
    "round": _round_half_away,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1.0 / np.sqrt(x),
    "frsqrt_rn": lambda x: 1.0 / np.sqrt(x),
    "cbrt": np.cbrt,
    "rcbrt": lambda x: 1.0 / np.cbrt(x),
    "exp": np.exp,
    "exp2": np.exp2,
    "exp10": lambda x: np.power(10.0, x),
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "logb": _logb,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinpi": _sinpi,
    "cospi": _cospi,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "atan2": np.arctan2,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "pow": np.power,
    "hypot": np.hypot,
    "rhypot": lambda x, y: 1.0 / np.hypot(x, y),
    "norm3d": lambda x, y, z: np.hypot(np.hypot(x, y), z),
    "rnorm3d": lambda x, y, z: 1.0 / np.hypot(np.hypot(x, y), z),
    "norm4d": lambda x, y, z, w: np.hypot(np.hypot(x, y), np.hypot(z, w)),
    "rnorm4d": lambda x, y, z, w: 1.0 / np.hypot(np.hypot(x, y), np.hypot(z, w)),
    "fmod": np.fmod,
    "remainder": _vector(math.remainder),
    "fdim": lambda x, y: np.where(np.isnan(x) | np.isnan(y), np.nan, np.where(x > y, x - y, 0.0)),
    "copysign": np.copysign,
    "saturate": lambda x: np.clip(np.where(np.isnan(x), 0.0, x), 0.0, 1.0),
    "erf": _torch(torch.special.erf),
    "erfc": _torch(torch.special.erfc),
    "erfinv": _torch(torch.special.erfinv),
    "erfcinv": _erfcinv,
    "erfcx": _torch(torch.special.erfcx),
    "normcdf": _torch(torch.special.ndtr),
    "normcdfinv": _ndtri,
    "lgamma": _torch(torch.lgamma),
    "tgamma": _vector(_gamma),
    "j0": _torch(torch.special.bessel_j0),
    "j1": _torch(torch.special.bessel_j1),
    "y0": _torch(torch.special.bessel_y0),
    "y1": _torch(torch.special.bessel_y1),
    "cyl_bessel_i0": _torch(torch.special.i0),
    "cyl_bessel_i1": _torch(torch.special.i1),
    "i0": _torch(torch.special.i0),
    "i1": _torch(torch.special.i1),
    "fast_fdivide": np.divide,
    "fast_sin": np.sin,
    "fast_cos": np.cos,
    "fast_tan": np.tan,
    "fast_tanh": np.tanh,
    "fast_exp": np.exp,
    "fast_exp10": lambda x: np.power(10.0, x),
    "fast_log": np.log,
    "fast_log2": np.log2,
    "fast_log10": np.log10,
    "fast_pow": np.power,
}


def _leading_zeros(x: Array) -> Array:
    bits = x.dtype.itemsize * 8
    unsigned = x.view(f"u{x.dtype.itemsize}")
    return np.array([bits - int(v).bit_length() for v in unsigned.reshape(-1)], np.int32).reshape(x.shape)


def _population(x: Array) -> Array:
    unsigned = x.view(f"u{x.dtype.itemsize}")
    return np.array([int(v).bit_count() for v in unsigned.reshape(-1)], np.int32).reshape(x.shape)


def _reverse(x: Array) -> Array:
    octets = np.ascontiguousarray(x).view(np.uint8).reshape(*x.shape, x.dtype.itemsize)
    bits = np.unpackbits(octets, axis=-1, bitorder="little")[..., ::-1]
    return np.packbits(bits, axis=-1, bitorder="little").view(x.dtype).reshape(x.shape)


def _first_set(x: Array) -> Array:
    def one(v: int) -> int:
        return (v & -v).bit_length()

    return np.array([one(int(v)) for v in x.reshape(-1)], np.int32).reshape(x.shape)


def _mul_high(x: Array, y: Array) -> Array:
    if x.dtype.kind == "u":
        return high_product(x, y)
    exact = [(int(a) * int(b)) >> (x.dtype.itemsize * 8) for a, b in zip(x.reshape(-1), y.reshape(-1), strict=True)]
    return np.array(exact, dtype=x.dtype).reshape(x.shape)


def _mul24(x: Array, y: Array) -> Array:
    if x.dtype.kind == "u":
        return ((x & 0xFFFFFF).astype(np.uint64) * (y & 0xFFFFFF)).astype(np.uint32)
    low = [(v.astype(np.int64) << 40) >> 40 for v in (x, y)]
    return (low[0] * low[1]).astype(np.int32)


def _byte_perm(x: Array, y: Array, selector: Array) -> Array:
    pool = (y.view(np.uint32).astype(np.uint64) << np.uint64(32)) | x.view(np.uint32)
    chosen = selector.view(np.uint32).astype(np.uint64)
    out = np.zeros(pool.shape, dtype=np.uint64)
    for i in range(4):
        place = (chosen >> np.uint64(4 * i)) & np.uint64(7)
        out |= ((pool >> (place * np.uint64(8))) & np.uint64(0xFF)) << np.uint64(8 * i)
    return out.astype(np.uint32).view(np.int32)


def _scale(x: Array, exponent: Array) -> Array:
    return np.ldexp(x.astype(np.float64), exponent).astype(x.dtype)


def _power_integer(x: Array, exponent: Array) -> Array:
    return np.power(x.astype(np.float64), exponent.astype(np.float64)).astype(x.dtype)


def _wide(x: Array, y: Array) -> tuple[Array, Array]:
    return x.astype(np.int64), y.astype(np.int64)


def _hiloint2double(high: Array, low: Array) -> Array:
    joined = (high.view(np.uint32).astype(np.uint64) << np.uint64(32)) | low.view(np.uint32)
    return joined.view(np.float64)


def _high_word_reciprocal(x: Array) -> Array:
    bits = np.ascontiguousarray(1.0 / x).view(np.uint64) & np.uint64(0xFFFFFFFF00000000)
    return bits.view(np.float64)


def _bits_as(dtype: Any) -> Callable[[Array], Array]:
    return lambda x: np.ascontiguousarray(x).view(dtype)


RAW: dict[str, Callable[..., Array]] = {
    # Operands and result as they are.
    "clz": _leading_zeros,
    "clzll": _leading_zeros,
    "popcount": _population,
    "popc": _population,
    "popcll": _population,
    "brev": _reverse,
    "brevll": _reverse,
    "ffs": _first_set,
    "ffsll": _first_set,
    "byte_perm": _byte_perm,
    "mulhi": _mul_high,
    "umulhi": _mul_high,
    "mul64hi": _mul_high,
    "umul64hi": _mul_high,
    "mul24": _mul24,
    "umul24": _mul24,
    "sad": lambda x, y, z: (np.abs(np.subtract(*_wide(x, y))).astype(np.uint32) + z.view(np.uint32)).view(z.dtype),
    "usad": lambda x, y, z: (np.abs(np.subtract(*_wide(x, y))).astype(np.uint32) + z.view(np.uint32)).view(z.dtype),
    "hadd": lambda x, y: (np.add(*_wide(x, y)) >> 1).astype(x.dtype),
    "uhadd": lambda x, y: (np.add(*_wide(x, y)) >> 1).astype(x.dtype),
    "rhadd": lambda x, y: ((np.add(*_wide(x, y)) + 1) >> 1).astype(x.dtype),
    "urhadd": lambda x, y: ((np.add(*_wide(x, y)) + 1) >> 1).astype(x.dtype),
    "abs": np.abs,
    "iabs": np.abs,
    "llabs": np.abs,
    "isnan": np.isnan,
    "isnand": np.isnan,
    "isinf": np.isinf,
    "isinfd": np.isinf,
    "isfinite": np.isfinite,
    "isfinited": np.isfinite,
    "finite": np.isfinite,
    "signbit": np.signbit,
    "signbitd": np.signbit,
    "nextafter": np.nextafter,
    "ilogb": _ilogb,
    "ldexp": _scale,
    "scalbn": _scale,
    "powi": _power_integer,
    "pown": _power_integer,
    "jn": lambda n, x: _bessel_j(n, x).astype(x.dtype),
    "yn": lambda n, x: _bessel_y(n, x).astype(x.dtype),
    "fma": lambda x, y, z: fma(x, y, z, z.dtype),
    "llrint": lambda x: rounding.to_integer(x, "rn", np.int64),
    "llround": lambda x: rounding.to_integer(_round_half_away(x.astype(np.float64)), "rn", np.int64),
    "rcp64h": _high_word_reciprocal,
    "hiloint2double": _hiloint2double,
    "double2loint": lambda x: (np.ascontiguousarray(x).view(np.uint64) & np.uint64(0xFFFFFFFF)).astype(np.uint32),
    "double2hiint": lambda x: (np.ascontiguousarray(x).view(np.uint64) >> np.uint64(32)).astype(np.uint32),
    "int_as_float": _bits_as(np.float32),
    "uint_as_float": _bits_as(np.float32),
    "float_as_int": _bits_as(np.int32),
    "float_as_uint": _bits_as(np.int32),
    "longlong_as_double": _bits_as(np.float64),
    "double_as_longlong": _bits_as(np.int64),
}


def _add_modes() -> None:
    """The functions that come in the four rounding modes."""
    integers = {"int": np.int32, "uint": np.uint32, "ll": np.int64, "ull": np.uint64}
    for mode in rounding.MODES:
        for name in ("add", "sub", "mul", "div", "rcp", "sqrt"):
            for width in "fd":
                RAW[f"{width}{name}_{mode}"] = rounding.operation(name, mode)
        RAW[f"fma_{mode}"] = RAW[f"fmaf_{mode}"] = rounding.operation("fma", mode)
        RAW[f"double2float_{mode}"] = _with_mode(rounding.to_float32, mode)
        for kind, dtype in integers.items():
            for source in ("float", "double"):
                RAW[f"{source}2{kind}_{mode}"] = _with_mode(rounding.to_integer, mode, dtype)
            RAW[f"{kind}2float_{mode}"] = _with_mode(rounding.from_integer, mode, np.float32)
            RAW[f"{kind}2double_{mode}"] = _with_mode(rounding.from_integer, mode, np.float64)


def _with_mode(fn: Callable[..., Array], *rest: Any) -> Callable[[Array], Array]:
    return lambda x: fn(x, *rest)


_add_modes()
