"""A script task: a published program whose test half runs in the candidate's process and keeps values in a variable.

What is right is what the published reference gives for the same seed, in a process of its own: every value that the
test half keeps, by structure, shape, dtype and number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.task import Task, Tolerance

SEEDS = 3
"""Times that a script is run, each with its own seed of all random numbers."""

PUBLISHED = Tolerance({}).by(
    fp64=(1e-3, 1e-3),
    fp32=(1e-3, 1e-3),
    fp16=(8e-3, 2e-3),
    bf16=(4e-2, 1.2e-2),
    fp8e4m3=(2.6e-1, 8e-2),
    fp8e5m2=(5.2e-1, 1.6e-1),
)
"""What is compared is a kernel's own rounding on both sides: wider than for a task with an oracle. fp64 is mostly what
a test half made of fp32."""
PUBLISHED_PRODUCTS = PUBLISHED.by(fp64=(1e-3, 4e-3), fp32=(1e-3, 4e-3))
"""Where the reference multiplies matrices. Nobody says in which precision, and either side may take fp32 inputs as
tf32: each is then off by up to 2^-11 (2^-10 where bits are cut off), a sum of many products by some 7e-4 of the values'
root mean square, and the worst of a million of them by five times that."""
_MULTIPLIES = re.compile(r"\b(dot|matmul|mm|bmm|mv|addmm|addmv|baddbmm|addbmm|einsum|tensordot|linear|conv[123]d)\s*\(")


def published_tolerance(reference: str) -> Tolerance:
    """What a solution of a task with this reference may be off by."""
    return PUBLISHED_PRODUCTS if _MULTIPLIES.search(reference) else PUBLISHED


@dataclass
class ScriptTask(Task):
    """A task whose cases are runs of a published test half."""

    script: str = field(default="", repr=False)
    """The test half, run after a solution in the same module."""
    variable: str = ""
    """Where it leaves its values."""
    main: bool = True
    """Does the test half run as a program (`__name__` is `__main__`)?"""
    stand_ins: str = field(default="", repr=False)
    """Runs before any solution is loaded: modules that the published task needs and Triton no longer has."""
    timed_half: str = field(default="", repr=False)
    """What makes the published workloads and calls a solution on them; see `harness.sandbox.scripts`. Empty: a solution
    is not timed."""
    rule: str = "printed"
    """How the published evaluator decides on execution; see `harness.judge.published_rules`."""


def stand_ins(task: Task) -> str:
    """What runs before a solution of the task is loaded."""
    return task.stand_ins if isinstance(task, ScriptTask) else ""
