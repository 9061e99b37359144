"""Triton's CPU interpreter with a GPU's manners: candidates written for a GPU run on a machine without one, unchanged.

The contract:

- :func:`install` is called once in the warm parent, before it forks, in a process whose environment had
  ``TRITON_INTERPRET=1`` before triton was imported. It may be called again: nothing happens. It starts no thread and
  runs no parallel operation of torch.
- Afterwards ``device="cuda"``, ``.cuda()``, ``is_cuda`` and ``torch.cuda`` work in this process and mean the CPU; the
  harness's own code asks :func:`true_device`. ``triton.autotune`` runs one configuration (see :mod:`autotune`),
  ``libdevice`` computes, bfloat16 and fp8 are right to the last bit of the format.
- What remains beyond the interpreter raises :class:`Unsupported` or something that :func:`unsupported_feature` knows
  by name. That is an outcome of its own, never a wrong kernel.
- What the GPU's compiler refuses and the stock interpreter lets pass (plain globals, ``break``, a loop variable that
  changes its type, unknown launch options, host tensors as pointers) is refused here too.
- A load, store or atomic outside of the memory of tensors ends the candidate as an illegal memory access, with one
  sentence that says where (see :mod:`bounds`); a GPU lets many of them pass.
- Programs run one after another, on one thread. Races, deadlocks between programs and the precision of tensor cores
  (tf32) are not imitated.

Importing this package imports neither torch nor triton; :func:`install` does.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

from .unsupported import Unsupported, unsupported_feature

__all__ = ["Unsupported", "install", "installed", "launches", "on_device", "true_device", "unsupported_feature"]

_INSTALLED = False
_LAYER: dict[str, ModuleType] = {}
"""Modules of this package by name, kept from :func:`install` on: nothing is looked up when candidates run."""


def installed() -> bool:
    """Whether this process is set up."""
    return _INSTALLED


def install() -> None:
    """Sets this process up: torch and triton are imported if they aren't yet.

    Raises RuntimeError if triton was imported without ``TRITON_INTERPRET=1``.
    """
    global _INSTALLED
    if _INSTALLED:
        return
    if "triton" not in sys.modules:
        os.environ.setdefault("TRITON_INTERPRET", "1")
    import triton.language.standard
    from triton.runtime.interpreter import InterpretedFunction

    if not isinstance(triton.language.standard.sum, InterpretedFunction):
        raise RuntimeError(
            "triton was imported without TRITON_INTERPRET=1, so its own functions are compiled ones: "
            "set it in the environment before anything imports triton"
        )
    from . import autotune, bounds, builder, cuda, driver, host, language, launch, libdevice, storage

    _LAYER.update(autotune=autotune, cuda=cuda, host=host, launch=launch)
    storage.install()
    builder.install()
    bounds.install()
    language.install()
    libdevice.install()
    launch.install()
    autotune.install()
    cuda.install()
    driver.install()
    _INSTALLED = True


def launches() -> int:
    """Launches of jit kernels in this process that ran to their end, with at least one program each."""
    return int(_LAYER["launch"].launches()) if _INSTALLED else 0


def true_device(tensor: Any) -> Any:
    """The ``torch.device`` where a tensor's memory really is, whatever it says to the candidate."""
    return _LAYER["cuda"].true_device(tensor)


def on_device(tensor: Any) -> Any:
    """The tensor itself, as one on the GPU: for tensors that the harness makes by torch after :func:`install`."""
    return _LAYER["host"].on_device(tensor)
