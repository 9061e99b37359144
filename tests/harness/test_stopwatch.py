"""Seconds by phase: each moment counts once, and a judgement's phases come to its whole."""

from __future__ import annotations

import json

import pytest

from harness.judge.judge import Judge
from harness.judge.stopwatch import Stopwatch, shares
from harness.task import Task
from harness.verdict import Verdict


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_innermost_phase_counts() -> None:
    clock = Clock()
    watch = Stopwatch(clock)
    clock.now += 50  # before anything
    with watch("rounds"):
        clock.now += 3
        with watch("oracle"):
            clock.now += 2
            with watch("rounds"):
                clock.now += 1
        with watch.holding():
            clock.now += 3
            with watch("collecting"):
                clock.now += 1
    clock.now += 50  # between phases
    with pytest.raises(ValueError, match="trouble"), watch("oracle"):
        clock.now += 0.5
        raise ValueError("trouble")
    with watch("quick"):
        clock.now += 0.0001
    assert shares(watch.seconds) == {"rounds": 7.0, "oracle": 2.5, "collecting": 1.0}
    assert watch.held == {"rounds": 3.0, "collecting": 1.0}


def test_a_judgements_phases_come_to_its_whole(judge: Judge, doubled: Task) -> None:
    verdict = judge.judge(doubled, doubled.reference)
    assert {"start", "load", "calls", "comparison", "first timed calls", "rounds", "end"} <= set(verdict.phases)
    assert 0.9 * verdict.seconds <= sum(verdict.phases.values()) <= verdict.seconds + 0.05
    assert 0 < verdict.held_seconds < verdict.seconds
    assert sum(verdict.held_phases.values()) == pytest.approx(verdict.held_seconds, abs=0.02)
    assert all(seconds <= verdict.phases[phase] for phase, seconds in verdict.held_phases.items())
    assert not {"oracle", "comparison", "calls", "reference"} & verdict.held_phases.keys()
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    wrong = judge.judge(doubled, "import")
    assert wrong.phases == {} and wrong.held_seconds == 0.0
