"""The level `bubblewrap`: the warm parent inside `bwrap`, where the machine lets that program alone make namespaces.

Ubuntu's AppArmor does so, and so does a `bwrap` that is installed set-user-ID. What is hidden is covered from the start
here, as nothing can be mounted later: of this project only what runs in a candidate's process is put back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

PROGRAM = "bwrap"
NEEDED = ("sandbox", "dtypes.py", "__init__.py")
"""Of the package `harness`: what the warm parent imports."""
_TRIAL_SECONDS = 10.0
_NAMESPACES = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent")


def works() -> bool:
    """Is it installed, and does it get here what is needed of it?"""
    if shutil.which(PROGRAM) is None:
        return False
    try:
        ran = subprocess.run([*command((), ()), "true"], capture_output=True, timeout=_TRIAL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0


def start(program: Sequence[str], hidden: Iterable[str], keep: Iterable[str]) -> NoReturn:
    """Replace this process by a program inside bubblewrap. Open files stay open. Raises OSError."""
    package = Path(__file__).resolve().parents[1]
    arguments = [*command(hidden, [*keep, *(str(package / name) for name in NEEDED)]), *program]
    os.execvp(PROGRAM, arguments)


def command(hidden: Iterable[str], keep: Iterable[str]) -> list[str]:
    """The command line up to the program: what is hidden is covered, what is to be kept put back, outermost first."""
    arguments = [PROGRAM, *_NAMESPACES, "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc"]
    kept = {os.path.realpath(each) for each in keep}
    covered = {os.path.realpath(each) for each in hidden} - kept
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        arguments += ["--tmpfs", place] if os.path.isdir(place) else []
    closing: list[str] = []
    for path in sorted(covered | kept, key=lambda path: (path.count("/"), path)):
        if not os.path.exists(path):
            continue
        if path in kept:
            arguments += ["--ro-bind", path, path]
        elif os.path.isdir(path):
            arguments += ["--tmpfs", path]
            closing += ["--remount-ro", path]
        else:
            arguments += ["--ro-bind", "/dev/null", path]
    return [*arguments, *closing, "--cap-drop", "ALL"]
