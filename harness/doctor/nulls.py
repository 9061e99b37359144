"""Null solutions: answers that compute nothing. A task on which one of them is right measures nothing.

They are compared as a candidate's answer would be, with no process in between: they are of the judge's own making.
So the constant of the right mean can have the true mean of every case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from harness.judge.compare import Expected, compare, expect
from harness.sandbox.answers import Placed, Returned
from harness.task import Case, Inputs, Rng, Task

Tensors = tuple[torch.Tensor, ...]


def _filled(layout: Tensors, value: float) -> Tensors:
    return tuple(torch.full_like(each.to(torch.float32), value).to(each.dtype) for each in layout)


def _uninitialised(inputs: Inputs, targets: Tensors, right: Tensors) -> Tensors:
    """What stands in memory that nobody wrote: random bits."""
    found = []
    for each in targets:
        bits = torch.randint(0, 256, (each.numel() * each.element_size(),), dtype=torch.uint8, device=each.device)
        flat = bits % 2 == 1 if each.dtype == torch.bool else bits.view(each.dtype)
        found.append(flat.reshape(each.shape))
    return tuple(found)


def _inputs(inputs: Inputs, targets: Tensors, right: Tensors) -> Tensors | None:
    """For each output the first input of its shape, as it is; for what is changed in place, unchanged."""
    found = []
    for target in targets:
        like = next((v for v in inputs.values() if isinstance(v, torch.Tensor) and v.shape == target.shape), None)
        if like is None:
            return None
        found.append(like.to(target.dtype).contiguous())
    return tuple(found)


def _means(inputs: Inputs, targets: Tensors, right: Tensors) -> Tensors:
    found = []
    for target, value in zip(targets, right, strict=True):
        finite = value.to(torch.float64)
        finite = finite[torch.isfinite(finite)]
        mean = float(finite.mean()) if finite.numel() else 0.0
        found.append(torch.full_like(target.to(torch.float32), mean).to(target.dtype))
    return tuple(found)


NULLS: dict[str, Callable[[Inputs, Tensors, Tensors], Tensors | None]] = {
    "uninitialised": _uninitialised,
    "zeros": lambda inputs, targets, right: _filled(targets, 0.0),
    "ones": lambda inputs, targets, right: _filled(targets, 1.0),
    "NaN": lambda inputs, targets, right: (
        _filled(targets, float("nan")) if any(each.is_floating_point() for each in targets) else None
    ),
    "an input": _inputs,
    "the mean": _means,
}
"""By name: from inputs, what is to be written (outputs, then inputs changed in place), and what is right, the answer;
None where there is no such answer."""


def fooled(task: Task, device: str, seed: int) -> Iterator[tuple[str, list[str], int]]:
    """For each null solution: its name, the cases on which it is right, and the number of cases on which it exists."""
    passed: dict[str, list[str]] = {name: [] for name in NULLS}
    tried = dict.fromkeys(NULLS, 0)
    for case in task.cases:
        inputs = task.make_inputs(case, Rng(seed, device))
        expected = expect(task, inputs)
        changed = tuple(inputs[name] for name in task.mutates)
        targets = (*expected.layout, *changed)
        right = (*expected.outputs, *expected.changed.values())
        for name, make in NULLS.items():
            answer = make(inputs, targets, right)
            if answer is None:
                continue
            tried[name] += 1
            if _is_right(task, case, inputs, expected, answer, device):
                passed[name].append(case.id)
    for name in NULLS:
        yield name, passed[name], tried[name]


def _is_right(task: Task, case: Case, inputs: Inputs, expected: Expected, answer: Tensors, device: str) -> bool:
    kind = torch.device(device).type
    outputs, changed = answer[: len(expected.layout)], answer[len(expected.layout) :]
    positions = {name: number for number, name in enumerate(inputs)}
    returned = Returned(
        outputs=tuple(Placed(each, kind) for each in outputs),
        after={positions[name]: value for name, value in zip(task.mutates, changed, strict=True)},
    )
    difference, _ = compare(task, inputs, expected, returned, kind)
    return difference is None
