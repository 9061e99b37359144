"""Kernels and comparisons that several of the interpreter's tests use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from harness.sandbox.interpreter import unsupported_feature
from harness.sandbox.interpreter.bounds import OutOfBounds

DTYPES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "fp64": torch.float64,
    "fp8e4nv": torch.float8_e4m3fn,
    "fp8e5": torch.float8_e5m2,
    "fp8e4b8": torch.float8_e4m3fnuz,
    "fp8e5b16": torch.float8_e5m2fnuz,
}
SMALL = ("bf16", "fp16", "fp8e4nv", "fp8e5", "fp8e4b8", "fp8e5b16")
UNSIGNED = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def on_gpu(tensor: Any) -> Any:
    return tensor.to("cuda")


def cuda(count: int, dtype: Any = torch.float32) -> Any:
    return torch.ones(count, device="cuda").to(dtype)


def refused(launch: Any, *words: str) -> str:
    """The launch is refused for an access outside, and the sentence has these words."""
    with pytest.raises(OutOfBounds) as caught:
        launch()
    text = str(caught.value)
    assert text.startswith("illegal memory access: ") and "\n" not in text and len(text) < 300
    for each in words:
        assert each in text, text
    return text


def patterns(name: str, count: int = 65536, seed: int = 0) -> Any:
    """Every bit pattern of an 8- or 16-bit format, repeated or shuffled to ``count``; random bits of wider ones."""
    rng = np.random.default_rng(seed)
    dtype = DTYPES[name]
    size = torch.empty(0, dtype=dtype).element_size()
    if size <= 2:
        bits = np.resize(np.arange(1 << (8 * size)), count)
        if seed:
            rng.shuffle(bits)
        bits = bits.astype(f"u{size}")
    else:
        bits = rng.integers(0, 1 << (8 * size), count, dtype=f"u{size}", endpoint=False)
    return torch.from_numpy(bits.view(np.uint8).copy()).view(dtype)


def hard_floats(name: str = "fp32") -> Any:
    """65536 floats around the values where a narrower format rounds: the halves of bf16 and of fp8, and beside them."""
    rng = np.random.default_rng(7)
    top = rng.integers(0, 1 << 16, 65536, dtype=np.uint32) << 16
    low = np.resize(np.array([0x8000, 0x7FFF, 0x8001, 0, 1, 0xFFFF, 0x1000, 0x0800], dtype=np.uint32), 65536)
    wide = (top | low).view(np.float32)
    # Magnitudes that fp16 and fp8 can hold, on their halves and beside them.
    half = rng.integers(0, 1 << 16, 32768, dtype=np.uint16).view(np.float16).astype(np.float32)
    bits = half.view(np.uint32) ^ np.resize(
        np.array([0, 0x1000, 0x1001, 0xFFF, 1 << 19, (1 << 19) + 1], np.uint32), 32768
    )
    wide[::2] = bits.view(np.float32)
    wide[:8] = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3.4028235e38, -3.4028235e38]
    return torch.from_numpy(wide.astype(np.float64 if name == "fp64" else np.float32))


@triton.jit
def unary_kernel(x, out, OP: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at)
    if OP == "neg":
        v = -v
    elif OP == "abs":
        v = tl.abs(v)
    elif OP == "cast":
        v = v.to(out.dtype.element_ty)
    elif OP == "rtz":
        v = v.to(out.dtype.element_ty, fp_downcast_rounding="rtz")
    elif OP == "copy":
        v = v
    tl.store(out + at, v)


@triton.jit
def binary_kernel(x, y, out, OP: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    a = tl.load(x + at)
    b = tl.load(y + at)
    if OP == "add":
        r = a + b
    elif OP == "sub":
        r = a - b
    elif OP == "mul":
        r = a * b
    elif OP == "div":
        r = a / b
    elif OP == "minimum":
        r = tl.minimum(a, b)
    elif OP == "maximum":
        r = tl.maximum(a, b)
    elif OP == "minimum_nan":
        r = tl.minimum(a, b, propagate_nan=tl.PropagateNan.ALL)
    elif OP == "maximum_nan":
        r = tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)
    elif OP == "lt":
        r = a < b
    elif OP == "le":
        r = a <= b
    elif OP == "gt":
        r = a > b
    elif OP == "ge":
        r = a >= b
    elif OP == "eq":
        r = a == b
    elif OP == "ne":
        r = a != b
    elif OP == "where":
        r = tl.where(a > b, a, b)
    tl.store(out + at, r.to(out.dtype.element_ty))


def run_unary(x: Any, op: str, out_dtype: Any) -> Any:
    x = on_gpu(x)
    out = torch.empty(x.numel(), dtype=out_dtype, device="cuda")
    block = triton.next_power_of_2(x.numel())
    assert block == x.numel()
    unary_kernel[(1,)](x, out, OP=op, BLOCK=block)
    return out


def run_binary(x: Any, y: Any, op: str, out_dtype: Any) -> Any:
    x, y = on_gpu(x), on_gpu(y)
    out = torch.empty(x.numel(), dtype=out_dtype, device="cuda")
    binary_kernel[(1,)](x, y, out, OP=op, BLOCK=x.numel())
    return out


def same(got: Any, want: Any, *, nan_bits: bool = False) -> None:
    """Equal to the last bit, the sign of zero included; a NaN equals any NaN."""
    assert got.dtype == want.dtype, (got.dtype, want.dtype)
    bits = UNSIGNED[got.element_size()]
    a, b = got.contiguous().view(bits), want.contiguous().view(bits)
    equal = a == b
    if got.dtype.is_floating_point:
        equal = equal | (torch.isnan(got.float()) & torch.isnan(want.float()))
    if not bool(equal.all()):
        at = int(torch.nonzero(~equal.reshape(-1))[0])
        wrong = int((~equal).sum())
        raise AssertionError(
            f"{wrong} of {equal.numel()} differ; at {at}: got {got.reshape(-1)[at].double().item()!r}"
            f" ({a.reshape(-1)[at].item():#x}), want {want.reshape(-1)[at].double().item()!r}"
            f" ({b.reshape(-1)[at].item():#x})"
        )


def ints(n: int) -> Any:
    return torch.zeros(n, dtype=torch.int32, device="cuda")


def compiler_refuses(kernel: Any, *args: Any, match: str, **kwargs: Any) -> None:
    with pytest.raises(Exception, match=match) as caught:
        kernel[(1,)](*args, **kwargs)
    assert unsupported_feature(caught.value) is None
