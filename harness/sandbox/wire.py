"""Tensors between judge and candidate, as raw bytes in shared memory; messages go by `harness.sandbox.channel`.

Nothing that comes from the candidate's side is executed or unpickled: a tensor is a claim (dtype, shape, place) that
`read_tensor` checks before it looks at the bytes.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import torch

from harness.dtypes import DTYPES, NAMES
from harness.sandbox.channel import WireBroken

ALIGN = 256
"""Tensors start at multiples of this many bytes, as a GPU's allocator places them."""
_STAGE_BYTES, _AT_ONCE = 64 << 20, 4 << 20
"""Of a device's tensors: so many bytes at a time go to the host by way of pinned memory; up to so many go without."""
_stage: list[torch.Tensor] = []


class Shared(Protocol):
    """Memory that both sides see."""

    size: int
    bytes: torch.Tensor
    on_device: ClassVar[bool]


class Arena:
    """Shared memory of fixed size; sealed, so that the other side can't cut it under the reader's feet."""

    on_device: ClassVar[bool] = False

    def __init__(self, fd: int, size: int) -> None:
        self.fd, self.size = fd, size
        self._map = mmap.mmap(fd, size)
        self.bytes = torch.frombuffer(self._map, dtype=torch.uint8)

    @classmethod
    def create(cls, size: int) -> Arena:
        """New zeroed shared memory of at least `size` bytes."""
        size = max(mmap.PAGESIZE, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
        fd = os.memfd_create("kernel-assay", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return cls(fd, size)

    def close(self) -> None:
        """Give the memory back once no tensor views it any more."""
        os.close(self.fd)


def aligned(nbytes: int) -> int:
    """The room that a tensor of so many bytes takes in an arena."""
    return max(ALIGN, -(-nbytes // ALIGN) * ALIGN)


def span(tensor: torch.Tensor) -> int:
    """Elements of storage from the tensor's first to its last, gaps included."""
    if tensor.numel() == 0:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def room(tensor: torch.Tensor) -> int:
    """Bytes that `write_tensor` needs."""
    return aligned(span(tensor) * tensor.element_size())


def write_tensor(arena: Shared, at: int, tensor: torch.Tensor, on_gpu: bool) -> dict[str, Any]:
    """Put a tensor, with its strides, at byte `at`; returns the claim that describes it. `on_gpu` says where it really
    lies: under the interpreter's layer a tensor claims to be on a GPU."""
    flat = _flat(tensor)
    target = arena.bytes[at : at + flat.numel()]
    if on_gpu and not arena.on_device and flat.numel() > _AT_ONCE:
        _copy_staged(flat, target)
    else:
        target.copy_(flat)
    return claim_of(tensor, at)


def claim_of(tensor: torch.Tensor, at: int) -> dict[str, Any]:
    """What describes a tensor that lies at byte `at`."""
    return {
        "dtype": NAMES[tensor.dtype],
        "shape": list(tensor.shape),
        "stride": list(tensor.stride()),
        "at": at,
        "nbytes": span(tensor) * tensor.element_size(),
    }


def write_together(arena: Shared, tensors: Sequence[tuple[int, torch.Tensor]], on_gpu: bool) -> None:
    """Put tensors at the bytes named, as `write_tensor` does, in rising order and none in another's place. Small ones
    of a device go to the host by one copy, which waits for the device, and what lies between them is overwritten."""
    if not tensors:
        return
    begin, (last, tensor) = tensors[0][0], tensors[-1]
    size = last + span(tensor) * tensor.element_size() - begin
    if not on_gpu or arena.on_device or size > _AT_ONCE:
        for at, tensor in tensors:
            write_tensor(arena, at, tensor, on_gpu)
        return
    joined = torch.zeros(size, dtype=torch.uint8, device=tensor.device)
    for at, tensor in tensors:
        flat = _flat(tensor)
        joined[at - begin : at - begin + flat.numel()].copy_(flat)
    arena.bytes[begin : begin + size].copy_(joined)


def _flat(tensor: torch.Tensor) -> torch.Tensor:
    """All bytes from a tensor's first element to its last."""
    return tensor.detach().as_strided((span(tensor),), (1,), tensor.storage_offset()).view(torch.uint8)


def _copy_staged(source: torch.Tensor, target: torch.Tensor) -> None:
    """Copy a device's bytes into shared memory by way of pinned memory: neither the driver's slow path for ordinary
    memory nor the first touch of many pages by one thread stands in the way."""
    if not _stage:
        _stage.append(torch.empty(_STAGE_BYTES, dtype=torch.uint8, pin_memory=True))
    for start in range(0, source.numel(), _STAGE_BYTES):
        part = source[start : start + _STAGE_BYTES]
        staged = _stage[0][: part.numel()]
        staged.copy_(part)
        target[start : start + part.numel()].copy_(staged)


def read_tensor(arena: Shared, claim: dict[str, Any], device: str | torch.device = "cpu") -> torch.Tensor:
    """A private copy of the tensor that a claim describes, on `device`. Raises WireBroken if the claim can't be."""
    name, shape, stride = claim.get("dtype"), _sizes(claim.get("shape")), _sizes(claim.get("stride"))
    place = _sizes([claim.get("at"), claim.get("nbytes")])
    dtype = DTYPES.get(name) if isinstance(name, str) else None
    if dtype is None or shape is None or stride is None or place is None or len(shape) != len(stride):
        raise WireBroken("a tensor claim that makes no sense")
    at, nbytes = place
    empty = 0 in shape
    elements = 0 if empty else 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    fits = elements * dtype.itemsize == nbytes and at % dtype.itemsize == 0 and at + nbytes <= arena.size
    if not fits or math.prod(max(size, 1) for size in shape) > 1 << 48:
        raise WireBroken("a tensor claim that does not fit its memory")
    if empty:
        return torch.empty(shape, dtype=dtype, device=device)
    flat = arena.bytes[at : at + nbytes].to(device, copy=True).view(dtype)
    return flat.as_strided(shape, stride)


def _sizes(values: Any) -> list[int] | None:
    """A list of sizes as it should be, or None."""
    if isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 48 for value in values):
        return values
    return None
