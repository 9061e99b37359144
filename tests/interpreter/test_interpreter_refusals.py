"""What the compiler refuses is refused here, and is the candidate's own mistake."""

from __future__ import annotations

from typing import Any

import pytest
import triton
import triton.language as tl
from interpreter_support import compiler_refuses, ints

PLAIN_GLOBAL = 4


@triton.jit
def breaks(out, n):
    for i in range(n):
        if i > 2:
            break
    tl.store(out, 1)


@triton.jit
def reads_global(out):
    tl.store(out, PLAIN_GLOBAL)


def plain_function(x: Any) -> Any:
    return x


@triton.jit
def calls_plain(out):
    tl.store(out, plain_function(1))


@triton.jit
def lambdas(out):
    f = lambda x: x + 1  # noqa: E731
    tl.store(out, f(1))


@triton.jit
def changes_type(out, n):
    total = 0
    for i in range(n):
        total += i * 0.5
    tl.store(out, total)


@triton.jit
def uses_after_loop(out, n):
    for i in range(n):
        inner = i * 2
    tl.store(out, inner)


@triton.jit
def truth_of_block(out):
    i = tl.arange(0, 4)
    if i > 2:
        tl.store(out + i, i)


@triton.jit
def returns_in_loop(out, n):
    for i in range(n):
        if i > 2:
            return
    tl.store(out, 1)


@triton.jit
def assigns_twice(out):
    a = b = 1
    tl.store(out, a + b)


@triton.jit
def unknown_name(out):
    tl.store(out, tl.summation(tl.arange(0, 4)))


@triton.jit
def runtime_block(out, n):
    tl.store(out + tl.arange(0, n), 1)


@triton.jit
def odd_block(out, BLOCK: tl.constexpr):
    tl.store(out + tl.arange(0, BLOCK), 1)


@triton.jit
def uses_abs(out, n):
    tl.store(out, abs(n))


@triton.jit
def item_assignment(out):
    v = tl.zeros((4,), tl.float32)
    v[0] = 1.0
    tl.store(out + tl.arange(0, 4), v)


@triton.jit
def string_condition(out, NAME: tl.constexpr):
    if NAME:
        tl.store(out, 1)


@pytest.mark.parametrize(
    ("kernel", "args", "kwargs", "match"),
    [
        (breaks, (5,), {}, "Break"),
        (reads_global, (), {}, "PLAIN_GLOBAL"),
        (calls_plain, (), {}, "plain_function"),
        (lambdas, (), {}, "Lambda"),
        (changes_type, (3,), {}, "Loop-carried variable total"),
        (uses_after_loop, (3,), {}, "inner"),
        (truth_of_block, (), {}, "ambiguous"),
        (returns_in_loop, (3,), {}, "return"),
        (assigns_twice, (), {}, "multiple assignment"),
        (unknown_name, (), {}, "summation"),
        (runtime_block, (4,), {}, "constexpr"),
        (odd_block, (), {"BLOCK": 3}, "power of 2"),
        (uses_abs, (1,), {}, "abs"),
        (item_assignment, (), {}, "__setitem__"),
        (string_condition, (), {"NAME": "relu"}, "str"),
    ],
)
def test_refusals(kernel: Any, args: tuple[Any, ...], kwargs: dict[str, Any], match: str) -> None:
    compiler_refuses(kernel, ints(8), *args, match=match, **kwargs)


@triton.jit
def left_out(out, FLAG: tl.constexpr):
    if FLAG:
        tl.store(out, PLAIN_GLOBAL)
        for _ in tl.static_range(2):
            break
    else:
        tl.store(out, 1)


def test_what_a_constant_leaves_out_is_not_looked_at() -> None:
    out = ints(1)
    left_out[(1,)](out, FLAG=False)
    assert out.item() == 1
    compiler_refuses(left_out, out, match="PLAIN_GLOBAL", FLAG=True)
