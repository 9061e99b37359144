"""What waiting for models costs: attempts of `geak` at once, and a server that takes its time.

    python -m tests.waiting [--attempts=30] [--turns=10] [--delay=20]

Each attempt is at another task, which doubles a vector; each answer is a right kernel or words. The critical path is
one attempt's answers, one after the other. Prints both, and where the time of judging went.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.arguments import read
from tests.harness.commands import NO_CACHE
from tests.harness.test_concurrency import ENVIRONMENT, Author, _suite


def main(arguments: list[str]) -> int:
    """Run the command, and print what it took."""
    _, options = read(arguments, __doc__)
    attempts, turns = int(options.get("attempts", "30")), int(options.get("turns", "10"))
    author = Author(delay=float(options.get("delay", "20")))
    with tempfile.TemporaryDirectory() as folder, author.serving() as server:
        suite, run = _suite(Path(folder), attempts), Path(folder) / "run"
        command = [sys.executable, "-m", "pytest", str(suite), *server, f"--iterations={turns}", "--benchmark-disable"]
        command += [f"--concurrency={attempts}", f"--run-dir={run}", "-q", *NO_CACHE]
        begin = time.monotonic()
        code = subprocess.run(command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL).returncode
        wall = time.monotonic() - begin
        subprocess.run([sys.executable, "-m", "reports.cli", "times", str(run)])
    path = (2 * turns - 1) * author.delay
    print(
        f"exit {code}; {sum(author.asked.values())} answers, {author.most_at_once} at most at once; {wall:.1f} s, "
        f"Python's start and the report included: {wall / path:.3f} times the critical path of {path:.0f} s"
    )
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
