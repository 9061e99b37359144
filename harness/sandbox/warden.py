"""The warden: forks one candidate's process, guards it from outside, and tells the judge how it ended.

It runs no line of the candidate. It drains what the candidate prints (and ends it when that is too much), watches the
memory of all its processes, kills everything when the judge closes the control channel, and reports once:

    {"exit": code or null, "signal": number or null, "why": "", "flood" or "memory", "output": text, "evidence": lines}

`evidence` is what the candidate's process wrote into a pipe of its own before it did something that no kernel needs
(`harness.sandbox.tripwire`): once written, no code in that process can take it back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import time
from typing import NoReturn

from harness.sandbox import child, isolation, scratch
from harness.sandbox.channel import Channel, WireClosed

KEPT_OUTPUT = 16_384
"""Bytes of output kept from each end."""
KEPT_EVIDENCE = 16_384
"""Bytes of evidence read; the first are kept."""
MEMORY_INTERVAL = 0.25
"""Seconds between looks at the memory in use."""


def guard(walls: isolation.Walls, candidate_fd: int, control_fd: int) -> NoReturn:
    """Fork the candidate's process and stay until it has ended."""
    try:
        os.setsid()
        isolation.own_processes(walls.level)
        read_end, write_end = os.pipe()
        evidence_read, evidence_write = os.pipe2(os.O_NONBLOCK)
        process = os.fork()
        if process == 0:
            os.close(read_end)
            os.close(evidence_read)
            os.close(control_fd)
            _become_candidate(walls, candidate_fd, write_end, evidence_write)
        for fd in (write_end, evidence_write, candidate_fd):
            os.close(fd)
        control = Channel(socket.socket(fileno=control_fd))
        report = _watch(process, read_end, control, walls.limits)
        report["evidence"] = _lines(evidence_read)
        if not walls.level.alone:
            scratch.clear(_folder(process))
        with contextlib.suppress(WireClosed):
            control.send(report)
    finally:
        os._exit(0)


def _folder(process: int) -> str:
    """Where a candidate of this PID works."""
    return f"{child.SCRATCH}-{process}"


def _lines(fd: int) -> list[str]:
    """What stands in the pipe of a process that has ended."""
    data = b""
    with contextlib.suppress(BlockingIOError):
        while len(data) < KEPT_EVIDENCE and (part := os.read(fd, KEPT_EVIDENCE - len(data))):
            data += part
    return data.decode("utf-8", "replace").splitlines()


def _become_candidate(walls: isolation.Walls, channel_fd: int, output_fd: int, evidence_fd: int) -> NoReturn:
    try:
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (output_fd, 1), (output_fd, 2)):
            os.dup2(source, target)
        channel_fd, evidence_fd = (
            fcntl.fcntl(channel_fd, fcntl.F_DUPFD_CLOEXEC, 16),
            fcntl.fcntl(evidence_fd, fcntl.F_DUPFD_CLOEXEC, 16),
        )
        kept = os.dup2(channel_fd, 3, inheritable=False)
        evidence = os.dup2(evidence_fd, 4, inheritable=False)
        os.closerange(5, 1024)
        os.setsid()
        isolation.enter_child(walls, _folder(os.getpid()))
        child.serve(Channel(socket.socket(fileno=kept)), evidence, walls.limits.watched)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.write(2, f"\nthe candidate's process could not start: {error!r}\n".encode())
    os._exit(0)


def _watch(process: int, output_fd: int, control: Channel, limits: isolation.Limits) -> dict[str, object]:
    output = _Output(limits.output_bytes)
    ended = os.pidfd_open(process)
    why = ""
    look = time.monotonic() + MEMORY_INTERVAL
    sources = [output_fd, ended, control.sock.fileno()]
    while True:
        ready = select.select(sources, [], [], MEMORY_INTERVAL)[0]
        if output_fd in ready and not output.take(output_fd):
            sources.remove(output_fd)
        if output.total > limits.output_bytes:
            why = "flood"
        if time.monotonic() > look:
            look = time.monotonic() + MEMORY_INTERVAL
            if memory_below_us() > 2 * limits.memory:
                why = "memory"
        if ended in ready or control.sock.fileno() in ready or why:
            break
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL if ended not in ready else 0)
    _, status = os.waitpid(process, 0)
    _kill_orphans(process)
    while output_fd in sources and select.select([output_fd], [], [], 0)[0] and output.take(output_fd):
        pass
    return {
        "exit": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "why": why or ("flood" if output.total > limits.output_bytes else ""),
        "output": output.text(),
    }


class _Output:
    """The two ends of what a candidate printed."""

    def __init__(self, limit: int) -> None:
        self.limit, self.total = limit, 0
        self._head, self._tail = b"", b""

    def take(self, fd: int) -> bool:
        """Read what is there; False at the end of the stream, or when the limit is passed."""
        data = os.read(fd, 1 << 16)
        self.total += len(data)
        room = KEPT_OUTPUT - len(self._head)
        self._head += data[:room]
        self._tail = (self._tail + data[room:])[-KEPT_OUTPUT:]
        return bool(data) and self.total <= self.limit

    def text(self) -> str:
        """What was kept."""
        gap = b"\n[...]\n" if self.total > 2 * KEPT_OUTPUT else b""
        return (self._head + gap + self._tail).decode("utf-8", "replace")


def memory_below_us() -> int:
    """Resident memory of all processes that descend from this one, without what they share; bytes.

    Orphans come to us or, in a PID namespace, to the candidate's process. That has mounted a /proc of the namespace
    over ours, where we are not seen and it has no parent.
    """
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{entry.name}/stat") as file:
                parents[int(entry.name)] = int(file.read().rpartition(")")[2].split()[1])
    total, below = 0, [os.getpid() if os.path.exists("/proc/self") else 0]
    for each in below:  # which grows
        children = [one for one, parent in parents.items() if parent == each]
        below += children
        for one in children:
            del parents[one]
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{one}/statm") as file:
                _, resident, shared, *_ = file.read().split()
                total += (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
    return total


def _kill_orphans(process: int) -> None:
    """Without a PID namespace the candidate's children outlive it as ours: end them too."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)
    for _ in range(1000):
        children = _children()
        if not children:
            return
        for each in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(each) for each in file.read().split()]
    return []
