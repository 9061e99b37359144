"""Which tensors stand for host memory.

Every tensor here lies in the CPU's memory, and to a candidate every tensor is on ``cuda:0``, since that is where its
inputs come from and where it works. The exception is a tensor that the candidate itself made on the host:
``torch.empty(n)`` without a device, ``x.cpu()``. On a GPU a kernel can't read those, so they carry a mark, which moves
to the device (``.cuda()``, ``.to(...)``) take away. Results of operations carry no mark.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

MARK = "_made_on_host"

to_numpy = torch._C.TensorBase.numpy
"""A tensor's memory as numpy's, wherever it claims to lie: for the layer itself."""


def is_host(tensor: Any) -> bool:
    """Whether the candidate made this tensor in the host's memory."""
    return getattr(tensor, MARK, False) is True


def mark_host(tensor: Any) -> Any:
    """Marks a tensor as the host's, and gives it back."""
    setattr(tensor, MARK, True)
    return tensor


def on_device(tensor: Any) -> Any:
    """Takes the mark away, and gives the tensor back: for inputs that the harness made after installation."""
    if is_host(tensor):
        delattr(tensor, MARK)
    return tensor


def is_gpu(device: Any) -> bool:
    """Whether a device, in any of the forms that torch takes, means the GPU. Wrong ones raise as they would there."""
    if isinstance(device, torch.device):
        kind, index = device.type, device.index
    elif isinstance(device, str):
        if not device.startswith(("cuda", "hip")):
            return False
        parsed = torch.device(device)
        kind, index = parsed.type, parsed.index
    elif isinstance(device, int) and not isinstance(device, bool):
        kind, index = "cuda", device
    else:
        return False
    if kind not in ("cuda", "hip"):
        return False
    if index not in (None, 0, -1):
        raise RuntimeError("CUDA error: invalid device ordinal")
    return True


_LISTENERS: list[Callable[[Any], None]] = []


def listen(listener: Callable[[Any], None]) -> None:
    """Have each tensor named whose values go to the host."""
    _LISTENERS[:] = [listener]


def moved_to_host(tensor: Any) -> None:
    """The candidate moves a tensor's values to the host."""
    for listener in _LISTENERS:
        listener(tensor)
