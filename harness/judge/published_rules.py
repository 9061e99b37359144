"""What the published evaluators would say of a run: beside the judge's own verdict, so that the difference shows.

Neither looks at what a candidate does, and both take a process that ends itself with code 0 for a success. They are
told here as their code decides; but that inputs are seeded alike, which TritonBench's evaluator does not do.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from harness.sandbox.answers import Placed, Scripted

TOLERANCE = 1e-3
"""Absolute and relative, of GEAK-eval."""


def printed(expected: Scripted, ran: Scripted) -> bool:
    """TritonBench: both print the same; nothing is the same as nothing."""
    return expected.printed == ran.printed


def close(expected: Scripted, ran: Scripted) -> bool:
    """GEAK-eval: values of one type, which are close as far as both go."""
    if ran.value is None or type(_plain(ran.value)) is not type(_plain(expected.value)):
        return False
    try:
        return _close(expected.value, ran.value)
    except (RuntimeError, TypeError):  # shapes that can't be broadcast, dtypes that differ
        return False


EXECUTION: dict[str, Callable[[Scripted, Scripted], bool]] = {"printed": printed, "close": close}
"""Execution accuracy by each."""


def _close(expected: object, got: object) -> bool:
    if isinstance(got, dict):
        assert isinstance(expected, dict)
        return _close(list(expected.values()), list(got.values()))
    if isinstance(got, (list, tuple)):
        assert isinstance(expected, (list, tuple))
        return all([_close(one, other) for one, other in zip(expected, got, strict=False)])
    one, other = _plain(expected), _plain(got)
    if isinstance(one, torch.Tensor):
        if not isinstance(other, torch.Tensor):
            raise TypeError("no tensor")
        return torch.allclose(other, one, atol=TOLERANCE, rtol=TOLERANCE)
    return bool(one == other)


def _plain(value: object) -> object:
    return value.tensor if isinstance(value, Placed) else value
