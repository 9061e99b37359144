"""``torch.cuda`` on a machine without one: one device, whose work is done when the call returns."""

from __future__ import annotations

import contextlib
import time
from types import FunctionType, TracebackType
from typing import Any

import torch

from . import device as facts
from .host import is_gpu
from .unsupported import Unsupported


class Event:
    """``torch.cuda.Event``: a time of the CPU's clock."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        self.enable_timing = enable_timing
        self.cuda_event = 0
        self._time: float | None = None

    def record(self, stream: Any = None) -> None:
        self._time = time.perf_counter()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds until the other event."""
        if not (self.enable_timing and end_event.enable_timing):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self._time is None or end_event._time is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return max((end_event._time - self._time) * 1e3, 1e-6)

    def wait(self, stream: Any = None) -> None:
        pass

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        pass


class Stream:
    """``torch.cuda.Stream``: there is one order of work, the program's."""

    def __init__(self, device: Any = None, priority: int = 0, **_kwargs: Any) -> None:
        self.device = torch.device("cuda", 0)
        self.device_index = 0
        self.priority = priority
        self.cuda_stream = 0
        self.stream_id = 0

    def synchronize(self) -> None:
        pass

    def query(self) -> bool:
        return True

    def wait_event(self, event: Any) -> None:
        pass

    def wait_stream(self, stream: Any) -> None:
        pass

    def record_event(self, event: Event | None = None) -> Event:
        event = Event() if event is None else event
        event.record(self)
        return event

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_error: object) -> None:
        pass


class Device:
    """``torch.cuda.device``: a context in which nothing changes."""

    def __init__(self, device: Any = None) -> None:
        self.idx = 0
        _checked(device)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class ExternalStream(Stream):
    """``torch.cuda.ExternalStream``."""


class DeviceOf(Device):
    """``torch.cuda.device_of``."""


class DeviceGuard(Device):
    """``torch.cuda._DeviceGuard``."""


class StreamContext(contextlib.nullcontext[Any]):
    """``torch.cuda.stream``."""


_STREAM = Stream()


def _checked(device: Any) -> int:
    if device is not None and not isinstance(device, torch.Tensor) and not is_gpu(device):
        raise ValueError(f"Expected a cuda device, but got: {device}")
    return 0


def _properties(device: Any = None) -> facts.DeviceProperties:
    _checked(device)
    return facts.PROPERTIES


def _capability(device: Any = None) -> tuple[int, int]:
    _checked(device)
    return facts.CAPABILITY


def _name(device: Any = None) -> str:
    _checked(device)
    return facts.NAME


def _seed(seed: int) -> None:
    torch.default_generator.manual_seed(int(seed))


def _nothing(*_args: Any, **_kwargs: Any) -> None:
    return None


def _raw_stream(device: int = 0) -> int:
    return 0


def _no_range(*_args: Any, **_kwargs: Any) -> Any:
    return contextlib.nullcontext()


def _not_here(feature: str) -> Any:
    def raises(*_args: Any, **_kwargs: Any) -> Any:
        raise Unsupported(feature)

    return raises


FUNCTIONS: dict[str, Any] = {
    "is_available": lambda: True,
    "is_initialized": lambda: True,
    "init": _nothing,
    "_lazy_init": _nothing,
    "_is_in_bad_fork": lambda: False,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "set_device": _checked,
    "get_device_name": _name,
    "get_device_capability": _capability,
    "get_device_properties": _properties,
    "get_arch_list": lambda: ["sm_90"],
    "get_gencode_flags": lambda: "",
    "is_bf16_supported": lambda including_emulation=True: True,
    "is_tf32_supported": lambda: True,
    "can_device_access_peer": lambda device, peer: False,
    "synchronize": _nothing,
    "current_stream": lambda device=None: _STREAM,
    "default_stream": lambda device=None: _STREAM,
    "set_stream": _nothing,
    "stream": lambda stream: StreamContext(stream),
    "Stream": Stream,
    "ExternalStream": ExternalStream,
    "Event": Event,
    "device": Device,
    "device_of": DeviceOf,
    "_DeviceGuard": DeviceGuard,
    "StreamContext": StreamContext,
    "empty_cache": _nothing,
    "ipc_collect": _nothing,
    "memory_allocated": lambda device=None: 0,
    "max_memory_allocated": lambda device=None: 0,
    "memory_reserved": lambda device=None: 0,
    "max_memory_reserved": lambda device=None: 0,
    "memory_cached": lambda device=None: 0,
    "memory_stats": lambda device=None: {},
    "memory_summary": lambda device=None, abbreviated=False: "",
    "mem_get_info": lambda device=None: (facts.TOTAL_MEMORY, facts.TOTAL_MEMORY),
    "reset_peak_memory_stats": _nothing,
    "reset_max_memory_allocated": _nothing,
    "reset_accumulated_memory_stats": _nothing,
    "set_per_process_memory_fraction": _nothing,
    "manual_seed": _seed,
    "manual_seed_all": _nothing,
    "seed": _nothing,
    "seed_all": _nothing,
    "initial_seed": lambda: torch.default_generator.initial_seed(),
    "get_rng_state": lambda device="cuda": torch.default_generator.get_state(),
    "set_rng_state": lambda state, device="cuda": torch.default_generator.set_state(state),
    "get_rng_state_all": lambda: [torch.default_generator.get_state()],
    "set_rng_state_all": _nothing,
    "is_current_stream_capturing": lambda: False,
    "current_blas_handle": _not_here("cuBLAS handles"),
    "cudart": _not_here("the CUDA runtime"),
    "CUDAGraph": _not_here("CUDA graphs"),
    "graph": _not_here("CUDA graphs"),
    "make_graphed_callables": _not_here("CUDA graphs"),
    "graph_pool_handle": _not_here("CUDA graphs"),
}
"""What stands in for the names of ``torch.cuda``; ``manual_seed_all`` comes from ``torch.manual_seed``, which has
seeded the CPU's generator already."""

ACCELERATOR: dict[str, Any] = {
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "current_accelerator": lambda check_available=False: torch.device("cuda"),
    "current_device_index": lambda: 0,
    "current_device_idx": lambda: 0,
    "set_device_index": _nothing,
    "set_device_idx": _nothing,
    "current_stream": lambda device=None: _STREAM,
    "set_stream": _nothing,
    "synchronize": _nothing,
    "empty_cache": _nothing,
}
"""What stands in for the names of ``torch.accelerator``."""

NVTX = {"range_push": _nothing, "range_pop": _nothing, "mark": _nothing, "range_start": _nothing, "range_end": _nothing}
TENSOR_TYPES = ["Float", "Double", "Half", "BFloat16", "Int", "Long", "Short", "Char", "Byte", "Bool"]


def _own(name: str, stand_in: Any) -> Any:
    """An object of its own for each name: torch's compiler keeps tables that take no object twice."""
    if isinstance(stand_in, FunctionType):
        own = FunctionType(stand_in.__code__, stand_in.__globals__, name, stand_in.__defaults__, stand_in.__closure__)
        own.__kwdefaults__ = stand_in.__kwdefaults__
        return own
    return stand_in


def install() -> None:
    """Replaces the names in torch's module."""
    for name, stand_in in FUNCTIONS.items():
        setattr(torch.cuda, name, _own(name, stand_in))
    for name, stand_in in NVTX.items():
        setattr(torch.cuda.nvtx, name, _own(name, stand_in))
    for owner, name, stand_in in (
        (torch.cuda.nvtx, "range", _no_range),
        (torch.cuda.streams, "Stream", Stream),
        (torch.cuda.streams, "Event", Event),
        (torch, "Stream", Stream),
        (torch, "Event", Event),
    ):
        setattr(owner, name, stand_in)
    for name in TENSOR_TYPES:
        if hasattr(torch, f"{name}Tensor"):
            setattr(torch.cuda, f"{name}Tensor", getattr(torch, f"{name}Tensor"))
    torch.version.cuda = facts.CUDA_VERSION
    for owner, name, stand_in in (
        (torch.backends.cuda, "is_built", FUNCTIONS["is_available"]),
        (torch._C, "_cuda_getCurrentRawStream", _raw_stream),
        (torch._C, "_cuda_getDevice", FUNCTIONS["current_device"]),
    ):
        setattr(owner, name, _own(name, stand_in))
    if hasattr(torch, "accelerator"):
        for name, stand_in in ACCELERATOR.items():
            setattr(torch.accelerator, name, _own(name, stand_in))
