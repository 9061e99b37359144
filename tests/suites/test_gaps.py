"""A kernel that writes between the rows of what it is given is found out, also where nothing is lost by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.judge.judge import Judge
from harness.judge.trial import Scope
from harness.suite import load_suite
from harness.verdict import Outcome

ROCM = load_suite(Path(__file__).resolve().parents[2] / "suites" / "rocm")
EDITS = {
    "triton_swizzle2d": ("(col < size_j)", "(col < tl.where(row < size_i - 1, out_stride, size_j))"),
    "kernel_dot": (
        "    tl.store(z_ptrs",
        "    tl.store(z_ptrs + 16, 0.0, mask=mask & (row_stride > 16) & (col == 0) & (row < 15))\n    tl.store(z_ptrs",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_gaps_between_rows_are_not_to_be_written(name: str, judge: Judge) -> None:
    task = ROCM.task(name)
    source = task.reference.replace(*EDITS[name])
    assert source != task.reference
    verdict = judge.judge(task, source, scope=Scope(timed=False))
    assert verdict.outcome is Outcome.ILLEGAL_ACCESS, f"{verdict.outcome}: {verdict.reason}"
    assert "lie between those of the input" in verdict.reason
