"""pytest-benchmark's side of a session: saved files say on which device they were measured, and times of different
devices are not compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

NAME = "kernel-assay-benchmarks"
"""Of the plug-in, as pytest knows it."""

_FIELDS = ("device", "device_kind", "driver", "torch", "triton", "isolation")


def about_device(environment: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of pytest-benchmark says of an environment, as `run.json` has it: in its `machine_info`."""
    found = {name: environment.get(name) for name in _FIELDS}
    return {**found, "environment": environment.get("digest")}


class DeviceGuard:
    """Registered with pytest for a command that judges."""

    def __init__(self, environment: Callable[[], Mapping[str, Any]]) -> None:
        """`environment`: the one that is recorded, asked for when it is needed."""
        self._environment = environment

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_machine_info(self, machine_info: dict[str, Any]) -> None:
        """Device, driver and software, into what is saved."""
        machine_info.update(about_device(self._environment()))

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_compare_machine_info(
        self, machine_info: dict[str, Any], compared_benchmark: dict[str, Any]
    ) -> None:
        """Raises pytest.UsageError where the saved times are of another device. Of a file that names none, and of other
        software, pytest-benchmark itself warns."""
        saved = compared_benchmark.get("machine_info")
        device = saved.get("device") if isinstance(saved, dict) else None
        if device and device != machine_info.get("device"):
            raise pytest.UsageError(
                f"--benchmark-compare: the file saved at {compared_benchmark.get('datetime')} has times of {device}, "
                f"this run is on {machine_info.get('device')}, and times of different devices are not compared: "
                "name a file of this device, --benchmark-compare=NUMBER, or leave the option out"
            )
