"""Fates of mutants that are easily mistaken: memory ran out, or a case that found others comes first."""

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


def test_what_fails_on_the_first_case_alone_is_no_program_only_if_it_fails_on_all(
    judge: Judge, doubled: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The case that found the first mutant is tried first on the others, which must not change what they are."""

    def planted(name: str, line: str) -> mutation.Mutant:
        source = doubled.reference.replace("    y = torch.empty_like(x)", f"    y = torch.empty_like(x)\n    {line}")
        return mutation.Mutant(name, "doubled", "a → b", 1, source, source)

    mutants = [
        planted("wrong", "x = 2 * x if x.numel() == 257 else x"),
        planted("fails there", "assert x.numel() != 257"),
        planted("fails always", "assert False"),
    ]
    monkeypatch.setattr(doctor.mutation, "chosen", lambda reference: mutants)
    figures = Doctor(judge, "here").examine(doubled, Check.MUTANTS).figures
    assert figures["killed"] == [each.id for each in mutants[:2]]
    assert figures["stillborn"] == [mutants[2].id]
