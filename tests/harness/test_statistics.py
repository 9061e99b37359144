"""The interval of a speedup: it covers what it should, however times scatter, and is SciPy's interval of a median."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.judge.statistics import CONFIDENCE, paired_ratio


@pytest.mark.parametrize("rounds", [9, 20])
@pytest.mark.parametrize("tails", ["normal", "heavy", "two places"])
def test_coverage(rounds: int, tails: str) -> None:
    """The true median lies inside as often as claimed."""
    rng = np.random.default_rng(rounds)
    trials, true = 400, 1.5
    inside = 0
    for _ in range(trials):
        machine = rng.lognormal(0, 0.3, rounds)  # what slows both of a round down together
        noise = {
            "normal": rng.normal(0, 0.02, rounds),
            "heavy": 0.01 * rng.standard_t(2, rounds),
            "two places": rng.choice([-0.01, 0.01], rounds) + rng.normal(0, 0.002, rounds),
        }[tails]
        ratio = paired_ratio(10 * true * machine * np.exp(noise), 10 * machine)
        inside += ratio.low <= true <= ratio.high
        assert tails == "heavy" or ratio.high - ratio.low < 0.15, "pairs take out what both share"
    assert inside / trials >= 0.94


@pytest.mark.parametrize("rounds", [6, 9, 10, 20, 60])
def test_agrees_with_scipy(rounds: int) -> None:
    rng = np.random.default_rng(rounds)
    candidate, reference = rng.lognormal(2, 0.1, rounds), rng.lognormal(2.2, 0.1, rounds)
    ours = paired_ratio(reference, candidate)
    theirs = stats.quantile_test(reference / candidate, p=0.5).confidence_interval(CONFIDENCE)
    assert ours.median == pytest.approx(np.median(reference / candidate))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_what_the_clock_can_not_tell_apart_is_in_the_interval() -> None:
    same = paired_ratio([10.0] * 9, [10.0] * 9, resolution=0.02)
    assert (same.low, same.median, same.high) == pytest.approx((0.98, 1.0, 1.02))


def test_repeatable_and_bounded() -> None:
    times = [10.0, 10.2, 9.9, 10.1, 55.0]
    assert paired_ratio(times, times[::-1]) == paired_ratio(times, times[::-1])
    same = paired_ratio(times, times)
    assert (same.median, same.low, same.high, same.width) == (1.0, 1.0, 1.0, 0.0)
    one = paired_ratio([3.0], [2.0])
    assert one.low == one.median == one.high == 1.5
