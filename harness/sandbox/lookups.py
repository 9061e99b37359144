"""What every process of a candidate would find out for itself: what Triton looks up once in each that compiles a kernel
or finds a compiled one, as the digest of its own files, which are 400 MB, and the versions of the tools that it calls,
each by a process of its own; and the machine code of what keeps a GPU waiting.

Looked up in the warm parent, all candidates know it.
"""

from __future__ import annotations

import importlib
from contextlib import suppress


def look_up(capability: int) -> None:
    """Fill Triton's caches, for a GPU of this compute capability (90 for 9.0; 0: not one of NVIDIA's). What a version
    of Triton does not have, or can't find here, a candidate's process looks up itself, if it needs it."""
    _ask("triton.runtime.cache", "triton_key")
    _ask("triton.runtime.build", "platform_key")
    if capability:
        _ask("triton.backends.nvidia.driver", "library_dirs")
        _ask("triton.backends.nvidia.compiler", "get_ptxas", capability)
        _ask("triton.backends.nvidia.compiler", "get_ptxas_version", capability)
        _ask("harness.sandbox.hold", "assemble", capability)


def _ask(module: str, name: str, *arguments: object) -> None:
    with suppress(Exception):
        getattr(importlib.import_module(module), name)(*arguments)
