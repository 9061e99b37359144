"""Fresh values for timed calls without sending them: a secret rotation of the base inputs, made a little smaller.

Judge and candidate's process make the same new input set from a base set and a number that the judge tells at the last
moment. Every timed call thus sees values that were never there before, whatever the address; and what does not change
by a rotation, as a sum, changes by the factor.
"""

from __future__ import annotations

import torch

from harness.sandbox.wire import span

LEAST_FACTOR, STEPS = 0.75, 1 << 12
"""The factor is one of so many from this on to 1: values stay in what a task's contract allows, if 0 is, or nearly."""


def redrawn(value: torch.Tensor | int, shift: int) -> torch.Tensor | int:
    """A fresh value for one call: a tensor is rotated, and made smaller if it is floating-point; a number (a seed)
    moves on within 31 bits.

    `shift` is any whole number from 0; small and large ones give factors that have nothing to do with the rotation.
    """
    if not isinstance(value, torch.Tensor):
        return (value + shift) % (1 << 31)
    if not value.is_floating_point():
        return rotated(value, shift)
    return rotated(value, shift, 1 - (1 - LEAST_FACTOR) * ((shift * 0x9E3779B1 >> 12) % STEPS) / STEPS)


def rotated(tensor: torch.Tensor, shift: int, factor: float = 1.0) -> torch.Tensor:
    """A new tensor with the same shape and strides, its elements rotated by `shift` places: in the order of memory, or,
    where something stands between them that is not the tensor's, in that of its axes. All are multiplied by `factor`.
    """
    length = span(tensor)
    if length > tensor.numel():
        fresh = torch.empty(length, dtype=tensor.dtype, device=tensor.device)
        fresh.copy_(tensor.as_strided((length,), (1,), tensor.storage_offset()))
        fresh = fresh.as_strided(tensor.shape, tensor.stride())
        fresh.copy_(rotated(tensor.contiguous(), shift, factor))
        return fresh
    flat = tensor.as_strided((length,), (1,), tensor.storage_offset())
    fresh = torch.empty(length, dtype=tensor.dtype, device=tensor.device)
    shift = shift % length if length else 0
    if factor != 1.0 and fresh.element_size() > 1:  # in one pass: it is done while the device is held
        torch.mul(flat[: length - shift], factor, out=fresh[shift:])
        torch.mul(flat[length - shift :], factor, out=fresh[:shift])
        return fresh.as_strided(tensor.shape, tensor.stride())
    fresh[shift:] = flat[: length - shift]
    fresh[:shift] = flat[length - shift :]
    if factor != 1.0:  # PyTorch does not multiply in formats of one byte
        fresh.copy_(fresh.float() * factor)
    return fresh.as_strided(tensor.shape, tensor.stride())
