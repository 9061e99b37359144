"""Every active lane of a load, a store or an atomic lies in a tensor's memory, or the candidate ends there.

The contract:

- A tensor's memory is its storage: what lies between the rows of a padded view belongs to it, as on a GPU.
- A pointer remembers the argument that it was made from, through arithmetic, broadcasts and views of a block. A block
  of such pointers must not run from its tensor into a neighbour. (Pointers that all lie elsewhere may lie in any other
  tensor: distances between tensors can be computed.)
- Pointers without such a memory, made from integers, may lie in any live tensor that a GPU could read, argument or not.
- Lanes that are masked off are not looked at.

What violates this raises :class:`OutOfBounds`, with one sentence: what, where, and how far from which argument.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter as stock

from harness.sandbox.wire import Arena

from .host import is_host
from .storage import numpy_type

Handle = Any
Array = Any
Spans = list[tuple[int, int]]

_NULL_PAGE = 1 << 16
"""Addresses below are a null pointer and an offset."""


class OutOfBounds(BaseException):
    """An illegal memory access. As on a GPU, where nothing works after one, ``except Exception`` doesn't survive it."""


class Origin:
    """The tensor that a pointer was made from, and where its storage starts and ends."""

    __slots__ = ("end", "name", "start", "tensor")

    def __init__(self, name: str, tensor: Any) -> None:
        self.name, self.tensor = name, tensor
        self.start, self.end = _span(tensor) if tensor.data_ptr() else (0, 0)  # an empty view's pointer is null

    def describe(self) -> str:
        """``x_ptr` (float32[10, 100], 4000 bytes)``."""
        kind = str(self.tensor.dtype).removeprefix("torch.")
        return f"`{self.name}` ({kind}{list(self.tensor.shape)}, {self.end - self.start} bytes)"


class Memory:
    """What one launch may touch."""

    def __init__(self) -> None:
        self.arguments: list[Origin] = []
        self._tables: list[tuple[Array, Array]] = []

    def holds(self, addresses: Array, size: int) -> Array:
        """For each address, whether ``size`` bytes from there lie in one tensor."""
        if not self._tables:
            self._tables.append(_table([(each.start, each.end) for each in self.arguments]))
        held = _inside(addresses, size, *self._tables[0])
        if held.all():
            return held
        if len(self._tables) == 1:  # the host's code stands still during a launch: one search is enough
            self._tables.append(_table([(each.start, each.end) for each in self.arguments] + list(_live())))
        return _inside(addresses, size, *self._tables[1])


_CURRENT: list[Memory] = [Memory()]


def begin() -> Memory:
    """Starts a launch; gives back what :func:`end` wants."""
    before, _CURRENT[0] = _CURRENT[0], Memory()
    return before


def end(before: Memory) -> None:
    """Ends a launch."""
    _CURRENT[0] = before


def pointer(tensor: Any, address: int, element: Any, name: str) -> Any:
    """A tensor argument as the pointer that a kernel sees."""
    origin = Origin(name, tensor)
    _CURRENT[0].arguments.append(origin)
    handle = stock.TensorHandle(np.array([address], dtype=np.uint64), _marked(element, origin))
    return tl.tensor(handle, tl.pointer_type(element))


def descriptor(tensor: Any, name: str, made: Any) -> Any:
    """A tensor descriptor among the arguments, once it is made."""
    origin = Origin(name, tensor)
    _CURRENT[0].arguments.append(origin)
    base = made.handle.base
    base.dtype = _marked(base.dtype.element_ty, origin)
    return made


def _marked(element: Any, origin: Origin) -> Any:
    """A pointer's type that remembers its origin: handles hand their type on, and no other type is compared to it."""
    ty = tl.pointer_type(element)
    ty.origin, ty.size = origin, numpy_type(element).itemsize
    return ty


def _span(tensor: Any) -> tuple[int, int]:
    storage = tensor.untyped_storage()
    start = storage.data_ptr()
    return start, start + storage.nbytes() if start else 0


def _live() -> Iterator[tuple[int, int]]:
    """The storages of all tensors of the candidate that a GPU could read."""
    arenas = set()
    found = []
    with torch._C.DisableTorchFunctionSubclass():
        for thing in gc.get_objects():
            kind = type(thing)
            if kind is Arena:
                arenas.add(thing.bytes.data_ptr())
            elif issubclass(kind, torch.Tensor):
                # Some kinds of tensors have no storage, and say so in several ways.
                with suppress(Exception):
                    if not is_host(thing):
                        found.append(_span(thing))
    return (span for span in found if span[0] not in arenas)


def _table(spans: Spans) -> tuple[Array, Array]:
    """Sorted starts and ends; what overlaps is one, what only touches is not."""
    merged: list[list[int]] = []
    for start, stop in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], stop)
        elif start < stop:
            merged.append([start, stop])
    table = np.array(merged, dtype=np.uint64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _inside(addresses: Array, size: int, starts: Array, ends: Array) -> Array:
    if not starts.size:
        return np.zeros(addresses.shape, dtype=bool)
    at = np.searchsorted(starts, addresses, side="right") - 1
    stop = ends[at]
    return (at >= 0) & (addresses < stop) & (stop - addresses >= size)


# --- the check --------------------------------------------------------------------------------------------------------


_lowest, _highest = np.minimum.reduce, np.maximum.reduce


def check(builder: Any, what: str, pointers: Handle, mask: Any) -> None:
    """Raises OutOfBounds for a lane of ``pointers`` that ``mask`` (a handle, an array or None) doesn't hide."""
    data, ty = pointers.data, pointers.dtype
    origin = getattr(ty, "origin", None)
    if origin is not None:
        # Nearly always all lanes are inside, masked ones too; else all that count.
        if origin.start <= int(_lowest(data, None)) and int(_highest(data, None)) + ty.size <= origin.end:
            return
        if mask is not None:
            counting = data[_array(mask, data)]
            if not counting.size:
                return
            if origin.start <= int(_lowest(counting)) and int(_highest(counting)) + ty.size <= origin.end:
                return
    _check_lanes(builder, what, pointers, mask, origin)


def _array(mask: Any, data: Array) -> Array:
    array = mask if isinstance(mask, np.ndarray) else mask.data
    return array if array.shape == data.shape else np.broadcast_to(array, data.shape)


def _check_lanes(builder: Any, what: str, pointers: Handle, mask: Any, origin: Origin | None) -> None:
    size = numpy_type(pointers.dtype.scalar.element_ty).itemsize
    data = np.asarray(pointers.data)
    counting = np.ones(data.shape, dtype=bool) if mask is None else _array(mask, data)
    addresses = data[counting]
    if not addresses.size:
        return
    wrong = ~_CURRENT[0].holds(addresses, size)
    if origin is not None:
        own = _inside(addresses, size, *_table([(origin.start, origin.end)]))
        wrong = ~own if own.any() else wrong
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        scope = f"illegal memory access: {what} in program {builder.grid_idx}"
        if data.size > 1:
            lane = [int(axis[first]) for axis in np.nonzero(counting)]
            scope += f" has {np.count_nonzero(wrong)} of {data.size} lanes outside; the first, lane {lane},"
        raise OutOfBounds(f"{scope} is {_place(int(addresses[first]), size, origin)}")


# --- the sentence -----------------------------------------------------------------------------------------------------


def _place(address: int, size: int, origin: Origin | None) -> str:
    arguments = [each for each in _CURRENT[0].arguments if each.end > each.start]
    if origin is not None and origin.end == origin.start:
        signed = address - (1 << 64) if address >> 63 else address
        return f"at element {signed // size} of {origin.describe()}, which is empty"
    if origin is None and address < _NULL_PAGE:
        return f"at address {address:#x}, a null pointer"
    if origin is None and not arguments:
        return f"at address {address:#x}, in no tensor"
    nearest = origin or min(arguments, key=lambda each: max(each.start - address, address + size - each.end))
    before = address < nearest.start
    distance = nearest.start - address if before else address + size - nearest.end
    text = f"{distance} byte{'s' if distance != 1 else ''}"
    if distance % size == 0:
        elements = distance // size
        text = f"{elements} element{'s' if elements != 1 else ''} ({text})"
    text += f" {'before the start' if before else 'past the end'} of "
    text += f"the memory of {nearest.describe()}" if origin else f"the nearest argument, {nearest.describe()}"
    inside = [each.name for each in arguments if each.start <= address < each.end]
    return f"{text}, inside of `{inside[0]}`" if inside else text


# --- installation -----------------------------------------------------------------------------------------------------


def _mixed(made: Callable[..., Handle]) -> Callable[..., Handle]:
    """Operations that put two blocks together: pointers of two origins have none."""

    def run(builder: Any, *operands: Handle) -> Handle:
        out = made(builder, *operands)
        origin = getattr(out.dtype, "origin", None)
        if origin is not None and any(getattr(each.dtype, "origin", None) is not origin for each in operands[-2:]):
            out.dtype = tl.pointer_type(out.dtype.element_ty)
        return out

    return run


def _wrap_cast(cast: Callable[..., Handle]) -> Callable[..., Handle]:
    """A pointer to another type of element has the same origin."""

    def run(builder: Any, source: Handle, target: Any) -> Handle:
        out = cast(builder, source, target)
        origin = getattr(source.dtype, "origin", None)
        if origin is not None and isinstance(out.dtype, tl.pointer_type):
            out.dtype = _marked(out.dtype.element_ty, origin)
        return out

    return run


def install() -> None:
    """Puts the check before all accesses of the interpreter's builder; its other loads and stores end in these."""
    builder = stock.InterpreterBuilder
    stock_load, stock_store = builder.create_masked_load, builder.create_masked_store
    stock_rmw, stock_cas = builder.create_atomic_rmw, builder.create_atomic_cas

    def load(self: Any, pointers: Handle, mask: Any, *rest: Any, **named: Any) -> Handle:
        check(self, "a load", pointers, mask)
        return stock_load(self, pointers, mask, *rest, **named)

    def store(self: Any, pointers: Handle, value: Handle, mask: Any, *rest: Any, **named: Any) -> Any:
        check(self, "a store", pointers, mask)
        return stock_store(self, pointers, value, mask, *rest, **named)

    def rmw(self: Any, op: Any, pointers: Handle, value: Handle, mask: Any, *rest: Any) -> Handle:
        check(self, "an atomic", pointers, mask)
        return stock_rmw(self, op, pointers, value, mask, *rest)

    def cas(self: Any, pointers: Handle, *rest: Any) -> Handle:
        check(self, "an atomic", pointers, None)
        return stock_cas(self, pointers, *rest)

    builder.create_masked_load, builder.create_masked_store = load, store
    builder.create_atomic_rmw, builder.create_atomic_cas = rmw, cas
    for name in ("create_select", "create_cat", "create_join"):
        setattr(builder, name, _mixed(getattr(builder, name)))
    builder.create_bitcast = _wrap_cast(builder.create_bitcast)
