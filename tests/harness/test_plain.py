"""What a call returned is looked at by Python's and PyTorch's own methods, never by those of who returned it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from harness.sandbox import tree
from harness.sandbox.witness import items, left_on, plain


def _asked() -> Any:
    raise AssertionError("it was asked")


class Pair(tuple[int, ...]):
    """Says it holds something else."""

    def __iter__(self) -> Any:
        return _asked()

    def __getitem__(self, index: Any) -> Any:
        return _asked()


class Row(list[int]):
    """Likewise."""

    def __iter__(self) -> Any:
        return _asked()

    def __getitem__(self, index: Any) -> Any:
        return _asked()


class Names(dict[str, Any]):
    """Likewise."""

    def __iter__(self) -> Any:
        return _asked()

    def items(self) -> Any:
        return _asked()


class Text(str):
    """A name that works when it is looked up."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(str(self)) if not TOLD else _asked()


TOLD: list[bool] = []


def test_what_is_held_is_asked_of_pythons_own() -> None:
    assert items(Pair((1, 2))) == items(Row([1, 2])) == items((1, 2)) == items([1, 2]) == [1, 2]
    assert items(None) == [] and items("ab") == ["ab"] and items({"a": 1}) == [{"a": 1}]
    whole = tree.encode({"a": Pair((1, 2)), "b": Row([3])}, lambda tensor: {})
    assert whole == tree.encode({"a": (1, 2), "b": [3]}, lambda tensor: {})
    assert tree.encode(Names(a=1), lambda tensor: {}) == tree.encode({"a": 1}, lambda tensor: {})


@pytest.mark.parametrize("name", ["detach", "stride", "storage_offset", "untyped_storage", "__len__", "data_ptr"])
def test_a_method_of_its_own_makes_a_tensor_no_plain_one(name: str) -> None:
    tensor = torch.ones(3)
    tensor.__dict__[name] = _asked
    assert not plain(tensor)
    assert tree.encode(tensor, lambda tensor: {}) == {"o": "Tensor"}


def test_attributes_that_hide_nothing_are_its_own_matter() -> None:
    tensor = torch.nn.Parameter(torch.ones(3))
    tensor.note = "mine"  # type: ignore[attr-defined]
    assert plain(tensor) and plain(torch.ones(3)) and not plain("a tensor")


def test_attributes_are_not_asked() -> None:
    tensor = torch.ones(3)
    tensor.__dict__ = Names(a=1)
    assert not plain(tensor)
    other = torch.ones(3)
    other.__dict__[Text("a")] = 1  # type: ignore[index]
    TOLD.append(True)
    try:
        assert not plain(other)
    finally:
        TOLD.clear()


class Seeing(TorchFunctionMode):
    """Sees functions."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _asked()


class Looking(TorchDispatchMode):
    """Sees operations."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _asked()


@pytest.mark.parametrize("mode", [Seeing, Looking])
def test_a_mode_that_was_left_on_is_seen(mode: Any) -> None:
    assert not left_on()
    with torch.device("cpu"):
        assert not left_on(), "that of a default device is PyTorch's"
        with mode():
            assert left_on()
    assert not left_on()
