"""Who did the work, by the device's own account: the share of its time that Triton's kernels took, by the profiler.

On a GPU one more call on each workload runs under PyTorch's profiler (CUPTI on CUDA, roctracer on ROCm), after the
timing and on fresh values. Each kernel that ran then has a name and a time. Those that Triton launched are known by
name and number; fills are allowed, copies where a task is not about moving data; anything else on the device was
somebody else's work.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

FOREIGN_SHARE = 0.05
"""More of the device's time than this in kernels that are nobody's is too much."""
_FILLS = re.compile(r"memset|fillfunctor|fillbuffer", re.I)
_COPIES = re.compile(r"memcpy|copy_kernel|copybuffer|catarraybatchedcopy", re.I)


@dataclass(frozen=True)
class DeviceTime:
    """One call."""

    total_us: float
    triton_us: float
    foreign: dict[str, float]
    """µs by the kernel's name, of what is neither Triton's nor allowed; the longest first."""

    @property
    def triton_share(self) -> float:
        """Of the device's time in the call, from 0 to 1."""
        return self.triton_us / self.total_us

    @property
    def foreign_share(self) -> float:
        """Likewise."""
        return sum(self.foreign.values()) / self.total_us


def account(ran: Iterable[tuple[str, float]], launched: Sequence[str], moves_data: bool = False) -> DeviceTime | None:
    """Of the kernels that ran (name, µs) and the names that Triton launched; None where the profiler saw nothing.
    `moves_data`: copies are the task's work.

    A name is Triton's as many times as it was launched: of more, the longest are somebody else's.
    """
    by_name: dict[str, list[float]] = {}
    for name, us in ran:
        by_name.setdefault(name, []).append(us)
    total = sum(sum(times) for times in by_name.values())
    if total <= 0:
        return None
    allowed, triton, foreign = Counter(launched), 0.0, dict[str, float]()
    for name, times in by_name.items():
        own = sorted(times)[: allowed[name]]
        rest = sum(times) - sum(own)
        triton += sum(own)
        harmless = _FILLS.search(name) or (not moves_data and _COPIES.search(name))
        if rest > 0 and (name in allowed or not harmless):
            foreign[name] = rest
    return DeviceTime(total, triton, dict(sorted(foreign.items(), key=lambda each: -each[1])))


def objection(found: DeviceTime) -> str | None:
    """What speaks against the candidate, or None."""
    if found.foreign_share <= FOREIGN_SHARE:
        return None
    names = ", ".join(name[:60] for name in list(found.foreign)[:3])
    return (
        f"{found.foreign_share:.0%} of the device's time went to kernels that Triton did not launch ({names}); the "
        "work has to be done in Triton kernels"
    )
