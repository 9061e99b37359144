"""Two versions of an agent are told apart, and a version from itself is not: `python -m tests.versions`.

    python -m tests.versions [--device=cuda:0] [--few=2] [--many=10] [--runs=5] [--only=EXPRESSION] [--seconds=570]
                             [--timed-workloads=N] [--concurrency=N] [--confidence=0.95] [--threshold=0]

`geak` with `offline` tunes kernels that are slower than the references (`tests.detuned`): in `--few` turns, so many
runs, and in `--many` turns, one run. Every two of the first are compared, and each with the last. Each comparison asks
whether one is worse and whether it is better: the chance that any of these questions is answered wrongly, where two
versions are the same, is what `--confidence` leaves. A difference below the threshold does not matter. Runs lie in OUT
(environment variable) or `runs/`, and go on there where they stopped.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

from harness.run import Run
from reports.compare import compare
from reports.compare_table import sentences
from tests import detuned
from tests.arguments import read

ROOT = Path(__file__).resolve().parent.parent


def judged(folder: Path, kernels: Path, turns: int, options: dict[str, str], seconds: float) -> None:
    """One run, begun or continued."""
    there = (folder / "run.json").exists()
    if there and not _owed(Run.open(folder)):
        return
    command = [
        *(sys.executable, "-m", "pytest", "suites/rocm", "-q", "-p", "no:cacheprovider", "--benchmark-disable"),
        f"--solver=geak:kernels={kernels},iterations={turns}",
        f"--{'resume' if there else 'run-dir'}={folder}",
        f"--devices={options.get('device', 'cuda:0')}",
        *(("-k", options["only"]) if "only" in options else ()),
        *(f"--{name}={options[name]}" for name in ("timed-workloads", "concurrency") if name in options),
    ]
    with folder.with_suffix(".log").open("a") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()


def _owed(run: Run) -> bool:
    """Is anything left to do?"""
    return not {each.id for each in run.planned()} <= run.judged().keys()


def main(arguments: list[str]) -> int:
    """Run, compare, print; returns how many comparisons came out otherwise than they should."""
    _, options = read(arguments, __doc__)
    out = Path(os.environ.get("OUT", "runs")).absolute()
    out.mkdir(parents=True, exist_ok=True)
    few, many, number = (int(options.get(*each)) for each in (("few", "2"), ("many", "10"), ("runs", "5")))
    end = time.monotonic() + float(options.get("seconds", "inf"))
    detuned.main([str(out / "kernels")])
    alike = [out / f"turns-{few}-{each}" for each in range(1, number + 1)]
    last = out / f"turns-{many}"
    for folder in (*alike, last):
        begin = time.monotonic()
        judged(folder, out / "kernels", many if folder == last else few, options, max(1.0, end - begin))
        print(f"{folder.name}: {time.monotonic() - begin:.0f} s", flush=True)
    asked = [(pair, False) for pair in combinations(alike, 2)] + [((each, last), True) for each in alike]
    confidence = 1 - (1 - float(options.get("confidence", "0.95"))) / (2 * len(asked))
    threshold = float(options.get("threshold", "0"))
    print(f"{len(asked)} comparisons, each with a confidence of {confidence:.2%}")
    wrong = 0
    for (base, new), told in asked:
        found = compare(base, new, confidence, threshold)
        (pair,) = found.pairs
        apart = bool(found.worse(pair) or found.better(pair))
        wrong += apart != told
        print(f"{base.name}, {new.name}: {'told apart' if apart else 'not told apart'}. {sentences(found)[0]}")
    print(f"{wrong} came out otherwise than they should")
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
