"""Memory that tells what was done to it: new memory is filled with a pattern that is NaN or -1, and on a GPU each
tensor lies between two bands of it.

In checked calls only. A kernel that reads what nobody wrote reads NaN (or -1), never an answer that lay there before;
one that writes past a tensor's end changes a band, and is told of. On the interpreter every access is checked as it is
made (`harness.sandbox.interpreter.bounds`), so that no bands are needed there.
"""

from __future__ import annotations

import torch

PATTERN = 0xFF
"""Each byte: NaN in every floating-point format that has one, -1 in signed integers; booleans get 1."""
_stack = torch.stack
BAND = 4096
"""Bytes on either side; keeps the alignment that an allocator gives."""


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor's whole storage, byte by byte."""
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())


def poison(tensor: torch.Tensor, byte: int = PATTERN) -> None:
    """Fill a tensor that nobody has written yet."""
    if tensor.numel() and tensor.layout is torch.strided and not tensor.is_meta:
        if tensor.dtype is torch.bool:
            tensor.fill_(byte != 0)
        else:
            _bytes(tensor).fill_(byte)


class Guards:
    """The bands of one call."""

    def __init__(self) -> None:
        self._held: list[tuple[torch.Tensor, int, str]] = []

    def banded(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        """A tensor of the same shape, strides and values, between two bands."""
        inside = _bytes(tensor)
        size, step = inside.numel(), tensor.element_size()
        whole = torch.full((size + 2 * BAND,), PATTERN, dtype=torch.uint8, device=tensor.device)
        whole[BAND : BAND + size] = inside
        self._held.append((whole, size, name))
        flat = whole[: BAND + size // step * step].view(tensor.dtype)
        return flat.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset() + BAND // step)

    def broken(self) -> list[str]:
        """What was written outside of a tensor, a sentence each."""
        places, bands = list[str](), list[torch.Tensor]()
        for whole, size, name in self._held:
            places += [f"before the start of {name}", f"past the end of {name}"]
            bands += [whole[:BAND], whole[BAND + size :]]
        if not bands:
            return []
        touched = (_stack(bands) != PATTERN).sum(1).tolist()  # the device is waited for once
        return [f"{count} bytes were written {place}" for count, place in zip(touched, places, strict=True) if count]
