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
from collections.abc import Iterable
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


def snapshot() -> dict[str, Any]:
    """All callables of the watched modules and classes, by full name."""
    owners: dict[str, Any] = {each.__name__: each for each in (builtins, gc, json, os, socket, struct, time, numpy)}
    owners |= {name: sys.modules[name] for name in _MODULES if name in sys.modules}
    owners |= {
        "torch.Tensor": torch.Tensor,
        "torch.cuda.Event": torch.cuda.Event,
        "torch.cuda.Stream": torch.cuda.Stream,
    }
    for name, module in list(owners.items()):
        for kind in _CLASSES:
            found = vars(module).get(kind) if name.startswith("triton") else None
            if isinstance(found, type):
                owners[f"{found.__module__}.{kind}"] = found
    return {
        f"{name}.{key}": value
        for name, owner in owners.items()
        for key, value in _attributes(owner)
        if (callable(value) or isinstance(value, (property, staticmethod, classmethod)))
        and f"{name}.{key}" not in _BY_PYTORCH
    }


def _attributes(owner: Any) -> Iterable[tuple[str, Any]]:
    """Of a class also what it inherits: a method that hides an inherited one replaces it."""
    if not isinstance(owner, type):
        return list(vars(owner).items())
    return {key: value for each in reversed(owner.__mro__) for key, value in vars(each).items()}.items()


class Originals:
    """The state at one moment."""

    def __init__(self) -> None:
        self._before = snapshot()

    def replaced(self) -> list[str]:
        """Full names of what is something else by now, sorted; what was added is no replacement."""
        now = snapshot()
        return sorted(name for name, value in self._before.items() if now.get(name, self) is not value)
