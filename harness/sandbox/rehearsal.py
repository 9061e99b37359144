"""A rehearsal on the real machine: a trial child takes all walls and does what a candidate needs.

Where it can't, as few as possible of the walls that were added to the level are given up: a kernel, a driver or a
container that no table foresaw costs a wall, which the recorded level then lacks, and not the run. Where it can't do
without them either, they are not the cause, and stay.
"""

from __future__ import annotations

import itertools
import os
import select
import shutil
import signal
import subprocess
import tempfile
from dataclasses import replace

from harness.sandbox import isolation, scratch
from harness.sandbox.levels import WALLS, Level

TRIES = 2
"""Rehearsals behind the same walls: a device may be full for a moment."""
SECONDS = 60.0
"""What one may take; CUDA starts in one, and the C compiler runs, on a busy machine."""


def behind_what_works(walls: isolation.Walls, *, interpreted: bool) -> Level:
    """The strongest level behind which a candidate can work: that of these walls, or less."""
    added = [wall for wall in WALLS if wall in walls.level.walls]
    for count in range(len(added) + 1):
        for given_up in itertools.combinations(reversed(added), count):
            level = walls.level
            for wall in given_up:
                level = level.without(wall)
            if any(_works(replace(walls, level=level), interpreted) for _ in range(TRIES)):
                return level
    return walls.level


def _works(walls: isolation.Walls, interpreted: bool) -> bool:
    """Does a trial child live behind these walls?"""
    warden = os.fork()
    if warden == 0:
        code = 1
        try:
            os.setsid()
            isolation.die_with_parent()
            isolation.own_processes(walls.level)
            code = _guard(walls, interpreted)
        finally:
            os._exit(code)
    return os.waitpid(warden, 0)[1] == 0


def _guard(walls: isolation.Walls, interpreted: bool) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            isolation.enter_child(walls, _folder(os.getpid()))
            _work("/tmp" if walls.level.alone else _folder(os.getpid()), interpreted)
            code = 0
        finally:
            os._exit(code)
    ended = os.pidfd_open(child)
    if not select.select([ended], [], [], SECONDS)[0]:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not walls.level.alone:
        scratch.clear(_folder(child))
    return int(code != 0)


def _folder(process: int) -> str:
    return f"/tmp/rehearsal-{process}"


def _work(folder: str, interpreted: bool) -> None:
    """What every candidate needs. Raises where one thing is denied."""
    import torch

    os.environ["TMPDIR"] = folder
    with tempfile.NamedTemporaryFile("w+", dir=folder, suffix=".c") as file:
        file.write("int one(void) { return 1; }\n")
        file.flush()
        device = "cpu" if interpreted else "cuda"
        if not interpreted:
            torch.cuda.init()  # type: ignore[no-untyped-call]
            compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
            if compiler is not None:  # Triton makes its launchers with it
                subprocess.run([compiler, "-shared", "-fPIC", file.name, "-o", f"{file.name}.so"], check=True)
        tensor = torch.ones(8, device=torch.device(device))
        if float((tensor + tensor).sum()) != 16.0:
            raise ArithmeticError
