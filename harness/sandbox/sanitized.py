"""A candidate's process that is started under compute-sanitizer, instead of one that is forked.

`harness.judge.sanitizer` says when. The tool needs the machine's sockets and has to start the program itself, so that
this process has limits and a private folder, and no other walls.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch

from harness.errors import InfrastructureError
from harness.sandbox import child, isolation, scratch
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.channel import Channel
from harness.sandbox.levels import Level
from harness.sandbox.parent import WarmParent, project_root

_END = 60.0
"""Seconds that the tool may take to write its report."""
_MEMORY = 64 << 30
"""Of the process, bytes: the tool keeps books there."""
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from harness.sandbox.sanitized import serve; serve()"


def tool() -> str | None:
    """Where compute-sanitizer is, if anywhere."""
    beside = [Path(os.environ[name]) / "bin" for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    return shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, beside)]))


class SanitizedProcess(CandidateProcess):
    """Use as a context manager; at its end the tool has written its report to the file `log`. `variables` of the
    environment show it the one GPU."""

    def __init__(self, log: Path, device: str, variables: Mapping[str, str]) -> None:
        super().__init__(WarmParent(interpreted=False), isolation.Limits(watched=False), device)
        self._log, self._variables = log, variables
        self._stages = False  # the tool has no books of memory that another process made
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        name = tool()
        if name is None:
            raise InfrastructureError("compute-sanitizer is gone from the PATH; leave --sanitizer out")
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        command = [name, "--tool", "memcheck", "--report-api-errors", "no", "--log-file", str(self._log)]
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
