"""Keeps a whole GPU waiting before a block of timed calls, so that the host gets ahead of it.

A device that merely sleeps on one stream would let work on others through: what a candidate hid there would be done
before the judge's clock counts. So every place for a thread of every multiprocessor is taken, by a kernel that waits.
Where it can't be loaded (AMD, no `cuda-bindings`), PyTorch's own sleep serves, which holds nobody else.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from harness.sandbox import staging

_PTX = b"""
.version 6.3
.target sm_70
.address_size 64
.visible .entry hold(.param .u64 nanoseconds)
{
    .reg .u64 %most, %begin, %now;
    .reg .pred %on;
    ld.param.u64 %most, [nanoseconds];
    mov.u64 %begin, %globaltimer;
again:
    nanosleep.u32 100;
    mov.u64 %now, %globaltimer;
    sub.u64 %now, %now, %begin;
    setp.lt.u64 %on, %now, %most;
    @%on bra again;
    ret;
}
"""
_CYCLES_A_MICROSECOND = 2000
"""Of a GPU's clock, roughly, for PyTorch's sleep."""
_SECONDS = 30.0
"""For the assembler, which takes some hundredths of one."""
_code: list[bytes] = [_PTX]
"""What is loaded: the first that the driver takes."""


def assemble(capability: int) -> None:
    """Have the assembler that comes with Triton make the kernel's machine code for a GPU of this compute capability (90
    for 9.0), for this process and all that it forks: else the driver compiles the kernel in each. Raises OSError,
    ImportError, CalledProcessError, and RuntimeError where there is no such tool."""
    from triton.backends.nvidia.compiler import get_ptxas

    with tempfile.TemporaryDirectory() as folder:
        source, code = Path(folder) / "hold.ptx", Path(folder) / "hold.cubin"
        source.write_bytes(_PTX)
        command = [get_ptxas(capability).path, f"--gpu-name=sm_{capability}", str(source), "-o", str(code)]
        subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
        _code[:] = [code.read_bytes(), _PTX]


class Hold:
    """Of the process's GPU, on its current stream. Made before the candidate's code is loaded."""

    def __init__(self) -> None:
        self._sleep: Any = torch.cuda._sleep
        self._stream: Any = torch._C._cuda_getCurrentRawStream
        self._launch: Any = None
        self._function: Any = None
        if staging.available():
            try:
                self._load()
            except (staging.StagingUnavailable, RuntimeError, TypeError):
                self._function = None

    @property
    def whole(self) -> bool:
        """Does nothing else run meanwhile?"""
        return self._function is not None

    def __call__(self, us: float) -> None:
        """Keep the device waiting for so many µs, from when this stream comes to it."""
        if self._function is None:
            self._sleep(int(us * _CYCLES_A_MICROSECOND))
            return
        size = (self._grid, 1, 1, self._block, 1, 1)
        values = ((int(us * 1000),), (ctypes.c_uint64,))
        staging.done(self._launch(self._function, *size, 0, self._stream(0), values, 0))

    def _load(self) -> None:
        torch.cuda.synchronize(0)  # the context has to be there
        about = torch.cuda.get_device_properties(0)
        self._block = _block(about.max_threads_per_multi_processor)
        self._grid = about.multi_processor_count * (about.max_threads_per_multi_processor // self._block)
        self._module = self._loaded()
        self._function = staging.done(staging.driver.cuModuleGetFunction(self._module, b"hold"))
        self._launch = staging.driver.cuLaunchKernel

    def _loaded(self) -> Any:
        for code in _code[:-1]:
            with suppress(staging.StagingUnavailable):  # it is of another GPU
                return staging.done(staging.driver.cuModuleLoadData(code))
        return staging.done(staging.driver.cuModuleLoadData(_code[-1]))


def _block(threads: int) -> int:
    """Threads of a block, so that several of them fill a multiprocessor of so many."""
    return next(
        threads // parts for parts in range(1, threads + 1) if threads % parts == 0 and threads // parts <= 1024
    )
