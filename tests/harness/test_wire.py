"""The wire: what comes from a candidate's side is a message or a tensor as claimed, or `WireBroken`; never more."""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dtypes import DTYPES
from harness.sandbox import wire
from harness.sandbox.channel import MAX_MESSAGE, Channel, WireBroken, WireClosed, WireTimeout
from harness.sandbox.wire import Arena, aligned, claim_of, read_tensor, room, span, write_tensor, write_together

SIZE = 1 << 16
ARENA = Arena.create(SIZE)
SMALL = st.integers(0, 40)
ANY = st.one_of(SMALL, st.integers(), st.floats(), st.text(max_size=3), st.none(), st.booleans(), st.just(1 << 47))
SIZES = st.one_of(st.lists(SMALL, max_size=4), st.lists(ANY, max_size=70), ANY)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.one_of(st.sampled_from([*DTYPES, "complex64", ""]), ANY, st.lists(ANY, max_size=2)),
        "shape": SIZES,
        "stride": SIZES,
        "at": st.one_of(st.sampled_from([0, 256, SIZE - 4, SIZE, 3]), ANY),
        "nbytes": st.one_of(SMALL.map(lambda n: 4 * n), ANY),
    },
)


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    """The judge's end of a wire, and the raw other end."""
    ours, theirs = socket.socketpair()
    yield Channel(ours), theirs
    for sock in (ours, theirs):
        with contextlib.suppress(OSError):
            sock.close()


def message(body: bytes) -> bytes:
    """As it goes over the wire."""
    return struct.pack("!I", len(body)) + body


@settings(max_examples=600, deadline=None)
@given(CLAIMS)
def test_any_claim(claim: dict[str, object]) -> None:
    try:
        tensor = read_tensor(ARENA, claim)
    except WireBroken:
        return
    assert list(tensor.shape) == claim["shape"]
    assert tensor.dtype == DTYPES[str(claim["dtype"])]
    assert tensor.untyped_storage().nbytes() <= SIZE


@st.composite
def nearly_right(draw: st.DrawFn) -> dict[str, object]:
    """A claim that is right but for, perhaps, one figure."""
    shape = draw(st.lists(st.integers(0, 5), max_size=4))
    stride = draw(st.lists(st.integers(0, 30), min_size=len(shape), max_size=len(shape)))
    dtype = draw(st.sampled_from(list(DTYPES)))
    elements = 0 if 0 in shape else 1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    claim: dict[str, object] = {
        "dtype": dtype,
        "shape": shape,
        "stride": stride,
        "at": 256 * draw(st.integers(0, SIZE // 256)),
        "nbytes": elements * DTYPES[dtype].itemsize,
    }
    if draw(st.booleans()):
        claim[draw(st.sampled_from(list(claim)))] = draw(ANY)
    return claim


@settings(max_examples=600, deadline=None)
@given(nearly_right())
def test_nearly_right_claims(claim: dict[str, object]) -> None:
    test_any_claim.hypothesis.inner_test(claim)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("shape", "stride"),
    [([0, 1 << 47, 1 << 47], [1, 1, 1]), ([1] * 70, [0] * 70), ([1 << 40], [0]), ([2, 2], [1 << 47, 1 << 47])],
    ids=["empty and endless", "too many dimensions", "endless in one place", "far apart"],
)
def test_shapes_that_no_tensor_can_have(shape: list[int], stride: list[int]) -> None:
    nbytes = 0 if 0 in shape else 4 * (1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True)))
    claim = {"dtype": "fp32", "shape": shape, "stride": stride, "at": 0, "nbytes": nbytes}
    try:
        tensor = read_tensor(ARENA, claim)
    except WireBroken:
        return
    assert list(tensor.shape) == shape and tensor.untyped_storage().nbytes() <= SIZE


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize(
    "make",
    [
        lambda dtype: torch.arange(24).to(dtype).reshape(2, 3, 4),
        lambda dtype: torch.arange(24).to(dtype).reshape(4, 6).t(),
        lambda dtype: torch.arange(24).to(dtype).reshape(4, 6)[1:3, ::2],
        lambda dtype: torch.arange(3).to(dtype)[:1].expand(5, 1),
        lambda dtype: torch.arange(7).to(dtype)[3],
        lambda dtype: torch.empty(3, 0, dtype=dtype),
    ],
    ids=["whole", "transposed", "with gaps", "broadcast", "scalar", "empty"],
)
def test_round_trip(name: str, make: object) -> None:
    tensor: torch.Tensor = make(DTYPES[name])  # type: ignore[operator]
    claim = json.loads(json.dumps(write_tensor(ARENA, 512, tensor, on_gpu=False)))
    back = read_tensor(ARENA, claim)
    assert back.dtype == tensor.dtype and back.shape == tensor.shape and room(tensor) >= claim["nbytes"]
    assert tensor.numel() == 0 or back.stride() == tensor.stride()
    assert span(tensor) * tensor.element_size() == claim["nbytes"]
    assert torch.equal(
        back.contiguous().reshape(-1).view(torch.uint8), tensor.contiguous().reshape(-1).view(torch.uint8)
    )


@pytest.mark.parametrize("together", [True, False])
def test_several_go_by_one_copy_or_one_by_one(monkeypatch: pytest.MonkeyPatch, together: bool) -> None:
    """As those of a device do, where they are small."""
    if not together:
        monkeypatch.setattr(wire, "_AT_ONCE", 2)
    copied = list[int]()
    monkeypatch.setattr(wire, "_copy_staged", lambda source, target: copied.append(len(target.copy_(source))))
    tensors = [torch.arange(7.0), torch.arange(6).reshape(2, 3).t(), torch.empty(0, 4), torch.tensor(True)]
    tensors.append(torch.arange(24, dtype=torch.float16).reshape(4, 6)[1:3, ::2])
    placed, claims, at = [], [], 256
    for tensor in tensors:
        placed.append((at, tensor))
        claims.append(claim_of(tensor, at))
        at += aligned(claims[-1]["nbytes"])
    write_together(ARENA, placed, on_gpu=True)
    for tensor, claim in zip(tensors, claims, strict=True):
        back = read_tensor(ARENA, claim)
        assert back.dtype == tensor.dtype and back.shape == tensor.shape and torch.equal(back, tensor)
    assert len(copied) == (0 if together else 3), "that of one byte and that of none are small"
    write_together(ARENA, [], on_gpu=True)


def test_what_was_read_is_a_private_copy() -> None:
    claim = write_tensor(ARENA, 0, torch.ones(4), on_gpu=False)
    back = read_tensor(ARENA, claim)
    write_tensor(ARENA, 0, torch.zeros(4), on_gpu=False)
    assert torch.equal(back, torch.ones(4))


def test_the_other_side_cannot_cut_the_memory() -> None:
    arena = Arena.create(8192)
    for size in (0, 4096, 1 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(arena.fd, size)
    assert Arena.create(1).size >= 1
    arena.close()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes(data: bytes, framed: bool) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(message(data) if framed else data)
    theirs.close()
    try:
        got, fds = Channel(ours).receive(1.0, limit=MAX_MESSAGE)
    except (WireBroken, WireClosed):
        return
    finally:
        ours.close()
    assert isinstance(got, dict) and fds == []


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (struct.pack("!I", MAX_MESSAGE + 1), "a message of 1048577 bytes"),
        (message(b"not json"), "not JSON"),
        (message(b"[1, 2]"), "not a JSON object"),
        (message(b"[" * 100_000), "not JSON"),
        (message(b"\xff\xfe\x00"), "not JSON"),
        (message(b'{"a": ' + b"9" * 5000 + b"}"), "not JSON"),
    ],
    ids=["too long", "no JSON", "a list", "too deep", "no text", "a number too long"],
)
def test_broken(data: bytes, error: str, ends: tuple[Channel, socket.socket]) -> None:
    channel, other = ends
    other.sendall(data)
    with pytest.raises(WireBroken, match=error):
        channel.receive(1.0, MAX_MESSAGE)


def test_timeouts_count_the_whole_message(ends: tuple[Channel, socket.socket]) -> None:
    channel, other = ends
    with pytest.raises(WireTimeout):
        channel.receive(0.05)
    stop = threading.Event()

    def trickle() -> None:
        other.sendall(struct.pack("!I", 1000))
        while not stop.wait(0.02):
            other.sendall(b" ")

    thread = threading.Thread(target=trickle)
    thread.start()
    start = time.monotonic()
    with pytest.raises(WireTimeout):
        channel.receive(0.3)
    assert time.monotonic() - start < 2.0
    stop.set()
    thread.join()


def test_half_a_message_and_a_closed_wire(ends: tuple[Channel, socket.socket]) -> None:
    channel, other = ends
    other.sendall(message(b'{"a": 1}')[:7])
    other.close()
    with pytest.raises(WireClosed):
        channel.receive(1.0)
    with pytest.raises(WireClosed):
        channel.send({"a": 1})


def test_files_go_along_and_are_not_leaked(ends: tuple[Channel, socket.socket]) -> None:
    channel, other = ends
    read_end, write_end = os.pipe()
    Channel(other).send({"a": math.inf}, (write_end,))
    got, fds = channel.receive(1.0)
    assert got == {"a": math.inf}
    os.write(fds[0], b"x")
    assert os.read(read_end, 1) == b"x"
    os.close(fds[0])
    before = len(os.listdir("/proc/self/fd"))
    socket.send_fds(other, [message(b"[1]")], [write_end] * 4)
    with pytest.raises(WireBroken):
        channel.receive(1.0)
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(read_end)
    os.close(write_end)
