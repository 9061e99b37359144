"""What a candidate's compiled kernels take of a multiprocessor, and how many of its threads fit there at once.

NVIDIA's count: a program's warps, its registers (given out by 256 a warp) and its shared memory (with 1 KiB of the
system's) each bound the programs that are resident; see the CUDA C++ Best Practices Guide, "Occupancy".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from harness.verdict import Kernel

MOST_PROGRAMS = 32
"""Resident on one multiprocessor, at most."""
_REGISTERS_STEP, _SYSTEM_BYTES = 256, 1024


def occupancy(properties: Any, warps: int, registers: int, shared: int) -> float | None:
    """Share of the threads, from 0 to 1; None where the device does not tell what it has.

    `properties` are those of `torch.cuda.get_device_properties`."""
    has = [
        getattr(properties, name, None)
        for name in (
            "warp_size",
            "max_threads_per_multi_processor",
            "regs_per_multiprocessor",
            "shared_memory_per_multiprocessor",
        )
    ]
    if not all(isinstance(each, int) and each > 0 for each in has) or warps <= 0:
        return None
    width, threads, all_registers, all_shared = (int(each) for each in has if each is not None)
    programs = min(MOST_PROGRAMS, threads // (warps * width))
    if registers > 0:
        step = _REGISTERS_STEP
        programs = min(programs, all_registers // (-(-registers * width // step) * step * warps))
    if shared > 0:
        programs = min(programs, all_shared // (shared + _SYSTEM_BYTES))
    return programs * warps * width / threads


def kernels(
    ran: Sequence[tuple[str, float]],
    launched: Sequence[str],
    compiled: Mapping[str, Mapping[str, int]],
    properties: Any,
) -> tuple[Kernel, ...]:
    """The kernels that one call launched, the longest first. `ran`: name and µs of all that ran on the device;
    `compiled`: by name, `warps`, `registers`, `spills` and `shared`, as far as they are known."""
    times: dict[str, float] = {}
    for name, us in ran:
        times[name] = times.get(name, 0.0) + us
    found = []
    for name, launches in Counter(launched).items():
        told = compiled.get(name, {})
        warps, registers, shared = (told.get(each) for each in ("warps", "registers", "shared"))
        known = warps is not None and registers is not None and shared is not None
        share = occupancy(properties, warps or 0, registers or 0, shared or 0) if known else None
        found.append(Kernel(name, launches, times.get(name), warps, registers, told.get("spills"), shared, share))
    return tuple(sorted(found, key=lambda each: -(each.time_us or 0.0)))
