"""Compares what two runs of a script kept: structure, then every tensor and number, by the first difference."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from harness.dtypes import dtype_name
from harness.judge.compare import Difference, values
from harness.sandbox.answers import Foreign, Placed
from harness.task import Bound, Tolerance
from harness.verdict import Outcome


def differ(expected: object, got: object, tolerance: Tolerance, name: str) -> tuple[Difference | None, float]:
    """The first difference, if any, and the worst error as a share of what is allowed."""
    if isinstance(expected, Placed):
        return _tensors(expected, got, tolerance, name)
    if isinstance(expected, (dict, list, tuple)):
        return _containers(expected, got, tolerance, name)
    if isinstance(expected, float) and not isinstance(expected, bool):
        return _floats(expected, got, tolerance.bound("fp32"), name)
    if isinstance(expected, Foreign):
        same = isinstance(got, Foreign) and got.kind == expected.kind
        return (None if same else _structure(f"{name} is {_kind(got)}, {expected.kind} is wanted")), 0.0
    if type(got) is not type(expected):
        return _structure(f"{name} is {_kind(got)}, {_kind(expected)} is wanted"), 0.0
    if got != expected:
        return Difference(Outcome.VALUES, f"{name} differs; it must be equal"), math.inf
    return None, 0.0


def says_something(value: object) -> bool:
    """Is there a value that a wrong kernel would get wrong: a tensor of more than one number that is not all the
    same?"""
    return any(each.numel() > 1 and bool((each != each.reshape(-1)[0]).any()) for each in tensors(value))


def holds_nan(value: object) -> bool:
    """Is there a tensor with a value that is no number?"""
    return any(bool(each.isnan().any()) for each in tensors(value) if each.is_floating_point())


def tensors(value: object) -> Iterator[torch.Tensor]:
    """All tensors in what a script kept."""
    if isinstance(value, Placed):
        yield value.tensor
    elif isinstance(value, (dict, list, tuple)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from tensors(each)


def _containers(
    expected: dict[str, object] | list[object] | tuple[object, ...], got: object, tolerance: Tolerance, name: str
) -> tuple[Difference | None, float]:
    if type(got) is not type(expected):
        return _structure(f"{name} is {_kind(got)}, {_kind(expected)} is wanted"), 0.0
    assert isinstance(got, (dict, list, tuple))
    if len(got) != len(expected):
        return _structure(f"{name} has {len(got)} values, {len(expected)} are wanted"), 0.0
    if isinstance(expected, dict) and isinstance(got, dict):
        missing = [key for key in expected if key not in got]
        if missing:
            return _structure(f"{name} has no {missing[0]!r}"), 0.0
        pairs = [(f"{name}[{key!r}]", each, got[key]) for key, each in expected.items()]
    else:
        pairs = [(f"{name}[{n}]", a, b) for n, (a, b) in enumerate(zip(expected, got, strict=True))]
    worst = 0.0
    for inner, one, other in pairs:
        difference, error = differ(one, other, tolerance, inner)
        worst = max(worst, error)
        if difference is not None:
            return difference, worst
    return None, worst


def _tensors(expected: Placed, got: object, tolerance: Tolerance, name: str) -> tuple[Difference | None, float]:
    if not isinstance(got, Placed):
        return _structure(f"{name} is {_kind(got)}, a tensor is wanted"), 0.0
    want, have = expected.tensor, got.tensor
    if have.shape != want.shape:
        return Difference(Outcome.SHAPE, f"{name} has shape {tuple(have.shape)}, {tuple(want.shape)} is wanted"), 0.0
    if have.dtype != want.dtype:
        sentence = f"{name} is {dtype_name(have.dtype)}, {dtype_name(want.dtype)} is wanted"
        return Difference(Outcome.DTYPE, sentence), 0.0
    return values(tolerance.bound(dtype_name(want.dtype)), name, have, want)


def _floats(expected: float, got: object, bound: Bound, name: str) -> tuple[Difference | None, float]:
    if not isinstance(got, float):
        return _structure(f"{name} is {_kind(got)}, a float is wanted"), 0.0
    if not (math.isfinite(expected) and math.isfinite(got)):
        same = got == expected or (math.isnan(got) and math.isnan(expected))
        return (None, 0.0) if same else (Difference(Outcome.NON_FINITE, f"{name} is not finite as wanted"), math.inf)
    error, allowed = abs(got - expected), (bound.rtol + bound.atol) * abs(expected)
    share = 0.0 if error == 0.0 else error / allowed if allowed else math.inf
    if share > 1.0:
        return Difference(Outcome.VALUES, f"{name} is off by {error:.3g}, {share:.3g} times what is allowed"), share
    return None, share


def _structure(sentence: str) -> Difference:
    return Difference(Outcome.STRUCTURE, sentence)


def _kind(value: object) -> str:
    if isinstance(value, Placed):
        return "a tensor"
    if isinstance(value, Foreign):
        return f"a {value.kind}"
    return "None" if value is None else f"a {type(value).__name__}"
