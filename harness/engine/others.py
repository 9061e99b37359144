"""Who else works on a GPU: processes that are no part of this project make times worse, and should be seen.

NVML tells which processes have a context there. Those of the harness are known by their command line: judges, warm
parents and what these fork; whoever belongs to this command is known by its ancestors. In a container that has process
numbers of its own NVML's numbers are not those of `/proc`; then nothing can be told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from harness.device import Device

_OURS = (b"harness.sandbox", b"harness.engine")
_PROC = Path("/proc")


def others(device: Device) -> list[str]:
    """A text for each foreign process: its name and number; empty where none is, or nobody can tell."""
    return [f"{_name(pid)} (process {pid})" for pid, _ in foreign(_running(device))]


def foreign(running: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Of processes and the memory that they hold on a GPU: those that are there and not the project's own."""
    return [(pid, memory) for pid, memory in running if (_PROC / str(pid)).exists() and not _ours(pid)]


def _running(device: Device) -> list[tuple[int, int]]:
    """Number and bytes of each process that has a context on the GPU, as NVML has it."""
    if device.kind != "cuda":
        return []
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(_uuid(device).encode())
            found = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
            return [(int(each.pid), int(each.usedGpuMemory or 0)) for each in found]
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return []


def _uuid(device: Device) -> str:
    """As NVML has it."""
    return device.uuid if device.uuid.startswith("GPU-") else f"GPU-{device.uuid}"


def _ours(pid: int) -> bool:
    """Is it, or an ancestor of it, a process of the harness, or of this command?"""
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            command = (_PROC / str(pid) / "cmdline").read_bytes()
            parent = int((_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return True  # gone meanwhile
        if any(each in command for each in _OURS):
            return True
        pid = parent
    return False


def _name(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return "a process"
