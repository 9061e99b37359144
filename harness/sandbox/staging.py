"""A piece of a GPU's memory that judge and candidate's process both map, in the place of shared memory of the host.

The judge makes it, and sends it as an open file; what either writes there the other reads without a copy through the
host. It is the candidate's alone and zeroed when made: nothing of the judge's or of other candidates is found in it.
Where it can't be had (AMD, no `cuda-bindings`, a driver that does not share memory by files) the host's memory serves.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, ClassVar

import torch

try:
    from cuda.bindings import driver as _driver  # comes with PyTorch's builds for CUDA
except ImportError:
    _driver = None
driver: Any = _driver
"""The bindings of NVIDIA's driver, or None."""
_synchronize = torch.cuda.synchronize


class StagingUnavailable(Exception):
    """The device's memory can't be shared here."""


class DeviceArena:
    """Device memory of fixed size; stands for `harness.sandbox.wire.Arena`."""

    on_device: ClassVar[bool] = True

    def __init__(self, fd: int, size: int, index: int, handle: Any) -> None:
        """Map what `handle` names. Takes `fd` over, raises StagingUnavailable."""
        self.fd, self.size, self._index, self._pointer, self._mapped = fd, size, index, 0, False
        try:
            self._pointer = int(done(driver.cuMemAddressReserve(size, 0, 0, 0)))
            done(driver.cuMemMap(self._pointer, size, 0, handle, 0))
            self._mapped = True
            access = driver.CUmemAccessDesc()
            access.location = _location(index)
            access.flags = driver.CUmemAccess_flags.CU_MEM_ACCESS_FLAGS_PROT_READWRITE
            done(driver.cuMemSetAccess(self._pointer, size, [access], 1))
            self.bytes = torch.as_tensor(_Memory(self._pointer, size), device=f"cuda:{index}")
        except BaseException:
            self.close()
            raise
        finally:
            done(driver.cuMemRelease(handle))  # the mapping keeps the memory

    @classmethod
    def create(cls, size: int, index: int) -> DeviceArena:
        """New zeroed memory of at least `size` bytes on GPU `index`, as the driver counts them. Raises
        StagingUnavailable."""
        if not available():
            raise StagingUnavailable("there is no cuda-bindings")
        torch.cuda.synchronize(index)  # the context has to be there
        about = driver.CUmemAllocationProp()
        about.type = driver.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
        about.requestedHandleTypes = _FILE
        about.location = _location(index)
        least = driver.CUmemAllocationGranularity_flags.CU_MEM_ALLOC_GRANULARITY_MINIMUM
        step = int(done(driver.cuMemGetAllocationGranularity(about, least)))
        size = -(-size // step) * step
        handle = done(driver.cuMemCreate(size, about, 0))
        try:
            fd = int(done(driver.cuMemExportToShareableHandle(handle, _FILE, 0)))
        except StagingUnavailable:
            done(driver.cuMemRelease(handle))
            raise
        arena = cls(fd, size, index, handle)
        arena.bytes.zero_()
        torch.cuda.synchronize(index)
        return arena

    @classmethod
    def open(cls, fd: int, size: int, index: int) -> DeviceArena:
        """What another process made. Raises StagingUnavailable."""
        if not available():
            raise StagingUnavailable("there is no cuda-bindings")
        torch.cuda.synchronize(index)
        return cls(fd, size, index, done(driver.cuMemImportFromShareableHandle(fd, _FILE)))

    def close(self) -> None:
        """Give the memory back, once what the device was given to do with it is done."""
        with contextlib.suppress(OSError):
            os.close(self.fd)
        self.fd = -1
        if self._mapped:
            self._mapped = False
            _synchronize(self._index)
            done(driver.cuMemUnmap(self._pointer, self.size))
        if self._pointer:
            done(driver.cuMemAddressFree(self._pointer, self.size))
            self._pointer = 0


class _Memory:
    """What PyTorch takes for a tensor on a GPU."""

    def __init__(self, pointer: int, size: int) -> None:
        self.__cuda_array_interface__ = {
            "shape": (size,),
            "typestr": "|u1",
            "data": (pointer, False),
            "strides": None,
            "version": 2,
        }


def available() -> bool:
    """Can it be tried at all: a build of PyTorch for CUDA, and the driver's bindings?"""
    return driver is not None and torch.version.cuda is not None


def prepare() -> None:
    """Load the driver's library, before anybody watches who loads what."""
    if available():
        with contextlib.suppress(RuntimeError):
            driver.cuDriverGetVersion()


def _location(index: int) -> Any:
    place = driver.CUmemLocation()
    place.type = driver.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
    place.id = index
    return place


def done(answer: tuple[Any, ...]) -> Any:
    """What a call of the driver gives back. Raises StagingUnavailable."""
    error, *values = answer
    if int(error) != 0:
        raise StagingUnavailable(f"the driver says {error.name}")
    return values[0] if values else None


_FILE = driver.CUmemAllocationHandleType.CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR if driver is not None else None
