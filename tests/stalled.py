"""What judges do while none of them is done with anything: for scripts that run on a machine nobody can look into."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.api import Judge
from harness.engine.process import JudgeProcess

PATIENCE = 15.0
"""Seconds without a verdict; it is told once until the next."""
FRAMES = 7
"""Of the innermost of each judge's main thread."""


@contextmanager
def told(judge: Judge, patience: float = PATIENCE) -> Iterator[Callable[[], None]]:
    """Print it, should that be so. Gives what is to be called at each verdict."""
    last, over = [time.monotonic()], threading.Event()

    def watch() -> None:
        about = 0.0
        while not over.wait(0.5):
            if about != last[0] and time.monotonic() - last[0] > patience:
                about = last[0]
                print(report(judge), flush=True)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: last.__setitem__(0, time.monotonic())
    finally:
        over.set()
        thread.join()


def report(judge: Judge) -> str:
    """Of each judge that has started: where it is, and what the processes below it wait for. One that is starting would
    be ended by the signal."""
    judges = [
        each
        for each in judge._judges._all
        if isinstance(each, JudgeProcess) and each._isolation and each._process is not None
    ]
    before = [os.fstat(each._said.fileno()).st_size for each in judges]
    for each in judges:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each._process.pid, signal.SIGUSR1)
    time.sleep(1.0)
    lines = [next((line for line in Path("/proc/meminfo").read_text().splitlines() if "Available" in line), "")]
    for each, size in zip(judges, before, strict=True):
        said = os.pread(each._said.fileno(), 1 << 20, size).decode("utf-8", "replace")
        main = said.rpartition("(most recent call first):")[2].splitlines()
        where = [re.sub(r'File ".*?([^/]+/[^/]+)", line (\d+) in', r"\1:\2", line).strip() for line in main if line]
        below = Counter(_state(process) for process in descendants(each._process.pid))
        states = ", ".join(f"{many} {state}" for state, many in below.most_common())
        lines.append(f"judge {each._process.pid}: {' < '.join(where[:FRAMES])}; below it: {states}")
    return "\n".join(lines)


def _state(process: int) -> str:
    try:
        name, _, rest = Path(f"/proc/{process}/stat").read_text().partition("(")[2].rpartition(")")
        waits = Path(f"/proc/{process}/wchan").read_text()
    except OSError:
        return "gone"
    return f"{name} {rest.split()[0]} {waits}".strip()


def descendants(parent: int) -> list[int]:
    """Processes below this one."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, queue = [], [parent]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found
