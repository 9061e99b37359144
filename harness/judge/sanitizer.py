"""compute-sanitizer, NVIDIA's checker of memory accesses, on a solution that was judged right (`--sanitizer`).

It finds what guard bands can't: reads outside of all tensors. A fresh process, started under it, calls the solution on
every case. The tool needs the machine's sockets and has to start the program itself, so that this process has no walls
but a private folder: only what was judged right before, behind all walls and without a warning, gets that far.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from harness.device import Device
from harness.errors import InfrastructureError, UsageError
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.sanitized import SanitizedProcess, tool
from harness.sandbox.wire import room
from harness.task import Case, Rng, Task

SECONDS = 600.0
"""For one case: instrumented kernels take many times their time."""
_FINDING = re.compile(r"^=+ (Invalid|Misaligned)([^\n]*)\n=+ +(at [^\n]*)", re.MULTILINE)


def check_there(device: Device) -> None:
    """Raises UsageError where the tool can't be used."""
    if device.interpreted:
        raise UsageError("--sanitizer looks at a GPU; the interpreter finds every access outside of tensors by itself")
    if device.kind != "cuda":
        raise UsageError("--sanitizer: compute-sanitizer is for NVIDIA's GPUs; leave it out here")
    if tool() is None:
        raise UsageError("--sanitizer: compute-sanitizer is not on the PATH: it comes with the CUDA toolkit")


def complaint(task: Task, source: str, seed: int, device: Device, cases: Iterable[Case]) -> str | None:
    """The tool's first finding on these cases of the task, as a sentence, or None. Raises InfrastructureError."""
    with tempfile.TemporaryDirectory(prefix="kernel-assay-sanitizer-") as folder:
        log = Path(folder) / "memcheck.log"
        try:
            with SanitizedProcess(log, device.torch, device.visibility(os.environ)) as process:
                process.load(source, task.entry_point, SECONDS)
                for case in sorted(cases, key=lambda case: task.least_cost(case).bytes):
                    _call(process, task, case, seed)
            trouble = "it ended too early"
        except CandidateFailed as failure:  # after a finding no call can work any more
            trouble = failure.reason
        text = log.read_text(errors="replace") if log.exists() else ""
    found = first_finding(text)
    if found is None and "ERROR SUMMARY: 0 errors" not in text:
        lines = text.strip().splitlines() or ["it wrote nothing"]
        said = "; ".join(dict.fromkeys([*lines[1:3], lines[-1]]))[:300]
        raise InfrastructureError(f"compute-sanitizer made no report ({trouble}; {said}): leave --sanitizer out")
    return found


def first_finding(log: str) -> str | None:
    """Of a log of memcheck."""
    found = _FINDING.search(log)
    return f"compute-sanitizer found an {found[1].lower()}{found[2]}, {found[3].strip()[:200]}" if found else None


def _call(process: CandidateProcess, task: Task, case: Case, seed: int) -> None:
    inputs = task.make_inputs(case, Rng(seed, process.device))
    needed = 2 * sum(room(each) for each in task.allocate(inputs)) + (1 << 16)
    process.call(inputs, needed, [], SECONDS)
