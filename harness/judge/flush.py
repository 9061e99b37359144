"""A GPU's cache and memory around what is timed: what is written so that no call finds its inputs in the cache, and
what the judge gives back."""

from __future__ import annotations

import torch

from harness.device import Device

FLUSH_BYTES = 256 << 20
"""Written between calls, at most, so that no call finds its inputs in the cache."""
FLUSHED_A_MICROSECOND = 6_000_000
"""Bytes that are written between calls, at most."""
KEPT_BYTES = 1 << 30
"""Of the device's memory, by each judge."""


def flush_bytes(device: Device) -> int:
    """What is written between calls on this GPU: twice what NVIDIA's last cache holds. Others have caches that they do
    not tell of."""
    told = int(getattr(torch.cuda.get_device_properties(device.index), "L2_cache_size", 0))
    return min(FLUSH_BYTES, 2 * told) if device.kind == "cuda" and told else FLUSH_BYTES


def give_back(device: Device) -> None:
    """Give the device's memory back that this process keeps for later, where it is much: that takes time."""
    if torch.cuda.memory_reserved(device.index) > KEPT_BYTES:
        torch.cuda.empty_cache()
