"""The smallest loss that so many tasks could have shown: numbers in, numbers out.

"Could have shown" is a power of 80 %: of comparisons with such a loss, four in five would have shown it at this level.
The level is one-sided; of several questions that are asked at once, each has its share of the whole (Bonferroni), which
the correction in `reports.paired` betters a little. A gain is shown as easily as a loss. NaN: no loss, however large.
"""

from __future__ import annotations

import math

import numpy as np

from reports.statistics import Floats, student_quantile

POWER = 0.8


def smallest_mean(scatter: float, tasks: int, level: float, power: float = POWER) -> float:
    """The smallest shift of the mean of `tasks` differences with the standard deviation `scatter`, in its unit.

        (t_{1-level} + t_{power}) · scatter / √T        t with T - 1 degrees of freedom

    Bloom (1995), Evaluation Review 19, 547-556. NaN where T tasks can't reach the level: the chance is never below
    1/2ᵀ; and where the scatter is unknown. The scatter is the one that was seen: a loss that hits some tasks more than
    others widens it, and has to be somewhat larger to be shown as often.
    """
    if tasks < 3 or 0.5**tasks > level or math.isnan(scatter):
        return math.nan
    quantiles = student_quantile(1 - level, tasks - 1) + student_quantile(power, tasks - 1)
    return quantiles * scatter / math.sqrt(tasks)


def smallest_share(changed: float, tasks: int, level: float, power: float = POWER) -> float:
    """The smallest net loss of right tasks, as a share of all, that exact McNemar shows, with one sample a task.

    `changed` is the share of tasks that are right on one side only, as it was seen. It stays as it is while the loss is
    less, and is the loss where that is more. Exact, over the number of tasks that change and how many of them are
    broken: Duffy (1984), Biometrics 40, 1005-1015. NaN where even the loss of all tasks is not shown.
    """
    if tasks == 0 or 0.5**tasks > level:
        return math.nan
    table = _Shown(tasks, level)
    low, high = 0.0, 1.0
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (low, middle) if table.power(middle, max(changed, middle)) >= power else (middle, high)
    return high


class _Shown:
    """From how many broken tasks on exact McNemar shows a loss, for each number of tasks that change."""

    def __init__(self, tasks: int, level: float) -> None:
        self.tasks = tasks
        self._factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, tasks + 1)))])
        self._ways = [self._chances(number, 0.5) for number in range(tasks + 1)]
        tails = (np.cumsum(each[::-1])[::-1] for each in self._ways)
        self._least = [int((each > level).sum()) for each in tails]

    def power(self, loss: float, changed: float) -> float:
        """Chance that a loss is shown where this share of tasks changes."""
        broken = (1 + loss / changed) / 2 if changed else 0.5
        found = self._chances(self.tasks, changed)
        return float(
            sum(
                chance * self._chances(number, broken)[self._least[number] :].sum()
                for number, chance in enumerate(found)
                if chance > 1e-9
            )
        )

    def _chances(self, number: int, share: float) -> Floats:
        """The binomial distribution of so many with this share."""
        if share in (0.0, 1.0):
            sure: Floats = np.eye(number + 1)[number if share else 0]
            return sure
        k, logs = np.arange(number + 1), self._factorials
        ways = logs[number] - logs[: number + 1] - logs[number::-1]
        chances: Floats = np.exp(ways + k * math.log(share) + (number - k) * math.log1p(-share))
        return chances
