"""How often the gate and the history are wrong, and how often they see what is there: `python -m tests.rates`.

    python -m tests.rates [--rounds=10000]

By simulation: an agent compared with itself, and histories in which nothing changes, or one thing does.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from reports.changepoints import changes_of_means, changes_of_shares
from reports.paired import positive
from reports.power import smallest_mean
from tests.arguments import read
from tests.reports.test_changepoints import TASKS, history, passed
from tests.reports.test_paired import agents


def gate(tasks: int, samples: int, rounds: int) -> str:
    """False alarms, all measures together, and of each alone."""
    random, alarms, single = np.random.default_rng(6), 0, np.zeros(3)
    for seed in range(rounds):
        found = positive(-agents(random, tasks, samples), 1000, seed)
        alarms += int((found.corrected <= 0.05).any())
        single += found.chance <= 0.05
    call, execution, speed = single / rounds
    return f"{alarms / rounds:.1%}; alone: call {call:.1%}, execution {execution:.1%}, speed {speed:.1%}"


def power_of_speed(tasks: int, rounds: int) -> str:
    """Of the loss that is stated to be seen in 80 %."""
    random, scatter, seen = np.random.default_rng(7), 0.2 * math.sqrt(2), 0
    loss = smallest_mean(scatter, tasks, 0.05)
    for seed in range(rounds):
        values = random.normal(loss, scatter, (tasks, 1))
        seen += int(positive(values, 1000, seed).chance[0] <= 0.05)
    return f"{seen / rounds:.1%} of losses of {1 - math.exp(-loss):.1%}"


def unchanged(runs: int, rounds: int) -> str:
    """Histories in which a change is found though there is none."""
    random, found = np.random.default_rng(runs), np.zeros(3)
    for number in range(rounds):
        right, tried, values = history(random, runs)
        shares, means = changes_of_shares(right, tried, 199, number), changes_of_means(values, 199, number)
        found += [bool(shares), bool(means), bool(shares or means)]
    accuracy, speed, either = found / rounds
    return f"accuracy {accuracy:.1%}, speed {speed:.1%}, either {either:.1%}"


def step(after: float, rounds: int) -> str:
    """Histories of 20 runs in which accuracy changes in the middle, from 55 %."""
    random, near = np.random.default_rng(11), 0
    for number in range(rounds):
        right = passed(random, np.repeat([0.55, after], 10))
        found = changes_of_shares(right, np.full(20, float(TASKS)), 199, number)
        near += any(abs(change.start - 10) <= 1 for change in found)
    return f"{near / rounds:.1%} found within one run of its place"


def main(arguments: list[str]) -> int:
    """Print the table."""
    rounds = int(read(arguments, __doc__)[1].get("rounds", 10_000))
    for tasks, samples in ((31, 1), (31, 4), (10, 4), (184, 1)):
        print(f"gate, {tasks} tasks, samples a task {samples}: false alarms {gate(tasks, samples, rounds)}", flush=True)
    for tasks in (31, 184):
        print(f"gate, {tasks} tasks: speed, {power_of_speed(tasks, rounds)}", flush=True)
    for runs in (12, 30):
        print(f"history, {runs} runs: false alarms {unchanged(runs, max(1, rounds // 5))}", flush=True)
    for after in (0.75, 0.8, 0.9):
        print(f"history, 20 runs: from 55 to {after:.0%}, {step(after, max(1, rounds // 20))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
