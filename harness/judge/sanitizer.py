"""compute-sanitizer, NVIDIA's checker of memory accesses, on a solution that was judged right (`--sanitizer`).

It finds what guard bands can't: reads outside of all tensors. A fresh process, started under it, calls the solution on
every case. The tool needs the machine's sockets and has to start the program itself, so that this process has no walls
but a private folder: only what was judged right before, behind all walls and without a warning, gets that far.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

import torch

from harness.device import Device
from harness.errors import InfrastructureError, UsageError
from harness.sandbox import child, isolation, scratch
from harness.sandbox.candidate import CandidateFailed, CandidateProcess
from harness.sandbox.levels import Level
from harness.sandbox.parent import WarmParent, project_root
from harness.sandbox.wire import Channel, room
from harness.task import Case, Rng, Task

SECONDS = 600.0
"""For one case: instrumented kernels take many times their time."""
_END = 60.0
"""Seconds that the tool may take to write its report."""
_MEMORY = 64 << 30
"""Of the process, bytes: the tool keeps books there."""
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from harness.judge.sanitizer import serve; serve()"
_FINDING = re.compile(r"^=+ (Invalid|Misaligned)([^\n]*)\n=+ +(at [^\n]*)", re.MULTILINE)


def tool() -> str | None:
    """Where compute-sanitizer is, if anywhere."""
    beside = [Path(os.environ[name]) / "bin" for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    return shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, beside)]))


def check_there(device: Device) -> None:
    """Raises UsageError where the tool can't be used."""
    if device.interpreted:
        raise UsageError("--sanitizer looks at a GPU; the interpreter finds every access outside of tensors by itself")
    if device.kind != "cuda":
        raise UsageError("--sanitizer: compute-sanitizer is for NVIDIA's GPUs; leave it out here")
    if tool() is None:
        raise UsageError("--sanitizer: compute-sanitizer is not on the PATH: it comes with the CUDA toolkit")


def complaint(task: Task, source: str, seed: int, device: Device) -> str | None:
    """The tool's first finding on the task's cases, as a sentence, or None. Raises InfrastructureError."""
    with tempfile.TemporaryDirectory(prefix="kernel-assay-sanitizer-") as folder:
        log = Path(folder) / "memcheck.log"
        try:
            with _Sanitized(log, device) as process:
                process.load(source, task.entry_point, SECONDS)
                for case in sorted(task.cases, key=lambda case: task.least_cost(case).bytes):
                    _call(process, task, case, seed)
            trouble = "it ended too early"
        except CandidateFailed as failure:  # after a finding no call can work any more
            trouble = failure.reason
        text = log.read_text(errors="replace") if log.exists() else ""
    found = first_finding(text)
    if found is None and "ERROR SUMMARY: 0 errors" not in text:
        said = text.strip().splitlines()[-1:] or ["it wrote nothing"]
        raise InfrastructureError(f"compute-sanitizer made no report ({trouble}; {said[0]}): leave --sanitizer out")
    return found


def first_finding(log: str) -> str | None:
    """Of a log of memcheck."""
    found = _FINDING.search(log)
    return f"compute-sanitizer found an {found[1].lower()}{found[2]}, {found[3].strip()[:200]}" if found else None


def _call(process: CandidateProcess, task: Task, case: Case, seed: int) -> None:
    inputs = task.make_inputs(case, Rng(seed, process.device))
    needed = 2 * sum(room(each) for each in task.allocate(inputs)) + (1 << 16)
    process.call(inputs, needed, [], SECONDS)


class _Sanitized(CandidateProcess):
    """A process that is started under the tool, instead of one that is forked."""

    def __init__(self, log: Path, device: Device) -> None:
        super().__init__(WarmParent(interpreted=False), isolation.Limits(watched=False), device.torch)
        self._log, self._variables = log, device.visibility(os.environ)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        name = tool()
        if name is None:
            raise InfrastructureError("compute-sanitizer is gone from the PATH; leave --sanitizer out")
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        command = [name, "--tool", "memcheck", "--log-file", str(self._log)]
        command += [sys.executable, "-c", _CODE, str(project_root()), str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            pass_fds=[theirs.fileno()],
            cwd=self._log.parent,
            env={**_environment(), **self._variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        theirs.close()
        return self

    def close(self) -> None:
        """Let the process end by itself, so that the tool can write its report."""
        self._end()
        if self._process is not None:
            try:
                self._process.wait(_END)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._arena is not None:
            self._arena.close()
            self._arena = None

    def _end(self) -> dict[str, Any]:
        self._ended = True
        self._channel.close()
        return {}


def _environment() -> dict[str, str]:
    """No secrets, and every tensor in memory of its own: within PyTorch's pool nothing is out of bounds."""
    kept = ("PATH", "LD_LIBRARY_PATH", "LANG", "CUDA_HOME", "CUDA_PATH", "CC")
    passed = {name: value for name, value in os.environ.items() if name in kept or name.startswith("NVIDIA_")}
    path = os.pathsep.join(each for each in sys.path if each)
    return {**passed, "PYTHONPATH": path, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1", "HOME": "/tmp", "USER": "candidate"}


def serve() -> None:
    """In the process under the tool: what a candidate's process does, until the judge has asked all."""
    channel = Channel(socket.socket(fileno=int(sys.argv[2])))
    folder = f"{child.SCRATCH}-{os.getpid()}"
    torch.set_num_threads(1)
    isolation.enter_child(isolation.Walls(Level("process"), isolation.Limits(memory=_MEMORY), None, (), ()), folder)
    child.serve(channel, os.open(os.devnull, os.O_WRONLY), watched=False)
    scratch.clear(folder)
