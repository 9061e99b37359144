"""Accesses outside of tensors: which are caught, which are not, and what is said of them."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from interpreter_support import cuda, refused
from triton.language.semantic import TritonSemantic
from triton.tools.tensor_descriptor import TensorDescriptor

from harness.sandbox.failure import describe_failure
from harness.sandbox.interpreter.bounds import OutOfBounds

ROOT = Path(__file__).resolve().parents[2]


@triton.jit
def touch_kernel(x_ptr, out_ptr, start, n, OP: tl.constexpr, MASKED: tl.constexpr, BLOCK: tl.constexpr):
    at = start + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = ((at >= 0) & (at < n)) if MASKED else tl.full([BLOCK], 1, tl.int1)
    if OP == "load":
        v = tl.load(x_ptr + at, mask=mask, other=0) if MASKED else tl.load(x_ptr + at)
        tl.store(out_ptr + tl.arange(0, BLOCK), v)
    elif OP == "store":
        if MASKED:
            tl.store(x_ptr + at, 2.0, mask=mask)
        else:
            tl.store(x_ptr + at, 2.0)
    elif OP == "add":
        tl.atomic_add(x_ptr + at, 1.0, mask=mask)
    elif OP == "max":
        tl.atomic_max(x_ptr + at, 3.0, mask=mask)


WHAT = {"load": "a load", "store": "a store", "add": "an atomic", "max": "an atomic"}


def touch(x: Any, start: int, n: int, op: str, masked: bool, programs: int = 1) -> None:
    touch_kernel[(programs,)](x, cuda(64), start, n, OP=op, MASKED=masked, BLOCK=64)


@pytest.mark.parametrize("op", list(WHAT))
def test_blocks(op: str) -> None:
    x = cuda(100)
    touch(x, 36, 100, op, masked=False)
    text = refused(lambda: touch(x, 0, 100, op, masked=False, programs=2))
    assert text == (
        f"illegal memory access: {WHAT[op]} in program (1, 0, 0) has 28 of 64 lanes outside; the first, lane [36], is"
        " 1 element (4 bytes) past the end of the memory of `x_ptr` (float32[100], 400 bytes)"
    )
    one = "has 1 of 64 lanes outside; the first, lane [63], is 1 element (4 bytes) past the end"
    refused(lambda: touch(x, 37, 100, op, masked=False), one)
    refused(lambda: touch(x, -3, 100, op, masked=False), "3 of 64", "lane [0], is 3 elements (12 bytes) before the st")
    refused(lambda: touch(x, 1 << 40, 100, op, masked=False), "64 of 64", "`x_ptr` (float32[100], 400 bytes)")
    touch(x, 64, 100, op, masked=True)
    touch(x, -10, 100, op, masked=True)
    touch(x, 1 << 40, 100, op, masked=True)  # no lane is left
    refused(lambda: touch(x, -10, 101, op, masked=True, programs=2), "1 of 64 lanes", "lane [46], is 1 element")


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.bfloat16, torch.float8_e4m3fn, torch.int64, torch.float64], ids=str
)
def test_one_element_of_any_size(dtype: Any) -> None:
    x, out = cuda(64, dtype), cuda(64, dtype)
    size = x.element_size()
    touch_kernel[(1,)](x, out, 0, 64, OP="load", MASKED=False, BLOCK=64)
    plural = "s" if size > 1 else ""
    refused(
        lambda: touch_kernel[(1,)](x, out, 1, 64, OP="load", MASKED=False, BLOCK=64),
        f"1 element ({size} byte{plural}) past the end of the memory of `x_ptr` ({str(dtype)[6:]}[64], {64 * size} b",
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_atomics_of_16_bits(dtype: Any) -> None:
    x = cuda(64, dtype)
    touch(x, 0, 64, "add", masked=False)
    assert bool((x == 2).all())
    refused(lambda: touch(x, 1, 64, "add", masked=False), "an atomic", "1 element (2 bytes) past the end")
    touch(x, 1, 64, "add", masked=True)


@triton.jit
def scalar_kernel(x, out, index, OP: tl.constexpr):
    if OP == "load":
        tl.store(out, tl.load(x + index))
    elif OP == "store":
        tl.store(x + index, 1.0)
    elif OP == "add":
        tl.atomic_add(x + index, 1.0)
    elif OP == "masked":
        tl.store(out, tl.load(x + index, mask=index < 10, other=7.0))


@triton.jit
def cas_kernel(x, index):
    tl.atomic_cas(x + index, 1, 2)


@pytest.mark.parametrize("op", ["load", "store", "add"])
def test_scalars(op: str) -> None:
    x, out = cuda(10), cuda(1)
    scalar_kernel[(1,)](x, out, 9, OP=op)
    assert refused(lambda: scalar_kernel[(1,)](x, out, 10, OP=op)) == (
        f"illegal memory access: {WHAT[op]} in program (0, 0, 0) is 1 element (4 bytes) past the end of the memory of"
        " `x` (float32[10], 40 bytes)"
    )
    refused(lambda: scalar_kernel[(1,)](x, out, -1, OP=op), "is 1 element (4 bytes) before the start of the memory")
    scalar_kernel[(1,)](x, out, 10, OP="masked")
    assert out.item() == 7


def test_compare_and_swap() -> None:
    x = cuda(10, torch.int32)
    cas_kernel[(1,)](x, 9)
    assert x[9] == 2
    refused(lambda: cas_kernel[(1,)](x, 10), "an atomic in program (0, 0, 0) is 1 element (4 bytes) past the end")


@triton.jit
def tile_kernel(x, out, stride, rows, columns, MASKED: tl.constexpr, M: tl.constexpr, N: tl.constexpr):
    row = tl.program_id(0) * M + tl.arange(0, M)[:, None]
    column = tl.program_id(1) * N + tl.arange(0, N)[None, :]
    if MASKED:
        v = tl.load(x + row * stride + column, mask=(row < rows) & (column < columns), other=0.0)
    else:
        v = tl.load(x + row * stride + column)
    tl.store(out + tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :], v)


def test_tiles() -> None:
    x, out = cuda(12 * 32).view(12, 32), cuda(8 * 16)
    tile_kernel[(2, 2)](x, out, 32, 12, 32, MASKED=True, M=8, N=16)
    assert out.sum() == 4 * 16
    text = refused(lambda: tile_kernel[(2, 2)](x, out, 32, 12, 32, MASKED=False, M=8, N=16), "64 of 128 lanes outside")
    assert "in program (1, 0, 0)" in text and "lane [4, 0], is 1 element (4 bytes) past the end" in text
    assert "`x` (float32[12, 32], 1536 bytes)" in text


def test_what_lies_between_rows_is_the_tensors() -> None:
    whole = cuda(8 * 32)
    x, out = whole.view(8, 32)[:, :20], cuda(8 * 16)
    tile_kernel[(1, 2)](x, out, 32, 8, 20, MASKED=False, M=8, N=16)
    inner = whole.view(8, 32)[2:4, 4:20]  # a view inside: its memory is the whole storage
    tile_kernel[(1, 2)](inner, out, 32, 6, 20, MASKED=True, M=8, N=16)
    text = refused(lambda: tile_kernel[(1, 1)](inner, out, 32, 8, 20, MASKED=False, M=8, N=16))
    assert (
        "lane [6, 0], is 5 elements (20 bytes) past the end of the memory of `x` (float32[2, 16], 1024 bytes)" in text
    )


@triton.jit
def neighbour_kernel(x, y, out, start, BLOCK: tl.constexpr):
    tl.store(out + tl.arange(0, BLOCK), tl.load(x + start + tl.arange(0, BLOCK)))


def test_no_way_from_a_tensor_into_the_next() -> None:
    memory = np.ones(256, dtype=np.float32)
    x, y, out = torch.from_numpy(memory[:128]), torch.from_numpy(memory[128:]), cuda(64)
    assert x.data_ptr() + 512 == y.data_ptr() == y.untyped_storage().data_ptr()
    neighbour_kernel[(1,)](x, y, out, 64, BLOCK=64)
    text = refused(lambda: neighbour_kernel[(1,)](x, y, out, 65, BLOCK=64), "1 of 64 lanes outside", "lane [63]")
    assert text.endswith("past the end of the memory of `x` (float32[128], 512 bytes), inside of `y`")
    # A distance between tensors may be computed: all lanes are in the other one.
    neighbour_kernel[(1,)](x, y, out, 128, BLOCK=64)
    refused(lambda: neighbour_kernel[(1,)](x, y, out, 193, BLOCK=64), "lane [63], is 129 elements (516 bytes) past")


def test_empty_tensors() -> None:
    out, empty = cuda(64), torch.empty(0, 3, device="cuda")
    touch_kernel[(1,)](empty, out, 0, 0, OP="load", MASKED=True, BLOCK=64)
    touch_kernel[(1,)](out[:0], out, 0, 0, OP="store", MASKED=True, BLOCK=64)
    refused(
        lambda: touch_kernel[(1,)](empty, out, 5, 0, OP="load", MASKED=False, BLOCK=64),
        "the first, lane [0], is at element 5 of `x_ptr` (float32[0, 3], 0 bytes), which is empty",
    )
    refused(lambda: touch_kernel[(1,)](out[:0], out, -1, 0, OP="store", MASKED=False, BLOCK=64), "at element -1 of")


@triton.jit
def device_descriptor_kernel(x, out, ROWS: tl.constexpr, N: tl.constexpr):
    source = tl.make_tensor_descriptor(x, shape=[ROWS, N], strides=[N, 1], block_shape=[8, N])
    target = tl.make_tensor_descriptor(out, shape=[ROWS, N], strides=[N, 1], block_shape=[8, N])
    target.store([8, 0], source.load([8, 0]))


@triton.jit
def host_descriptor_kernel(source, target):
    target.store([8, 0], source.load([8, 0]))


def test_descriptors() -> None:
    x, out = 2 * cuda(12 * 16).view(12, 16), cuda(12 * 16).view(12, 16)
    device_descriptor_kernel[(1,)](x, out, ROWS=12, N=16)
    assert torch.equal(out[8:], x[8:]) and bool((out[:8] == 1).all())
    refused(
        lambda: device_descriptor_kernel[(1,)](x, out, ROWS=13, N=16),
        "a load in program (0, 0, 0) has 16 of 128 lanes outside; the first, lane [4, 0], is 1 element",
        "`x` (float32[12, 16], 768 bytes)",
    )
    source, target = (TensorDescriptor.from_tensor(t, [8, 16]) for t in (x, out))
    host_descriptor_kernel[(1,)](source, target)
    target.shape = [14, 16]
    refused(
        lambda: host_descriptor_kernel[(1,)](source, target), "a store", "has 32 of 128 lanes", "of `target` (float"
    )


if "have been removed" not in inspect.getsource(TritonSemantic) and hasattr(TritonSemantic, "make_block_ptr"):

    @triton.jit
    def block_pointer_kernel(x, out, rows, CHECK: tl.constexpr):
        source = tl.make_block_ptr(x, (rows, 16), (16, 1), (8, 0), (8, 16), (1, 0))
        v = tl.load(source, boundary_check=(0,), padding_option="zero") if CHECK else tl.load(source)
        tl.store(tl.make_block_ptr(out, (8, 16), (16, 1), (0, 0), (8, 16), (1, 0)), v)

    def test_block_pointers() -> None:
        x, out = 2 * cuda(12 * 16).view(12, 16), cuda(8 * 16).view(8, 16)
        block_pointer_kernel[(1,)](x, out, 12, CHECK=True)
        assert bool((out[:4] == 2).all()) and bool((out[4:] == 0).all())
        refused(lambda: block_pointer_kernel[(1,)](x, out, 12, CHECK=False), "64 of 128 lanes outside", "lane [4, 0]")
        refused(lambda: block_pointer_kernel[(1,)](x, out, 13, CHECK=True), "16 of 128 lanes outside", "of `x` (")


@triton.jit
def helper(p, n, BLOCK: tl.constexpr):
    total = 0.0
    for i in range(n):
        total += tl.sum(tl.load(p + i * BLOCK + tl.arange(0, BLOCK)))  # beyond, in the last turn
    return total


@triton.jit
def looping_kernel(x, out, n):
    tl.store(out, helper(x, n, 16))


def test_the_line_is_told() -> None:
    x, out = cuda(40), cuda(1)
    looping_kernel[(1,)](x, out, 2)
    with pytest.raises(OutOfBounds) as caught:
        looping_kernel[(1,)](x, out, 3)
    told = describe_failure(caught.value, __file__, None)
    assert told["types"] == ["OutOfBounds"] and told["unsupported"] is None
    assert "8 of 16 lanes outside; the first, lane [8], is 1 element" in told["message"]
    lines = told["lines"].splitlines()
    assert lines[-1].endswith("# beyond, in the last turn") and "in helper: total +=" in lines[-1], lines
    assert re.fullmatch(r"line \d+, in looping_kernel: tl.store\(out, helper\(x, n, 16\)\)", lines[-2]), lines


def test_it_is_no_exception_to_go_on_after() -> None:
    x = cuda(4)
    with pytest.raises(OutOfBounds), contextlib.suppress(Exception):
        scalar_kernel[(1,)](x, x, 4, OP="load")
    scalar_kernel[(1,)](x, x, 3, OP="load")  # the next launch starts afresh


TRICKS = {
    "beyond": "_kernel[(2,)](x, y, 257, BLOCK=256)",
    "far": "_kernel[(1,)](x[1 << 62:], y, 1, BLOCK=256)",
    "wild": "_wild[(1,)](x, BLOCK=1024)",
    "caught": "try:\n        _wild[(1,)](x, BLOCK=1024)\n    except Exception:\n        pass\n    return honest(x)",
    "crash": "import ctypes\n    ctypes.string_at(0)",
    "error": "raise ValueError('no luck')",
    "honest": "return honest(x)",
}
WILD = """
@triton.jit
def _wild(p, BLOCK: tl.constexpr):
    tl.store(p + (1 << 40) + tl.arange(0, BLOCK), 1.0)


def doubled(x):
    y = torch.empty_like(x)
    """
JUDGE = """
import json, sys
from harness.device import find_device
from harness.judge.judge import Judge, JudgeLimits
from harness.judge.trial import Scope
from harness.sandbox.isolation import Limits
from harness.suite import load_suite
from pathlib import Path

task = load_suite(Path("tests/toy_suite")).task("doubled")
limits = JudgeLimits(stage_seconds=60.0, sandbox=Limits(memory=2 << 30, processes=64))
with Judge(find_device("interpreter"), limits) as judge:
    for name, source in json.load(sys.stdin).items():
        verdict = judge.judge(task, source, scope=Scope(timed=False))
        print(json.dumps([name, verdict.outcome.name, verdict.reason, verdict.detail]))
"""


def test_judged() -> None:
    from tests.exploits.make import candidate

    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", JUDGE],
        input=json.dumps({name: candidate(WILD + trick) for name, trick in TRICKS.items()}),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    verdicts = {name: rest for name, *rest in map(json.loads, done.stdout.splitlines())}
    assert {name: verdict[0] for name, verdict in verdicts.items()} == {
        "beyond": "ILLEGAL_ACCESS",
        "far": "ILLEGAL_ACCESS",
        "wild": "ILLEGAL_ACCESS",
        "caught": "ILLEGAL_ACCESS",
        "crash": "CRASH",
        "error": "CALL_ERROR",
        "honest": "RIGHT",
    }
    _, reason, detail = verdicts["beyond"]
    assert reason == (
        "on n=1: OutOfBounds: illegal memory access: a load in program (0, 0, 0) has 255 of 256 lanes outside; the"
        " first, lane [1], is 1 element (4 bytes) past the end of the memory of `x_ptr` (float32[1], 4 bytes)"
    )
    assert re.search(r"^line \d+, in _kernel: tl\.store\(y_ptr \+ offsets, 2 \* tl\.load\(x_ptr", detail, re.M), detail
    assert verdicts["crash"][1] == "on n=1: its process ended by a segmentation fault"
