"""How long reports take on 100,000 attempts, and how much memory: `python -m tests.large [--attempts=100000]`.

Makes a run folder in a temporary place, with sources of usual length, then its leaderboard and its page, each in a
process of its own.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice, product
from pathlib import Path

from harness.run import Attempt, Run
from harness.verdict import Outcome
from tests.arguments import read
from tests.reports.conftest import Builder, verdict

ROOT = Path(__file__).resolve().parent.parent
SOURCE = (ROOT / "suites" / "rocm" / "softmax" / "reference.py").read_text()
TASKS, MODELS = 184, 5


def attempts(builder: Builder) -> Iterator[Attempt]:
    """Two solvers, five models, 184 tasks, as many samples as it takes."""
    for sample in range(1, 1 << 20):
        for solver, model, task in product(("geak", "direct"), range(MODELS), range(TASKS)):
            yield builder.attempt(f"task{task:03}", solver, f"model{model}", sample)


def make(folder: Path, count: int) -> Path:
    """The run folder."""
    builder, rng = Builder(folder), random.Random(1)
    plan = list(islice(attempts(builder), count))
    right = [verdict(rng.uniform(0.4, 2.5), 1.1, 1.2) for _ in range(60)]
    wrong = [verdict(outcome) for outcome in (Outcome.VALUES, Outcome.SYNTAX, Outcome.CALL_ERROR, Outcome.TIMEOUT)]
    lines = [builder.record(plan[0], said).to_json() for said in (*right, *wrong * 15)]
    run = Run.create(folder / "run", builder.about(plan))
    with (run.folder / "results.jsonl").open("w") as file:
        for attempt in plan:
            file.write(json.dumps({**rng.choice(lines), "attempt": asdict(attempt)}) + "\n")
            (run.sample(attempt) / "solution.py").write_text(SOURCE)
    return run.folder


def measured(*arguments: str) -> str:
    """Run a command: its seconds and the most memory that it held."""
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "reports.cli", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments[0]} failed")
    return f"{time.monotonic() - start:.1f} s, {used.ru_maxrss / 2**20:.2f} GiB"


def main(arguments: list[str]) -> int:
    """Print the figures."""
    count = int(read(arguments, __doc__)[1].get("attempts", 100_000))
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        run = make(Path(folder), count)
        print(f"{count} attempts, {(run / 'results.jsonl').stat().st_size / 1e6:.0f} MB of lines, ", end="")
        print(f"made in {time.monotonic() - start:.0f} s", flush=True)
        print(f"leaderboard: {measured('leaderboard', str(run))}", flush=True)
        print(f"page: {measured('report', str(run), '-o', str(Path(folder) / 'page.html'))}", flush=True)
        size = sum(path.stat().st_size for path in (Path(folder) / "page").rglob("*.html"))
        print(f"    {size / 1e6:.0f} MB in {sum(1 for _ in (Path(folder) / 'page').rglob('*.html'))} files")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
