"""Memory of a GPU that the judge lends to both sides of a timing, for the blocks that are timed.

Where tensors lie makes a kernel up to some percent faster or slower. Candidate and reference take turns, and what a
block needs lies in the same places for both. PyTorch's allocator takes the lent memory in the place of the driver's;
what does not fit comes from the driver all the same.
"""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager
from typing import Any

import torch

from harness.sandbox import staging
from harness.sandbox.staging import driver

SMALL_BYTES = 64 << 20
"""For small tensors, of which the allocator has pieces of their own."""
_STEP = 512
"""Bytes: what the allocator asks for starts at a multiple of so many."""
_ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p)
_FREE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p)


class Places:
    """Pieces of memory, one after the other; where all were given back, from the beginning again."""

    def __init__(self, first: int, size: int) -> None:
        self._first, self._size = first, size
        self._at, self._taken = 0, set[int]()

    def take(self, size: int) -> int | None:
        """Where a piece of so many bytes begins; None where it does not fit."""
        at = -(-self._at // _STEP) * _STEP
        if at + size > self._size:
            return None
        self._at = at + size
        self._taken.add(self._first + at)
        return self._first + at

    def give(self, pointer: int) -> bool:
        """A piece back; False where it is none of these."""
        if pointer not in self._taken:
            return False
        self._taken.discard(pointer)
        if not self._taken:
            self._at = 0
        return True


class Lent:
    """In the process to which it is lent."""

    def __init__(self, fd: int, size: int) -> None:
        """Takes `fd` over. Raises StagingUnavailable where it can't be mapped."""
        self._arena = staging.DeviceArena.open(fd, size, 0)
        self.size = size
        self._places = Places(self._arena.bytes.data_ptr(), size)
        self._callbacks = _ALLOCATE(self._allocate), _FREE(self._free)
        addresses = (ctypes.cast(each, ctypes.c_void_p).value for each in self._callbacks)
        custom: Any = torch._C._cuda_customAllocator
        self._allocator = custom(*addresses)
        self._pool: Any = torch.cuda.MemPool(self._allocator)
        with self.used():  # in one piece, from which the allocator takes what follows
            torch.empty(size - SMALL_BYTES, dtype=torch.uint8, device="cuda")

    def used(self) -> AbstractContextManager[None]:
        """What is allocated within lies there."""
        context: Any = torch.cuda.use_mem_pool
        used: AbstractContextManager[None] = context(self._pool)
        return used

    def close(self) -> None:
        """Give it back; no tensor may lie there any more."""
        self._pool = None
        torch.cuda.empty_cache()
        self._arena.close()

    def _allocate(self, size: int, device: int, stream: int | None) -> int:
        place = self._places.take(size)
        if place is not None:
            return place
        error, pointer = driver.cuMemAlloc(size)
        return 0 if int(error) != 0 else int(pointer)  # of 0 PyTorch says that memory ran out

    def _free(self, pointer: int | None, size: int, device: int, stream: int | None) -> None:
        if pointer is not None and not self._places.give(pointer):
            driver.cuMemFree(pointer)
