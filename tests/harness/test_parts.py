"""A block of six calls and more has two parts, a figure each; intervals of such figures hold what they say."""

from __future__ import annotations

import random
import time
from typing import Any, cast

import pytest

from harness.device import Device
from harness.judge.limits import TimingLimits
from harness.judge.rounds import Rounds
from harness.judge.sides import Side
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.candidate import CandidateProcess, Fired, Fresh
from harness.task import Case, Task

MB = 1_000_000


class Noisy:
    """A process whose calls take 30 µs, more or less: now and then a lot more, as where another process has its turn;
    and all of a block's alike a little more or less."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.blocks = rng, list[int]()

    def ask_to_arm(self, *_: object) -> None:
        pass

    def answered(self, timeout: float) -> None:
        pass

    def fire(self, calls: int, ahead: float, timeout: float, flush: bool) -> Fired:
        block = 30.0 * (1 + self.rng.gauss(0.0, 0.002))
        samples = [block * (1 + abs(self.rng.gauss(0.0, 0.02))) for _ in range(calls)]
        if self.rng.random() < 0.2:
            samples[self.rng.randrange(calls)] += 1500.0
        self.blocks.append(calls)
        return Fired(samples, ahead + sum(samples), 300.0, 150.0, None)


def _rounds(seed: int, moved: int = 0, fit: int = 100) -> tuple[Rounds, list[Noisy]]:
    """A workload's rounds on a GPU, up to what is compared and what the judge's clock says."""
    rng = random.Random(seed)
    rounds, processes = Rounds.__new__(Rounds), [Noisy(rng), Noisy(rng)]
    rounds.device, rounds.rng, rounds.limits = Device("cuda", 0, "A GPU", "GPU-0"), rng, TimingLimits()
    rounds.task, rounds.case, rounds.fresh = cast(Task, None), cast(Case, None), Fresh([], [], [], [])
    rounds.stopwatch, rounds.watched, rounds.slow = Stopwatch(), False, True
    rounds.moved, rounds.flush, rounds.fit, rounds.room = moved, 100 * MB, fit, 1 << 40
    rounds.calls, rounds.most_seconds, rounds.begin = min(rounds.limits.few_calls, fit), 60.0, time.monotonic()
    sides = zip(("reference", "candidate"), processes, strict=True)
    rounds.sides = {name: Side(cast(CandidateProcess, process), claim=30.0) for name, process in sides}
    return rounds, processes


@pytest.mark.parametrize(
    ("samples", "figures"),
    [
        ([1.0, 10.0, 2.0, 20.0, 3.0, 30.0], [2.0, 20.0]),
        ([1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0], [2.5, 20.0]),
        ([1.0, 9.0, 2.0], [2.0]),
        ([1.0, 9.0, 2.0, 4.0, 3.0], [3.0]),
        ([5.0], [5.0]),
    ],
)
def test_parts_take_a_blocks_calls_in_turn(samples: list[float], figures: list[float]) -> None:
    assert _rounds(0)[0]._figures(samples) == figures


@pytest.mark.parametrize(
    ("us", "moved", "fit", "calls"),
    [
        (5.0, MB, 100, 8),
        (70.0, 100 * MB, 100, 8),
        (70.0, 250 * MB, 100, 6),
        (600.0, 250 * MB, 100, 6),
        (1200.0, MB, 100, 3),
        (200.0, 1000 * MB, 100, 3),
        (5.0, MB, 5, 5),
        (1200.0, MB, 1, 1),
    ],
)
def test_two_parts_where_calls_and_their_values_are_cheap(us: float, moved: int, fit: int, calls: int) -> None:
    assert _rounds(0, moved, fit)[0]._many_calls(us) == calls


def test_intervals_of_parts_hold_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rounds, "_collect", lambda *_: None)
    inside, blocks, off = 0, list[int](), list[float]()
    for seed in range(400):
        rounds, processes = _rounds(seed)
        rounds.calibrate()
        ratio = rounds.run()
        sides: Any = [side.clocks for side in rounds.sides.values()]
        many = [each.blocks for each in processes]
        assert many[0] == many[1] == [3] + [8] * (len(many[0]) - 1)
        assert [len(each.claims) for each in sides] == [1 + 2 * (len(many[0]) - 1)] * 2
        assert [len(each.walls) for each in sides] == [len(each.means) for each in sides] == [len(many[0])] * 2
        inside += ratio.low <= 1 <= ratio.high
        blocks.append(len(many[0]))
        off.append(abs(ratio.median - 1))
    assert min(blocks) == TimingLimits().min_rounds + 1, "the last one is compared, whatever it says"
    assert sum(blocks) / len(blocks) < 8 and sorted(off)[200] < 0.005
    assert inside >= 0.93 * 400
