"""On a real GPU, a source that is judged again finds what Triton compiled for it, and only there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.judge.compiled import DRIVER
from harness.judge.judge import Judge
from harness.task import Task
from harness.verdict import Outcome, Verdict

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no GPU here: run python -m tests.gpu on a machine with one"
    ),
]


def test_what_is_judged_again_is_not_compiled_again(judge: Judge, doubled: Task, tmp_path: Path) -> None:
    source, verdicts = f"{doubled.reference}\n# another program\n", list[Verdict]()
    for _ in range(2):
        with Judge(judge.device, replace(judge.limits, compiled=tmp_path)) as fresh:
            verdicts.append(fresh.judge(doubled, source))
            kept = [source, doubled.reference, DRIVER]
            assert all(fresh.compiled.knows(each) for each in kept) and not fresh.compiled.knows(source + "#")
    first, second = verdicts
    assert first.outcome is second.outcome is Outcome.RIGHT, (first.reason, second.reason)
    assert not first.warnings and not second.warnings
    assert second.phases["calls"] < 0.6 * first.phases["calls"], (first.phases, second.phases)
