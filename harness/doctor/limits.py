"""How near a reference is to what the hardware can do, and to what PyTorch does, on every workload of a GPU.

The reference is timed by the judge, beside itself: its speedup has to be 1. PyTorch's eager operation and its compiled
form are timed here, in the judge's process, under the same conditions: cache flushed, the device held alone.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from harness.device import Device
from harness.engine.lease import lease
from harness.judge.flush import FLUSH_BYTES
from harness.judge.limits import LAUNCH_BOUND_US
from harness.task import Case, Rng, Task
from harness.verdict import Timing

LARGE_US = 50.0
"""A workload of today's size is longer."""
ENOUGH = 0.5
"""Share of the hardware's limit below which a reference needs an explanation."""
NOT_SLOWER = 1.05
"""A reference that takes more than so many times as long as PyTorch is a defect."""
ROOM = 0.8
"""A reference whose errors come closer to what is allowed is called wrong one day, and others as good as it."""
COMPILED_US = 20.0
"""`torch.compile` is tried on workloads whose limit is longer."""
_CALLS = 15


@dataclass(frozen=True)
class WorkloadFigures:
    """One workload on one GPU; times in µs, None where there is none."""

    workload: str
    reference_us: float
    limit_us: float | None
    fraction: float | None
    speedup: float
    """Of the reference over itself."""
    low: float
    high: float
    eager_us: float | None
    compiled_us: float | None
    without: str = ""
    """Why PyTorch's time is missing."""
    worst_error: float | None = None
    """Of the reference's outputs here, as a share of what is allowed."""

    @property
    def launch_bound(self) -> bool:
        """Too short to say anything of the kernel."""
        return self.reference_us < LAUNCH_BOUND_US

    def to_json(self) -> dict[str, Any]:
        """As it stands in a finding's figures."""
        return asdict(self)


def beside_pytorch(task: Task, case: Case, timing: Timing, device: Device, compiled: bool = True) -> WorkloadFigures:
    """The judge's figures of one workload, with PyTorch's beside them."""
    eager_us, compiled_us, without = None, None, ""
    try:
        inputs = task.make_inputs(case, Rng(1, device.torch))
        with torch.no_grad(), torch.cuda.device(device.index):
            eager_us = _median_us(lambda: task.run_eager(inputs), device)
            if compiled and (timing.limit_us or 0.0) >= COMPILED_US:
                compiled_us = _compiled_us(task, inputs, device)
    except (RuntimeError, TypeError, ValueError) as error:  # out of memory, and what PyTorch does not do, among them
        without = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:120] if str(error).strip() else ''}"
    torch.cuda.empty_cache()
    return WorkloadFigures(
        timing.workload,
        timing.reference_us,
        timing.limit_us,
        timing.reference_fraction,
        timing.speedup,
        timing.low,
        timing.high,
        eager_us,
        compiled_us,
        without,
        timing.worst_error,
    )


def _compiled_us(task: Task, inputs: dict[str, Any], device: Device) -> float:
    import torch._dynamo

    torch._dynamo.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        work = torch.compile(task.run_eager, dynamic=False)
        work(inputs)
        return _median_us(lambda: work(inputs), device)


def _median_us(work: Callable[[], Any], device: Device) -> float:
    """Median of some calls by device events, each after the cache was flushed."""
    flush = torch.empty(FLUSH_BYTES, dtype=torch.uint8, device=device.torch)
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    event: Any = torch.cuda.Event
    pairs = [(event(enable_timing=True), event(enable_timing=True)) for _ in range(_CALLS)]
    with lease(device.uuid):
        torch.cuda._sleep(2_000_000)  # type: ignore[no-untyped-call]
        for start, end in pairs:
            flush.zero_()
            start.record()
            work()
            end.record()
        torch.cuda.synchronize()
    return statistics.median(float(start.elapsed_time(end)) * 1e3 for start, end in pairs)


def faults(figures: list[WorkloadFigures]) -> list[tuple[str, str]]:
    """(waiver's name, sentence) for what is too short, too slow or no faster than PyTorch."""
    found: list[tuple[str, str]] = []
    if not any(each.reference_us >= LARGE_US for each in figures):
        found.append(("size", f"no workload takes {LARGE_US:g} µs or more"))
    for each in figures:
        if each.worst_error is not None and each.worst_error > ROOM:
            found.append(
                ("room", f"on {each.workload} an error of the reference is {each.worst_error:.2f} of what is allowed")
            )
        if each.launch_bound:
            continue
        if each.fraction is not None and each.fraction < ENOUGH:
            found.append(("limit", f"on {each.workload} the reference is at {each.fraction:.0%} of the limit"))
        best = min((us for us in (each.eager_us,) if us is not None), default=None)
        if best is not None and each.reference_us > NOT_SLOWER * best:
            found.append(
                ("eager", f"on {each.workload} the reference takes {each.reference_us:.1f} µs, PyTorch {best:.1f} µs")
            )
    return found
