"""Figures that others published for these suites, to stand beside ours: by their own rules, on other devices.

Accuracies are of all tasks, from 0 to 1; speedups are means over right kernels, as their authors take them.
"""

from __future__ import annotations

from dataclasses import dataclass

GEAK = "GEAK (2025), arXiv:2507.23194"
GEAK_2 = "AMD, GEAK v2 (2025)"
_REVISED, _ROCM = ("tritonbench-g-revised",), ("rocm", "rocm-published")


@dataclass(frozen=True)
class Published:
    """One row of somebody else's table."""

    suites: tuple[str, ...]
    """Names of ours with the same tasks, or with tasks written after them."""
    solver: str
    model: str
    device: str
    call: float | None
    execution: float
    speedup: float | None
    source: str


ROWS = (
    Published(_REVISED, "zero-shot", "GPT-4.1", "MI300", 0.1467, 0.087, 0.52, GEAK),
    Published(_REVISED, "one-shot", "GPT-4.1", "MI300", 0.1902, 0.1413, 0.53, GEAK),
    Published(_REVISED, "zero-shot", "GPT-4o", "MI300", 0.1087, 0.0707, 0.51, GEAK),
    Published(_REVISED, "one-shot", "GPT-4o", "MI300", 0.1413, 0.0924, 0.53, GEAK),
    Published(_REVISED, "zero-shot", "Gemini 2.5 Pro", "MI300", 0.2065, 0.1413, 1.33, GEAK),
    Published(_REVISED, "one-shot", "Gemini 2.5 Pro", "MI300", 0.2174, 0.1685, 0.96, GEAK),
    Published(_REVISED, "zero-shot", "Claude 3.7 Sonnet", "MI300", 0.1141, 0.0707, 0.61, GEAK),
    Published(_REVISED, "one-shot", "Claude 3.7 Sonnet", "MI300", 0.2011, 0.1522, 0.96, GEAK),
    Published(_REVISED, "GEAK, 10 sequential × 10 parallel", "GPT-4.1", "MI300", None, 101 / 184, 2.59, GEAK),
    Published(_REVISED, "GEAK, 10 sequential × 10 parallel", "GPT-4.1", "MI250", None, 97 / 184, 2.42, GEAK),
    Published(_REVISED, "OptimAgent v1", "Claude 4 Sonnet", "MI300", 0.6087, 0.538, 4.28, GEAK_2),
    Published(_REVISED, "OptimAgent v2", "Claude 4 Sonnet", "MI300", 0.9783, 0.6304, 5.31, GEAK_2),
    Published(_ROCM, "zero-shot", "GPT-4.1", "MI300", 0.0, 0.0, None, GEAK),
    Published(_ROCM, "zero-shot", "Gemini 2.5 Pro", "MI300", 0.4, 0.1666, 0.91, GEAK),
    Published(_ROCM, "GEAK, 10 sequential × 10 parallel", "GPT-4.1", "MI300", None, 19 / 30, 0.92, GEAK),
    Published(_ROCM, "OptimAgent v1", "Claude 4 Sonnet", "MI300", 0.7419, 0.5484, 1.67, GEAK_2),
    Published(_ROCM, "OptimAgent v2", "Claude 4 Sonnet", "MI300", 0.8065, 0.6129, 1.74, GEAK_2),
)


def published(suite: str) -> list[Published]:
    """What is known for the tasks of this suite."""
    return [row for row in ROWS if suite in row.suites]
