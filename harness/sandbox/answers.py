"""What a candidate's process gave back, as the judge read it. Nothing of it is believed that can't be checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Foreign:
    """An output that could not be read: not a plain tensor, too large, or of an unknown dtype."""

    kind: str
    shape: tuple[int, ...] | None = None
    dtype: str = ""


@dataclass(frozen=True)
class Placed:
    """A tensor as the candidate returned it, with what only its process could see."""

    tensor: torch.Tensor
    device: str
    aliased: bool = False


@dataclass(frozen=True)
class Returned:
    """What one call gave back, copied out of the shared memory."""

    outputs: tuple[Any, ...]
    """Tensors, or `Foreign` for what is no plain tensor."""
    after: dict[int, torch.Tensor]
    """Inputs as they were after the call, by position."""
    launches: int = 0
    operations: tuple[str, ...] = ()
    configurations: tuple[str, ...] = ()
    """What an autotuned kernel could choose from (interpreter)."""
    moved: tuple[str, ...] = ()
    """Tensors of floating-point values that went to the host: dtype and shape."""
    outside: tuple[str, ...] = ()
    """What was written outside of tensors, a sentence each (GPU)."""


@dataclass(frozen=True)
class Profiled:
    """One call under the device's profiler."""

    ran: list[tuple[str, float]]
    """Name and µs of each kernel that ran on the device."""
    launched: list[str]
    """Names of those that Triton launched."""
    compiled: dict[str, dict[str, int]]
    """By name, what these take; see `harness.sandbox.witness`."""


@dataclass(frozen=True)
class Fired:
    """One block of calls."""

    samples: list[float] | None
    """Claimed µs of each call by device events; None on the interpreter."""
    wall: float
    """µs of all by the judge's clock, the device's sleep before them included."""
    launched: float
    """µs that the host took to launch them, as its process says."""
    first: float
    """µs of these for the first of them, likewise."""
    seen: Returned | None
    """What was seen of all of them on the interpreter, with no outputs; else None."""


@dataclass(frozen=True)
class Scripted:
    """What one run of a script kept."""

    value: Any
    """Lists, tuples, dictionaries by text, numbers, text, None, `Placed` tensors, and `Foreign` for all else."""
    launches: int
    """Of Triton kernels."""
    printed: str
    """Digest of what Python printed; empty if nothing."""


@dataclass(frozen=True)
class Workload:
    """One input of a published timed half."""

    label: str
    bytes: int
    """Of its tensors."""
