"""torch with ``cuda`` meaning the CPU.

Factory functions, ``Tensor`` methods and ``torch.cuda`` itself are replaced by thin Python functions that put the
CPU's device in the place of a GPU's. Tensors say that they are on ``cuda:0`` (``device``, ``is_cuda``,
``get_device()``); :func:`true_device` knows better. A mode that intercepts every torch function would reach a little
further and would cost every operation several microseconds; this costs only the calls that name a device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.utils._device

from . import cuda_module
from .host import is_gpu, is_host, mark_host, moved_to_host

CPU = torch.device("cpu")
CUDA = torch.device("cuda", 0)

_TRUE_DEVICE = torch._C.TensorBase.device
_DEFAULT = {"cuda": False}
"""Whether the candidate made the GPU torch's default device."""

FACTORIES = [
    "arange",
    "asarray",
    "bartlett_window",
    "blackman_window",
    "empty",
    "empty_permuted",
    "empty_strided",
    "eye",
    "full",
    "hamming_window",
    "hann_window",
    "kaiser_window",
    "linspace",
    "logspace",
    "normal",
    "ones",
    "rand",
    "randint",
    "randn",
    "randperm",
    "range",
    "scalar_tensor",
    "sparse_coo_tensor",
    "sparse_csr_tensor",
    "tensor",
    "tril_indices",
    "triu_indices",
    "zeros",
    "as_tensor",
]
LIKE = ["empty_like", "full_like", "ones_like", "rand_like", "randint_like", "randn_like", "zeros_like"]
NEW = ["new_empty", "new_empty_strided", "new_full", "new_ones", "new_tensor", "new_zeros"]


def true_device(tensor: Any) -> Any:
    """Where a tensor's memory really is."""
    return _TRUE_DEVICE.__get__(tensor)


def _default_is_host() -> bool:
    # Inside ``with torch.device(...)`` the mode on the stack decides: nothing is marked.
    return not _DEFAULT["cuda"] and torch._C._len_torch_function_stack() == 0


def _factory(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def create(*args: Any, **kwargs: Any) -> Any:
        device = kwargs.get("device")
        if device is None:
            out = function(*args, **kwargs)
            if _default_is_host() and not any(isinstance(a, torch.Tensor) for a in args) and "out" not in kwargs:
                mark_host(out)
            return out
        if is_gpu(device):
            kwargs["device"] = CPU
            if kwargs.get("pin_memory"):
                raise RuntimeError("Only dense CPU tensors can be pinned")
            out = function(*args, **kwargs)
            if is_host(out) and args and out is args[0]:  # as_tensor of a host tensor
                out = out.clone()
            return out
        out = function(*args, **kwargs)
        if isinstance(out, torch.Tensor) and not any(out is a for a in args):
            mark_host(out)
        return out

    return create


def _like(function: Callable[..., Any]) -> Callable[..., Any]:
    """Factories that take their device from a tensor unless told otherwise."""

    @functools.wraps(function)
    def create(*args: Any, **kwargs: Any) -> Any:
        device = kwargs.get("device")
        if device is None:
            out = function(*args, **kwargs)
            return mark_host(out) if args and is_host(args[0]) else out
        gpu = is_gpu(device)
        if gpu:
            kwargs["device"] = CPU
        out = function(*args, **kwargs)
        return out if gpu else mark_host(out)

    return create


def _destination(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """Where a conversion goes (``gpu``, ``host`` or empty) and its arguments with the CPU as device."""
    given = kwargs.get("device", args[0] if args else None)
    if isinstance(given, torch.Tensor):
        return ("host" if is_host(given) else "gpu"), args, kwargs
    if given is None or isinstance(given, (bool, torch.dtype)) or not isinstance(given, (str, int, torch.device)):
        return "", args, kwargs
    gpu = is_gpu(given)
    if gpu:
        if "device" in kwargs:
            kwargs = {**kwargs, "device": CPU}
        else:
            args = (CPU, *args[1:])
    return ("gpu" if gpu else "host"), args, kwargs


def _settle(source: Any, out: Any, destination: str) -> Any:
    """The mark of a converted tensor: a move between host and device is a copy, as on a GPU."""
    was_host = is_host(source)
    stays = destination == "" or (destination == "host") == was_host
    if stays:
        return mark_host(out) if was_host and out is not source else out
    if out is source:
        out = source.clone() if isinstance(source, torch.Tensor) else out
    if destination != "host":
        return out
    moved_to_host(source)
    return mark_host(out)


def _wrap_tensor(tensor: Any) -> None:
    stock_to, stock_type, stock_pin = tensor.to, tensor.type, tensor.pin_memory

    def to(self: Any, *args: Any, **kwargs: Any) -> Any:
        destination, args, kwargs = _destination(args, kwargs)
        return _settle(self, stock_to(self, *args, **kwargs), destination)

    def cuda(self: Any, device: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
        if device is not None and not is_gpu(device):
            raise ValueError(f"Invalid device, must be cuda device, got {device}")
        return _settle(self, self, "gpu")

    def cpu(self: Any, memory_format: Any = torch.preserve_format) -> Any:
        return _settle(self, self, "host")

    def type_(self: Any, dtype: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
        if dtype is None:
            name = str(stock_type(self))
            return name if is_host(self) else name.replace("torch.", "torch.cuda.", 1)
        if isinstance(dtype, str) and dtype.startswith("torch.cuda."):
            return _settle(self, stock_type(self, dtype.replace("torch.cuda.", "torch.", 1)), "gpu")
        return _settle(self, stock_type(self, dtype), "")

    def pin_memory(self: Any, *_args: Any, **_kwargs: Any) -> Any:
        # Pinned memory can be read by a kernel, so the copy carries no mark.
        return self.clone()

    stock_numpy, stock_list = tensor.numpy, tensor.tolist

    def numpy(self: Any, *, force: bool = False) -> Any:
        if not is_host(self):
            if not force:
                raise TypeError(
                    f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to "
                    "host memory first."
                )
            moved_to_host(self)
        return stock_numpy(self, force=force)

    def tolist(self: Any) -> Any:
        if not is_host(self):
            moved_to_host(self)
        return stock_list(self)

    tensor.numpy, tensor.tolist = numpy, tolist
    tensor.to, tensor.cuda, tensor.cpu, tensor.type, tensor.pin_memory = to, cuda, cpu, type_, pin_memory
    for name in NEW:
        setattr(tensor, name, _like(getattr(tensor, name)))
    tensor.device = property(lambda self: CPU if is_host(self) else _presented(self))
    tensor.is_cuda = property(lambda self: not is_host(self) and _presented(self).type == "cuda")
    tensor.is_cpu = property(lambda self: is_host(self))
    tensor.get_device = lambda self: -1 if is_host(self) else 0
    tensor.record_stream = lambda self, stream: None
    tensor.is_pinned = lambda self, *args: False
    tensor.__dlpack_device__ = lambda self: (torch.utils.dlpack.DLDeviceType.kDLCPU, 0)
    assert stock_pin is not None


def _presented(tensor: Any) -> Any:
    true = _TRUE_DEVICE.__get__(tensor)
    return CUDA if true.type == "cpu" else true  # a meta tensor stays one


def _wrap_modes() -> None:
    """``with torch.device("cuda")``, ``torch.set_default_device``, ``torch.autocast("cuda")``."""
    context = torch.utils._device.DeviceContext
    torch.utils._device._device_constructors()  # a cached set of the stock functions: fill it before they change
    stock_context = context.__init__

    def enter(self: Any, device: Any) -> None:
        stock_context(self, CPU if is_gpu(device) else device)

    setattr(context, "__init__", enter)  # noqa: B010 - not a method to mypy
    stock_default = torch.set_default_device

    def set_default_device(device: Any) -> None:
        gpu = device is not None and is_gpu(device)
        _DEFAULT["cuda"] = gpu
        stock_default(None if gpu else device)

    stock_get = torch.get_default_device
    torch.set_default_device = set_default_device
    torch.get_default_device = lambda: CUDA if _DEFAULT["cuda"] else stock_get()
    stock_tensor_type = torch.set_default_tensor_type

    def set_default_tensor_type(kind: Any) -> None:
        gpu = isinstance(kind, str) and kind.startswith("torch.cuda.")
        _DEFAULT["cuda"] = gpu
        stock_tensor_type(kind.replace("torch.cuda.", "torch.", 1) if gpu else kind)

    torch.set_default_tensor_type = set_default_tensor_type
    autocast = torch.amp.autocast_mode.autocast
    stock_autocast = autocast.__init__

    def begin(self: Any, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: Any = None) -> None:
        if device_type == "cuda":
            device_type, dtype = "cpu", dtype or torch.float16
        stock_autocast(self, device_type, dtype, enabled, cache_enabled)

    setattr(autocast, "__init__", begin)  # noqa: B010 - not a method to mypy


def _wrap_bytes() -> None:
    """Ways past ``.numpy()``: numpy's own way to another library's memory, and a storage's bytes. A GPU's memory can't
    be read like that, or goes to the host by it."""
    stock_from_dlpack = np.from_dlpack

    def from_dlpack(x: Any, /, **options: Any) -> Any:
        array = stock_from_dlpack(x, **options)
        if not is_host(x):
            dtype = getattr(torch, str(array.dtype), torch.float32)
            moved_to_host(torch.empty(array.shape, dtype=dtype, device="meta"))
        return array

    np.from_dlpack = from_dlpack
    storage: Any = torch.UntypedStorage
    stock_item = storage.__getitem__

    def item(self: Any, index: Any) -> Any:
        found = stock_item(self, index)
        if isinstance(found, int) and self.nbytes() > 8:
            moved_to_host(torch.empty(self.nbytes() // 4, device="meta"))
        return found

    storage.__getitem__ = item


def _wrap_rest() -> None:
    stock_generator: Any = torch.Generator

    class Generator(stock_generator):  # type: ignore[misc]
        """A random generator; a GPU's is the CPU's."""

        def __new__(cls, device: Any = "cpu") -> Any:
            return stock_generator.__new__(cls, device=CPU if is_gpu(device) else device)

        def __init__(self, device: Any = "cpu") -> None:
            pass

    setattr(torch, "Generator", Generator)  # noqa: B010 - a type to mypy
    stock_load = torch.load

    def load(f: Any, map_location: Any = None, *args: Any, **kwargs: Any) -> Any:
        return stock_load(f, CPU if map_location is None or is_gpu(map_location) else map_location, *args, **kwargs)

    torch.load = load

    def compile_(model: Any = None, **_options: Any) -> Any:
        """Without its compiler a function is what it was: slower, and as right."""
        return (lambda function: function) if model is None else model

    torch.compile = compile_
    stock_custom_op = torch.library.custom_op

    def custom_op(name: str, fn: Any = None, /, *, mutates_args: Any, device_types: Any = None, **rest: Any) -> Any:
        return stock_custom_op(name, fn, mutates_args=mutates_args, device_types=None, **rest)

    torch.library.custom_op = custom_op
    if hasattr(torch.library, "triton_op"):
        torch.library.triton_op = custom_op
        torch.library.wrap_triton = lambda kernel: kernel


def install() -> None:
    """Replaces what names a device in torch."""
    _wrap_modes()
    for name in FACTORIES:
        if hasattr(torch, name):
            setattr(torch, name, _factory(getattr(torch, name)))
    for name in LIKE:
        setattr(torch, name, _like(getattr(torch, name)))
    _wrap_tensor(torch.Tensor)
    _wrap_bytes()
    _wrap_rest()
    cuda_module.install()
