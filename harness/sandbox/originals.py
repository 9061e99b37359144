"""Which functions of PyTorch, Triton, numpy and Python the candidate's process has replaced: no kernel needs to.

A replacement that is taken back before the call returns is not seen here; clocks and comparisons that matter are bound
before the candidate's code is loaded (`harness.sandbox.child`), or are the judge's own.
"""

from __future__ import annotations

import builtins
import gc
import json
import os
import socket
import struct
import sys
import time
from typing import Any

import numpy
import torch

_MODULES = (
    *("torch", "torch.cuda", "torch.cuda.streams", "torch.cuda.graphs", "torch.testing", "torch.nn.functional"),
    *("torch.linalg", "torch.autograd", "torch.utils.benchmark", "torch.backends.cuda"),
    *(
        "triton",
        "triton.testing",
        "triton.language",
        "triton.runtime",
        "triton.runtime.jit",
        "triton.runtime.autotuner",
    ),
    *("triton.runtime.interpreter", "triton.runtime.cache", "triton.runtime.driver", "triton.compiler"),
    "triton.compiler.compiler",
)
_BY_PYTORCH = {"torch.manual_seed"}
"""What PyTorch replaces itself, when its compiler is imported."""
_CLASSES = (
    *("JITFunction", "Autotuner", "Heuristics", "KernelInterface", "InterpretedFunction", "GridExecutor"),
    *("CompiledKernel", "CudaLauncher"),
)


class _Owner:
    """A module or class, and which of its attributes are watched; of a class also those that it inherits, for a method
    that hides an inherited one replaces it."""

    def __init__(self, name: str, owner: Any) -> None:
        self.name, self.owner = name, owner
        self._classes = owner.__mro__ if isinstance(owner, type) else (owner,)
        self._spaces = [vars(each) for each in self._classes]
        self._watched: list[tuple[Any, dict[str, Any]]] = []
        """By class, the first at hand first: its attributes now, and those that were there and are watched."""
        hidden = set[str]()
        for space in self._spaces:
            watched = {
                key: value
                for key, value in list(space.items())
                if (callable(value) or isinstance(value, (property, staticmethod, classmethod)))
                and key not in hidden
                and f"{name}.{key}" not in _BY_PYTORCH
            }
            self._watched.append((space, watched))
            hidden.update(space)

    def replaced(self) -> list[str]:
        """Full names of what is something else by now."""
        if isinstance(self.owner, type) and self.owner.__mro__ != self._classes:
            return [f"{self.name}.__bases__"]
        found = list[str]()
        for number, (space, watched) in enumerate(self._watched):
            found += [key for key, value in watched.items() if space.get(key) is not value]
            for nearer in self._spaces[:number]:
                found += watched.keys() & nearer.keys()
        return [f"{self.name}.{key}" for key in found]


def _owners() -> list[_Owner]:
    found: dict[str, Any] = {each.__name__: each for each in (builtins, gc, json, os, socket, struct, time, numpy)}
    found |= {name: sys.modules[name] for name in _MODULES if name in sys.modules}
    found |= {
        "torch.Tensor": torch.Tensor,
        "torch.cuda.Event": torch.cuda.Event,
        "torch.cuda.Stream": torch.cuda.Stream,
    }
    for name, module in list(found.items()):
        for kind in _CLASSES:
            inside = vars(module).get(kind) if name.startswith("triton") else None
            if isinstance(inside, type):
                found[f"{inside.__module__}.{kind}"] = inside
    return [_Owner(name, owner) for name, owner in found.items()]


class Originals:
    """The state at one moment."""

    def __init__(self) -> None:
        self._owners = _owners()
        self._modules = {each.name: each.owner for each in self._owners if each.name in _MODULES}

    def replaced(self) -> list[str]:
        """Full names of what is something else by now, sorted; what was added is no replacement."""
        others = [name for name, module in self._modules.items() if sys.modules.get(name) is not module]
        return sorted({*others, *(name for each in self._owners for name in each.replaced())})
