"""Times candidate and reference on one workload: two processes in turn, fresh values for every call, outputs compared.

How it goes is in `harness.judge.rounds`. On a GPU the claimed times come from device events in the candidate's process;
what bounds them is in `harness.judge.clocks`. On the interpreter the judge's clock is the only one.
"""

from __future__ import annotations

import random
import statistics
import time

from harness.device import Device, Peaks
from harness.judge.clocks import PAUSE, proved, remark, shares, unseen
from harness.judge.flush import FLUSH_BYTES
from harness.judge.limits import TimingLimits
from harness.judge.profile import Profile
from harness.judge.rounds import Rounds
from harness.judge.sides import Sides
from harness.judge.statistics import Ratio
from harness.judge.stopwatch import Stopwatch
from harness.sandbox.failed import CandidateFailed
from harness.task import Case, Inputs, Task
from harness.verdict import Outcome, Timing


def time_workload(
    task: Task,
    case: Case,
    inputs: Inputs,
    sides: Sides,
    device: Device,
    peaks: Peaks | None,
    limits: TimingLimits,
    rng: random.Random,
    watch: Stopwatch,
) -> Timing:
    """Time one workload. Raises CandidateFailed if the candidate fails, is wrong, or claims what can't be."""
    rounds = Rounds(task, case, inputs, sides, device, limits, rng, watch)
    with watch("first timed calls"):
        rounds.warm_up()
    rounds.check_first()
    ratio = _look(rounds, watch, first=True)
    if remark(rounds.doubts()):
        with watch("before a second look"):
            time.sleep(PAUSE)
        rounds.forget()
        ratio = _look(rounds, watch, first=False)
    found = rounds.profile()
    with watch("giving memory back"):
        rounds.release()
    lie = proved(rounds.doubts())
    if lie is not None:
        raise CandidateFailed(Outcome.IMPLAUSIBLE, f"on {case.id} {lie.sentence}")
    return _conclude(task, case, rounds, ratio, peaks, found)


def _look(rounds: Rounds, watch: Stopwatch, first: bool) -> Ratio:
    """All rounds, the device held alone; then what they returned is compared, the device given to others."""
    with rounds.alone(), watch("rounds"):
        if first:
            rounds.calibrate()
        with rounds.quiet(doubted=not first):
            ratio = rounds.run()
    with watch("giving memory back"):
        rounds.trim()
    rounds.compare_collected()
    return ratio


def memory_needed(task: Task, case: Case) -> int:
    """Bytes of device memory that one workload takes outside of the lease, roughly: three processes hold its inputs,
    two of them a set made from these, and outputs, and what each shares with the judge, who keeps some outputs until
    they are compared. What oracles take is counted apart (`harness.judge.oracles`)."""
    return 12 * int(task.least_cost(case).bytes) + 2 * FLUSH_BYTES


def _conclude(
    task: Task,
    case: Case,
    rounds: Rounds,
    ratio: Ratio,
    peaks: Peaks | None,
    found: Profile,
) -> Timing:
    reference, candidate = rounds.sides["reference"].clocks, rounds.sides["candidate"].clocks
    reference_samples, candidate_samples = shares(reference, candidate)
    candidate_us, reference_us = statistics.median(candidate_samples), statistics.median(reference_samples)
    cost = task.least_cost(case)
    if rounds.limits.watched and peaks is not None and candidate_us < 0.95 * peaks.impossible_us(cost):
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
        candidate_samples_us=tuple(round(us, 3) for us in candidate_samples),
        reference_samples_us=tuple(round(us, 3) for us in reference_samples),
        clock="interpreted" if rounds.device.interpreted else "device",
        limit_us=limit,
        fraction=limit / candidate_us if limit else None,
        reference_fraction=limit / reference_us if limit else None,
        judge_us=statistics.median(candidate.walls),
        unseen_us=unseen(candidate, reference),
        triton_share=found.time.triton_share if found.time is not None else None,
        bandwidth=None if rounds.device.interpreted else cost.bytes / candidate_us * 1e6,
        rate=cost.flops / candidate_us * 1e6 if cost.flops and not rounds.device.interpreted else None,
        worst_error=rounds.collected.worst,
        kernels=found.kernels,
        doubt=remark(rounds.doubts()),
    )
