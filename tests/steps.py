"""What a candidate's process takes for its first steps, alone and beside others: `python -m tests.steps TASK …`.

    python -m tests.steps add_kernel softmax [--device=cuda:0] [--at-once=1,4,12] [--compile-cache=DIR]

So many judges at once, in processes of their own, load the task's reference as a candidate and call it on each case,
three times on the same inputs. Of all of them the medians, ms: until it is loaded; the first call of a case, in which
Triton compiles or finds what it compiled; the second and third, in which it has nothing to do; and until it has ended.
With a folder for what was compiled, the second of two commands finds all of it.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path

from tabulate import tabulate

from harness.device import find_device
from harness.judge.judge import Judge, JudgeLimits
from harness.sandbox.wire import room
from harness.suite import load_suite
from harness.task import Rng
from tests.arguments import read

SUITE = Path(__file__).resolve().parent.parent / "suites" / "rocm"
STEPS = ("load", "first call", "later calls", "end")
SECONDS = 120.0


@dataclass
class Steps:
    """What each step took, s."""

    took: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.took.setdefault(step, []).append(time.monotonic() - begin)


def walk(names: list[str], device: str, cache: str | None, together: Barrier) -> dict[str, list[float]]:
    """One judge's; it begins each task together with the others."""
    steps, suite = Steps(), load_suite(SUITE)
    compiled = Path(cache) if cache is not None else None
    with Judge(find_device(device), JudgeLimits(compiled=compiled)) as judge:
        judge.start()
        for name in names:
            task = suite.task(name)
            together.wait()
            with judge.new_process() as process:
                with steps("load"):
                    judge.compiled.give(task.reference, process)
                    process.load(task.reference, task.entry_point, SECONDS)
                for case in task.cases:
                    inputs = task.make_inputs(case, Rng(1, judge.device.torch))
                    space = 2 * sum(room(each) for each in task.allocate(inputs)) + (1 << 16)
                    for step in ("first call", "later calls", "later calls"):
                        with steps(step):
                            process.call(inputs, space, [], SECONDS)
                judge.compiled.keep(task.reference, judge.compiled.take(task.reference, process))
                with steps("end"):
                    process.testify()
    return steps.took


def main(arguments: list[str]) -> int:
    """Print the table."""
    names, options = read(arguments, __doc__)
    rows = []
    context = multiprocessing.get_context("spawn")
    for number in map(int, options.get("at-once", "1,4").split(",")):
        with context.Manager() as manager, context.Pool(number) as pool:
            together = manager.Barrier(number)
            about = (names, options.get("device", "auto"), options.get("compile-cache"), together)
            found = pool.starmap(walk, [about] * number, chunksize=1)
        every = {step: [took for one in found for took in one[step]] for step in STEPS}
        rows.append([number, *(f"{1000 * statistics.median(every[step]):.1f}" for step in STEPS)])
    print(tabulate(rows, ["at once", *(f"{step}, ms" for step in STEPS)], disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
