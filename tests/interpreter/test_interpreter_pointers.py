"""Pointers that are made of integers, of other pointers, or come in tuples: what they reach, and what not."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from interpreter_support import cuda, refused


@triton.jit
def select_kernel(x, y, out, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(tl.where(at < 5, x + at, y + at)))


def test_pointers_of_two_tensors_in_one_block() -> None:
    x, y, out = cuda(5), 3 * cuda(16), cuda(16)
    select_kernel[(1,)](x, y, out, BLOCK=16)
    assert out.sum() == 5 + 33
    short = cuda(15)
    refused(
        lambda: select_kernel[(1,)](x, short, out, BLOCK=16), "lane [15]", "past the end of the nearest argument, `y`"
    )


@triton.jit
def table_kernel(table, out, extra, BLOCK: tl.constexpr):
    p = tl.load(table + tl.program_id(0)).to(tl.pointer_type(tl.float32))
    at = tl.arange(0, BLOCK)
    tl.store(out + tl.program_id(0) * BLOCK + at, tl.load(p + extra + at))


@triton.jit
def address_kernel(address, out, BLOCK: tl.constexpr):
    p = address.to(tl.pointer_type(tl.float32))
    tl.store(out + tl.arange(0, BLOCK), tl.load(p + tl.arange(0, BLOCK)))


@triton.jit
def only_address_kernel(address):
    tl.store(address.to(tl.pointer_type(tl.float32)), 1.0)


def test_pointers_from_integers() -> None:
    parts = [i * cuda(16) for i in range(1, 4)]
    table = torch.tensor([p.data_ptr() for p in parts], dtype=torch.int64, device="cuda")
    out = cuda(48)
    table_kernel[(3,)](table, out, 0, BLOCK=16)
    assert torch.equal(out, torch.cat(parts))
    text = refused(lambda: table_kernel[(3,)](table, out, 1, BLOCK=16), "1 of 16 lanes outside", "lane [15], is ")
    assert "of the nearest argument, `" in text
    table_kernel[(3,)](torch.stack([table, table + 4], 1).view(-1)[::2].contiguous(), out, 0, BLOCK=16)

    address_kernel[(1,)](parts[1].data_ptr(), out, BLOCK=16)
    assert bool((out[:16] == 2).all())
    refused(lambda: address_kernel[(1,)](parts[1].data_ptr() + 4, out, BLOCK=16))
    refused(lambda: table_kernel[(1,)](table * 0, out, 0, BLOCK=16), "lane [0], is at address 0x0, a null pointer")
    on_host = torch.ones(16)
    refused(lambda: address_kernel[(1,)](on_host.data_ptr(), out, BLOCK=16), "16 of 16 lanes")
    gone = cuda(1 << 22)
    address = gone.data_ptr()
    address_kernel[(1,)](address, out, BLOCK=16)
    del gone
    refused(lambda: address_kernel[(1,)](address, out, BLOCK=16), "16 of 16 lanes")
    only_address_kernel[(1,)](out.data_ptr())
    refused(lambda: only_address_kernel[(1,)](1 << 44), "is at address 0x100000000000, in no tensor")
    refused(lambda: only_address_kernel[(1,)](1 << 20), "is at address 0x100000, in no tensor")
    refused(lambda: only_address_kernel[(1,)](-16), "is at address 0xfffffff0, in no tensor")


@triton.jit
def cast_kernel(x, out, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(x.to(tl.pointer_type(tl.int32)) + at))


def test_a_cast_pointer_reaches_as_far() -> None:
    x, out = cuda(32, torch.float16), cuda(32, torch.int32)
    cast_kernel[(1,)](x, out, BLOCK=16)
    assert out[0] == 0x3C003C00
    refused(
        lambda: cast_kernel[(1,)](x, out, BLOCK=32),
        "16 of 32 lanes outside; the first, lane [16], is 1 element (4 bytes) past the end of the memory of `x` (float",
    )
    cast_kernel[(1,)](triton.reinterpret(x, tl.float32), out, BLOCK=16)
    refused(lambda: cast_kernel[(1,)](triton.reinterpret(x, tl.float32), out, BLOCK=32), "of the memory of `x` (float1")


class Pair(NamedTuple):
    left: Any
    right: Any


@triton.jit
def tuple_kernel(pair, index):
    tl.store(pair[1] + index, tl.load(pair[0]))


def test_tensors_in_tuples() -> None:
    x, y = cuda(4), cuda(4)
    tuple_kernel[(1,)]((x, y), 3)
    refused(lambda: tuple_kernel[(1,)]((x, y), 4), "of the memory of `pair[1]` (float32[4], 16 bytes)")
    refused(lambda: tuple_kernel[(1,)](Pair(x, y), -2), "2 elements (8 bytes) before the start", "`pair.right`")
