"""Atomics, against PyTorch: what is left in memory, and the old values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import triton
import triton.language as tl
from interpreter_support import DTYPES, on_gpu, same

GENERATOR = torch.Generator().manual_seed(11)


@triton.jit
def atomic_kernel(x, at, out, old, OP: tl.constexpr, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    p = out + tl.load(at + i)
    if OP == "add":
        r = tl.atomic_add(p, v, mask=i < N - 1)
    elif OP == "max":
        r = tl.atomic_max(p, v)
    elif OP == "min":
        r = tl.atomic_min(p, v)
    elif OP == "xchg":
        r = tl.atomic_xchg(p, v)
    elif OP == "and":
        r = tl.atomic_and(p, v)
    elif OP == "or":
        r = tl.atomic_or(p, v)
    elif OP == "xor":
        r = tl.atomic_xor(p, v)
    elif OP == "cas":
        r = tl.atomic_cas(p, tl.zeros_like(v), v)
    tl.store(old + i, r)


@pytest.mark.parametrize("name", ["bf16", "fp16", "fp32", "fp64"])
def test_atomic_add(name: str) -> None:
    dtype = DTYPES[name]
    x = on_gpu(torch.randn(64, generator=GENERATOR).to(dtype))
    at = on_gpu(torch.randint(0, 8, (64,), dtype=torch.int32))
    out, old = torch.zeros(8, dtype=dtype, device="cuda"), torch.zeros(64, dtype=dtype, device="cuda")
    atomic_kernel[(1,)](x, at, out, old, OP="add", N=64)
    want = torch.zeros(8, dtype=dtype)
    for value, index in zip(x[:-1], at[:-1].tolist(), strict=True):
        want[index] += value  # rounded at each step, in order
    same(out, want)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.float32])
@pytest.mark.parametrize("op", ["max", "min"])
def test_atomic_extremes(op: str, dtype: Any) -> None:
    x = (torch.randn(64, generator=GENERATOR) * 100).to(dtype)
    at = torch.randint(0, 8, (64,), dtype=torch.int32)
    out, old = torch.zeros(8, dtype=dtype, device="cuda"), torch.zeros(64, dtype=dtype, device="cuda")
    atomic_kernel[(1,)](on_gpu(x), on_gpu(at), out, old, OP=op, N=64)
    want = torch.zeros(8, dtype=dtype).scatter_reduce(0, at.long(), x, f"a{op}")
    assert torch.equal(out, want)


@pytest.mark.parametrize("op", ["xchg", "and", "or", "xor", "cas"])
def test_other_atomics(op: str) -> None:
    x = torch.arange(1, 17, dtype=torch.int32)
    at = torch.arange(16, dtype=torch.int32)
    start = torch.arange(16, dtype=torch.int32) % 3
    out, old = on_gpu(start.clone()), torch.zeros(16, dtype=torch.int32, device="cuda")
    atomic_kernel[(1,)](on_gpu(x), on_gpu(at), out, old, OP=op, N=16)
    want = {
        "xchg": x,
        "and": start & x,
        "or": start | x,
        "xor": start ^ x,
        "cas": torch.where(start == 0, x, start),
    }[op]
    assert torch.equal(old, start) and torch.equal(out, want)
