"""Times candidate and reference on one workload: two processes in turn, fresh values for every call, outputs compared.

A round is one block of calls of each, in random order. Every call of a block gets an input set of its own, made from
the base inputs by a rotation that the judge draws just before; the outputs of blocks picked at random are compared with
the oracle. Rounds go on until the interval of the speedup is narrow enough, or the time is spent.

On a GPU the claimed times come from device events in the candidate's process, and are bounded by two things it can't
reach: the judge's clock around the whole block (less what the same block costs the reference beyond its own events),
and the hardware's limit. On the interpreter the judge's clock is the only one.

The device is held alone, under its lease, for the rounds: other processes compile, copy and check meanwhile.
"""

from __future__ import annotations

import random
import statistics
import time
from dataclasses import dataclass

import torch

from harness.device import Device, Peaks
from harness.engine.lease import lease
from harness.errors import InfrastructureError
from harness.judge.compare import compare, expect
from harness.judge.statistics import Ratio, paired_ratio
from harness.sandbox.candidate import CandidateFailed, CandidateProcess
from harness.sandbox.refresh import redrawn
from harness.sandbox.wire import room
from harness.task import Case, Inputs, Task
from harness.verdict import Outcome, Timing

FLUSH_BYTES = 256 << 20
"""Written between calls, so that no call finds its inputs in the cache."""
CHECKED_BLOCKS = 1
"""Blocks of a workload whose outputs are compared on a GPU, beside the warm-up and one of the first rounds, which are
always run; all blocks on the interpreter."""


@dataclass(frozen=True)
class TimingLimits:
    """How long and how precisely to time."""

    width: float = 0.01
    """Stop when half the interval's width, relative to the speedup, is below this."""
    min_rounds: int = 10
    max_rounds: int = 60
    calls: int = 10
    """Calls in a block, fewer where they are long or large."""
    seconds: float = 5.0
    """Stop a workload's rounds after this time."""
    stage_seconds: float = 120.0
    """For one workload, compilation included: a candidate that needs longer fails the stage."""
    few_rounds: int = 3
    """Where `seconds` are spent, so many rounds are enough."""
    block_share: float = 0.125
    """Of the device's memory: for inputs and outputs of one block. Candidate and reference hold one each, and other
    processes compile and check meanwhile."""
    block_us: float = 20_000.0
    """Aim for blocks of at most this length."""


INTERPRETED = TimingLimits(width=0.05, min_rounds=3, max_rounds=5, calls=1, seconds=1.0)
"""Small rounds: interpreted times say little, however often they are taken."""


@dataclass
class _Side:
    """One of the two that are timed."""

    process: CandidateProcess
    claims: list[float]
    walls: list[float]
    """Per round, µs: the median of one call by device events; one call's share of the block by the judge's clock."""

    def block(self, shifts: list[int], rolled: list[int], copied: list[int], timeout: float) -> tuple[float, float]:
        """Run one block: (µs a call claimed, µs a call by the judge)."""
        self.process.arm(shifts, rolled, copied, timeout)
        samples, wall = self.process.fire(len(shifts), timeout)
        per_call = wall / len(shifts)
        return (statistics.median(samples) if samples else per_call), per_call


def time_workload(
    task: Task,
    case: Case,
    inputs: Inputs,
    reference: CandidateProcess,
    candidate: CandidateProcess,
    device: Device,
    peaks: Peaks | None,
    limits: TimingLimits,
    rng: random.Random,
) -> Timing:
    """Time one workload. Raises CandidateFailed if the candidate fails, is wrong, or claims what can't be."""
    values = list(inputs.values())
    rolled = [
        i
        for i, (name, value) in enumerate(inputs.items())
        if _floating(value) or (name in task.redrawn and value is not None)
    ]
    copied = [i for i, name in enumerate(inputs) if name in task.mutates and i not in rolled]
    watch = [i for i, name in enumerate(inputs) if name in task.mutates]
    layout = task.allocate(inputs)
    results_room = sum(room(each) for each in layout)
    moved = sum(room(each) for i in (*rolled, *copied) if isinstance(each := values[i], torch.Tensor)) + results_room
    fit = limits.calls if device.interpreted else int(limits.block_share * device.memory) // max(1, moved)
    calls = max(1, min(limits.calls, fit))
    flush = 0 if device.interpreted else FLUSH_BYTES
    sides = {"reference": _Side(reference, [], []), "candidate": _Side(candidate, [], [])}

    begin = time.monotonic()

    def left() -> float:
        return max(1.0, limits.stage_seconds - (time.monotonic() - begin))

    def shifts(count: int) -> list[int]:
        return [rng.randrange(1, 1 << 30) for _ in range(count)]

    def check(drawn: list[int], wrong: Outcome | None) -> None:
        number = rng.randrange(len(drawn))
        fresh = {
            name: redrawn(value, drawn[number]) if position in rolled else value
            for position, (name, value) in enumerate(inputs.items())
        }
        returned = candidate.collect(number, left())
        difference, _ = compare(task, fresh, expect(task, fresh), returned, device.torch.partition(":")[0])
        if difference is not None:
            raise CandidateFailed(wrong or difference.outcome, f"on {case.id}: {difference.sentence}")

    # The first blocks compile and warm up; they are also the candidate's execution test at this size.
    for name, side in sides.items():
        with _blame(name, task, case):
            side.process.base(inputs, results_room, watch, flush, left())
            drawn = shifts(calls if device.interpreted else 1)
            _, wall = side.block(drawn, rolled, copied, left())
            if name == "candidate":
                check(drawn, None)
            if not device.interpreted:
                _, wall = side.block(drawn, rolled, copied, left())
                calls = max(1, min(calls, int(limits.block_us / wall)))
    with lease(device.uuid):
        for name, side in {} if device.interpreted else sides.items():
            with _blame(name, task, case):
                side.block(shifts(calls), rolled, copied, left())

        start = time.monotonic()
        ratio: Ratio | None = None
        checked = set(
            range(limits.max_rounds)
            if device.interpreted
            else rng.sample(range(limits.few_rounds), 1) + rng.sample(range(limits.min_rounds), CHECKED_BLOCKS)
        )
        for number in range(limits.max_rounds):
            for name in rng.sample(sorted(sides), 2):
                drawn = shifts(calls)
                with _blame(name, task, case, timed=True):
                    claim, wall = sides[name].block(drawn, rolled, copied, left())
                    sides[name].claims.append(claim)
                    sides[name].walls.append(wall)
                    if name == "candidate" and number in checked:
                        check(drawn, Outcome.TIMED_WRONG)
            spent = time.monotonic() - start > limits.seconds
            if number + 1 >= (limits.few_rounds if spent else limits.min_rounds):
                ratio = paired_ratio(sides["reference"].claims, sides["candidate"].claims)
                if spent or ratio.width < limits.width:
                    break
        for name, side in sides.items():
            with _blame(name, task, case):
                side.process.release(left())
    assert ratio is not None
    return _conclude(task, case, sides["reference"], sides["candidate"], ratio, device, peaks)


def _floating(value: object) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel() > 1


def _conclude(
    task: Task, case: Case, reference: _Side, candidate: _Side, ratio: Ratio, device: Device, peaks: Peaks | None
) -> Timing:
    candidate_us, reference_us = statistics.median(candidate.claims), statistics.median(reference.claims)
    judge_us = statistics.median(candidate.walls)
    cost = task.least_cost(case)
    if not device.interpreted:
        overhead = statistics.median(w - c for w, c in zip(reference.walls, reference.claims, strict=True))
        # Of all rounds the shortest: what slows a round down from outside must not look like a lie.
        least = min(candidate.walls) - overhead
        if candidate_us < least - max(30.0, 0.25 * least):
            raise CandidateFailed(
                Outcome.IMPLAUSIBLE,
                f"on {case.id} its events claim {candidate_us:.1f} µs a call, "
                f"the judge's clock allows no less than {least:.1f} µs",
            )
    if peaks is not None and candidate_us < 0.95 * peaks.impossible_us(cost):
        raise CandidateFailed(
            Outcome.IMPLAUSIBLE,
            f"on {case.id} it claims {candidate_us:.1f} µs a call; the device can't do that work in less than "
            f"{peaks.impossible_us(cost):.1f} µs",
        )
    limit = peaks.limit_us(cost) if peaks is not None else None
    return Timing(
        workload=case.id,
        speedup=ratio.median,
        low=ratio.low,
        high=ratio.high,
        candidate_us=candidate_us,
        reference_us=reference_us,
        candidate_samples_us=tuple(round(us, 3) for us in candidate.claims),
        reference_samples_us=tuple(round(us, 3) for us in reference.claims),
        clock="interpreted" if device.interpreted else "device",
        limit_us=limit,
        fraction=limit / candidate_us if limit else None,
        reference_fraction=limit / reference_us if limit else None,
        judge_us=judge_us,
    )


class _blame:
    """Says whose failure it is: the reference's is trouble of the task or the machine; a candidate's is told with the
    workload, and after the warm-up as a failure of the speedup stage."""

    def __init__(self, name: str, task: Task, case: Case, timed: bool = False) -> None:
        self.name, self.task, self.case, self.timed = name, task, case, timed

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, CandidateFailed) or error.reason.startswith(f"on {self.case.id}"):
            return
        if self.name == "reference":
            raise InfrastructureError(
                f"the reference of {self.task.name} failed on {self.case.id}: {error.reason}; mend its reference.py"
            ) from error
        outcome = Outcome.TIMING_FAILED if self.timed and error.outcome is not Outcome.PROTOCOL else error.outcome
        raise CandidateFailed(outcome, f"on {self.case.id}: {error.reason}", error.detail) from error
