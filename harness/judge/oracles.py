"""Oracles of workloads, in higher precision, take much memory for a moment: as many run at once as a device holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from harness.device import Device
from harness.engine.lease import reserve
from harness.judge.flush import give_back
from harness.judge.stopwatch import Stopwatch
from harness.task import Case, Task

MEMORY_SHARE = 0.2
"""Of the device's memory, that all oracles together may take. Nobody who times waits for one."""
MEMORY_A_BYTE, MEMORY_BESIDE = 16, 4 << 30
"""Bytes that an oracle takes for each one that the operation moves, and beside: it computes in fp64, and what a kernel
keeps to itself, as an attention's scores, is there in whole. `tests/gpu_tests/test_oracle_memory.py` measures it."""


@contextmanager
def oracles_turn(task: Task, case: Case, device: Device, watch: Stopwatch) -> Iterator[float]:
    """Around expected values of a workload and what is compared with them; gives the seconds for which others were
    waited for. Never ask with the lease in hand, nor while using the device. On the interpreter nobody waits."""
    if device.interpreted:
        yield 0.0
        return
    asked, need = time.monotonic(), memory_needed(task, case)
    with ExitStack() as stack:
        with watch("waiting for an oracle"):
            stack.enter_context(reserve(device.uuid, need, int(MEMORY_SHARE * device.memory), "oracles"))
        yield time.monotonic() - asked
        give_back(device)


def memory_needed(task: Task, case: Case) -> int:
    """Bytes of device memory that the oracle of one workload and the comparison take, roughly."""
    return MEMORY_A_BYTE * int(task.least_cost(case).bytes) + MEMORY_BESIDE
