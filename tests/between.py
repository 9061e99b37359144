"""How much two processes of the same kernel differ: what a single comparison's interval can't show.

    python -m tests.between moe_gemm:3 rmsnorm_bwd:4 [--device=cuda] [--pairs=3] [--again=3] [--spare=0]

For each `TASK:WORKLOAD` (its number, from 0) pairs of fresh processes run the task's reference, and each pair is timed
several times, its inputs sent afresh, with up to so many places of the device's memory left empty before each tensor.
One line a pair: the speedups of one over the other, and the rounds. If they vary within a line, memory's places make
the difference; if between lines only, the processes do.
"""

from __future__ import annotations

import random
import statistics
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from harness.device import find_device
from harness.judge.judge import Judge, JudgeLimits
from harness.judge.limits import TimingLimits
from harness.judge.sides import Sides
from harness.judge.stopwatch import Stopwatch
from harness.judge.timing import time_workload
from harness.sandbox.candidate import CandidateProcess
from harness.suite import load_suite
from harness.task import Case, Rng, Task
from tests.arguments import read

SUITE = Path(__file__).resolve().parent.parent / "suites" / "rocm"


def pair(judge: Judge, task: Task, case: Case, again: int) -> tuple[list[float], list[int]]:
    """Speedups of the reference over itself, in one pair of processes, and how many rounds each took."""
    with ExitStack() as stack:
        sides = [
            stack.enter_context(CandidateProcess(judge.parent, judge.limits.sandbox, judge.device.torch)) for _ in "ab"
        ]
        for each in sides:
            each.load(task.reference, task.entry_point, 120.0)
        found, rounds = [], []
        for number in range(again):
            inputs = task.make_inputs(case, Rng(number, judge.device.torch))
            rng = random.Random(number)
            about = (judge.device, judge.peaks, judge.timing, rng, Stopwatch())
            timed = time_workload(task, case, inputs, Sides(*sides, judge.usage), *about)
            found.append(timed.speedup)
            rounds.append(len(timed.candidate_samples_us))
        return found, rounds


def main(arguments: list[str]) -> int:
    """Print the table."""
    names, options = read(arguments, __doc__)
    suite = load_suite(SUITE)
    timing = TimingLimits()
    with Judge(find_device(options.get("device", "cuda")), JudgeLimits(timing=timing)) as judge:
        judge.start()
        judge.timing = replace(judge.timing, spare=int(options.get("spare", judge.timing.spare)))
        for name in names:
            task = suite.task(name.partition(":")[0])
            case = task.timed(judge.device.interpreted)[int(name.partition(":")[2] or 0)]
            print(f"{task.name} {case.id}", flush=True)
            pairs = [pair(judge, task, case, int(options.get("again", 3))) for _ in range(int(options.get("pairs", 3)))]
            for speedups, rounds in pairs:
                print("    " + "  ".join(f"{each:.4f}" for each in speedups) + f"    {rounds}")
            within = statistics.mean(statistics.pstdev(each) for each, _ in pairs)
            between = statistics.pstdev(statistics.mean(each) for each, _ in pairs)
            print(f"    standard deviation within pairs {within:.4f}, of pairs' means {between:.4f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
