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


class Lent:
    """In the process to which it is lent."""

    def __init__(self, fd: int, size: int) -> None:
        """Takes `fd` over. Raises StagingUnavailable where it can't be mapped."""
        self._arena = staging.DeviceArena.open(fd, size, 0)
        self.size = size
        self._first = self._arena.bytes.data_ptr()
        self._at, self._pieces = 0, 0
        self._own: set[int] = set()
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
        at = -(-self._at // _STEP) * _STEP
        if at + size <= self.size:
            self._at, self._pieces = at + size, self._pieces + 1
            return self._first + at
        error, pointer = driver.cuMemAlloc(size)
        if int(error) != 0:
            return 0  # PyTorch says then that memory ran out
        self._own.add(int(pointer))
        return int(pointer)

    def _free(self, pointer: int | None, size: int, device: int, stream: int | None) -> None:
        if pointer in self._own:
            self._own.discard(pointer)
            driver.cuMemFree(pointer)
            return
        self._pieces -= 1
        if not self._pieces:
            self._at = 0
