"""Change points: found where they are, rarely where there is none; all simulations are the same each time."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from reports.changepoints import ALPHA, FEWEST, changes_of_means, changes_of_shares
from reports.history import speed_values

TASKS = 31
EASE = np.random.default_rng(7).beta(1.2, 0.8, TASKS)
"""How often each task is solved: tasks differ, as they do."""


def passed(random: np.random.Generator, shares: np.ndarray) -> np.ndarray:
    """Attempts that were right in each run, of `TASKS`, at these mean shares."""
    return random.binomial(TASKS, shares).astype(float)


def history(random: np.random.Generator, runs: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A history in which nothing changes: right, tried, and each run's value of speed, with tasks that are timed when
    they are right."""
    right = random.random((runs, TASKS)) < EASE
    logs = np.linspace(-1, 1, TASKS) + random.standard_t(3, (runs, TASKS)) * 0.05
    speeds = [{str(t): logs[n, t] for t in np.flatnonzero(right[n])} for n in range(runs)]
    return right.sum(axis=1).astype(float), np.full(runs, float(TASKS)), speed_values(speeds)


@pytest.mark.parametrize(("runs", "histories"), [(12, 800), (30, 800)])
def test_false_alarms_of_a_whole_history(runs: int, histories: int) -> None:
    random = np.random.default_rng(runs)
    alarms = 0
    for number in range(histories):
        right, tried, values = history(random, runs)
        found = changes_of_shares(right, tried, 199, number) or changes_of_means(values, 199, number)
        alarms += bool(found)
    assert 0 < alarms <= 0.05 * histories, f"{alarms} of {histories}"


def test_false_alarms_where_runs_have_unlike_sizes() -> None:
    random = np.random.default_rng(5)
    alarms = 0
    for number in range(600):
        tried = random.choice([8.0, 31.0, 124.0], 24)
        alarms += bool(changes_of_shares(random.binomial(tried.astype(int), 0.6).astype(float), tried, 199, number))
    assert 0 < alarms <= ALPHA * 600 + 2 * (ALPHA * 600) ** 0.5, alarms


@pytest.mark.parametrize(("before", "after", "power"), [(0.55, 0.8, 0.95), (0.8, 0.55, 0.95), (0.5, 0.9, 0.99)])
def test_power_on_a_step_of_accuracy(before: float, after: float, power: float) -> None:
    random = np.random.default_rng(11)
    shares = np.repeat([before, after], 10)
    near = 0
    for number in range(200):
        found = changes_of_shares(passed(random, shares), np.full(20, float(TASKS)), 199, number)
        near += any(abs(change.start - 10) <= 1 for change in found)
    assert near >= power * 200, near


def test_power_on_a_step_of_speed() -> None:
    """By 8 %, where runs differ by 3 %."""
    random = np.random.default_rng(12)
    near = 0
    for number in range(200):
        values = np.log(np.repeat([1.0, 1.08], 10)) + random.normal(0, 0.03, 20)
        near += any(abs(change.start - 10) <= 1 for change in changes_of_means(values, 199, number))
    assert near >= 0.9 * 200, near


def test_several_steps_are_found_at_their_places() -> None:
    values = np.repeat([0.0, 0.5, 0.7, 0.7, 2.0], 8) + np.random.default_rng(1).normal(0, 0.05, 40)
    found = changes_of_means(values)
    assert [change.start for change in found] == [8, 16, 32]
    assert all(0 < change.p <= ALPHA for change in found)
    assert changes_of_means(values) == found, "the same values always give the same changes"
    shares = np.repeat([2.0, 9.0, 5.0], 10)
    assert [change.start for change in changes_of_shares(shares, np.full(30, 10.0))] == [10, 20]


def test_neither_order_nor_unit_matter() -> None:
    values = np.repeat([0.0, 1.0], [6, 9]) + np.random.default_rng(2).normal(0, 0.1, 15)
    assert [change.start for change in changes_of_means(values)] == [6]
    assert [change.start for change in changes_of_means(values[::-1])] == [9]
    assert [change.start for change in changes_of_means(1e6 + 1e-3 * values)] == [6]


def test_what_can_not_be_told() -> None:
    assert changes_of_means(np.empty(0)) == [] and changes_of_shares(np.empty(0), np.empty(0)) == []
    assert changes_of_means(np.full(30, 0.3)) == [], "equal values"
    assert changes_of_shares(np.full(30, 31.0), np.full(30, 31.0)) == []
    odd = np.r_[np.zeros(19), 1.0]
    assert changes_of_means(odd) == [], "one odd run at the end"
    step = np.repeat([0.0, 1.0], [4, FEWEST - 4])
    assert [change.start for change in changes_of_means(step)] == [4]
    assert changes_of_means(step[:-1]) == [], "of one run less, no order is rare enough"


def test_p_is_the_share_of_orders_that_split_as_well() -> None:
    """Against all 9! orders, gain by gain, in plain Python."""
    values = [0.1, 0.0, 0.3, 0.2, 1.1, 1.0, 1.3, 1.2, 0.9]

    def best(order: tuple[float, ...]) -> float:
        gains = []
        for at in range(2, 8):
            left, right = sum(order[:at]) / at, sum(order[at:]) / (9 - at)
            gains.append((left - right) ** 2 * at * (9 - at) / 9)
        return max(gains)

    seen = best(tuple(values))
    sample = list(permutations(values))[::37]
    exact = sum(best(order) >= seen - 1e-12 for order in sample) / len(sample)
    (change,) = changes_of_means(np.array(values))
    assert change.start == 4 and change.p == pytest.approx(exact, abs=0.008)
