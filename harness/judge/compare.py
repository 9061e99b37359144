"""Compares what a candidate returned with what is right: structure, shape, dtype, device, strides, NaN and infinity,
values; and inputs before and after. Says the first difference in one sentence, with where and how much, never the
expected values themselves."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.dtypes import dtype_name
from harness.sandbox.answers import Foreign, Placed, Returned
from harness.sandbox.wire import span
from harness.task import Bound, Inputs, Task
from harness.verdict import Outcome


@dataclass(frozen=True)
class Difference:
    """Why a candidate is wrong on one case."""

    outcome: Outcome
    sentence: str


@dataclass(frozen=True)
class Expected:
    """What is right for one set of inputs; it lives in the judge's process alone."""

    outputs: tuple[torch.Tensor, ...]
    """Oracle's values, fp64 where floating."""
    layout: tuple[torch.Tensor, ...]
    """Uninitialised outputs of the right shape and dtype."""
    changed: dict[str, torch.Tensor]
    """Oracle's values of the inputs that are changed in place."""


def expect(task: Task, inputs: Inputs) -> Expected:
    """Run the oracle on inputs that the candidate does not hold."""
    outputs, changed = task.expected(inputs)
    layout = task.allocate(inputs)
    if len(outputs) != len(layout):
        raise AssertionError(f"{task.name}: the oracle gives {len(outputs)} outputs, `outputs` allocates {len(layout)}")
    for number, (value, empty) in enumerate(zip(outputs, layout, strict=True)):
        if value.shape != empty.shape:
            raise AssertionError(
                f"{task.name}: output {number} is {tuple(value.shape)} by the oracle, {tuple(empty.shape)} by `outputs`"
            )
    return Expected(outputs, layout, changed)


def compare(
    task: Task, inputs: Inputs, expected: Expected, returned: Returned, device_type: str
) -> tuple[Difference | None, float]:
    """The first difference, if any, and the worst error as a share of what is allowed.

    `inputs` are the judge's own copies, as they were before the call; `device_type` is `cpu` or `cuda`.
    """
    if len(returned.outputs) != len(expected.outputs):
        return Difference(
            Outcome.STRUCTURE, f"{_count(len(returned.outputs))} returned, {len(expected.outputs)} wanted"
        ), 0.0
    worst = 0.0
    for number, (got, value, layout) in enumerate(
        zip(returned.outputs, expected.outputs, expected.layout, strict=True)
    ):
        name = "the output" if len(expected.outputs) == 1 else f"output {number}"
        difference = _form(task, name, got, layout, device_type)
        if difference is None:
            assert isinstance(got, Placed)
            difference, error = values(_bound(task, got.tensor), name, got.tensor, value)
            worst = max(worst, error)
        if difference is not None:
            return difference, worst
    difference, error = _inputs_after(task, inputs, expected, returned)
    return difference, max(worst, error)


def _form(task: Task, name: str, got: Placed | Foreign, layout: torch.Tensor, device_type: str) -> Difference | None:
    wanted = tuple(layout.shape)
    if isinstance(got, Foreign):
        if got.shape is None:
            return Difference(Outcome.STRUCTURE, f"{name} is a {got.kind}, a plain tensor is wanted")
        if got.dtype != str(layout.dtype).removeprefix("torch."):
            return Difference(Outcome.DTYPE, f"{name} is {got.dtype}, {dtype_name(layout.dtype)} is wanted")
        return Difference(Outcome.SHAPE, f"{name} has shape {got.shape}, {wanted} is wanted")
    tensor = got.tensor
    if tuple(tensor.shape) != wanted:
        return Difference(Outcome.SHAPE, f"{name} has shape {tuple(tensor.shape)}, {wanted} is wanted")
    if tensor.dtype != layout.dtype:
        return Difference(Outcome.DTYPE, f"{name} is {dtype_name(tensor.dtype)}, {dtype_name(layout.dtype)} is wanted")
    if got.device != device_type:
        return Difference(Outcome.DEVICE, f"{name} lies on {got.device}, the inputs lie on {device_type}")
    if task.contiguous_outputs and not tensor.is_contiguous():
        return Difference(
            Outcome.STRIDES, f"{name} has strides {tuple(tensor.stride())}, a contiguous tensor is wanted"
        )
    if got.aliased and not task.mutates:
        return Difference(Outcome.ALIASED, f"{name} lies in the memory of an input")
    return None


def _bound(task: Task, got: torch.Tensor) -> Bound:
    return task.tolerance.bound(dtype_name(got.dtype))


def values(bound: Bound, name: str, got: torch.Tensor, value: torch.Tensor) -> tuple[Difference | None, float]:
    """Values of one tensor against those that are right; the error is a share of what the bound allows."""
    if got.numel() == 0:
        return None, 0.0
    if not got.is_floating_point() and not value.is_floating_point() and bound.rtol == bound.atol == 0.0:
        wrong = got.to(value.dtype) != value
        if bool(wrong.any()):
            return _report(name, wrong, torch.zeros_like(wrong, dtype=torch.float64), exact=True), float("inf")
        return None, 0.0
    worst_at_once = _worst_at_once(got, value, bound)
    if worst_at_once is not None and worst_at_once <= 1.0:
        return None, worst_at_once
    have, want = _both(got, value)
    for kind, mask in (("NaN", torch.isnan), ("infinite", torch.isinf)):
        differs = mask(have) != mask(want)
        if kind == "infinite":
            differs |= mask(have) & mask(want) & (have != want)
        if bool(differs.any()):
            index = _first(differs)
            seen = "is" if bool(mask(have)[index]) else "is not"
            wanted = "not be" if seen == "is" else "be"
            sentence = f"{name}{list(index)} {seen} {kind} where it should {wanted} ({_share(differs)})"
            return Difference(Outcome.NON_FINITE, sentence), float("inf")
    error, share = _errors(have, want, bound, got.dtype)
    worst = float(share.max())
    if worst > 1.0:
        return _report(name, share > 1.0, share, exact=False, error=error), worst
    return None, worst


def wrong_places(bound: Bound, got: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Where values of a tensor are not those that are right, by the rule of `values`: a mask of its shape."""
    if not got.is_floating_point() and not value.is_floating_point() and bound.rtol == bound.atol == 0.0:
        return got.to(value.dtype) != value
    have, want = _both(got, value)
    finite = torch.isfinite(want)
    strange = (torch.isfinite(have) != finite) | (~finite & (have != want) & ~(torch.isnan(have) & torch.isnan(want)))
    return strange | (_errors(have, want, bound, got.dtype)[1] > 1.0)


def _errors(
    have: torch.Tensor, want: torch.Tensor, bound: Bound, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors of what is wanted as a finite number, in fp64, and what share they are of what is allowed."""
    finite = torch.isfinite(want)
    want, have = torch.where(finite, want, 0.0), torch.where(finite, have, 0.0)
    squares = want.square()
    whole = squares.sum().div(finite.sum().clamp(min=1)).sqrt()
    return _share_of_allowed(have, want, finite, squares, whole, bound, _smallest(dtype))


_WIDE = 16
"""A row of so many values has a magnitude of its own."""
_FLOOR = 1e-3
"""No row's scale is below this share of the whole tensor's: what should cancel to zero leaves some rounding."""


def _both(got: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What is there and what is wanted, in fp64; what the output's format can't hold is wanted as infinity."""
    have, want = got.to(torch.float64), value.to(torch.float64)
    if got.is_floating_point():
        want_in_format = want.to(got.dtype).to(torch.float64)
        want = torch.where(torch.isinf(want_in_format), want_in_format, want)
    return have, want


def _share_of_allowed(
    have: torch.Tensor,
    want: torch.Tensor,
    finite: torch.Tensor,
    squares: torch.Tensor,
    whole: torch.Tensor,
    bound: Bound,
    smallest: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Errors, and what share they are of what is allowed; see `harness.task.Bound`. `whole` is the magnitude of all
    values, `squares` are those of `want`."""
    scale = whole
    if want.dim() >= 2 and want.shape[-1] >= _WIDE:
        rows = squares.sum(-1, keepdim=True).div(finite.sum(-1, keepdim=True).clamp(min=1)).sqrt()
        scale = torch.maximum(rows, whole * _FLOOR)
    allowed = want.abs().mul(bound.rtol).add(scale.mul(bound.atol)).add(smallest)
    error = (have - want).abs()
    return error, torch.where(error == 0, 0.0, error.div(allowed))  # where nothing is allowed, 0/0 would hide all else


PART = 1 << 23
"""Values that are compared at a time: a comparison takes some ten times their memory, in fp64."""


def _worst_at_once(got: torch.Tensor, value: torch.Tensor, bound: Bound) -> float | None:
    """The worst share of what is allowed, where it can be had in little time and memory; else None."""
    if got.is_cuda:
        from harness.judge import screen  # Triton's import takes a second

        if screen.compares(got, value):
            wide = got.dim() >= 2 and got.shape[-1] >= _WIDE
            return screen.worst_share(got, value, wide, _FLOOR, (bound.rtol, bound.atol, _smallest(got.dtype)))
    return _worst_by_parts(got, value, bound) if got.numel() > PART else None


def _worst_by_parts(got: torch.Tensor, value: torch.Tensor, bound: Bound) -> float | None:
    """The worst share of what is allowed, as `values` has it, in little memory; None where NaN or infinity differ, or
    rows are too long to be cut between."""
    wide = got.dim() >= 2 and got.shape[-1] >= _WIDE
    if wide and got.shape[-1] > PART:
        return None
    shape = (-1, got.shape[-1]) if wide else (-1,)
    got, value = got.reshape(shape), value.reshape(shape)
    step = max(1, PART // got.shape[-1]) if wide else PART
    parts = [slice(start, start + step) for start in range(0, got.shape[0], step)]
    total = torch.zeros((), dtype=torch.float64, device=got.device)
    count, strange, worst = total.clone(), torch.zeros((), dtype=torch.bool, device=got.device), total.clone()
    for part in parts:
        have, want = _both(got[part], value[part])
        strange |= (torch.isnan(have) != torch.isnan(want)).any()
        infinite = torch.isinf(have) | torch.isinf(want)
        strange |= (infinite & (have != want)).any()
        finite = torch.isfinite(want)
        total += torch.where(finite, want, 0.0).square().sum()
        count += finite.sum()
    whole = total.div(count.clamp(min=1)).sqrt()
    for part in parts:
        have, want = _both(got[part], value[part])
        finite = torch.isfinite(want)
        want, have = torch.where(finite, want, 0.0), torch.where(finite, have, 0.0)
        _, share = _share_of_allowed(have, want, finite, want.square(), whole, bound, _smallest(got.dtype))
        worst = torch.maximum(worst, share.max())
    return None if bool(strange) else float(worst)


def _smallest(dtype: torch.dtype) -> float:
    """Half a step of the format's smallest numbers: what rounding near zero may cost whatever the tolerance."""
    if not dtype.is_floating_point:
        return 0.0
    info = torch.finfo(dtype)
    return float(info.tiny) * float(info.eps)


def _report(
    name: str, wrong: torch.Tensor, share: torch.Tensor, exact: bool, error: torch.Tensor | None = None
) -> Difference:
    if exact or error is None:
        return Difference(
            Outcome.VALUES, f"{_share(wrong)} of {name} differ, the first at {list(_first(wrong))}; they must be equal"
        )
    flat = int(share.argmax())
    index = [int(each) for each in torch.unravel_index(torch.tensor(flat), share.shape)]
    sentence = (
        f"{_share(wrong)} of {name} are out of tolerance; "
        f"the worst at {index} is off by {float(error.reshape(-1)[flat]):.3g}, "
        f"{float(share.reshape(-1)[flat]):.3g} times what is allowed; the first wrong is at {list(_first(wrong))}"
    )
    return Difference(Outcome.VALUES, sentence)


def _inputs_after(
    task: Task, inputs: Inputs, expected: Expected, returned: Returned
) -> tuple[Difference | None, float]:
    worst = 0.0
    for position, (name, before) in enumerate(inputs.items()):
        after = returned.after.get(position)
        if after is None or not isinstance(before, torch.Tensor):
            continue
        if after.shape != before.shape or after.dtype != before.dtype:
            return Difference(Outcome.MUTATED, f"the input `{name}` changed its shape or dtype"), worst
        if name in task.mutates:
            difference, error = values(_bound(task, after), f"`{name}` after the call", after, expected.changed[name])
            worst = max(worst, error)
            if difference is not None:
                return difference, worst
        elif not same_bits(after, before):
            return Difference(Outcome.MUTATED, f"the input `{name}` was changed; it must stay as it is"), worst
    return None, worst


def gaps_written(inputs: Inputs, returned: Returned) -> Difference | None:
    """What was written between the rows (or columns) of an input, into memory that is no part of it."""
    for position, (name, before) in enumerate(inputs.items()):
        after = returned.after.get(position)
        if after is None or not isinstance(before, torch.Tensor) or after.shape != before.shape:
            continue
        if after.numel() > 1 and after.stride() != before.stride():
            return Difference(Outcome.MUTATED, f"the input `{name}` changed its strides")
        was, now = _gaps(before), _gaps(after)
        if was is not None and now is not None and not torch.equal(was, now):
            count = int((was != now).any(-1).sum())
            return Difference(
                Outcome.ILLEGAL_ACCESS, f"{count} elements were written that lie between those of the input `{name}`"
            )
    return None


def _gaps(tensor: torch.Tensor) -> torch.Tensor | None:
    """The bytes, a row for each element, of what lies between the tensor's first and last element and is not in it."""
    size = span(tensor)
    if size <= tensor.numel():
        return None
    inside = torch.zeros(size, dtype=torch.bool, device=tensor.device)
    inside.as_strided(tensor.shape, tensor.stride()).fill_(True)
    flat = tensor.as_strided((size,), (1,), tensor.storage_offset())
    return flat[~inside].view(torch.uint8).view(-1, tensor.element_size())


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal to the last bit, NaN included."""
    return torch.equal(*(each.contiguous().reshape(-1).view(torch.uint8) for each in (a, b))) if a.numel() else True


def _first(mask: torch.Tensor) -> tuple[int, ...]:
    return tuple(int(each) for each in mask.nonzero()[0])


def _share(mask: torch.Tensor) -> str:
    return f"{int(mask.sum())} of {mask.numel()} values"


def _count(number: int) -> str:
    return f"{number} output{'' if number == 1 else 's'}"
