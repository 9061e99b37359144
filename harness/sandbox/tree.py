"""Values that a script keeps, as a message: tensors go into shared memory, containers and numbers into JSON.

{"t": claim}                                    a tensor; `claim` says where its bytes are
{"l": [node, …], "as": "list" | "tuple"}        in order
{"d": [[key, node], …]}                         a dictionary, in its order; keys as text
{"v": value}                                    bool, int, None or short text
{"f": text}                                     a float, exact (`float.hex`)
{"o": name}                                     anything else: the name of its type
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from typing import Any, Self

import numpy
import torch

from harness.dtypes import NAMES
from harness.sandbox.witness import items, plain

MOST_NODES, DEEPEST, LONGEST_TEXT = 4096, 24, 200
"""Of a message; more is cut, and said so by a node of another kind."""


def encode(value: Any, put: Callable[[torch.Tensor], dict[str, Any]]) -> dict[str, Any]:
    """The message. `put` writes a tensor somewhere and gives the claim for it."""
    left = MOST_NODES

    def _tensor(value: torch.Tensor) -> dict[str, Any]:
        if value.is_complex():
            return {"l": [_tensor(torch.view_as_real(value.resolve_conj()))], "as": "tuple"}
        if value.layout is not torch.strided or value.dtype not in NAMES:
            return {"o": f"a tensor of {value.dtype}, {value.layout}"}
        return {"t": put(value)}

    def node(value: Any, depth: int) -> dict[str, Any]:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEEPEST:
            return {"o": "more than is read"}
        if plain(value):
            return _tensor(value.detach())
        if isinstance(value, numpy.ndarray):
            try:
                return _tensor(torch.from_numpy(numpy.ascontiguousarray(value)))
            except TypeError:
                return {"o": f"an array of {value.dtype}"}
        if issubclass(type(value), dict):
            inside = list(dict.items(value))[: max(left, 0)]
            return {"d": [[_text(key), node(each, depth + 1)] for key, each in inside]}
        if issubclass(type(value), (tuple, list)):
            kind = "tuple" if issubclass(type(value), tuple) else "list"
            return {"l": [node(each, depth + 1) for each in items(value)[: max(left, 0)]], "as": kind}
        if value is None or isinstance(value, bool):
            return {"v": value}
        if isinstance(value, (int, numpy.integer)):
            number = int(value)
            return {"v": number if abs(number) < 1 << 53 else str(number)}
        if isinstance(value, (float, numpy.floating)):
            return {"f": float(value).hex()}
        if isinstance(value, str):
            return {"v": _text(value)}
        return {"o": type(value).__name__[:80]}

    return node(value, 0)


def bytes_needed(value: Any, room: Callable[[torch.Tensor], int]) -> int:
    """Bytes of shared memory for all tensors in a value."""
    total = 0

    def count(tensor: torch.Tensor) -> dict[str, Any]:
        nonlocal total
        total += room(tensor)
        return {}

    encode(value, count)
    return total


class Printed:
    """Around code: what Python prints is printed, and its digest known. Use as a context manager."""

    def __init__(self) -> None:
        self._whole, self._any, self._out = hashlib.sha256(), False, sys.stdout

    def __enter__(self) -> Self:
        self._out, sys.stdout = sys.stdout, self
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout = self._out

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    def write(self, text: str) -> int:
        """As of a file."""
        self._any = self._any or bool(text)
        self._whole.update(text.encode("utf-8", "surrogatepass"))
        return self._out.write(text)

    @property
    def digest(self) -> str:
        """Of all that was printed; empty if nothing was."""
        return self._whole.hexdigest() if self._any else ""


def _text(value: object) -> str:
    """As text; long text by its digest, so that it can still be compared."""
    text = value if isinstance(value, str) else repr(value)
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[:LONGEST_TEXT]}… {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"
