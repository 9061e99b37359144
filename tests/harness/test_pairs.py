"""A workload timed in more than one pair of processes: how many, what comes of it, and nobody cheats in a later one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from harness.judge.judge import Judge, JudgeLimits
from harness.judge.limits import INTERPRETED, TimingLimits
from harness.judge.pairs import PROCESS_US, limits_for_more, merged, pairs_wanted
from harness.judge.statistics import RESOLUTION_US, paired_ratio
from harness.task import Task
from harness.verdict import Outcome, Timing
from tests.harness.commands import NO_CACHE, Warm


def of(reference: list[float], candidate: list[float], clock: str = "device", **more: float) -> Timing:
    ratio = paired_ratio(reference, candidate, RESOLUTION_US / min(*reference, *candidate))
    us = float(np.median(candidate)), float(np.median(reference))
    samples = tuple(candidate), tuple(reference)
    made = Timing("size=1", ratio.median, ratio.low, ratio.high, *us, *samples, clock)
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("us", "most", "width", "wanted"),
    [
        (25.0, 1, 0.01, 1),
        (25.0, 16, 0.01, 8),
        (25.0, 4, 0.01, 4),
        (40.0, 16, 0.01, 4),
        (80.0, 16, 0.01, 2),
        (5000.0, 16, 0.01, 2),
        (25.0, 16, 0.02, 2),
        (10.0, 16, 0.01, 2),
        (50.0, 16, 0.005, 8),
    ],
)
def test_short_ones_want_more(us: float, most: int, width: float, wanted: int) -> None:
    timing = of([us * 1.01] * 6, [us] * 6)
    assert pairs_wanted(timing, TimingLimits(processes=most, width=width)) == wanted


def test_the_interpreter_has_two_at_most() -> None:
    assert pairs_wanted(of([9.0] * 3, [9.0] * 3, "interpreted"), replace(INTERPRETED, processes=5)) == 2
    assert limits_for_more(TimingLimits(processes=4), 4).width == pytest.approx(0.02)


def test_what_several_pairs_say_together() -> None:
    first = of([30.0] * 6, [20.0] * 6, fraction=0.5, bandwidth=1e12, worst_error=0.1)
    second = of([29.0] * 4, [22.0] * 4, worst_error=0.3)
    found = merged([first, second])
    assert merged([first]) is first
    assert found.speedup == pytest.approx(sqrt(1.5 * 29 / 22)) and found.processes == 2
    told = RESOLUTION_US / 20.0 / sqrt(2)
    assert (found.low / found.speedup, found.high / found.speedup) == pytest.approx((1 - told, 1 + told))
    assert found.candidate_samples_us == (20.0,) * 6 + (22.0,) * 4 and len(found.reference_samples_us) == 10
    assert found.fraction == pytest.approx(0.5) and found.worst_error == 0.3 and found.candidate_us == 20.0


@pytest.mark.parametrize("pairs", [1, 8])
def test_eight_pairs_are_as_good_as_they_should_be(pairs: int) -> None:
    """A kernel of 25 µs against itself, in processes that differ as they were seen to: one pair is off by more than one
    percent as often as not, eight are not one time in ten; and their interval covers 1."""
    rng, trials, off, inside = np.random.default_rng(pairs), 500, 0, 0
    for _ in range(trials):
        timings = []
        for _ in range(pairs):
            one, other = rng.normal(25.0, PROCESS_US, 2)
            noise = rng.normal(0, 0.1, (2, 9))
            timings.append(of(list(one + noise[0]), list(other + noise[1])))
        found = merged(timings)
        off += abs(found.speedup - 1) > 0.01
        inside += found.low <= 1 <= found.high
    assert off / trials > 0.4 if pairs == 1 else off / trials < 0.1
    assert pairs == 1 or inside / trials > 0.8


@pytest.fixture(scope="module")
def twice(judge: Judge) -> Iterator[Judge]:
    limits = JudgeLimits(stage_seconds=60.0, timing=replace(INTERPRETED, processes=4))
    with Judge(judge.device, limits) as made:
        yield made


def test_both_are_loaded_again(twice: Judge, doubled: Task) -> None:
    verdict = twice.judge(doubled, doubled.reference)
    assert verdict.outcome is Outcome.RIGHT, verdict.reason
    for timing in verdict.timings:
        assert timing.processes == 2
        assert len(timing.candidate_samples_us) == len(timing.reference_samples_us) >= 6
        assert timing.low <= timing.speedup <= timing.high
    assert verdict.phases["other processes"] > 0


ONLY_THERE = {
    "wrong": ("return _work(_work(x))", Outcome.VALUES, "out of tolerance"),
    "fails": ("raise ValueError('not again')", Outcome.CALL_ERROR, "not again"),
    "starts a process": ("__import__('os').fork() or __import__('os')._exit(0)", Outcome.CHEATING, "started a process"),
}


@pytest.mark.parametrize("name", ONLY_THERE)
def test_what_goes_wrong_in_the_second_alone_is_found(twice: Judge, doubled: Task, name: str) -> None:
    """A process that is timed without having been called on a case before is not the first."""
    act, outcome, said = ONLY_THERE[name]
    largest = max(case["n"] for case in doubled.timed(interpreted=True))
    kept = doubled.reference.replace(f"def {doubled.entry_point}(", "def _work(")
    source = f"""{kept}
_sizes = []

def {doubled.entry_point}(x):
    _sizes.append(x.numel())
    if _sizes[0] == {largest} == x.numel():
        {act}
    return _work(x)
"""
    verdict = twice.judge(doubled, source)
    assert verdict.outcome is outcome and said in verdict.reason, (verdict.outcome, verdict.reason)


def test_a_run_says_so(tmp_path: Path, warm: Warm, one: Path) -> None:
    ran = warm.pytest(
        one, "--solver=reference", "--timing-processes=2", "--run-dir=run", *NO_CACHE, cwd=tmp_path
    )  # fmt: skip
    assert ran.code == 0, ran.text
    (record,) = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    assert all(each["processes"] == 2 for each in record["verdict"]["timings"])
    assert json.loads((tmp_path / "run" / "run.json").read_text())["options"]["timing_processes"] == 2
    both = warm.pytest(one, "--solver=reference", "--timing-processes=2", "--no-timing", *NO_CACHE, cwd=tmp_path)
    assert both.code == 4 and "--no-timing times nothing: leave --timing-processes out" in both.text, both.text
