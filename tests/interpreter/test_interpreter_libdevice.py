"""libdevice: every function of both vendors, by symbol, against PyTorch and Python."""

from __future__ import annotations

import math
import re
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
import triton.language.extra.cuda.libdevice as nvidia
import triton.language.extra.hip.libdevice as amd
from triton.language.extra import libdevice
from triton.language.extra.libdevice import tanh as imported_tanh

from harness.sandbox.interpreter.libdevice import implementation
from harness.sandbox.interpreter.libdevice_table import FLOATS, RAW


@pytest.mark.parametrize("vendor", ["cuda", "hip"])
def test_every_symbol_is_known(vendor: str) -> None:
    path = Path(triton.__file__).parent / "language" / "extra" / vendor / "libdevice.py"
    symbols = set(re.findall(r'\("((?:__|llvm)[\w.]+)",', path.read_text()))
    assert len(symbols) > 50
    assert [s for s in sorted(symbols) if implementation(s) is None] == []


@triton.jit
def kernel(x, out, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at)
    tl.store(out + at, libdevice.tanh(v))
    tl.store(out + BLOCK + at, imported_tanh(v))
    tl.store(out + 2 * BLOCK + at, tl.extra.cuda.libdevice.erf(v))
    tl.store(out + 3 * BLOCK + at, amd.log1p(v * v))
    tl.store(out + 4 * BLOCK + at, nvidia.pow(libdevice.abs(v), v))
    tl.store(out + 5 * BLOCK + at, libdevice.fast_expf(v))
    tl.store(out + 6 * BLOCK + at, tl.where(libdevice.isnan(v), 1.0, 0.0))
    tl.store(out + 7 * BLOCK + at, libdevice.rint(v) + libdevice.fma(v, v, 1.0))
    tl.store(out + 8 * BLOCK + at, libdevice.float2int_rn(v).to(tl.float32))


def test_in_kernels() -> None:
    x = torch.randn(64, device="cuda")
    x[3] = float("nan")
    out = torch.empty(9, 64, device="cuda")
    kernel[(1,)](x, out, BLOCK=64)
    wide = x.double()
    wants = [
        wide.tanh(),
        wide.tanh(),
        wide.erf(),
        (x * x).double().log1p(),
        wide.abs().pow(wide),
        wide.exp(),
        wide.isnan().double(),
        (wide.round() + (wide * wide + 1).float()),
        torch.nan_to_num(wide.round()),
    ]
    for got, want in zip(out, wants, strict=True):
        torch.testing.assert_close(got.double(), want, rtol=2e-7, atol=1e-7, equal_nan=True)


@triton.jit
def half_kernel(x, out):
    tl.store(out + tl.arange(0, 4), libdevice.tanh(tl.load(x + tl.arange(0, 4))))


def test_half_precision_is_refused_as_on_a_gpu() -> None:
    x = torch.zeros(4, dtype=torch.bfloat16, device="cuda")
    with pytest.raises(Exception, match=r"KeyError|match|bf16|bfloat16"):
        half_kernel[(1,)](x, x)


UNARY: dict[str, tuple[Any, tuple[float, float]]] = {
    name: (getattr(torch, name), (-4.0, 4.0))
    for name in [
        "exp",
        "exp2",
        "expm1",
        "sin",
        "cos",
        "tan",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "floor",
        "ceil",
        "trunc",
        "erf",
        "erfc",
    ]
}
UNARY |= {
    name: (getattr(torch, name), (0.05, 20.0)) for name in ["log", "log2", "log10", "log1p", "sqrt", "rsqrt", "lgamma"]
}
UNARY |= {
    "asin": (torch.asin, (-1, 1)),
    "acos": (torch.acos, (-1, 1)),
    "atanh": (torch.atanh, (-0.99, 0.99)),
    "acosh": (torch.acosh, (1, 9)),
    "fabs": (torch.abs, (-3, 3)),
    "rint": (torch.round, (-9, 9)),
    "nearbyint": (torch.round, (-9, 9)),
    "erfinv": (torch.erfinv, (-0.99, 0.99)),
    "erfcx": (torch.special.erfcx, (-2, 9)),
    "normcdf": (torch.special.ndtr, (-4, 4)),
    "normcdfinv": (torch.special.ndtri, (0.01, 0.99)),
    "j0": (torch.special.bessel_j0, (0, 30)),
    "j1": (torch.special.bessel_j1, (0, 30)),
    "y0": (torch.special.bessel_y0, (0.1, 30)),
    "y1": (torch.special.bessel_y1, (0.1, 30)),
    "cyl_bessel_i0": (torch.special.i0, (-5, 5)),
    "cyl_bessel_i1": (torch.special.i1, (-5, 5)),
    "cbrt": (lambda x: x.sign() * x.abs() ** (1 / 3), (-9, 9)),
    "rcbrt": (lambda x: x.sign() * x.abs() ** (-1 / 3), (0.1, 9)),
    "exp10": (lambda x: 10.0**x, (-4, 4)),
    "sinpi": (lambda x: torch.sin(math.pi * x), (-0.9, 0.9)),
    "cospi": (lambda x: torch.cos(math.pi * x), (-0.4, 0.4)),
    "saturate": (lambda x: x.clamp(0, 1), (-2, 2)),
    "tgamma": (lambda x: torch.exp(torch.lgamma(x)), (0.5, 9)),
    "erfcinv": (lambda x: torch.erfinv(1 - x), (0.1, 1.9)),
    "logb": (lambda x: torch.floor(torch.log2(x)), (0.3, 90)),
    "round": (lambda x: torch.sign(x) * torch.floor(x.abs() + 0.5), (-9, 9)),
}


@pytest.mark.parametrize("name", sorted(UNARY))
def test_unary(name: str) -> None:
    function, (low, high) = UNARY[name]
    x = np.linspace(low, high, 257)
    got = FLOATS[name](x)
    want = function(torch.from_numpy(x)).cpu().numpy()
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


BINARY: dict[str, Any] = {
    "pow": lambda a, b: abs(a) ** b,
    "atan2": math.atan2,
    "hypot": math.hypot,
    "rhypot": lambda a, b: 1 / math.hypot(a, b),
    "fmod": math.fmod,
    "remainder": math.remainder,
    "fdim": lambda a, b: max(a - b, 0.0),
    "copysign": math.copysign,
}


@pytest.mark.parametrize("name", sorted(BINARY))
def test_binary(name: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.uniform(-5, 5, 200), rng.uniform(0.5, 5, 200)
    a = np.abs(a) if name == "pow" else a
    want = [BINARY[name](x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    np.testing.assert_allclose(FLOATS[name](a, b), want, rtol=1e-12)


def test_several_operands() -> None:
    x, y, z, w = (np.full(4, v) for v in (1.0, 2.0, 3.0, 4.0))
    np.testing.assert_allclose(FLOATS["norm3d"](x, y, z), math.sqrt(14))
    np.testing.assert_allclose(FLOATS["rnorm4d"](x, y, z, w), 1 / math.sqrt(30))
    np.testing.assert_allclose(
        RAW["jn"](np.array([2, 3]), np.array([1.5, 20.0])), [0.23208767214421473, -0.0989013945604493]
    )
    np.testing.assert_allclose(
        RAW["yn"](np.array([0, 1, 2]), np.array([1.5, 1.5, 1.5])),
        [0.38244892379775886, -0.412308626973911, -0.9321937597629738],
    )
    np.testing.assert_allclose(RAW["powi"](np.array([2.0, -3.0]), np.array([10, 3])), [1024, -27])
    np.testing.assert_allclose(RAW["ldexp"](np.array([1.5]), np.array([4])), [24])


def test_integers() -> None:
    x = np.array([0, 1, -1, 40, -(2**31), 2**31 - 1], dtype=np.int32)
    u = [int(v) & 0xFFFFFFFF for v in x]
    assert RAW["clz"](x).tolist() == [32 - v.bit_length() for v in u]
    assert RAW["clzll"](x.astype(np.int64)).tolist() == [64 - (int(v) & (2**64 - 1)).bit_length() for v in x]
    assert RAW["popc"](x).tolist() == [v.bit_count() for v in u]
    assert RAW["ffs"](x).tolist() == [(v & -v).bit_length() for v in u]
    assert [int(v) & 0xFFFFFFFF for v in RAW["brev"](x)] == [int(f"{v:032b}"[::-1], 2) for v in u]
    y = np.array([7, -9, 12345, -40, 3, -(2**31)], dtype=np.int32)
    pairs = list(zip(x.tolist(), y.tolist(), strict=True))
    assert RAW["mulhi"](x, y).tolist() == [(a * b) >> 32 for a, b in pairs]
    assert RAW["umulhi"](x.view(np.uint32), y.view(np.uint32)).tolist() == [
        ((a & 0xFFFFFFFF) * (b & 0xFFFFFFFF)) >> 32 for a, b in pairs
    ]
    assert RAW["mul64hi"](x.astype(np.int64) << 30, y.astype(np.int64) << 30).tolist() == [
        ((a << 30) * (b << 30)) >> 64 for a, b in pairs
    ]
    assert RAW["hadd"](x, y).tolist() == [(a + b) >> 1 for a, b in pairs]
    assert RAW["rhadd"](x, y).tolist() == [(a + b + 1) >> 1 for a, b in pairs]
    ones = np.ones(6, np.int32)
    assert [int(v) & 0xFFFFFFFF for v in RAW["sad"](x, y, ones)] == [(abs(a - b) + 1) & 0xFFFFFFFF for a, b in pairs]
    assert RAW["mul24"](np.array([0x800001], np.int32), np.array([3], np.int32)).tolist() == [-(0x7FFFFF) * 3]
    permuted = RAW["byte_perm"](
        np.array([0x33221100], np.int32), np.array([0x77665544], np.int32), np.array([0x7410], np.int32)
    )
    assert permuted.tolist() == [0x77441100]


def test_bits() -> None:
    x = np.array([1.5, -2.0], dtype=np.float32)
    assert RAW["float_as_int"](x).tolist() == list(struct.unpack("<2i", x.tobytes()))
    assert RAW["int_as_float"](RAW["float_as_int"](x)).tolist() == x.tolist()
    d = np.array([math.pi])
    high, low = RAW["double2hiint"](d).view(np.int32), RAW["double2loint"](d).view(np.int32)
    assert RAW["hiloint2double"](high, low).tolist() == d.tolist()


MODES: dict[str, Any] = {
    "rz": lambda error, value: abs(value) <= abs(error),
    "rd": lambda exact, value: value <= exact,
    "ru": lambda exact, value: value >= exact,
}
EXACT: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", [*EXACT, "rcp", "sqrt", "fma"])
def test_rounding_modes(name: str, dtype: Any) -> None:
    rng = np.random.default_rng(9)
    n = 200
    a, b, c = (rng.standard_normal(n).astype(dtype) for _ in range(3))
    a[: n // 2] = rng.integers(1, 50, n // 2)  # many exact results
    b[: n // 2] = 2.0 ** rng.integers(-3, 4, n // 2)
    if name == "sqrt":
        a = np.abs(a)
    width = "f" if dtype == np.float32 else "d"
    for mode in ("rn", "rz", "rd", "ru"):
        symbol = f"fma_{mode}" if name == "fma" else f"{width}{name}_{mode}"
        operands = {"rcp": (a,), "sqrt": (a,), "fma": (a, b, c)}.get(name, (a, b))
        got = RAW[symbol](*operands)
        assert got.dtype == dtype
        for i, value in enumerate(got):
            x = [Fraction(float(o[i])) for o in operands]
            r = Fraction(float(value))
            if name == "sqrt":
                exact, r = x[0], (r * r if r >= 0 else -(r * r))
            elif name == "rcp":
                exact = 1 / x[0]
            elif name == "fma":
                exact = x[0] * x[1] + x[2]
            else:
                exact = EXACT[name](*x)
            if mode != "rn":
                assert MODES[mode](exact, r), (name, mode, i)
            up, down = (Fraction(float(np.nextafter(value, dtype(s * np.inf)))) for s in (1, -1))
            if name == "sqrt":
                up, down = up * up, down * abs(down)
            assert down < exact < up or r == exact, (name, mode, i)


def test_conversions() -> None:
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.7, -2.7, 3e9, -3e9, np.nan], dtype=np.float32)
    assert RAW["float2int_rn"](x).tolist() == [0, 2, 2, 0, -2, 3, -3, 2**31 - 1, -(2**31), 0]
    assert RAW["float2int_rz"](x).tolist()[:7] == [0, 1, 2, 0, -1, 2, -2]
    assert RAW["float2int_rd"](x).tolist()[:7] == [0, 1, 2, -1, -2, 2, -3]
    assert RAW["float2int_ru"](x).tolist()[:7] == [1, 2, 3, 0, -1, 3, -2]
    assert RAW["float2uint_rz"](np.array([-1.0, 4e9], np.float32)).tolist() == [0, 4000000000]
    assert RAW["float2ll_rz"](np.array([1e30, -1e30], np.float32)).tolist() == [2**63 - 1, -(2**63)]
    big = np.array([2**24 + 1, -(2**24) - 1], dtype=np.int32)
    assert RAW["int2float_rz"](big).tolist() == [2.0**24, -(2.0**24)]
    assert RAW["int2float_ru"](big).tolist() == [2.0**24 + 2, -(2.0**24)]
    third = np.array([1 / 3])
    assert float(RAW["double2float_rd"](third)[0]) < 1 / 3 < float(RAW["double2float_ru"](third)[0])
    assert RAW["llrint"](np.array([2.5])).tolist() == [2] and RAW["llround"](np.array([2.5])).tolist() == [3]
    assert RAW["ilogb"](np.array([1.0, 0.4, 0.0, np.inf])).tolist() == [0, -2, -(2**31), 2**31 - 1]
