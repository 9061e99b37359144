"""Fresh values for timed calls without sending them: a secret rotation of the base inputs.

Judge and candidate's process make the same new input set from a base set and a number that the judge tells at the last
moment. Every timed call thus sees values that were never there before, whatever the address.
"""

from __future__ import annotations

import torch

from harness.sandbox.wire import span


def redrawn(value: torch.Tensor | int, shift: int) -> torch.Tensor | int:
    """A fresh value for one call: a tensor is rotated, a whole number (a seed) moves on within 31 bits."""
    return rotated(value, shift) if isinstance(value, torch.Tensor) else (value + shift) % (1 << 31)


def rotated(tensor: torch.Tensor, shift: int) -> torch.Tensor:
    """A new tensor with the same shape and strides, its elements rotated by `shift` places: in the order of memory, or,
    where something stands between them that is not the tensor's, in that of its axes."""
    length = span(tensor)
    if length > tensor.numel():
        fresh = torch.empty(length, dtype=tensor.dtype, device=tensor.device)
        fresh.copy_(tensor.as_strided((length,), (1,), tensor.storage_offset()))
        fresh = fresh.as_strided(tensor.shape, tensor.stride())
        fresh.copy_(rotated(tensor.contiguous(), shift))
        return fresh
    flat = tensor.as_strided((length,), (1,), tensor.storage_offset())
    fresh = torch.empty(length, dtype=tensor.dtype, device=tensor.device)
    shift = shift % length if length else 0
    fresh[shift:] = flat[: length - shift]
    fresh[:shift] = flat[length - shift :]
    return fresh.as_strided(tensor.shape, tensor.stride())
