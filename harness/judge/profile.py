"""What one call under the device's profiler shows: who did the work, and by which kernels."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.device import Device
from harness.judge.devicetime import DeviceTime, account, objection
from harness.judge.occupancy import kernels
from harness.sandbox.answers import Profiled
from harness.sandbox.failed import CandidateFailed
from harness.task import Case, Task
from harness.verdict import Kernel, Outcome


@dataclass(frozen=True)
class Profile:
    """What one call under the device's profiler showed."""

    time: DeviceTime | None = None
    kernels: tuple[Kernel, ...] = ()


def profiled(seen: Profiled, task: Task, case: Case, device: Device) -> Profile:
    """What the candidate's process told of the call, read. Raises CandidateFailed where PyTorch did work that it may
    not do."""
    found = account(seen.ran, seen.launched, task.moves_data)
    complaint = objection(found) if found is not None and not task.torch_may else None
    if complaint is not None:
        raise CandidateFailed(Outcome.TORCH_WORK, f"on {case.id}: {complaint}")
    properties = torch.cuda.get_device_properties(device.index)
    return Profile(found, kernels(seen.ran, seen.launched, seen.compiled, properties))
