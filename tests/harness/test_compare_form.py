"""Comparison, what a result looks like: structure, shape, dtype, device, strides, aliasing; inputs afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from harness.judge.compare import Difference, compare, expect, same_bits
from harness.sandbox.answers import Foreign, Placed, Returned
from harness.task import Cost, Inputs, Task, grid
from harness.verdict import Outcome


def task(oracle: Any, outputs: str = "torch.empty_like(x)", **more: Any) -> Task:
    """A task with this oracle."""
    made = Task(
        entry_point="f",
        signature="f(x)",
        outputs=outputs,
        level=1,
        category="test",
        origin="test",
        cases=grid(n=[1]),
        workloads=grid(n=[1]),
        **more,
    )
    made.oracle(oracle)
    made.cost(lambda case: Cost(bytes=1))
    return made


def returned(*outputs: Any, after: dict[int, torch.Tensor] | None = None) -> Returned:
    """What a call gave back: tensors on the CPU, or what is given as it is."""
    placed = tuple(Placed(each, "cpu") if isinstance(each, torch.Tensor) else each for each in outputs)
    return Returned(placed, after or {}, launches=1)


def difference(made: Task, inputs: Inputs, got: Returned) -> Difference | None:
    """The first difference on these inputs."""
    return compare(made, inputs, expect(made, inputs), got, "cpu")[0]


X = torch.arange(6.0).reshape(2, 3)
SAME = task(lambda x: x + 1)
TWO = task(lambda x: (x + 1, x.sum(-1)), "(torch.empty_like(x), torch.empty(x.shape[0]))")
IN_PLACE = task(lambda x: () if x.add_(1) is None else None, "()", mutates=("x",))


@pytest.mark.parametrize(
    ("made", "got", "outcome", "words"),
    [
        (SAME, returned(), Outcome.STRUCTURE, "0 outputs returned, 1 wanted"),
        (SAME, returned(X + 1, X), Outcome.STRUCTURE, "2 outputs returned, 1 wanted"),
        (TWO, returned(X + 1), Outcome.STRUCTURE, "1 output returned, 2 wanted"),
        (SAME, returned(Foreign("float")), Outcome.STRUCTURE, "the output is a float, a plain tensor is wanted"),
        (TWO, returned(X + 1, Foreign("Lazy")), Outcome.STRUCTURE, "output 1 is a Lazy, a plain tensor is wanted"),
        (SAME, returned((X + 1).flatten()), Outcome.SHAPE, "the output has shape (6,), (2, 3) is wanted"),
        (SAME, returned((X + 1)[None]), Outcome.SHAPE, "(1, 2, 3), (2, 3) is wanted"),
        (TWO, returned(X + 1, X.sum(-1, keepdim=True)), Outcome.SHAPE, "output 1 has shape (2, 1), (2,) is wanted"),
        (SAME, returned(Foreign("tensor", (9, 9), "float32")), Outcome.SHAPE, "(9, 9), (2, 3) is wanted"),
        (SAME, returned((X + 1).double()), Outcome.DTYPE, "the output is fp64, fp32 is wanted"),
        (SAME, returned((X + 1).long()), Outcome.DTYPE, "the output is int64, fp32 is wanted"),
        (SAME, returned(Foreign("tensor", (2, 3), "complex64")), Outcome.DTYPE, "complex64, fp32 is wanted"),
        (SAME, returned(Placed(X + 1, "cuda")), Outcome.DEVICE, "lies on cuda, the inputs lie on cpu"),
        (SAME, returned((X + 1).t().contiguous().t()), Outcome.STRIDES, "strides (1, 2), a contiguous tensor"),
        (SAME, returned((X[:, :1] + 1).expand(2, 3)), Outcome.STRIDES, "strides (1, 0)"),
        (SAME, returned(Placed(X + 1, "cpu", aliased=True)), Outcome.ALIASED, "in the memory of an input"),
        (SAME, returned(X + 1, after={0: X + 1}), Outcome.MUTATED, "the input `x` was changed; it must stay"),
        (SAME, returned(X + 1, after={0: X.flatten()}), Outcome.MUTATED, "changed its shape or dtype"),
        (SAME, returned(X + 1, after={0: X.half()}), Outcome.MUTATED, "changed its shape or dtype"),
        (IN_PLACE, returned(X + 1), Outcome.STRUCTURE, "1 output returned, 0 wanted"),
        (IN_PLACE, returned(after={0: X}), Outcome.VALUES, "of `x` after the call are out of tolerance"),
    ],
)
def test_wrong(made: Task, got: Returned, outcome: Outcome, words: str) -> None:
    found = difference(made, {"x": X}, got)
    assert found is not None and found.outcome is outcome, found
    assert words in found.sentence and "\n" not in found.sentence


@pytest.mark.parametrize(
    ("made", "inputs", "got"),
    [
        (SAME, {"x": X}, returned(X + 1, after={0: X})),
        (TWO, {"x": X}, returned(X + 1, X.sum(-1))),
        (IN_PLACE, {"x": X}, returned(after={0: X + 1})),
        (SAME, {"x": torch.empty(0, 3)}, returned(torch.empty(0, 3), after={0: torch.empty(0, 3)})),
        (SAME, {"x": torch.tensor(3.0)}, returned(torch.tensor(4.0), after={0: torch.tensor(3.0)})),
        (
            SAME,
            {"x": torch.full((2,), torch.nan)},
            returned(torch.full((2,), torch.nan), after={0: X[0, :2] * torch.nan}),
        ),
        (
            task(lambda x: x.t() + 1, "torch.empty(x.shape[1], x.shape[0])"),
            {"x": X.t()},
            returned(X + 1, after={0: X.t()}),
        ),
        (
            task(lambda x: x + 1, contiguous_outputs=False),
            {"x": X},
            returned((X + 1).t().contiguous().t(), after={0: X}),
        ),
        (
            task(lambda x, n: x + n, mutates=("x",)),
            {"x": X, "n": 1},
            returned(Placed(X + 1, "cpu", aliased=True), after={0: X}),
        ),
    ],
    ids=["plain", "two", "in place", "empty", "scalar", "NaN stays", "transposed input", "any layout", "may alias"],
)
def test_right(made: Task, inputs: Inputs, got: Returned) -> None:
    assert difference(made, inputs, got) is None


def test_in_place_is_compared_with_what_the_oracle_left() -> None:
    assert expect(IN_PLACE, {"x": X}).changed["x"].equal(X.double() + 1)
    assert X.equal(torch.arange(6.0).reshape(2, 3)), "the oracle had a copy"


def test_a_task_that_contradicts_itself_is_not_the_candidates_fault() -> None:
    with pytest.raises(AssertionError, match="the oracle gives 2 outputs, `outputs` allocates 1"):
        expect(task(lambda x: (x, x)), {"x": X})
    with pytest.raises(AssertionError, match="output 0 is"):
        expect(task(lambda x: x.sum()), {"x": X})


def test_bits() -> None:
    nan = torch.tensor([float("nan"), -0.0])
    assert same_bits(nan, nan.clone()) and not same_bits(nan, torch.tensor([float("nan"), 0.0]))
    assert same_bits(torch.tensor(1.5), torch.tensor(1.5)) and not same_bits(torch.tensor(1.5), torch.tensor(2.5))
    assert same_bits(X.t(), X.t().contiguous()), "of values, whatever the layout"
    assert same_bits(torch.tensor([True]), torch.tensor([True]))
