"""Kernels mean here what they mean to the compiler; what it refuses is in `test_interpreter_refusals`."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
import triton
import triton.language as tl
from interpreter_support import compiler_refuses, ints
from triton.compiler.code_generator import CodeGenerator

from harness.sandbox import interpreter

CONSTEXPR_GLOBAL = tl.constexpr(4)
SEVERAL = "simultaneous multiple comparison" not in inspect.getsource(CodeGenerator.visit_Compare)


@triton.jit
def logic_kernel(out, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    both = i > 1 and i < n
    either = i < 1 or i > n
    neither = not (either)
    tl.store(out + i, both.to(tl.int32) + 2 * either.to(tl.int32) + 4 * neither.to(tl.int32))


def test_logic_is_elementwise() -> None:
    out = ints(8)
    logic_kernel[(1,)](out, 5, BLOCK=8)
    i = torch.arange(8)
    either = (i < 1) | (i > 5)
    want = ((i > 1) & (i < 5)).int() + 2 * either.int() + 4 * (~either).int()
    assert torch.equal(out, want.int())


@triton.jit
def extremes_kernel(out, n, m):
    tl.store(out, min(n, m))
    tl.store(out + 1, max(n, m))
    tl.store(out + 2, min(3, 2))


def test_builtin_extremes() -> None:
    out = ints(3)
    extremes_kernel[(1,)](out, 7, 9)
    assert out.tolist() == [7, 9, 2]


@triton.jit
def loop_kernel(out, n, step, STATIC: tl.constexpr):
    total = 0
    for i in range(0, n, step):
        total += i.to(tl.int32)
    for i in tl.range(2, n, num_stages=2):
        total += i
    for i in tl.static_range(STATIC):
        total += i * 100
    k = 0
    while k < n:
        k += 2
        total += k * 1000
    for _back in range(n, 0, -1):
        total += 1000000
    tl.store(out, total)


def test_loops() -> None:
    out = ints(1)
    loop_kernel[(1,)](out, 5, 2, STATIC=3)
    assert out.item() == (0 + 2 + 4) + (2 + 3 + 4) + 300 + 1000 * (2 + 4 + 6) + 5_000_000


@triton.jit
def index_overflow_kernel(out, n, BIG: tl.constexpr):
    for i in range(n):
        tl.store(out + i, i * BIG)


def test_loop_indices_wrap_like_int32() -> None:
    out = ints(3)
    index_overflow_kernel[(1,)](out, 3, BIG=2**30)
    assert out.tolist() == [0, 2**30, -(2**31)]


@triton.jit
def helper(x, factor):
    return x * factor, x + factor


@triton.jit
def calls_kernel(out, n, FLAG: tl.constexpr, NAME: tl.constexpr = "twice"):
    if FLAG:
        a, b = helper(n, 3)
    else:
        a, b = helper(n, 5)
    if NAME == "twice":
        a = a * 2
    c = b if n > 2 else a
    tl.store(out, a)
    tl.store(out + 1, c)
    HALF: tl.constexpr = CONSTEXPR_GLOBAL // 2
    tl.store(out + 2 + tl.arange(0, HALF), tl.arange(0, HALF))
    assert n > 100, "not checked unless debugging"


def test_calls_and_constants() -> None:
    out = ints(4)
    calls_kernel[(1,)](out, 4, True)
    assert out.tolist() == [24, 7, 0, 1]


def make_kernel(amount: Any) -> Any:
    @triton.jit
    def kernel(out):
        tl.store(out, amount + 1)

    return kernel


def test_closures() -> None:
    out = ints(1)
    make_kernel(tl.constexpr(41))[(1,)](out)
    assert out.item() == 42


@triton.jit
def typed_kernel(out, a, b, c: tl.int64, flag, nothing):
    tl.static_assert(a.dtype == tl.int32)
    tl.static_assert(b.dtype == tl.float32)
    tl.static_assert(c.dtype == tl.int64)
    tl.static_assert(nothing is None)
    if flag:
        tl.store(out, a + c.to(tl.int32))


def test_argument_types() -> None:
    out = ints(1)
    typed_kernel[(1,)](out, 2, 0.5, 3, True, None)
    assert out.item() == 5


@triton.jit
def grid_kernel(out, n):
    x, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(axis=2)
    tl.store(out + x + tl.num_programs(0) * (y + tl.num_programs(1) * z), x + 10 * y + 100 * z)


def test_grids() -> None:
    out = ints(24)
    before = interpreter.launches()
    grid_kernel[(2, 3, 4)](out, 1)
    want = [x + 10 * y + 100 * z for z in range(4) for y in range(3) for x in range(2)]
    assert out.tolist() == want
    grid_kernel[lambda meta: (meta["n"], 0)](out, 1)
    assert interpreter.launches() == before + 1  # a grid without programs does nothing
    with pytest.raises(TypeError):
        grid_kernel[2](out, 1)
    with pytest.raises(RuntimeError, match="invalid argument"):
        grid_kernel[(1, 70000)](out, 1)


@triton.jit
def odds_and_ends_kernel(x, flags, out, n, BLOCK: tl.constexpr):
    tl.static_assert(BLOCK >= 4, "small")
    tl.static_print("BLOCK is", BLOCK)
    tl.assume(n > 0)
    tl.debug_barrier()
    at = tl.max_contiguous(tl.multiple_of(tl.arange(0, BLOCK), 4), 4)
    on = tl.load(flags + at)
    v = tl.load(x + at, mask=on, other=0.0, eviction_policy="evict_last", cache_modifier=".cg")
    tl.device_print("v", v)
    tl.device_assert(n < 0, "only when debugging")
    first, second = tl.swizzle2d(0, 1, 2, 2, 2)
    first, second = second, first
    pointers = tl.where(on, out + at, out + at)
    tl.store(pointers, v + tl.cat(at, at, can_reorder=True).to(tl.float32).sum() * 0 + first * 0)
    tl.store(flags + at, at % 2 == 0)
    if n is not None and BLOCK == 4:
        tl.store(out, tl.load(out) + v.sum(axis=0) * 0 + v.max() * 0 + (pointers.to(tl.int64) * 0).sum())


def test_odds_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    x = torch.tensor([1.5, 2.5, 3.5, 4.5], dtype=torch.bfloat16, device="cuda")
    flags = torch.tensor([True, False, True, False], device="cuda")
    out = torch.zeros(4, device="cuda")
    odds_and_ends_kernel[(1,)](x, flags, out, 1, BLOCK=4)
    assert out.tolist() == [1.5, 0, 3.5, 0] and flags.tolist() == [True, False, True, False]
    shown = capsys.readouterr().out
    assert "BLOCK is 4" in shown and "1.5" in shown


@triton.jit
def reuses_names(out, n):
    for i in range(n):
        part = i * 2
        tl.store(out + i, part)
    for i in range(n):
        part = i * 2.0 + tl.arange(0, 1)
        tl.store(out + i + tl.arange(0, 1), part.to(tl.int32))
    if n > 2:
        part = 1.0
    for i in range(n):
        part = i
        tl.store(out + i, part)


def test_names_end_with_their_loop() -> None:
    out = ints(8)
    reuses_names[(1,)](out, 4)
    assert out.tolist() == [0, 1, 2, 3, 0, 0, 0, 0]


@triton.jit
def chained(out, n):
    i = tl.arange(0, 8)
    tl.store(out + i, (1 < i < n).to(tl.int32))


def test_chained_comparisons() -> None:
    out = ints(8)
    if SEVERAL:
        chained[(1,)](out, 5)
        assert out.tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    else:
        compiler_refuses(chained, out, 5, match="simultaneous multiple comparison")


def test_launch_options() -> None:
    out = ints(1)
    options = {"num_warps": 8, "num_stages": 2, "num_ctas": 1, "waves_per_eu": 2, "matrix_instr_nonkdim": 16}
    loop_kernel[(1,)](out, 1, 1, STATIC=1, **options, kpack=2, maxnreg=128, enable_fp_fusion=False, launch_pdl=True)
    compiler_refuses(loop_kernel, out, 1, 1, STATIC=1, num_warp=8, match="num_warp was specified but unrecognised")
    compiler_refuses(loop_kernel, out, 1, STATIC=1, match="step")
    with pytest.raises(Exception, match="jit"):
        loop_kernel(out, 1, 1, STATIC=1)


@triton.jit
def empty_pointer_kernel(x, n, BLOCK: tl.constexpr):
    tl.store(x + tl.arange(0, BLOCK), 1.0, mask=tl.arange(0, BLOCK) < n)


def test_host_tensors_are_not_pointers() -> None:
    compiler_refuses(extremes_kernel, torch.zeros(3, dtype=torch.int32), 1, 2, match="cpu tensor")
    compiler_refuses(extremes_kernel, [1, 2, 3], 1, 2, match="specialize")
    empty_pointer_kernel[(1,)](torch.empty(0), 0, BLOCK=4)


def test_compiled_kernels_facts() -> None:
    out = ints(3)
    kernel = extremes_kernel.warmup(out, 1, 2, grid=(1,), num_warps=8)
    kernel._init_handles()
    assert kernel.n_regs > 0 and kernel.metadata.num_warps == 8 and kernel.metadata.shared == 0
    kernel[(1, 1, 1)](out, 1, 2)
    assert out.tolist() == [1, 2, 2]
    assert extremes_kernel[(1,)](out, 3, 4).n_spills == 0
