"""Arithmetic op by op: bf16 and fp8 right to the last bit, NaN as on a GPU, integers that wrap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from interpreter_support import DTYPES, on_gpu, patterns, run_binary, run_unary, same
from test_interpreter_formats import LARGEST, expected

from harness.sandbox.interpreter.bounds import OutOfBounds

ARITHMETIC = {"add": torch.add, "sub": torch.sub, "mul": torch.mul}
COMPARISONS = {"lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge, "eq": torch.eq, "ne": torch.ne}
FLOATS = ("bf16", "fp16", "fp32", "fp64", "fp8e4nv", "fp8e5", "fp8e4b8", "fp8e5b16")


def pair(name: str) -> tuple[Any, Any]:
    """65536 pairs of bit patterns; all of them for an 8-bit format."""
    if name.startswith("fp8"):
        grid = torch.arange(65536)
        bits = [(grid % 256).to(torch.uint8), (grid // 256).to(torch.uint8)]
        return bits[0].view(DTYPES[name]), bits[1].view(DTYPES[name])
    return patterns(name, seed=1), patterns(name, seed=2)


def wide(x: Any) -> Any:
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("op", ARITHMETIC)
def test_arithmetic_rounds_once(name: str, op: str) -> None:
    a, b = pair(name)
    want = ARITHMETIC[op](wide(a), wide(b))
    same(run_binary(a, b, op, DTYPES[name]), expected(want, name) if name in LARGEST else want.to(DTYPES[name]))


@pytest.mark.parametrize("name", ["bf16", "fp16", "fp32"])
def test_division(name: str) -> None:
    a, b = pair(name)
    same(run_binary(a, b, "div", torch.float32), wide(a) / wide(b))


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("op", COMPARISONS)
def test_comparisons(name: str, op: str) -> None:
    a, b = pair(name)
    assert torch.equal(run_binary(a, b, op, torch.int32), COMPARISONS[op](wide(a), wide(b)).int())


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("op", ["minimum", "maximum"])
def test_minimum_prefers_numbers(name: str, op: str) -> None:
    a, b = pair(name)
    x, y = wide(a), wide(b)
    # torch.fmin gives NaN for a signalling one.
    want = torch.where(torch.isnan(x), y, torch.where(torch.isnan(y), x, getattr(torch, op)(x, y)))
    got = wide(run_binary(a, b, op, DTYPES[name]))
    assert torch.equal(torch.isnan(got), torch.isnan(want))
    assert bool((got == want)[~torch.isnan(want)].all())


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("op", ["minimum_nan", "maximum_nan"])
def test_minimum_propagates_nan(name: str, op: str) -> None:
    a, b = pair(name)
    want = (torch.minimum if op == "minimum_nan" else torch.maximum)(wide(a), wide(b))
    got = wide(run_binary(a, b, op, DTYPES[name]))
    assert torch.equal(torch.isnan(got), torch.isnan(want))
    assert bool((got == want)[~torch.isnan(want)].all())


@pytest.mark.parametrize("name", FLOATS)
def test_where_moves_bits(name: str) -> None:
    a, b = pair(name)
    chosen = wide(a) > wide(b)
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[a.element_size()]
    want = torch.where(chosen, a.view(bits), b.view(bits)).view(DTYPES[name])
    same(run_binary(a, b, "where", DTYPES[name]), want)


@pytest.mark.parametrize("name", ["bf16", "fp16", "fp32", "fp64", "fp8e4nv", "fp8e5"])
@pytest.mark.parametrize("op", ["neg", "abs"])
def test_signs(name: str, op: str) -> None:
    x = patterns(name)
    want = -wide(x) if op == "neg" else wide(x).abs()
    got = run_unary(x, op, DTYPES[name])
    # Up to 3.6 a negation is a subtraction from zero, which rounds: infinity saturates in fp8e5.
    number = torch.isfinite(want)
    assert torch.equal(wide(got)[number], want[number])
    if op == "abs":  # the sign of zero too
        assert not bool(torch.signbit(wide(got))[number].any())


@triton.jit
def fma_kernel(x, y, z, out, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out + at, tl.fma(tl.load(x + at), tl.load(y + at), tl.load(z + at)))


@pytest.mark.parametrize("name", ["bf16", "fp16", "fp32", "fp64"])
def test_fma_rounds_once(name: str) -> None:
    dtype = DTYPES[name]
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(4096, generator=generator, dtype=torch.float64).to(dtype) for _ in range(2))
    z = (-(x.double() * y.double())).to(dtype)
    out = torch.empty(4096, dtype=dtype, device="cuda")
    fma_kernel[(1,)](on_gpu(x), on_gpu(y), on_gpu(z), out, BLOCK=4096)
    # What is left after the cancellation is the rounding error of the product: exact.
    exact = x.to(torch.float64) * y.to(torch.float64) + z.to(torch.float64)
    if name != "fp64":
        same(out, exact.to(dtype))
    else:
        assert bool((out.abs() <= 1e-15).all()) and bool((out != 0).any())


def test_bf16_fma_with_a_far_addend() -> None:
    # The product is a half between two bf16 values; the addend, 2**-60, decides, and float32 would lose it.
    x = torch.full((16,), 1.0 + 2.0**-7, dtype=torch.bfloat16)
    y = torch.full((16,), 1.5, dtype=torch.bfloat16)
    product = x.double() * y.double()
    assert product[0].item() == 1.5 + 1.5 * 2.0**-7
    out = torch.empty(16, dtype=torch.bfloat16, device="cuda")
    for sign, want in ((1.0, 1.5 + 2 * 2.0**-7), (-1.0, 1.5 + 2.0**-7)):
        fma_kernel[(1,)](
            on_gpu(x), on_gpu(y), on_gpu(torch.full((16,), sign * 2.0**-60, dtype=torch.bfloat16)), out, BLOCK=16
        )
        assert out[0].item() == want


@triton.jit
def mixed_kernel(x, out, scale, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at)
    half = v * 0.5
    third = v + scale
    tl.static_assert(half.dtype == tl.bfloat16)
    tl.static_assert(third.dtype == tl.float32)
    tl.store(out + at, half.to(tl.float32) + third)


def test_scalars_promote_as_on_a_gpu() -> None:
    x = torch.randn(64, dtype=torch.bfloat16, device="cuda")
    out = torch.empty(64, device="cuda")
    mixed_kernel[(1,)](x, out, 0.1, BLOCK=64)
    want = (x * 0.5).float() + (x.float() + torch.tensor(0.1, dtype=torch.float32))
    same(out, want)


@triton.jit
def integer_kernel(x, y, out, OP: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    a = tl.load(x + at)
    b = tl.load(y + at)
    if OP == "add":
        r = a + b
    elif OP == "mul":
        r = a * b
    elif OP == "div":
        r = a // b
    elif OP == "mod":
        r = a % b
    elif OP == "and":
        r = a & b
    elif OP == "or":
        r = a | b
    elif OP == "xor":
        r = a ^ b
    elif OP == "shl":
        r = a << (b & 7)
    elif OP == "shr":
        r = a >> (b & 7)
    elif OP == "umulhi":
        r = tl.umulhi(a, b)
    elif OP == "cdiv":
        r = tl.cdiv(a, b)
    elif OP == "not":
        r = ~a
    tl.store(out + at, r)


INTEGERS: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: torch.div(a, b, rounding_mode="trunc"),
    "mod": torch.fmod,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "shl": lambda a, b: a << (b & 7),
    "shr": lambda a, b: a >> (b & 7),
    "not": lambda a, b: ~a,
}


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8])
@pytest.mark.parametrize("op", INTEGERS)
def test_integers(dtype: Any, op: str) -> None:
    info = torch.iinfo(dtype)
    generator = torch.Generator().manual_seed(5)
    a, b = (torch.randint(info.min, info.max, (256,), generator=generator, dtype=dtype) for _ in range(2))
    b = torch.where(b == 0, torch.ones_like(b), b)
    out = torch.empty(256, dtype=dtype, device="cuda")
    integer_kernel[(1,)](on_gpu(a), on_gpu(b), out, OP=op, BLOCK=256)
    assert torch.equal(out, INTEGERS[op](a, b))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_high_product(dtype: Any) -> None:
    info = torch.iinfo(dtype)
    a, b = (torch.randint(info.min, info.max, (64,), dtype=dtype) for _ in range(2))
    out = torch.empty(64, dtype=dtype, device="cuda")
    integer_kernel[(1,)](on_gpu(a), on_gpu(b), out, OP="umulhi", BLOCK=64)
    width, mask = info.bits, (1 << info.bits) - 1
    for x, y, r in zip(a.tolist(), b.tolist(), out.tolist(), strict=True):
        assert (r & mask) == ((x & mask) * (y & mask)) >> width


@triton.jit
def bool_kernel(x, y, out, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    a = tl.load(x + at) != 0
    b = tl.load(y + at) != 0
    tl.store(out + at, (a ^ b).to(tl.int32) + 2 * (a & b).to(tl.int32) + 4 * (~a).to(tl.int32))
    tl.store(out + BLOCK + at, (a + b).to(tl.int32))


def test_one_bit_integers_wrap() -> None:
    x = torch.tensor([0, 0, 1, 1], dtype=torch.int32, device="cuda")
    y = torch.tensor([0, 1, 0, 1], dtype=torch.int32, device="cuda")
    out = torch.empty(8, dtype=torch.int32, device="cuda")
    bool_kernel[(1,)](x, y, out, BLOCK=4)
    assert out.tolist() == [4, 5, 1, 2, 0, 1, 1, 0]


@triton.jit
def functions_kernel(x, out, OP: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at)
    if OP == "exp":
        r = tl.exp(v)
    elif OP == "exp2":
        r = tl.exp2(v)
    elif OP == "log":
        r = tl.log(tl.abs(v) + 1)
    elif OP == "log2":
        r = tl.log2(tl.abs(v) + 1)
    elif OP == "sin":
        r = tl.sin(v)
    elif OP == "cos":
        r = tl.cos(v)
    elif OP == "sqrt":
        r = tl.sqrt(tl.abs(v))
    elif OP == "sqrt_rn":
        r = tl.sqrt_rn(tl.abs(v))
    elif OP == "rsqrt":
        r = tl.rsqrt(tl.abs(v) + 1)
    elif OP == "erf":
        r = tl.erf(v)
    elif OP == "floor":
        r = tl.floor(v)
    elif OP == "ceil":
        r = tl.ceil(v)
    elif OP == "sigmoid":
        r = tl.sigmoid(v)
    elif OP == "softmax":
        r = tl.softmax(v)
    elif OP == "fdiv":
        r = tl.fdiv(v, v + 100)
    elif OP == "div_rn":
        r = tl.div_rn(v, v + 100)
    elif OP == "clamp":
        r = tl.clamp(v, -0.5, 0.5)
    tl.store(out + at, r)


FUNCTIONS: dict[str, Any] = {
    "exp": torch.exp,
    "exp2": torch.exp2,
    "log": lambda x: torch.log(x.abs() + 1),
    "log2": lambda x: torch.log2(x.abs() + 1),
    "sin": torch.sin,
    "cos": torch.cos,
    "sqrt": lambda x: torch.sqrt(x.abs()),
    "sqrt_rn": lambda x: torch.sqrt(x.abs()),
    "rsqrt": lambda x: torch.rsqrt(x.abs() + 1),
    "erf": torch.erf,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "sigmoid": torch.sigmoid,
    "softmax": lambda x: torch.softmax(x, 0),
    "fdiv": lambda x: x / (x + 100),
    "div_rn": lambda x: x / (x + 100),
    "clamp": lambda x: x.clamp(-0.5, 0.5),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("op", FUNCTIONS)
def test_functions(op: str, dtype: Any) -> None:
    if dtype == torch.float64 and op in ("div_rn", "sqrt_rn"):
        pytest.skip("float32 only, as on a GPU")
    x = torch.randn(1024, dtype=dtype, generator=torch.Generator().manual_seed(2))
    out = torch.empty(1024, dtype=dtype, device="cuda")
    functions_kernel[(1,)](on_gpu(x), out, OP=op, BLOCK=1024)
    if "log" in op or op in ("fdiv", "div_rn", "rsqrt"):  # whose argument is rounded first
        x = x.abs() if op not in ("fdiv", "div_rn") else x
        shift = 100 if op in ("fdiv", "div_rn") else 1
        want = {
            "log": lambda: (x + shift).double().log(),
            "log2": lambda: (x + shift).double().log2(),
            "rsqrt": lambda: (x + shift).double().rsqrt(),
        }.get(op, lambda: x.double() / (x + shift).double())()
    else:
        want = FUNCTIONS[op](x.double())
    error = ((out.double() - want).abs() / want.abs().clamp_min(1e-300))[want != 0]
    assert float(error.max()) < (4e-7 if dtype == torch.float32 else 1e-14)


@triton.jit
def clamp_nan_kernel(x, out, NAN: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.load(x + at)
    if NAN:
        tl.store(out + at, tl.clamp(v, -1.0, 1.0, propagate_nan=tl.PropagateNan.ALL))
    else:
        tl.store(out + at, tl.clamp(v, -1.0, 1.0))


def test_clamp_and_nan() -> None:
    x = torch.tensor([float("nan"), 2.0, -2.0, 0.5], device="cuda")
    out = torch.empty(4, device="cuda")
    clamp_nan_kernel[(1,)](x, out, NAN=False, BLOCK=4)
    assert out.tolist() == [-1.0, 1.0, -1.0, 0.5]
    clamp_nan_kernel[(1,)](x, out, NAN=True, BLOCK=4)
    assert np.isnan(out[0].item()) and out.tolist()[1:] == [1.0, -1.0, 0.5]


@triton.jit
def bitcast_kernel(x, out, back, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    bits = tl.load(x + at).to(tl.int16, bitcast=True)
    tl.store(out + at, bits)
    tl.store(back + at, bits.to(tl.bfloat16, bitcast=True))


def test_bitcast() -> None:
    x = patterns("bf16", 1024, seed=4)
    out, back = torch.empty(1024, dtype=torch.int16, device="cuda"), torch.empty_like(on_gpu(x))
    bitcast_kernel[(1,)](on_gpu(x), out, back, BLOCK=1024)
    assert torch.equal(out, x.view(torch.int16)) and torch.equal(back.view(torch.int16), x.view(torch.int16))


@triton.jit
def full_kernel(out, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    v = tl.full((BLOCK,), 1.1, tl.bfloat16) + tl.zeros((BLOCK,), tl.bfloat16)
    tl.store(out + at, v)


def test_full() -> None:
    out = torch.empty(16, dtype=torch.bfloat16, device="cuda")
    full_kernel[(1,)](out, BLOCK=16)
    same(out, torch.full((16,), 1.1, dtype=torch.bfloat16))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.int64, torch.uint8])
def test_by_zero_all_bits_are_set_and_all_is_left(dtype: torch.dtype) -> None:
    a = torch.tensor([5, 0, 7, 100], dtype=dtype)
    b = torch.tensor([0, 0, 2, 0], dtype=dtype)
    ones = 255 if dtype is torch.uint8 else -1
    for op, want in (("div", [ones, ones, 3, ones]), ("mod", [5, 0, 1, 100])):
        out = on_gpu(torch.empty_like(a))
        integer_kernel[(1,)](on_gpu(a), on_gpu(b), out, OP=op, BLOCK=4)
        assert out.tolist() == want


@triton.jit
def divided_index_kernel(x, out, n, by):
    block = tl.program_id(0) // (n // by)
    at = block * 32 + tl.arange(0, 32)
    tl.store(out + at, tl.load(x + at, mask=at < n), mask=at < n)


def test_an_index_that_was_divided_by_zero_is_outside() -> None:
    x = on_gpu(torch.randn(32))
    divided_index_kernel[(1,)](x, on_gpu(torch.empty(32)), 32, 32)
    with pytest.raises(OutOfBounds, match=r"32 elements \(128 bytes\) before the start of the memory of `x`"):
        divided_index_kernel[(1,)](x, on_gpu(torch.empty(32)), 16, 32)
