"""Do a task's cases vary what must vary? Decided on the inputs that the cases make, not on what their names promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from harness.task import Case, Inputs, Rng, Task

BLOCK = 16
"""Sizes up to this may be odd and yet fit into one block."""
LARGE, TINY = 100.0, 0.02
"""Largest magnitude of an input of large, and of tiny values."""


@dataclass(frozen=True)
class _Seen:
    """One case with its inputs."""

    case: Case
    inputs: Inputs

    def tensors(self) -> list[torch.Tensor]:
        return [value for value in self.inputs.values() if isinstance(value, torch.Tensor)]

    def floats(self) -> list[torch.Tensor]:
        return [each.to(torch.float64) for each in self.tensors() if each.is_floating_point() and each.numel()]

    def sizes(self) -> list[int]:
        """Extents of the tensors, and whole numbers among the parameters."""
        numbers = [value for value in self.case.values() if isinstance(value, int) and not isinstance(value, bool)]
        return [*(size for each in self.tensors() for size in each.shape), *numbers]


def _peak(tensor: torch.Tensor) -> float:
    finite = tensor[torch.isfinite(tensor)]
    return float(finite.abs().max()) if finite.numel() else 0.0


def _equal(tensor: torch.Tensor) -> bool:
    values = tensor.to(torch.float64)
    return tensor.numel() > 1 and bool((values == values.reshape(-1)[0]).all()) and float(values.reshape(-1)[0]) != 0


def _dtypes(seen: _Seen) -> frozenset[object]:
    named = {seen.case[name] for name in seen.case if name.endswith("dtype")}
    return frozenset({*named, *(each.dtype for each in seen.tensors())})


RULES: dict[str, tuple[str, Callable[[_Seen], bool]]] = {
    "odd_size": ("a size that is no multiple of any block", lambda s: any(n % 2 and n > BLOCK for n in s.sizes())),
    "size_one": ("a size of one", lambda s: 1 in s.case.values() and any(1 in each.shape for each in s.tensors())),
    "strided": ("a tensor that is not contiguous", lambda s: any(not each.is_contiguous() for each in s.tensors())),
    "large": (f"values of {LARGE:g} and more", lambda s: any(_peak(each) >= LARGE for each in s.floats())),
    "tiny": (f"values of {TINY:g} and less", lambda s: any(0 < _peak(each) <= TINY for each in s.floats())),
    "negative": ("negative values", lambda s: any(bool((each < 0).any()) for each in s.floats())),
    "equal": ("a tensor of equal values", lambda s: any(_equal(each) for each in s.tensors())),
}
"""By the name that a waiver uses: what some case must have, and whether a case has it."""


def faults(task: Task) -> Iterator[tuple[str, str]]:
    """(rule, sentence) for everything that no case of the task varies; waived ones included."""
    seen = [_Seen(case, task.make_inputs(case, Rng(number))) for number, case in enumerate(task.cases)]
    for name, (what, has) in RULES.items():
        if not any(has(each) for each in seen):
            yield name, f"no case has {what}"
    if len({_dtypes(each) for each in seen}) < 2:
        yield "dtypes", "all cases have the same data types"
    for name in _constant(task, seen):
        yield "constant", f"the argument `{name}` is the same in all cases: a kernel may ignore it"
    for each in (task.cases, task.workloads, task.interpreted or []):
        twice = {case.id for case in each if sum(other.id == case.id for other in each) > 1}
        if twice:
            yield "ids", f"the case {sorted(twice)[0]} stands there twice"
    for one in seen:
        fault = _cost(task, one)
        if fault:
            yield "cost", fault
            break


def _cost(task: Task, seen: _Seen) -> str | None:
    """Bytes are those of all inputs, outputs, and once more of what is changed in place (read and written)."""
    changed = [seen.inputs[name] for name in task.mutates]
    tensors = [*seen.tensors(), *task.allocate(seen.inputs), *changed]
    size = sum(each.numel() * each.element_size() for each in tensors)
    told = task.least_cost(seen.case).bytes
    return None if told == size else f"on {seen.case.id} the cost names {told:g} bytes, its tensors have {size}"


def _constant(task: Task, seen: list[_Seen]) -> list[str]:
    """Arguments that are plain values, and the same in all cases."""
    plain = [name for name, value in seen[0].inputs.items() if not isinstance(value, torch.Tensor)]
    kinds = {name: {repr(each.inputs[name]) for each in seen if not _is_tensor(each.inputs[name])} for name in plain}
    return [name for name, values in kinds.items() if len(values) < 2 and not any(_given(name, seen))]


def _given(name: str, seen: list[_Seen]) -> Iterator[bool]:
    """Is the argument a tensor in some cases, as an optional one is?"""
    return (_is_tensor(each.inputs[name]) for each in seen)


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)
