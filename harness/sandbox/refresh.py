"""Fresh values for timed calls without sending them: a secret rotation of the base inputs, made a little smaller.

Judge and candidate's process make the same new input set from a base set and a number that the judge tells at the last
moment. Every timed call thus sees values that were never there before, whatever the address; and what does not change
by a rotation, as a sum, changes by the factor.

The candidate's process makes the sets of many calls at once (`Base`), in few operations: it is done while the device is
held.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from harness.sandbox.wire import span

LEAST_FACTOR, STEPS = 0.75, 1 << 12
"""The factor is one of so many from this on to 1: values stay in what a task's contract allows, if 0 is, or nearly."""
FARTHEST = 1 << 24
"""Places that a tensor is rotated by, below."""
_multiply: Any = torch._foreach_mul


def redrawn(value: torch.Tensor | int, shift: int) -> torch.Tensor | int:
    """A fresh value for one call: a tensor is rotated, and made smaller if it is floating-point; a number (a seed)
    moves on within 31 bits.

    `shift` is any whole number from 0; small and large ones give factors that have nothing to do with the rotation.
    """
    if not isinstance(value, torch.Tensor):
        return (value + shift) % (1 << 31)
    if not value.is_floating_point():
        return rotated(value, shift)
    return rotated(value, shift, factor_of(shift))


def factor_of(shift: int) -> float:
    """What values are multiplied by."""
    return 1 - (1 - LEAST_FACTOR) * ((shift * 0x9E3779B1 >> 12) % STEPS) / STEPS


def rotated(tensor: torch.Tensor, shift: int, factor: float = 1.0) -> torch.Tensor:
    """A new tensor with the same shape and strides, its elements moved `shift` places to the front, and around to the
    end: in the order of memory, or, where something stands between them that is not the tensor's, in that of its axes.
    All are multiplied by `factor`.
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
    shift = places(length, shift)
    if factor != 1.0:
        flat = _multipliable(flat)
        torch.mul(flat[shift:], factor, out=fresh[: length - shift])
        torch.mul(flat[:shift], factor, out=fresh[length - shift :])
    else:
        fresh[: length - shift] = flat[shift:]
        fresh[length - shift :] = flat[:shift]
    return fresh.as_strided(tensor.shape, tensor.stride())


def _multipliable(flat: torch.Tensor) -> torch.Tensor:
    """The same numbers in a format that PyTorch multiplies in, which those of one byte are not: all of theirs are
    bf16's, too."""
    return flat if flat.element_size() > 1 else flat.to(torch.bfloat16)


def places(length: int, shift: int) -> int:
    """How far a tensor of so many elements is rotated."""
    return shift % min(length, FARTHEST) if length else 0


class Base:
    """Inputs from which the sets of timed calls are made: those at `rolled` as `redrawn` has it, those at `copied` as
    they are, in memory of their own; all others are the same in every set.
    """

    def __init__(
        self, values: Sequence[Any], rolled: Sequence[int], copied: Sequence[int], at_once: bool = True
    ) -> None:
        """`at_once`: all sets' tensors are made by one operation, for which the inputs must be plain tensors."""
        self.values, self.rolled, self.copied = list(values), rolled, copied
        self._wide: dict[int, torch.Tensor] = {}
        """Tensors at `rolled`, flat and their beginning once more behind the end: every rotation is a part of these."""
        for place in rolled:
            tensor = values[place]
            if at_once and _in_one_piece(tensor):
                flat = tensor.as_strided((tensor.numel(),), (1,), tensor.storage_offset())
                wide = torch.cat([flat, flat[:FARTHEST]])
                self.values[place] = wide[: tensor.numel()].as_strided(tensor.shape, tensor.stride())
                self._wide[place] = _multipliable(wide)

    def sets(self, shifts: Sequence[int]) -> list[list[Any]]:
        """One set of inputs for each number."""
        sets = [list(self.values) for _ in shifts]
        factors = [factor_of(shift) for shift in shifts]
        for place in self.rolled:
            value, wide = self.values[place], self._wide.get(place)
            if wide is None:
                fresh: list[Any] = [redrawn(value, shift) for shift in shifts]
            else:
                length, shape, stride = value.numel(), value.shape, value.stride()
                starts = [places(length, shift) for shift in shifts]
                rotations = [wide[start : start + length] for start in starts]
                if wide.dtype == value.dtype:
                    flat = _multiply(rotations, factors)
                else:
                    made = zip(rotations, factors, strict=True)
                    flat = [torch.mul(each, by, out=torch.empty_like(each, dtype=value.dtype)) for each, by in made]
                fresh = [each.as_strided(shape, stride) for each in flat]
            for each, into in zip(fresh, sets, strict=True):
                into[place] = each
        for place in self.copied:
            for into in sets:
                into[place] = rotated(into[place], 0)
        return sets


def _in_one_piece(value: object) -> bool:
    """A tensor of floating-point numbers, with nothing between its elements."""
    return isinstance(value, torch.Tensor) and value.is_floating_point() and 0 < value.numel() == span(value)
