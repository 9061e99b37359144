"""Runs one command and is there for everything that it starts: when this process ends, nothing of it is left.

    python -I -S supervise.py PROGRAM [ARGUMENT …]

Run by its path, with the standard library alone. Standard input is the lifeline: when it closes, or SIGTERM comes (the
kernel sends it when the parent dies), the command is killed. Orphans of the command become children of this process (it
is their subreaper), in whatever session they are, so all of them are found. The exit code is the command's; 128 and the
signal's number where one ended it; 127 where it could not be started.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
KILLING_SECONDS = 10.0
"""How long killing is tried: a process that waits for a device can't die at once."""

_libc = ctypes.CDLL(None)


def main(words: list[str]) -> int:
    """Run the command to its end, or to ours; gives the exit code."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # so that they come through the pipe
    try:
        # The command's own death with us is only for the case that we are killed: else `_end` finds all.
        command = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_us)
    except OSError as error:
        print(f"{words[0]} can't be started: {error.strerror}", file=sys.stderr)
        return 127
    code = None
    while code is None:
        ready, _, _ = select.select([0, woken], [], [])
        if 0 in ready and not os.read(0, 4096):
            break
        if woken in ready:
            if signal.SIGTERM in os.read(woken, 4096):
                break
            code = _reaped().get(command.pid)
    _end()
    return 128 + signal.SIGKILL if code is None else code if code >= 0 else 128 - code


def _die_with_us() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _reaped() -> dict[int, int]:
    """Exit codes of children, adopted ones too, that have ended."""
    codes = {}
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            codes[pid] = os.waitstatus_to_exitcode(status)
    return codes


def _end() -> None:
    """Kill all descendants; again and again, since some may be born between the look and the blow."""
    until = time.monotonic() + KILLING_SECONDS
    while (left := _descendants()) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
        _reaped()


def _descendants() -> list[int]:
    """Living processes below this one."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", errors="replace") as file:
                state, parent, *_ = file.read().rpartition(")")[2].split()
                if state not in "ZX":
                    children.setdefault(int(parent), []).append(int(entry))
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
