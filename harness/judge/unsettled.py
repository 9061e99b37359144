"""Values that a published reference does not settle: it gives others when it is run again with the same seed.

Mostly nobody wrote them, and they hold what memory held. They say nothing of a candidate, but those beside them may. So
the reference is run with memory that holds zeros, and twice with memory that holds something else. Places where its
values differ are the same in both comparisons if they are unwritten; where they are not, it works at random, and can
judge nobody. Nor can it where most of its values are of this kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from harness.dtypes import dtype_name
from harness.judge.compare import wrong_places
from harness.judge.values import differ
from harness.sandbox.answers import Placed
from harness.task import Tolerance
from harness.verdict import Outcome

_STRAYS = 0.01
"""Share of unsettled values that may be settled by chance in one comparison of two: the byte that memory holds may come
close to the value."""
_MOST = 0.5
"""Of all values may be unsettled, where the others judge."""


@dataclass(frozen=True)
class Unsettled:
    """Places in what one test half kept."""

    masks: dict[str, torch.Tensor] = field(default_factory=dict)
    """Of tensors, by their names."""
    plain: frozenset[str] = frozenset()
    """Names of numbers and texts."""

    @property
    def count(self) -> int:
        """Values."""
        return len(self.plain) + sum(int(mask.sum()) for mask in self.masks.values())

    def joined(self, other: Unsettled) -> Unsettled:
        """What is unsettled by either."""
        masks = dict(self.masks)
        for name, mask in other.masks.items():
            masks[name] = masks[name] | mask if name in masks else mask
        return Unsettled(masks, self.plain | other.plain)

    def agrees(self, other: Unsettled) -> bool:
        """Are these the same places, but for few?"""
        both = self.joined(other).count
        return 2 * both - self.count - other.count <= _STRAYS * both

    def put_back(self, value: object, expected: object, name: str) -> object:
        """`value`, of the structure of `expected`, with what is expected where that is unsettled."""
        if name in self.plain:
            return expected
        if isinstance(expected, Placed) and isinstance(value, Placed):
            mask, want, have = self.masks.get(name), expected.tensor, value.tensor
            if mask is None or (have.shape, have.dtype) != (want.shape, want.dtype):
                return value
            return Placed(torch.where(mask, want, have), value.device)
        if isinstance(expected, dict) and isinstance(value, dict):
            return {
                key: self.put_back(each, expected[key], inner(name, key)) if key in expected else each
                for key, each in value.items()
            }
        if isinstance(expected, (list, tuple)) and type(value) is type(expected) and len(value) == len(expected):
            pairs = enumerate(zip(value, expected, strict=True))
            return type(expected)(self.put_back(have, want, inner(name, number)) for number, (have, want) in pairs)
        return value

    def leaves_enough(self, value: object, name: str) -> bool:
        """Is most of it settled, and among that a tensor of more than one number that is not all the same?"""
        whole, varies = 0, False
        for at, each in _leaves(value, name):
            if isinstance(each, Placed):
                whole += each.tensor.numel()
                kept = each.tensor[~self.masks[at]] if at in self.masks else each.tensor.reshape(-1)
                varies = varies or (kept.numel() > 1 and bool((kept != kept[0]).any()))
            else:
                whole += 1
        return varies and self.count <= _MOST * whole


def unsettled(first: object, again: object, tolerance: Tolerance, name: str) -> Unsettled | None:
    """Places at which two runs with the same seed differ; None where what they kept is not even of one structure."""
    if isinstance(first, Placed) and isinstance(again, Placed):
        want, have = first.tensor, again.tensor
        if (want.shape, want.dtype) != (have.shape, have.dtype):
            return None
        mask = wrong_places(tolerance.bound(dtype_name(want.dtype)), have, want)
        return Unsettled({name: mask}) if bool(mask.any()) else Unsettled()
    if isinstance(first, (dict, list, tuple)):
        if type(again) is not type(first) or [at for at, _ in _inside(first, name)] != [
            at for at, _ in _inside(again, name)
        ]:
            return None
        found = Unsettled()
        for (at, one), (_, other) in zip(_inside(first, name), _inside(again, name), strict=True):
            more = unsettled(one, other, tolerance, at)
            if more is None:
                return None
            found = found.joined(more)
        return found
    difference, _ = differ(first, again, tolerance, name)
    if difference is None:
        return Unsettled()
    return Unsettled(plain=frozenset({name})) if difference.outcome in (Outcome.VALUES, Outcome.NON_FINITE) else None


def inner(name: str, key: object) -> str:
    """How `harness.judge.values` names what is in a container."""
    return f"{name}[{key!r}]"


def _inside(value: object, name: str) -> list[tuple[str, object]]:
    """What a container holds, by name."""
    if isinstance(value, dict):
        return [(inner(name, key), each) for key, each in value.items()]
    assert isinstance(value, (list, tuple))
    return [(inner(name, number), each) for number, each in enumerate(value)]


def _leaves(value: object, name: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, (dict, list, tuple)):
        for at, each in _inside(value, name):
            yield from _leaves(each, at)
    else:
        yield name, value
