"""All that needs a GPU, in one command: `python -m tests.gpu`. Prints a short table last.

    python -m tests.gpu [PART …] [--device=cuda:1] [--only=EXPRESSION] [--seconds=570] [--width=0.005]
                        [--processes=8]
    python -m tests.gpu mutants checks / limits geak        on two GPUs: each has its parts, one after the other

Parts: `tests` (those marked `gpu`), `exploits` (the corpus), `mutants`, `checks` and `limits` (the doctor on suite
rocm: mutants, what else may run side by side, and what is timed), `cost` (the reference judged with and without walls
and watching), `throughput` and `soak` (`tests.throughput`, `tests.soak`; a number of candidates may follow a colon, and
`throughput-all:368` is judged by all GPUs), `published` (the references of all checkouts that lie in `.checkouts/`),
`answers:NAME` (the published file of answers of that name in one of them), and any solver (suite rocm judged with it).
`cost1/2` and `cost2/2`, `geak1/2` and `geak2/2` are halves, for two GPUs. By default tests, exploits, mutants, checks,
limits, reference, nop and geak. `--only` chooses tasks as pytest's `-k` does, `--width` and
`--processes` are pytest's `--timing-width` and `--timing-processes` for solvers.

Records go to OUT (environment variable) or `runs/`; what is recorded there already, by a command that was cut short, is
continued. After `--seconds` all that still runs is interrupted, and what was found by then is told.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.arguments import read

ROOT = Path(__file__).resolve().parent.parent
CHECKOUTS = ROOT / ".checkouts"
DEFAULT = ("tests", "exploits", "mutants", "checks", "limits", "reference", "nop", "geak")
DOCTOR = {"mutants": ("mutants", 14), "checks": ("not mutants and not limit", 10), "limits": ("limit", 3)}
"""Checks, and how many processes share a GPU; each holds some 3 GiB of the host's memory."""
CORPUS = 10


@dataclass(frozen=True)
class Part:
    """One pytest command."""

    name: str
    arguments: tuple[str, ...]
    out: Path
    good: tuple[int, ...] = (0,)
    """Exit codes that are no trouble: solvers may be wrong (1)."""
    recorded: bool = True
    """Has a run folder: begun if it is not there, continued if it is."""

    @property
    def folder(self) -> Path:
        """Its run folder, and next to it its log."""
        return self.out / self.name.replace("/", "of").replace(":", "-")

    @property
    def script(self) -> bool:
        """One of our own, not pytest."""
        return self.arguments[0].startswith("tests.")

    @property
    def command(self) -> list[str]:
        """What to run now."""
        there = any((self.folder / name).exists() for name in ("run.json", "doctor.json"))
        where = [f"--{'resume' if there else 'run-dir'}={self.folder}"] if self.recorded else []
        if self.script:
            return [sys.executable, "-m", *self.arguments]
        return [sys.executable, "-m", "pytest", *self.arguments, *where]


@dataclass(frozen=True)
class Ended:
    """A part that ran."""

    part: Part
    code: int
    seconds: float
    last: str
    """Of its output."""


def parts(names: list[str], device: str, out: Path, only: str, timing: tuple[str, ...] = ()) -> list[Part]:
    """The commands for the parts that were asked for."""
    found: list[Part] = []
    for name in names:
        common = (f"--device={device}", "-q", "-p", "no:cacheprovider")
        if name == "tests":
            arguments = ("tests/gpu_tests", f"--junitxml={out / 'tests.xml'}", *common)
            found.append(Part(name, arguments, out, recorded=False))
        elif name == "exploits":
            arguments = ("tests/exploits", f"-n{CORPUS}", f"--junitxml={out / 'exploits.xml'}", *common)
            found.append(Part(name, arguments, out, recorded=False))
        elif name.startswith(("throughput", "soak")):
            script, _, many = name.partition(":")
            where = "--devices=all" if script.endswith("-all") else f"--device={device}"
            arguments = (f"tests.{script.removesuffix('-all')}", where, *((f"--candidates={many}",) if many else ()))
            found.append(Part(name, arguments, out, recorded=False))
        elif name in DOCTOR:
            checks, many = DOCTOR[name]
            chosen = f"({checks}) and ({only})" if only else checks
            found.append(Part(name, ("suites/rocm", "--doctor", f"-n{many}", "-k", chosen, *common), out))
        elif name.startswith("cost"):
            chosen = _tests(name.removeprefix("cost"), "reference")
            ways = [("guarded", ()), ("unguarded", ("--unguarded",))]
            for way, more in ways[:: -1 if name == "cost2/2" else 1]:
                alike = ("--benchmark-disable", "--compile-cache=off", "-n4")  # nothing is kept of the unguarded
                arguments = (*chosen, "--solver=reference", *alike, *more, *common)
                found.append(Part(f"{name}-{way}", arguments, out))
        elif name == "published" or name.startswith("answers:"):
            arguments = (*_published(name.partition(":")[2]), "-k", only, f"--devices={device}", *common[1:])
            found.append(Part(name, arguments, out, (0, 1)))
        else:
            solver = name[:-3] if name.endswith(("1/2", "2/2")) else name
            chosen = _tests(name.removeprefix(solver), solver)
            run = (*chosen, f"--solver={solver}", "--benchmark-disable", *timing, "-k", only)
            good = (0,) if name == "reference" else (0, 1)
            found.append(Part(f"run-{name}", (*run, f"--devices={device}", *common[1:]), out, good))
    return found


def _published(answers: str) -> tuple[str, ...]:
    """What pytest is to collect of the checkouts: the references, or one file of answers."""
    checkouts = sorted(path for path in CHECKOUTS.glob("*") if path.is_dir())
    where = tuple(f"--checkout={path}" for path in checkouts)
    if not answers:
        return ("suites/published", "--solver=reference", *where)
    files = [file for path in checkouts for file in path.rglob(f"{answers}.jsonl")]
    if len(files) != 1:
        raise SystemExit(f"answers:{answers}: {len(files)} files of that name are in {CHECKOUTS}; one is needed")
    suite = "tritonbench_t" if "Bench_T" in files[0].parent.name else "tritonbench_g"
    return (f"suites/published/{suite}", "--solver=replay", f"--predictions={files[0]}", *where)


def _tests(half: str, solver: str) -> list[str]:
    """What pytest is to collect: suite rocm, or every second task of it (`1/2`, `2/2`)."""
    if not half:
        return ["suites/rocm"]
    tasks = sorted(path.parent.name for path in (ROOT / "suites" / "rocm").glob("*/task.py"))
    stages = ("call_accuracy", "execution_accuracy", "speedup")
    chosen = tasks[int(half[0]) - 1 :: 2]
    return [f"suites/rocm/test_rocm.py::test_{stage}[{task}-{solver}]" for task in chosen for stage in stages]


def run(part: Part, end: float) -> Ended:
    """Run one part, until then at most."""
    start, log = time.monotonic(), part.folder.with_suffix(".log")
    with log.open("a") as file:
        where = {**os.environ, "OUT": str(part.folder)}
        process = subprocess.Popen(part.command, cwd=ROOT, env=where, stdout=file, stderr=subprocess.STDOUT)
        for grace, ask in ((max(1.0, end - start), signal.SIGINT), (15.0, signal.SIGKILL), (15.0, signal.SIGKILL)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(grace)
                break
            process.send_signal(ask)
    last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    ended = Ended(part, process.returncode or 0, time.monotonic() - start, last[0].strip("= "))
    print(f"{part.name:24} exit {ended.code:3} {ended.seconds:6.0f} s  {ended.last}", flush=True)
    return ended


def main(arguments: list[str]) -> int:
    """Run everything; the exit code counts the parts that failed."""
    names, options = read(arguments, __doc__)
    out = Path(os.environ.get("OUT", "runs")).absolute()
    out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + float(options.get("seconds", "inf"))
    lanes = [lane.split() for lane in " ".join(names or DEFAULT).split(" / ")]
    first = int(re.sub(r"\D", "", options.get("device", "cuda:0")) or 0)
    kind = options.get("device", "cuda").partition(":")[0]
    timing = tuple(f"--timing-{name}={options[name]}" for name in ("width", "processes") if name in options)
    plans = [parts(lane, f"{kind}:{first + n}", out, options.get("only", ""), timing) for n, lane in enumerate(lanes)]

    def work(plan: list[Part]) -> list[Ended]:
        return [run(part, end) for part in plan if time.monotonic() < end - 5]

    with ThreadPoolExecutor(len(plans)) as pool:
        ended = [each for lane in pool.map(work, plans) for each in lane]
    walls = {way: sum(e.seconds for e in ended if e.part.name.endswith(f"-{way}")) for way in ("guarded", "unguarded")}
    if all(walls.values()):
        more = walls["guarded"] / walls["unguarded"] - 1
        print(
            f"\ncost: {walls['guarded']:.0f} s with walls and watching, {walls['unguarded']:.0f} s without: {more:+.1%}"
        )
    for each in ended:
        if (each.part.folder / "results.jsonl").exists():
            print(f"\n{each.part.name}\n{table(each.part.folder)}", flush=True)
        if each.part.script:
            print(f"\n{each.part.name}\n{each.part.folder.with_suffix('.log').read_text()}", flush=True)
    return sum(each.code not in each.part.good for each in ended) + sum(map(len, plans)) - len(ended)


def table(folder: Path) -> str:
    """One line an attempt, and what all workloads of 20 µs and more say together."""
    lines, timings, warned, phases, held, whole = [], [], 0, Counter[str](), 0.0, 0.0
    for text in (folder / "results.jsonl").read_text().splitlines():
        record = json.loads(text)
        verdict = record["verdict"] or {"outcome": "owed", "reason": record["error"], "timings": [], "speedup": None}
        speedup = "-" if verdict["speedup"] is None else f"{verdict['speedup']:.4f}"
        lines.append(
            f"{record['attempt']['task'][:28]:28} {verdict['outcome']:12} {speedup:>8} "
            f"{record['spent']['seconds']:6.1f} s (last judgement {verdict.get('seconds', 0):.1f} s, "
            f"timing {verdict.get('timing_seconds', 0):.1f} s)"
            + ("" if verdict["outcome"] == "right" else f"  {verdict['reason'][:120]}")
        )
        lines += [f"    {warning[:140]}" for warning in verdict.get("warnings", [])]
        warned += bool(verdict.get("warnings"))
        phases.update(verdict.get("phases", {}))
        held, whole = held + verdict.get("held_seconds", 0.0), whole + verdict.get("seconds", 0.0)
        timings += [{**timing, "task": record["attempt"]["task"]} for timing in verdict["timings"]]
    if whole:
        share = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in phases.most_common())
        lines.append(f"last judgements: {whole:.1f} s, the device held alone for {held:.1f} s; {share}")
    long = [timing for timing in timings if timing["reference_us"] >= 20]
    off = sorted(long, key=lambda timing: -abs(timing["speedup"] - 1))
    if off:
        lines.append(
            f"{warned} with a warning; {len(long)} workloads of 20 µs and more: median "
            f"{abs(off[len(off) // 2]['speedup'] - 1):.2%} from 1, {sum(abs(t['speedup'] - 1) <= 0.01 for t in off)} "
            f"within 1 %, {sum(t['low'] <= 1 <= t['high'] for t in off)} intervals cover 1"
        )
        lines += [
            f"    {t['task']} {t['workload'][:70]} {t['reference_us']:.1f} µs {t['speedup']:.4f} "
            f"[{t['low']:.4f}, {t['high']:.4f}]"
            for t in off[:8]
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
