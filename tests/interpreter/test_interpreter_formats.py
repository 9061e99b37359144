"""Every conversion between the float formats, exhaustively from the narrow ones, against PyTorch and ml_dtypes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from interpreter_support import DTYPES, SMALL, hard_floats, patterns, run_unary, same

from harness.sandbox.interpreter.formats import FORMATS, fused_multiply_add, narrow, to_odd

FP8 = [n for n in SMALL if n.startswith("fp8")]
LARGEST = {"fp8e4nv": 448.0, "fp8e5": 57344.0, "fp8e4b8": 240.0, "fp8e5b16": 57344.0}


def expected(values: Any, name: str) -> Any:
    """PyTorch's conversion, with a GPU's saturation for the 8-bit formats."""
    if name not in LARGEST:
        return values.to(DTYPES[name])
    wide = values.float() if values.dtype != torch.float64 else values
    clipped = torch.where(torch.isnan(wide), wide, wide.clamp(-LARGEST[name], LARGEST[name]))
    return clipped.float().to(DTYPES[name])


@pytest.mark.parametrize("target", [*SMALL, "fp32", "fp64"])
@pytest.mark.parametrize("source", SMALL)
def test_every_pattern_to_every_format(source: str, target: str) -> None:
    if source == target:
        pytest.skip("nothing to convert")
    x = patterns(source)
    same(run_unary(x, "cast", DTYPES[target]), expected(x, target))


@pytest.mark.parametrize("target", SMALL)
def test_halves_of_float32(target: str) -> None:
    x = hard_floats()
    same(run_unary(x, "cast", DTYPES[target]), expected(x, target))


def test_float64_rounds_once() -> None:
    # Just above the half between two bf16 values, but on it after a rounding to float32.
    x = torch.full((16,), 1.0 + 2.0**-8 + 2.0**-40, dtype=torch.float64)
    got = run_unary(x, "cast", torch.bfloat16)
    assert got[0].item() == 1.0 + 2.0**-7
    got = run_unary(torch.full((16,), 1.0 + 2.0**-11 + 2.0**-40, dtype=torch.float64), "cast", torch.float16)
    assert got[0].item() == 1.0 + 2.0**-10


@pytest.mark.parametrize("target", ["bf16", "fp16", "fp8e4nv", "fp8e5"])
def test_toward_zero(target: str) -> None:
    x = hard_floats()
    got = run_unary(x, "rtz", DTYPES[target]).double()
    wide = x.double()
    finite = torch.isfinite(wide) & torch.isfinite(got)
    assert bool((got.abs() <= wide.abs())[finite].all())
    nearest = expected(x, target).double()
    small = finite & (nearest.abs() <= wide.abs())
    assert bool((got == nearest)[small].all())


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8])
@pytest.mark.parametrize("target", ["bf16", "fp16", "fp32"])
def test_integers_to_floats(dtype: Any, target: str) -> None:
    low, high = (-(2**31), 2**31) if dtype == torch.int64 else (torch.iinfo(dtype).min, torch.iinfo(dtype).max)
    x = torch.randint(low, high, (4096,), generator=torch.Generator().manual_seed(3), dtype=torch.int64).to(dtype)
    want = x.double().to(DTYPES[target]) if target != "bf16" else None
    if want is None:
        fmt = FORMATS["bf16"]
        bits = narrow(x.double().cpu().numpy(), fmt)
        want = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16)
    same(run_unary(x, "cast", DTYPES[target]), want)


def test_64_bit_integer_to_bf16_rounds_once() -> None:
    # 2**62 + 2**54 is the half; one more tips it, and float64 would lose the one.
    x = torch.full((16,), 2**62 + 2**54 + 1, dtype=torch.int64)
    assert run_unary(x, "cast", torch.bfloat16)[0].item() == 2.0**62 + 2.0**55


@pytest.mark.parametrize("source", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.int16])
def test_floats_to_integers(source: str, dtype: Any) -> None:
    x = patterns(source)
    info = torch.iinfo(dtype)
    x = torch.where(torch.isnan(x.float()), torch.zeros_like(x), x)
    got = run_unary(x, "cast", dtype)
    wide = torch.trunc(x.double())
    inside = (wide >= info.min) & (wide <= info.max) & (wide.abs() < 2.0**62)
    assert bool((got.double() == wide)[inside].all())
    assert bool((got[wide > float(info.max)] == info.max).all())
    assert bool((got[wide < float(info.min)] == info.min).all())


@pytest.mark.parametrize(
    ("name", "ml_dtype"),
    [
        ("bf16", ml_dtypes.bfloat16),
        ("fp8e5", ml_dtypes.float8_e5m2),
        ("fp8e4nv", ml_dtypes.float8_e4m3fn),
        ("fp8e5b16", ml_dtypes.float8_e5m2fnuz),
        ("fp8e4b8", ml_dtypes.float8_e4m3fnuz),
    ],
)
def test_decoding(name: str, ml_dtype: Any) -> None:
    fmt = FORMATS[name]
    bits = np.arange(1 << (8 * fmt.storage.itemsize)).astype(fmt.storage)
    np.testing.assert_array_equal(fmt.decode(bits), bits.view(ml_dtype).astype(np.float32))
    back = fmt.encode(fmt.decode(bits))
    number = np.isfinite(fmt.decode(bits))
    np.testing.assert_array_equal(back[number], bits[number])


def test_e4b15() -> None:
    fmt = FORMATS["fp8e4b15"]
    bits = np.arange(256, dtype=np.uint8)
    values = fmt.decode(bits)
    assert values[0x08] == 2.0**-14 and values[0x7E] == 1.75 and values[0x78] == 1.0 and values[1] == 2.0**-17
    keep = (bits & 0x7F) != 0x7F
    np.testing.assert_array_equal(fmt.encode(values)[keep], bits[keep])
    assert fmt.decode(fmt.encode(np.array([100.0, -100.0, np.inf], np.float32))).tolist() == [1.75, -1.75, 1.75]


def test_rounding_to_odd_is_inexact_and_odd() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(4096) * 10.0 ** rng.integers(-30, 30, 4096)
    odd = to_odd(x)
    inexact = odd.astype(np.float64) != x
    assert inexact.any() and (odd.view(np.uint32)[inexact] & 1).all()
    assert (np.abs(odd.astype(np.float64) - x) <= np.spacing(np.abs(odd)).astype(np.float64)).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_fma_against_rationals(dtype: Any) -> None:
    rng = np.random.default_rng(1)
    x, y = (rng.standard_normal(2000).astype(dtype) for _ in range(2))
    z = (-(x.astype(np.float64) * y.astype(np.float64))).astype(dtype)  # cancellation shows a second rounding
    z[::3] = rng.standard_normal(z[::3].size).astype(dtype)
    got = fused_multiply_add(x, y, z).astype(dtype)
    for a, b, c, r in zip(x, y, z, got, strict=True):
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        error = abs(exact - Fraction(float(r)))
        for other in (np.nextafter(r, dtype(np.inf)), np.nextafter(r, dtype(-np.inf))):
            assert error <= abs(exact - Fraction(float(other)))
