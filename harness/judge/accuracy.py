"""How exact a right kernel is beside the reference: its error against the oracle as a multiple of the reference's.

The error of an output is the root mean square of its distance from the oracle, over the oracle's own root mean square.
Nothing can be better than the rounding of the output's format, so that no error counts as less than that: a ratio of 1
means as exact as the reference, or as exact as the format. The reference's errors are measured once for each task,
device and version of the software, and kept.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import torch

from harness.device import Device, cache_folder, version_of
from harness.judge.compare import Expected
from harness.sandbox.answers import Placed, Returned
from harness.task import Case, Task
from harness.verdict import Accuracy

ENOUGH = 64
"""Over fewer values an error is a matter of luck."""

Errors = tuple[float, ...]
"""One for each floating-point output, then for each input changed in place."""


@dataclass(frozen=True)
class Measured:
    """What one call lost."""

    errors: Errors
    rounding: Errors
    """What the output's format alone loses."""


def measure(task: Task, expected: Expected, returned: Returned, names: list[str]) -> Measured:
    """The errors of a right call. `names` are those of the inputs, in order."""
    pairs = [
        (got.tensor, want)
        for got, want in zip(returned.outputs, expected.outputs, strict=True)
        if isinstance(got, Placed)
    ]
    pairs += [
        (returned.after[names.index(name)], want)
        for name, want in expected.changed.items()
        if names.index(name) in returned.after
    ]
    floating = [(got, want) for got, want in pairs if got.is_floating_point() and got.numel() >= ENOUGH]
    return Measured(
        tuple(_error(got, want) for got, want in floating),
        tuple(torch.finfo(got.dtype).eps / math.sqrt(12) for got, _ in floating),
    )


def _error(got: torch.Tensor, want: torch.Tensor) -> float:
    have, right = got.to(torch.float64), want.to(torch.float64)
    counted = torch.isfinite(have) & torch.isfinite(right)
    distance = torch.where(counted, have - right, 0.0).square().sum().sqrt()
    scale = torch.where(counted, right, 0.0).square().sum().sqrt()
    return float(distance / scale) if float(scale) else 0.0


def weigh(candidate: dict[str, Measured], reference: dict[str, Errors]) -> Accuracy | None:
    """The case on which the candidate lost most, as a multiple of the reference's loss there; None without floats."""
    found: list[Accuracy] = []
    for case, measured in candidate.items():
        for mine, theirs, least in zip(measured.errors, reference.get(case, ()), measured.rounding, strict=False):
            found.append(Accuracy(case, mine, theirs, max(mine, least) / max(theirs, least)))
    return max(found, key=lambda each: each.ratio, default=None)


def reference_errors(
    task: Task, device: Device, call: Callable[[Case, int], tuple[Expected, Returned, list[str]]]
) -> dict[str, Errors]:
    """The reference's errors by case id; `call(case, seed)` runs it."""
    about = [task.digest, device.name, device.driver, torch.__version__, version_of("triton")]
    path = cache_folder() / f"errors-{hashlib.sha256(json.dumps(about).encode()).hexdigest()[:24]}.json"
    try:
        return {str(case): tuple(map(float, errors)) for case, errors in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        pass
    found = {}
    for case in task.cases:
        expected, returned, names = call(case, secrets.randbits(48))
        found[case.id] = measure(task, expected, returned, names).errors
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    except OSError:
        pass
    return found
