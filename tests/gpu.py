"""All that needs a GPU, in one command: `python -m tests.gpu`. Prints a short table last.

    python -m tests.gpu [PART …] [--device=cuda:1]

Parts: `tests` (those marked `gpu`, and the corpus of exploits on the GPU), `doctor` (every task of suite rocm examined,
first what may run side by side, then what is timed), and any solver's name (suite rocm judged with it). By default
tests, doctor, reference, nop and geak. Records go to OUT (environment variable) or `runs/`; what is recorded there
already, by a command that was cut short, is continued.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ("tests", "doctor", "reference", "nop", "geak")
SIDE_BY_SIDE = max(1, min(14, (os.cpu_count() or 2) - 2))
"""Processes where nothing is timed; each holds some 3 GiB of the host's memory."""
TIMED = 3
"""Processes where timing takes turns: while one times, others compile."""


@dataclass(frozen=True)
class Part:
    """One pytest command."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    good: tuple[int, ...] = (0,)
    """Exit codes that are no trouble: solvers may be wrong (1)."""
    record: Path | None = None
    """Where it is recorded: begun if it is not there, continued if it is."""

    @property
    def command(self) -> list[str]:
        """What to run now."""
        if self.record is None:
            where = []
        elif any((self.record / name).exists() for name in ("run.json", "doctor.json")):
            where = [f"--resume={self.record}"]
        else:
            where = [f"--run-dir={self.record}"]
        return [sys.executable, "-m", "pytest", *self.arguments, *where]


def parts(names: list[str], device: str, out: Path) -> list[Part]:
    """The commands for the parts that were asked for."""
    common = (f"--device={device}", "-q", "-p", "no:cacheprovider")
    doctor, found = out / "doctor", []
    for name in names:
        if name == "tests":
            found.append(Part("tests on the GPU", ("tests/gpu_tests", "tests/exploits", *common), out / "tests.log"))
        elif name == "doctor":
            for kind, chosen, many in (("checks", "not limit", SIDE_BY_SIDE), ("limits", "limit", TIMED)):
                arguments = ("suites/rocm", "--doctor", "-k", chosen, f"-n{many}", *common)
                found.append(Part(f"doctor, {kind}", arguments, out / f"doctor-{kind}.log", record=doctor))
        else:
            folder = out / f"run-{name.replace(':', '-')}"
            run = ("suites/rocm", f"--solver={name}", "--benchmark-disable")
            many = (f"-n{TIMED}",) if name.startswith("geak") else ()
            good = (0,) if name == "reference" else (0, 1)
            arguments = (*run, *many, *common)
            found.append(Part(f"suite rocm, {name}", arguments, out / f"{folder.name}.log", good, folder))
    return found


def main(arguments: list[str]) -> int:
    """Run everything; the exit code counts the parts that failed."""
    out = Path(os.environ.get("OUT", "runs")).absolute()
    out.mkdir(parents=True, exist_ok=True)
    device = next((each.partition("=")[2] for each in arguments if each.startswith("--device=")), "cuda")
    names = [each for each in arguments if not each.startswith("-")] or list(DEFAULT)
    failed = 0
    for part in parts(names, device, out):
        start = time.monotonic()
        with part.log.open("a") as file:
            code = subprocess.run(
                part.command,
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        failed += code not in part.good
        last = part.log.read_text().strip().splitlines()[-1:] or ["it said nothing"]
        print(f"{part.name:24} exit {code}  {time.monotonic() - start:6.0f} s  {last[0].strip('= ')}", flush=True)
    for name in names:
        folder = out / f"run-{name.replace(':', '-')}"
        if (folder / "results.jsonl").exists():
            print(f"\n{name}\n{table(folder)}", flush=True)
    return failed


def table(folder: Path) -> str:
    """One line a workload: times, speedup with its interval, share of the hardware's limit."""
    lines = []
    for text in (folder / "results.jsonl").read_text().splitlines():
        record = json.loads(text)
        verdict = record["verdict"] or {"outcome": "owed", "reason": record["error"], "timings": [], "speedup": None}
        speedup = "-" if verdict["speedup"] is None else f"{verdict['speedup']:.4f}"
        lines.append(
            f"{record['attempt']['task']:20} {verdict['outcome']:12} {speedup:>8} {record['spent']['seconds']:6.1f} s"
            f" (last judgement {verdict.get('seconds', 0):.1f} s, timing {verdict.get('timing_seconds', 0):.1f} s)"
            + ("" if verdict["outcome"] == "right" else f"  {verdict['reason'][:120]}")
        )
        for timing in verdict["timings"]:
            share = "-" if timing["fraction"] is None else f"{timing['fraction']:.2f}"
            base = "-" if timing["reference_fraction"] is None else f"{timing['reference_fraction']:.2f}"
            lines.append(
                f"    {timing['workload'][:72]:72} {timing['reference_us']:9.1f} -> {timing['candidate_us']:9.1f} us "
                f"{timing['speedup']:.3f} [{timing['low']:.3f}, {timing['high']:.3f}] limit {base} -> {share}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
