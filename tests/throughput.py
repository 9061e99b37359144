"""How many candidates a minute: the references of a suite, each changed by a comment so that nothing is compiled yet.

    python -m tests.throughput [SUITE] [--device=cuda:0 | --devices=all] [--candidates=184] [--passes=2]
                               [--judges=N | =N,M,…] [--timed-workloads=N | =all,N,…] [--seconds=S] [--only=TASK,…]

Every candidate goes through call, execution and speedup. The first pass finds no compiled kernel, a later one those of
the pass before it; each has judges of its own, so many for each device, and times so many of each task's workloads:
both numbers go for all passes, or are those of the first, the second, and so on. Prints a table of the passes, and of
where their time went; the verdicts go to OUT (environment variable), if set, a JSON line each. After `--seconds` a pass
ends with what is judged by then. The exit code is 1 where a reference was not right.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from harness import registry
from harness.api import Judge, Judged
from harness.suite import load_suite
from tests import stalled
from tests.arguments import read


def changed(source: str, number: int) -> str:
    """The same program, with a comment in each function: Triton takes each of its kernels for a new one."""
    lines = source.splitlines()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for line in sorted({node.body[0].lineno for node in functions}, reverse=True):
        text = lines[line - 1]
        if not text.lstrip().startswith("def "):  # one whose body stands on its line
            lines.insert(line - 1, f"{text[: len(text) - len(text.lstrip())]}# candidate {number}")
    return "\n".join([f"# candidate {number}", *lines, ""])


@dataclass(frozen=True)
class Pass:
    """One pass over all candidates."""

    seconds: float
    """From the first question to the last verdict; the judges had started."""
    judged: list[Judged]

    @property
    def held(self) -> float:
        """Seconds in which a device was held alone, all together."""
        return sum(each.verdict.held_seconds for each in self.judged if each.verdict is not None)


def numbers(option: str, passes: int, none: str) -> list[int | None]:
    """Those of the passes; `none` stands for None. The last number goes for the passes that follow."""
    told = [None if each == none else int(each) for each in option.split(",")]
    return [told[min(number, len(told) - 1)] for number in range(passes)]


def one_pass(
    suite: Path,
    candidates: list[tuple[str, str]],
    options: dict[str, str],
    judges: int | None,
    workloads: int | None,
    compiled: str,
) -> Pass:
    """Judge them all by so many judges on each device, with so many workloads timed; stops early when the time is
    over."""
    where = {"devices": options["devices"]} if "devices" in options else {"device": options.get("device", "auto")}
    with Judge(suite, judges=judges, timed_workloads=workloads, compile_cache=compiled, **where) as judge:
        judge.evaluate(*candidates[0])
        start, judged = time.monotonic(), []
        with contextlib.closing(judge.evaluate_many(candidates)) as verdicts, stalled.told(judge, 30.0) as heard:
            for each in verdicts:
                heard()
                judged.append(each)
                if time.monotonic() - start > float(options.get("seconds", "inf")):
                    break
        return Pass(time.monotonic() - start, judged)


def summary(number: int, done: Pass) -> list[object]:
    """The row of one pass."""
    verdicts = [each.verdict for each in done.judged if each.verdict is not None]
    timings = [timing for verdict in verdicts for timing in verdict.timings]
    long = [timing for timing in timings if timing.reference_us >= 20]
    return [
        number,
        len(done.judged),
        sum(verdict.right for verdict in verdicts),
        f"{done.seconds:.1f}",
        f"{60 * len(done.judged) / done.seconds:.1f}",
        len(timings),
        f"{1000 * done.held / max(1, len(timings)):.0f}",
        f"{done.held / done.seconds:.0%}",
        f"{statistics.median(abs(timing.speedup - 1) for timing in long):.2%}" if long else "-",
        f"{sum(abs(timing.speedup - 1) <= 0.01 for timing in long)}/{len(long)}",
        f"{sum(timing.low <= 1 <= timing.high for timing in long)}/{len(long)}",
    ]


def main(arguments: list[str]) -> int:
    """Print the tables."""
    names, options = read(arguments, __doc__)
    name = names[0] if names else "rocm"
    folder = registry.suite_folder(name) if name in registry.names(registry.SUITES) else Path(name)
    tasks = [
        task for task in load_suite(folder).tasks if "only" not in options or task.name in options["only"].split(",")
    ]
    candidates = [
        (task.name, changed(task.reference, number))
        for number in range(int(options.get("candidates", "184")))
        for task in (tasks[number % len(tasks)],)
    ]
    passes, out = [], Path(os.environ["OUT"]) if os.environ.get("OUT") else None
    with tempfile.TemporaryDirectory() as compiled:
        many = int(options.get("passes", "2"))
        timed = numbers(options.get("timed-workloads", "all"), many, "all")
        judges = numbers(options.get("judges", "usual"), many, "usual")
        for number, (judging, workloads) in enumerate(zip(judges, timed, strict=True), 1):
            passes.append(one_pass(folder, candidates, options, judging, workloads, compiled))
            if out is not None:
                lines = [
                    json.dumps({"task": each.task, "trouble": each.trouble, "verdict": each.verdict.to_json()})
                    for each in passes[-1].judged
                    if each.verdict is not None
                ]
                out.mkdir(parents=True, exist_ok=True)
                (out / f"throughput-{number}.jsonl").write_text("\n".join(lines))
            print(f"pass {number}: {passes[-1].seconds:.1f} s", flush=True)
    headers = ["pass", "judged", "right", "seconds", "a-minute", "workloads", "held-ms", "busy"]
    headers += ["median", "within-1%", "cover-1"]
    print(tabulate([summary(number, done) for number, done in enumerate(passes, 1)], headers, disable_numparse=True))
    for number, done in enumerate(passes, 1):
        phases, held = Counter[str](), Counter[str]()
        for each in done.judged:
            if each.verdict is not None:
                phases.update(each.verdict.phases)
                held.update(each.verdict.held_phases)
        whole = [[phase, f"{took:.1f}", f"{held[phase]:.1f}"] for phase, took in phases.most_common()]
        print(f"\npass {number}: seconds of all judges, and those with the device held")
        print(tabulate(whole, ["phase", "seconds", "held"], disable_numparse=True))
        for each in done.judged:
            if each.verdict is None or not each.verdict.right:
                print(f"{each.task}: {each.verdict.reason if each.verdict is not None else each.trouble}")
    return int(any(each.verdict is None or not each.verdict.right for done in passes for each in done.judged))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
