"""Many candidates of mixed fate through one engine: nothing may leak, and each gets its verdict, once.

    python -m tests.soak [--device=cuda:0] [--candidates=2000] [--judges=N] [--seconds=5] [--timed-workloads=1]

Says every ten seconds how far it is, and what the judges do where none of them is done for long. A stage of a judgement
has so many seconds. Fates: right, wrong, broken source, an exception, a hang, a crash, an exit, memory that grows
without end, a flood of output, and on a GPU an illegal access. Before the first and after the last of them are counted:
processes, open files, mapped memory files, memory of the judges, temporary files, memory of the GPU. Prints a table;
the exit code is 1 where something was lost or grew.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from tabulate import tabulate

from harness.api import Judge
from harness.verdict import Outcome
from tests import stalled
from tests.arguments import read

TOY = Path(__file__).resolve().parent / "toy_suite"
REFERENCE = (TOY / "doubled" / "reference.py").read_text()
MANY = 1_000_000
ROOM = {"memory": 64 << 20, "device": 64 << 20, "files": 4, "mapped": 4, "temporary": 4, "processes": 0}
"""By how much a count may grow, whatever the number of candidates; memory in bytes a judge."""
SAID = 10.0
"""Seconds between two lines of how far it is."""
SETTLE = 10.0
"""Seconds for what was ended last to be gone; a leak stays."""


def _instead(body: str) -> str:
    """The reference, but its entry point does this first."""
    return (
        f"{REFERENCE}\n_honest = doubled\n\ndef doubled(x):\n"
        + "".join(f"    {line}\n" for line in body.splitlines())
        + ("    return _honest(x)\n")
    )


FATES: dict[str, tuple[str, set[Outcome], int]] = {
    "right": (REFERENCE, {Outcome.RIGHT}, 40),
    "wrong": (REFERENCE.replace("2 *", "3 *").replace("* 2", "* 3"), {Outcome.VALUES}, 20),
    "broken source": ("def doubled(x:\n", {Outcome.SYNTAX}, 8),
    "an exception": (_instead("raise ValueError(x.shape)"), {Outcome.CALL_ERROR}, 8),
    "a hang": (_instead("while True:\n    pass"), {Outcome.TIMEOUT}, 2),
    "a crash": (_instead("import os\nos.abort()"), {Outcome.CRASH}, 6),
    "an exit": (_instead("import os\nos._exit(3)"), {Outcome.EXIT}, 6),
    "memory without end": (
        _instead("kept = []\nwhile True:\n    kept.append(b'\\1' * (1 << 24))"),
        {Outcome.MEMORY, Outcome.CRASH, Outcome.CALL_ERROR, Outcome.TIMEOUT},
        4,
    ),
    "a flood": (_instead("while True:\n    print('x' * 10_000)"), {Outcome.OUTPUT_FLOOD}, 4),
}
"""Source, outcomes that it may come to, and how often it comes, as a share of all."""
WILD = (
    _instead("_wild[(64,)](x, BLOCK=1024)\nimport torch\ntorch.cuda.synchronize()")
    + "\nimport triton\nimport triton.language as tl\n\n@triton.jit\ndef _wild(p, BLOCK: tl.constexpr):\n"
    + "    tl.store(p + (1 << 40) + tl.arange(0, BLOCK), 1.0)\n",
    {Outcome.ILLEGAL_ACCESS},
    2,
)


@dataclass(frozen=True)
class Counts:
    """What must not grow."""

    processes: int
    files: int
    """Open in this process and the judges."""
    mapped: int
    """Files in memory that these have mapped or open."""
    memory: int
    """Resident, bytes, of the judges."""
    temporary: int
    """Files and folders of ours in the temporary folder."""
    device: int
    """Used of the GPU's memory, bytes."""


def open_files(judge: Judge) -> Counter[str]:
    """Those of this process and the judges, by name; numbers in names are left out."""
    names = Counter[str]()
    for process in (os.getpid(), *_pids(judge)):
        for link in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(OSError):
                names[re.sub(r"\d+", "N", os.readlink(link))] += 1
    return names


def _pids(judge: Judge) -> list[int]:
    return [each._process.pid for each in judge._judges._all if each._process is not None]


def count(judge: Judge, device: str) -> Counts:
    """As things stand, with all judges idle."""
    used = 0
    if device.startswith("cuda"):  # before files are counted: the first time it opens some
        free, whole = torch.cuda.mem_get_info(torch.device(device))
        used = whole - free
    processes = stalled.descendants(os.getpid())
    files = open_files(judge)
    pages = sum(int(Path(f"/proc/{process}/statm").read_text().split()[1]) for process in _pids(judge))
    return Counts(
        processes=len(processes),
        files=files.total(),
        mapped=sum(many for name, many in files.items() if "memfd:" in name),
        memory=pages * os.sysconf("SC_PAGESIZE"),
        temporary=sum(1 for _ in Path(tempfile.gettempdir()).glob("kernel-assay-*")),
        device=used,
    )


def candidates(number: int, gpu: bool, seed: int) -> Iterator[tuple[str, str]]:
    """(fate, source), each source once."""
    fates = {**FATES, **({"an illegal access": WILD} if gpu else {})}
    rng = random.Random(seed)
    for place, fate in enumerate(rng.choices(list(fates), [weight for _, _, weight in fates.values()], k=number)):
        yield fate, f"{fates[fate][0]}\n# {place}"


def _warm_up(judge: Judge, mixed: list[str]) -> None:
    """Until every judge has judged: each keeps a process of the reference."""
    numbers = itertools.count()
    while not all(each.recent for each in judge._judges._all):
        for _ in judge.evaluate_many(
            ("doubled", f"{REFERENCE}\n# {next(numbers)}") for _ in range(judge._judges.number)
        ):
            pass
    for _ in judge.evaluate_many(("doubled", source + "#") for source in mixed):
        pass


def _grown(before: Counts, after: Counts, judge: Judge) -> list[str]:
    """What has grown beyond its room."""
    room = {name: size * (judge._judges.number if name in ("memory", "device") else 1) for name, size in ROOM.items()}
    return [name for name, size in room.items() if getattr(after, name) > getattr(before, name) + size]


def soak(judge: Judge, device: str, number: int, seed: int = 0) -> tuple[str, bool]:
    """The table, and whether all is well."""
    gpu = not device.startswith("interp")
    allowed = {name: outcomes for name, (_, outcomes, _) in {**FATES, "an illegal access": WILD}.items()}
    _warm_up(judge, [source for _, source in candidates(4 * judge._judges.number, gpu, seed + MANY)])
    before, names, start = count(judge, device), open_files(judge), time.monotonic()
    said = start
    made = list(candidates(number, gpu, seed))
    seen, came, strange = Counter[int](), Counter[tuple[str, str]](), list[str]()
    with stalled.told(judge) as heard:
        for judged in judge.evaluate_many(("doubled", source) for _, source in made):
            heard()
            fate = made[judged.number][0]
            seen[judged.number] += 1
            if time.monotonic() > said + SAID:
                said = time.monotonic()
                files = open_files(judge).total()
                print(f"{seen.total()} of {number} after {said - start:.0f} s; {files} files are open", flush=True)
            outcome = judged.verdict.outcome if judged.verdict is not None else None
            came[fate, str(outcome)] += 1
            if outcome not in allowed[fate]:
                reason = judged.verdict.reason if judged.verdict is not None else judged.trouble
                strange.append(f"{fate}: {outcome}: {reason[:150]}")
    seconds, until = time.monotonic() - start, time.monotonic() + SETTLE
    while (grown := _grown(before, after := count(judge, device), judge)) and time.monotonic() < until:
        time.sleep(0.2)
    rows = [
        [each.name, getattr(before, each.name), getattr(after, each.name), "grown" if each.name in grown else ""]
        for each in fields(Counts)
    ]
    once = sorted(seen) == list(range(number)) and set(seen.values()) <= {1}
    lines = [
        f"{number} candidates in {seconds:.0f} s, {number / seconds:.1f} a second; each judged once: {once}",
        tabulate(sorted([fate, outcome, many] for (fate, outcome), many in came.items()), ["fate", "outcome", "times"]),
        tabulate(rows, ["", "before", "after", ""]),
        *(f"{many} more: {name}" for name, many in (open_files(judge) - names).items() if "files" in grown),
        *strange[:20],
    ]
    return "\n\n".join(lines), once and not grown and not strange


def main(arguments: list[str]) -> int:
    """Print the table."""
    _, options = read(arguments, __doc__)
    device = options.get("device", "auto")
    judge = Judge(
        TOY,
        device=device,
        judges=int(options["judges"]) if "judges" in options else None,
        stage_timeout=float(options.get("seconds", 5)),
        timed_workloads=int(options.get("timed-workloads", 1)),
        memory_limit=2,
    )
    with judge:
        table, well = soak(
            judge, judge._devices[0].torch if device == "auto" else device, int(options.get("candidates", 2000))
        )
    print(table)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
