"""Paired statistics against scipy and statsmodels, and by simulation: level, power, cover."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_statsmodels
from statsmodels.stats.multitest import multipletests

from reports.paired import bounds, mcnemar, positive
from reports.power import smallest_mean, smallest_share

ALIKE = 3000
"""Comparisons of a thing with itself, in a simulation."""


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_that_of_scipy_and_statsmodels(broken: int, fixed: int) -> None:
    if broken + fixed == 0:
        assert mcnemar(0, 0) == 1
        return
    assert mcnemar(broken, broken + fixed) == pytest.approx(
        stats.binomtest(broken, broken + fixed, 0.5, alternative="greater").pvalue
    )
    both = mcnemar_of_statsmodels([[5, broken], [fixed, 7]], exact=True).pvalue
    assert min(1.0, 2 * mcnemar(max(broken, fixed), broken + fixed)) == pytest.approx(both)


def test_signs_of_one_sample_a_task_are_mcnemar() -> None:
    values = np.array([1.0] * 7 + [-1.0] * 2 + [0.0] * 3)
    assert positive(values[:, None]).chance[0] == pytest.approx(mcnemar(7, 9))
    assert positive(-values[:, None]).chance[0] == pytest.approx(mcnemar(2, 9))


@pytest.mark.parametrize("tasks", [3, 10, 40])
def test_the_chance_is_that_of_scipys_permutation_test(tasks: int) -> None:
    values = np.random.default_rng(tasks).normal(0.2, 1, tasks)
    expected = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", alternative="greater", n_resamples=20_000, rng=1
    ).pvalue
    assert positive(values[:, None]).chance[0] == pytest.approx(expected, abs=1e-9 if tasks < 13 else 0.012)


def test_the_correction_is_westfalls_and_youngs() -> None:
    values = np.random.default_rng(4).normal(0.3, 1, (8, 3))
    values[5:, 2] = np.nan
    tosses = [np.array(signs) @ np.nan_to_num(values) for signs in itertools.product((1, -1), repeat=8)]
    chances = np.array([[np.mean([o[c] >= t[c] - 1e-9 for o in tosses]) for c in range(3)] for t in tosses])
    order, expected, most = np.argsort(chances[0]), np.empty(3), 0.0
    for place, column in enumerate(order):
        most = max(most, float((chances[:, order[place:]].min(axis=1) <= chances[0, column]).mean()))
        expected[column] = most
    found = positive(values)
    assert found.chance == pytest.approx(chances[0]) and found.corrected == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("tasks", [6, 12, 40])
def test_the_correction_lies_between_none_and_holms(tasks: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.2, 1, (tasks, 3))
    found = positive(values, 1000)
    holm = multipletests(found.chance, method="holm")[1]
    assert (found.corrected >= found.chance - 1e-12).all() and (found.corrected <= holm + 0.03).all()


def test_nothing_shows_nothing() -> None:
    for values in (np.zeros((9, 2)), np.full((9, 2), np.nan), np.empty((0, 2)), np.array([[0.5, -0.5]])):
        assert (positive(values).corrected >= 0.5).all()
    assert math.isnan(bounds(np.array([]), 0.95).low) and math.isnan(bounds(np.array([1.0, 2.0]), 0.95).high)
    low, high = bounds(np.zeros(31), 0.95, math.sqrt(0.5))
    assert low < -0.03 and high > 0.03, "tasks that all came out alike leave a doubt"


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("tasks", "confidence"), [(5, 0.95), (8, 0.6), (12, 0.95), (30, 0.9)])
def test_a_bound_leaves_out_zero_where_the_test_shows_it(tasks: int, confidence: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.3, 1, tasks)
    low, _ = bounds(values, confidence)
    shown = positive(values[:, None]).chance[0] <= 1 - confidence
    assert shown == (low > 0), (low, positive(values[:, None]))


def test_bounds_are_near_those_of_resampled_tasks() -> None:
    values = np.random.default_rng(5).normal(0.1, 0.3, 60)
    expected = stats.bootstrap((values,), np.mean, confidence_level=0.9, rng=1).confidence_interval
    assert bounds(values, 0.95) == pytest.approx((expected.low, expected.high), abs=0.015)


def agents(random: np.random.Generator, tasks: int, samples: int) -> np.ndarray:
    """Differences in call, execution and log speedup of an agent and itself: some tasks are easy, some hard."""
    easy = random.beta(0.8, 0.5, tasks)
    sides = []
    for _ in range(2):
        luck = random.random((tasks, samples))
        right = luck < easy[:, None]
        logs = np.where(right, random.normal(0, 0.2, right.shape), 0.0)
        number = right.sum(axis=1)
        speed = np.where(number > 0, logs.sum(axis=1) / np.maximum(number, 1), np.nan)
        sides.append([(luck < easy[:, None] + 0.2).mean(axis=1), right.mean(axis=1), speed])
    return np.array(sides[1]).T - np.array(sides[0]).T


@pytest.mark.parametrize(("tasks", "samples"), [(31, 1), (31, 4), (10, 4)])
def test_false_alarms_of_the_gate_are_five_percent(tasks: int, samples: int) -> None:
    random = np.random.default_rng(6)
    alarms, single = 0, np.zeros(3)
    for seed in range(ALIKE):
        found = positive(-agents(random, tasks, samples), 1000, seed)
        alarms += int((found.corrected <= 0.05).any())
        single += found.chance <= 0.05
    enough = tasks > 10  # few tasks are right on both sides: fewer chances, fewer alarms
    assert (0.04 if enough else 0.03) <= alarms / ALIKE <= 0.06, alarms / ALIKE
    assert (0.04 if enough else 0.03) <= single[2] / ALIKE <= 0.06, "speed takes any value"
    assert (single[:2] / ALIKE <= 0.055).all(), "shares of few samples take few values: fewer alarms, never more"


@pytest.mark.parametrize("tasks", [8, 31])
@pytest.mark.parametrize("tails", [2.5, 50])
def test_bounds_of_speed_hold(tasks: int, tails: float) -> None:
    random = np.random.default_rng(8)
    found = [bounds(0.05 + 0.2 * random.standard_t(tails, tasks), 0.95, 0, 1000, seed) for seed in range(1000)]
    for held in (np.mean([low <= 0.05 for low, _ in found]), np.mean([high >= 0.05 for _, high in found])):
        assert 0.92 <= held <= 0.975


@pytest.mark.parametrize(
    ("tasks", "broken", "fixed"), [(31, 0.02, 0.02), (31, 0.1, 0.1), (31, 0.3, 0.05), (31, 0.1, 0)]
)
def test_bounds_of_accuracy_hold(tasks: int, broken: float, fixed: float) -> None:
    random, held = np.random.default_rng(9), 0
    for seed in range(800):
        luck = random.random(tasks)
        values = np.where(luck < broken, -1.0, np.where(luck > 1 - fixed, 1.0, 0.0))
        low, high = bounds(values, 0.95, math.sqrt(0.5), 1000, seed)
        held += low <= fixed - broken <= high
    assert held / 800 >= 0.88, "90 % together, somewhat less where all tasks change in one direction"


@pytest.mark.parametrize(("tasks", "level"), [(8, 0.05), (31, 0.05), (31, 0.05 / 3)])
def test_the_smallest_loss_of_speed_is_shown_in_four_of_five(tasks: int, level: float) -> None:
    random = np.random.default_rng(10)
    loss = smallest_mean(0.2, tasks, level)
    shown = [positive(loss + random.normal(0, 0.2, (tasks, 1)), 2000, seed).chance[0] <= level for seed in range(800)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.045)


@pytest.mark.parametrize(("tasks", "changed"), [(10, 0.3), (31, 0.4), (184, 0.1), (184, 0.0)])
def test_the_smallest_loss_of_accuracy_is_shown_in_four_of_five(tasks: int, changed: float) -> None:
    random = np.random.default_rng(11)
    loss = smallest_share(changed, tasks, 0.05)
    changed = max(changed, loss)
    number = random.binomial(tasks, changed, 4000)
    broken = random.binomial(number, (1 + loss / changed) / 2)
    shown = [mcnemar(int(a), int(n)) <= 0.05 for a, n in zip(broken, number, strict=True)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.02)


def test_too_few_tasks_show_nothing() -> None:
    assert math.isnan(smallest_share(0.5, 4, 0.05)) and math.isnan(smallest_mean(0.1, 4, 0.05))
    assert math.isnan(smallest_share(0.0, 0, 0.05)) and math.isnan(smallest_mean(math.nan, 9, 0.05))
    assert smallest_share(0.1, 5, 0.05) > 0.9 and smallest_mean(0.0, 5, 0.05) == 0
