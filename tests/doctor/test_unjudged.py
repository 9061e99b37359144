"""A mutant whose memory ran out says nothing of the cases: it is not killed, and the check fails."""

from __future__ import annotations

import pytest

from harness.doctor import doctor, mutation
from harness.doctor.doctor import Doctor
from harness.doctor.finding import Check, Result
from harness.judge.judge import Judge
from harness.task import Task


def test_memory_that_ran_out_kills_no_mutant(judge: Judge, doubled: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    source = doubled.reference.replace("    y = torch.empty_like(x)", "    hog = torch.empty(1 << 45)\n    y = hog[:4]")
    assert source != doubled.reference
    mutant = mutation.Mutant("hog", "doubled", "a → b", 1, source, source)
    monkeypatch.setattr(doctor.mutation, "chosen", lambda reference: [mutant])
    finding = Doctor(judge, "here").examine(doubled, Check.MUTANTS)
    assert finding.result is Result.FAILED
    assert finding.sentences == (f"not judged, memory ran out: {mutant.id}",)
    assert finding.figures["killed"] == []
