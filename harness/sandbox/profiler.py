"""PyTorch's profiler without its Python: started and stopped around one call, with the raw events given back.

Bound before the candidate's code is loaded. The parsing that `torch.profiler` does takes longer than what is profiled.
"""

from __future__ import annotations

from typing import Any

import torch
from torch._C import _autograd, _profiler


class Profiler:
    """Of the host's operations, or of what runs on the device."""

    def __init__(self, *, of_device: bool = False) -> None:
        activity = _profiler.ProfilerActivity
        self._activities = {activity.CUDA if of_device else activity.CPU}  # CUDA stands for ROCm, too
        self._configuration = _profiler.ProfilerConfig(
            _profiler.ProfilerState.KINETO, False, False, False, False, False, _profiler._ExperimentalConfig()
        )
        self._prepare, self._enable = _autograd._prepare_profiler, _autograd._enable_profiler
        self._disable, self._device = _autograd._disable_profiler, torch.profiler.DeviceType.CUDA

    def start(self) -> None:
        """From here on."""
        self._prepare(self._configuration, self._activities)
        self._enable(self._configuration, self._activities)

    def stop(self) -> list[Any]:
        """Kineto's events since then. Raises RuntimeError where somebody has stopped it meanwhile."""
        events: list[Any] = self._disable().events()
        return events

    def ran(self, events: list[Any]) -> list[tuple[str, float]]:
        """What ran on the device: name and µs."""
        return [(event.name(), event.duration_ns() / 1e3) for event in events if event.device_type() == self._device]
