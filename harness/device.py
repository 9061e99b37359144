"""The device that judges: what it is, what software runs it, and how fast it can possibly be.

With no GPU, Triton's interpreter on the CPU is the device: its times are marked `interpreted` and never share a column
with times of a GPU.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from harness.errors import UsageError
from harness.task import Cost

Kind = Literal["cuda", "hip", "interpreter"]

DATASHEET: dict[str, dict[str, float]] = {
    "NVIDIA H200": {
        "bandwidth": 4.8e12,
        "fp16": 989e12,
        "bf16": 989e12,
        "tf32": 494e12,
        "fp8e4m3": 1979e12,
        "int8": 1979e12,
    },
    "NVIDIA H100": {
        "bandwidth": 3.35e12,
        "fp16": 989e12,
        "bf16": 989e12,
        "tf32": 494e12,
        "fp8e4m3": 1979e12,
        "int8": 1979e12,
    },
    "NVIDIA A100": {"bandwidth": 2.039e12, "fp16": 312e12, "bf16": 312e12, "tf32": 156e12, "int8": 624e12},
    "AMD Instinct MI300X": {"bandwidth": 5.3e12, "fp16": 1307e12, "bf16": 1307e12, "fp8e4m3": 2615e12, "int8": 2615e12},
}
"""Vendors' peak bandwidth (bytes/s) and dense matrix rates (operations/s), by the start of the device's name."""


@dataclass(frozen=True)
class Peaks:
    """The fastest that this device was seen to go."""

    bandwidth: float
    """Device-to-device copy, bytes read plus bytes written, bytes/s."""
    rates: dict[str, float] = field(default_factory=dict)
    """Matrix products of 8192 x 8192 x 8192 by the vendor's library, operations/s, by dtype short name or `tf32`."""
    cache_bytes: int = 0
    """Last-level cache."""
    datasheet: dict[str, float] = field(default_factory=dict)

    def limit_us(self, cost: Cost) -> float | None:
        """The least time for this work at measured rates, µs; None where its rate is unknown."""
        times = [cost.bytes / self.bandwidth]
        if cost.flops and cost.rate:
            if cost.rate not in self.rates:
                return None
            times.append(cost.flops / self.rates[cost.rate])
        return max(times) * 1e6

    def impossible_us(self, cost: Cost) -> float:
        """A time below this can't be, whatever the kernel: by the datasheet where known (else 1.25 times what was
        measured), with all that the cache can hold taken as never moved."""
        bandwidth = self.datasheet.get("bandwidth", 1.25 * self.bandwidth)
        times = [max(0.0, cost.bytes - self.cache_bytes) / bandwidth]
        if cost.flops and cost.rate in self.rates:
            assert cost.rate is not None
            times.append(cost.flops / self.datasheet.get(cost.rate, 1.25 * self.rates[cost.rate]))
        return max(times) * 1e6


@dataclass(frozen=True)
class Device:
    """One device that judges."""

    kind: Kind
    index: int
    name: str
    uuid: str
    driver: str = ""
    capability: int = 0
    """An NVIDIA GPU's compute capability: 90 for 9.0."""

    @property
    def interpreted(self) -> bool:
        """Is this the interpreter on the CPU?"""
        return self.kind == "interpreter"

    @property
    def torch(self) -> str:
        """As PyTorch names it: `cpu`, `cuda:0`."""
        return "cpu" if self.interpreted else f"cuda:{self.index}"

    @property
    def memory(self) -> int:
        """Bytes on the GPU; 0 for the interpreter."""
        return 0 if self.interpreted else int(torch.cuda.get_device_properties(self.index).total_memory)

    def visibility(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Environment variables under which a process sees this GPU alone, as its number 0."""
        if self.interpreted:
            return {}
        name = "HIP_VISIBLE_DEVICES" if self.kind == "hip" else "CUDA_VISIBLE_DEVICES"
        listed = [each.strip() for each in environment.get(name, "").split(",") if each.strip()]
        return {name: listed[self.index] if self.index < len(listed) else str(self.index)}

    def environment(self, isolation: str) -> dict[str, Any]:
        """What results depend on besides task and solution; `digest` identifies it."""
        about: dict[str, Any] = {
            "device": self.name,
            "device_kind": self.kind,
            "uuid": self.uuid,
            "driver": self.driver,
            "torch": torch.__version__,
            "triton": version_of("triton"),
            "python": platform.python_version(),
            "isolation": isolation,
        }
        named = {key: value for key, value in about.items() if key != "uuid"}
        about["digest"] = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]
        return about


def find_device(wanted: str) -> Device:
    """The device named by `--device`: `auto`, `interpreter` (or `cpu`), `cuda`, `cuda:1`, `hip`, `hip:1`."""
    base, _, number = wanted.partition(":")
    if base not in ("auto", "interpreter", "cpu", "cuda", "hip") or (number and not number.isdigit()):
        raise UsageError(f"--device {wanted!r} is unknown: use auto, interpreter, cuda, cuda:N, hip or hip:N")
    there = torch.cuda.is_available()
    if base in ("interpreter", "cpu") or (base == "auto" and not there):
        return Device("interpreter", 0, "interpreter", f"cpu-{platform.node()}")
    kind: Kind = "hip" if torch.version.hip else "cuda"
    if not there or (base != "auto" and base != kind):
        has = f"has {kind} devices" if there else "has no GPU that PyTorch can see"
        raise UsageError(f"--device {wanted}: this machine {has}; use --device interpreter, or install a driver")
    index = int(number or 0)
    if index >= torch.cuda.device_count():
        raise UsageError(f"--device {wanted}: there are {torch.cuda.device_count()} devices, numbered from 0")
    properties = torch.cuda.get_device_properties(index)
    capability = 10 * properties.major + properties.minor if kind == "cuda" else 0
    return Device(kind, index, properties.name, str(getattr(properties, "uuid", index)), _driver(), capability)


def find_devices(wanted: str) -> tuple[Device, ...]:
    """Those named by `--devices`: `all` GPUs of this machine, or a list, `cuda:0,cuda:2`. Raises UsageError where they
    are not of one kind: their times do not belong in one column."""
    if wanted == "all":
        if not torch.cuda.is_available():
            raise UsageError("--devices all: this machine has no GPU that PyTorch can see; leave --devices out")
        found = [find_device(f"auto:{index}") for index in range(torch.cuda.device_count())]
    else:
        found = [find_device(each.strip()) for each in wanted.split(",")]
    if len({each.uuid for each in found}) < len(found):
        raise UsageError(f"--devices {wanted}: one is named twice")
    kinds = list(dict.fromkeys(each.name for each in found))
    if len(kinds) > 1:
        raise UsageError(f"--devices {wanted}: these are {' and '.join(kinds)}; start a run for each kind")
    return tuple(found)


def measure_peaks(device: Device) -> Peaks | None:
    """What the device can do, measured once and kept by its UUID; None on the interpreter."""
    if device.interpreted:
        return None
    path = cache_folder() / f"peaks-{device.uuid}-{torch.__version__}.json"
    try:
        return Peaks(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        pass
    peaks = _measure(device)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(peaks)))
    except OSError:
        pass
    return peaks


def _measure(device: Device) -> Peaks:
    with torch.cuda.device(device.index):
        properties = torch.cuda.get_device_properties(device.index)
        bandwidth = _bandwidth(device.torch)
        rates = {
            name: rate for name, rate in ((name, _rate(name, device.torch)) for name in _PRODUCTS) if rate is not None
        }
        torch.cuda.empty_cache()
        sheet = next((dict(figures) for name, figures in DATASHEET.items() if device.name.startswith(name)), {})
        return Peaks(bandwidth, rates, int(getattr(properties, "L2_cache_size", 0)), sheet)


def _bandwidth(where: str) -> float:
    elements = 1 << 29
    source = torch.empty(elements, dtype=torch.int16, device=where).random_()
    target = torch.empty_like(source)
    return 4 * elements / _seconds(lambda: target.copy_(source))


def _product(name: str, where: str, n: int) -> Callable[[], Any]:
    if name == "int8":
        a, b = (torch.randint(-128, 128, (n, n), device=where, dtype=torch.int8) for _ in range(2))
        return lambda: torch._int_mm(a, b.t())
    if name == "fp8e4m3":
        c, d = (torch.randn(n, n, device=where).to(torch.float8_e4m3fn) for _ in range(2))
        one = torch.ones((), device=where)
        return lambda: torch._scaled_mm(c, d.t(), one, one, out_dtype=torch.bfloat16)
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16, "tf32": torch.float32, "fp32": torch.float32}[name]
    e, f = (torch.randn(n, n, device=where).to(dtype) for _ in range(2))
    return lambda: e @ f


_PRODUCTS = ("fp16", "bf16", "tf32", "fp32", "fp8e4m3", "int8")


def _rate(name: str, where: str) -> float | None:
    n = 8192
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
    try:
        return 2 * n**3 / _seconds(_product(name, where, n))
    except (RuntimeError, AttributeError, TypeError, ValueError):
        return None
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _seconds(work: Callable[[], Any], calls: int = 10) -> float:
    """Fastest of three means over `calls`, by device events."""
    for _ in range(3):
        work()
    means = []
    for _ in range(3):
        event: Any = torch.cuda.Event
        start, end = event(enable_timing=True), event(enable_timing=True)
        start.record()
        for _ in range(calls):
            work()
        end.record()
        torch.cuda.synchronize()
        means.append(float(start.elapsed_time(end)) / 1e3 / calls)
    return min(means)


def queues(number: int) -> dict[str, str]:
    """Environment of a process that has so many queues of work to a GPU, and one of copies; eight of each are usual. A
    context with fewer is made in a fraction of the time, and the driver makes one at a time, whoever asks."""
    return {"CUDA_DEVICE_MAX_CONNECTIONS": str(number), "CUDA_DEVICE_MAX_COPY_CONNECTIONS": "1"}


def cache_folder() -> Path:
    """Where figures about devices and tasks are kept from run to run."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "kernel-assay"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / "kernel-assay"


def _driver() -> str:
    try:
        found = re.search(r"\d+\.\d+(\.\d+)?", Path("/proc/driver/nvidia/version").read_text())
        if found:
            return found.group()
    except OSError:
        pass
    try:
        return Path("/sys/module/amdgpu/version").read_text().strip()
    except OSError:
        return ""


def version_of(package: str) -> str:
    """The installed version of a package; empty if there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
