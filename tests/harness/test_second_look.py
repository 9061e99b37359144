"""What two clocks say against a candidate they have to say once more, while nobody else works on the device; it is
timed by the later rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from harness.judge.clocks import Doubt
from harness.judge.judge import Judge
from harness.judge.rounds import Rounds
from harness.judge.script_timing import ScriptTiming
from harness.judge.stopwatch import Stopwatch
from harness.judge.usage import Usage
from harness.task import Task
from harness.verdict import Outcome, Verdict
from tests.harness.test_script import KERNEL
from tests.harness.test_script_timing import timed

LIE = Doubt(bare=False, pairs=14, sentence="its events claim too little", proved=True, likely=True)
OPEN = Doubt(bare=False, pairs=60, sentence="its events may claim too little", proved=False, likely=True)


def _rounds(judge: Judge, doubled: Task) -> Verdict:
    return judge.judge(doubled, doubled.reference)


def _script(judge: Judge, doubled: Task) -> Verdict:
    return judge.judge(timed(), KERNEL)


KINDS = [(Rounds, "doubts", "run", _rounds), (ScriptTiming, "_doubts", "_rounds", _script)]


@pytest.mark.parametrize(("kind", "doubts", "run", "judged"), KINDS, ids=["rounds", "script"])
@pytest.mark.parametrize(
    ("first", "second", "outcome", "remarked"),
    [
        (LIE, LIE, Outcome.IMPLAUSIBLE, False),
        (LIE, None, Outcome.RIGHT, False),
        (LIE, OPEN, Outcome.RIGHT, True),
        (OPEN, None, Outcome.RIGHT, False),
        (OPEN, OPEN, Outcome.RIGHT, True),
        (OPEN, LIE, Outcome.IMPLAUSIBLE, False),
        (None, LIE, Outcome.RIGHT, False),
    ],
)
def test_what_is_said_once_is_looked_at_again(
    judge: Judge,
    doubled: Task,
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    doubts: str,
    run: str,
    judged: Callable[[Judge, Task], Verdict],
    first: Doubt | None,
    second: Doubt | None,
    outcome: Outcome,
    remarked: bool,
) -> None:
    looks, samples, quiet = 0, 0, list[bool]()
    as_it_is = getattr(kind, run)

    def counted(*arguments: Any) -> object:
        nonlocal looks, samples
        looks += 1
        found = as_it_is(*arguments)
        sides = arguments[1] if len(arguments) > 1 else vars(arguments[0])["sides"]
        samples = len(sides["candidate"].clocks.claims)
        return found

    def said(*_: object) -> list[Doubt]:
        found = first if looks == 1 else second
        return [found] if found is not None else []

    @contextmanager
    def asked(_: Usage, us: float, watch: Stopwatch, doubted: bool = False) -> Iterator[None]:
        quiet.append(doubted)
        yield

    monkeypatch.setattr(Usage, "quiet", asked)
    monkeypatch.setattr(kind, run, counted)
    monkeypatch.setattr(kind, doubts, said)
    monkeypatch.setattr("harness.judge.timing.PAUSE", 0.01)
    monkeypatch.setattr("harness.judge.script_timing.PAUSE", 0.01)
    doubled.workloads[1:] = []
    verdict = judged(judge, doubled)
    assert verdict.outcome is outcome, verdict.reason
    assert looks == (1 if first is None else 2)
    assert quiet == [False, True][:looks], "nobody else works there while it is looked at again"
    assert any("by most of the blocks" in each for each in verdict.warnings) is remarked
    if outcome is Outcome.RIGHT:
        (timing,) = verdict.timings
        kept = len(timing.candidate_samples_us)
        assert kept == len(timing.reference_samples_us) == samples, "those of the last look"
    else:
        assert verdict.reason.endswith(LIE.sentence)
