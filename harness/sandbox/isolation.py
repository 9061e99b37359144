"""Walls around a candidate's process, the strongest that the machine allows; the level taken is recorded and shown.

`namespaces`       run as root: own mount, network, PID and IPC namespaces, read-only file system, a private /tmp, a
                   user of its own without privileges. What the judge holds on disk is covered by empty mounts.
`user-namespaces`  the same without root, by a user namespace; the candidate keeps the caller's user outside.
`bubblewrap`       only `bwrap` is let make namespaces: the warm parent runs inside it, and its candidates share them.
`landlock`         no namespaces: Landlock alone says which files may be opened, and limits what may be used.
`process`          nothing but process group and resource limits: files and processes of the user can be reached.

Landlock (`harness.sandbox.landlock`) and a filter of system calls (`harness.sandbox.seccomp`) are added to each where
the kernel has them: `namespaces+landlock+seccomp`. Run as root, the two lowest give the candidate a user of its own
where that user can reach Python and the libraries.

What stays open from `bubblewrap` down: candidates that run at the same time share PIDs, so that one can find out (by
the number given to its own child, or stat() below /proc) how many others there are, though not look into them or send
them anything; limits on processes are those of the user; what they write fills the disk of /tmp, file by file up to the
limit of one, until they end. On `landlock` they share the network's namespace, too, and before Linux 6.7 only the
filter keeps them from it. Without Landlock, candidates of the level `bubblewrap` reach one
another's files and those of the warm parent, and on `process` nothing hides what the user may read. Without the filter
a candidate can slow down what runs as the same user, and before Linux 6.12 also end it; without either, trace it.
Memory is limited for each process by the kernel, for all together by the warden, which looks some times a second; no
cgroups are made: the groups that a machine's own manager has put this process into are not ours to divide.

In order: `enter` in the warm parent before it imports PyTorch (a user namespace needs a single thread), `seal_parent`
when it has imported all; `own_processes` in the warden; `enter_child` in the candidate's own process.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness.sandbox import bubblewrap, landlock, mounts, scratch, seccomp
from harness.sandbox.levels import LEVELS, STRONGEST, Level

__all__ = [
    "LEVELS",
    "Level",
    "Limits",
    "Plan",
    "Walls",
    "enter",
    "enter_child",
    "own_processes",
    "probe",
    "seal_parent",
]

FIRST_USER = 61_000_000
"""Candidates that have a user of their own run as this id and following ones, so that limits count each alone."""
_ROOT_POWERS = sum(1 << capability for capability in (0, 1, 5, 6, 7))
"""CAP_CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID: to become another user, to end what it runs, to remove its files."""
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER = 1, 38, 24, 36

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Limits:
    """What one candidate may use."""

    memory: int = 8 << 30
    """Private memory of each of its processes, bytes; all together twice that."""
    processes: int = 256
    """Processes and threads."""
    file_bytes: int = 2 << 30
    """Size of a file, and of its scratch folder."""
    output_bytes: int = 4 << 20
    """What it may print."""
    watched: bool = True
    """Is it looked at what the candidate does? Not in runs that ask for no guard at all."""


@dataclass(frozen=True)
class Plan:
    """What the judge asks of the warm parent's walls."""

    hidden: tuple[str, ...] = ()
    """Files and folders that candidates must not see."""
    keep: tuple[str, ...] = ()
    """Folders that stay visible even below hidden ones (the Python installation)."""
    at_most: str = str(STRONGEST)
    """No stronger base and no other walls than these are taken: tests look at each level on one machine."""
    inside: bool = False
    """Has bubblewrap been entered?"""


@dataclass(frozen=True)
class Walls:
    """What stands around one candidate."""

    level: Level
    limits: Limits
    user: int | None
    """User id that the candidate runs as; None for the caller's own."""
    keep: tuple[str, ...]
    """Folders that it must be able to read."""
    readable: tuple[str, ...]
    """What Landlock lets it read: these folders and the system's, without what is hidden there."""


def enter(plan: Plan, configuration: Mapping[str, Any]) -> Level:
    """First step in the parent, before anything starts a thread; returns the level that this machine allows.

    May start the running program again inside bubblewrap. `configuration` is its last argument, as JSON, and has the
    plan as `plan`.
    """
    most = Level.parse(plan.at_most)
    allowed = LEVELS[LEVELS.index(most.base) :]
    own = "namespaces" if os.geteuid() == 0 else "user-namespaces"
    base = "process"
    if plan.inside:
        base = "bubblewrap"
    elif own in allowed and _succeeds(lambda: mounts.rehearse(own == "user-namespaces")):
        mounts.enter_namespaces(of_user=own == "user-namespaces")
        base = own
    elif "bubblewrap" in allowed and bubblewrap.works():
        again = [*sys.orig_argv[:-1], json.dumps({**configuration, "plan": asdict(replace(plan, inside=True))})]
        bubblewrap.start(again, plan.hidden, plan.keep)
    walls: tuple[str, ...] = ()
    if "landlock" in most.walls and _succeeds(lambda: _add_landlock((), (), own_proc=False)):
        base, walls = "landlock" if base == "process" else base, (*walls, "landlock")
    if "seccomp" in most.walls and _succeeds(lambda: _add_seccomp(company=True)):
        walls = (*walls, "seccomp")
    return Level(base, walls)


def _succeeds(steps: Callable[[], None]) -> bool:
    """Do these steps work, in a process of their own that ends at once?"""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            steps()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def probe(at_most: str = str(STRONGEST)) -> str:
    """The level that this machine allows, found out in a process of its own that ends at once."""
    root = Path(__file__).resolve().parents[2]
    plan = Plan(keep=(str(root), sys.prefix, sys.base_prefix), at_most=at_most)
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "from harness.sandbox import isolation\n"
        "asked = json.loads(sys.argv[2])\n"
        "print(isolation.enter(isolation.Plan(**asked['plan']), asked))"
    )
    command = [sys.executable, "-c", code, str(root), json.dumps({"plan": asdict(plan)})]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return str(Level.parse(answer.stdout.strip()))
    except ValueError:
        return "process"


def seal_parent(level: Level, plan: Plan) -> None:
    """Second step, when all is imported: cover what candidates must not see, and make the file system read-only.

    Candidates get a /tmp of their own from `enter_child`.
    """
    if level.alone:
        os.umask(0o022)
        mounts.seal(plan.hidden, plan.keep, others_enter=level.base == "namespaces")


def readable(level: Level, plan: Plan) -> tuple[str, ...]:
    """What Landlock lets candidates read, once the parent is sealed."""
    return tuple(landlock.readable(plan.keep, plan.hidden)) if "landlock" in level.walls else ()


def gives_users(level: Level, plan: Plan) -> bool:
    """Do candidates run as a user of their own? Else they keep the caller's."""
    if level.alone:
        return level.base == "namespaces"
    powers = int(_status("CapEff"), 16)
    return os.geteuid() == 0 and powers & _ROOT_POWERS == _ROOT_POWERS and not mounts.closed(plan.keep)


def own_processes(level: Level) -> None:
    """In the process that forks the candidate: its next child is the first of a new PID namespace, with no network.

    This process does not die with its own parent: it stays until the judge's end of its channel closes, which a killed
    judge's does too, so that a candidate that has disarmed `die_with_parent` can't outlive everything.
    """
    if level.alone:
        mounts.own_processes()
    else:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def enter_child(walls: Walls, folder: str) -> None:
    """Finish the walls in the candidate's own process: private /tmp and /proc, limits, no privileges, and what is added
    to the level. `folder` is where it may write on levels without a /tmp of its own; its caller removes it."""
    level, limits, user = walls.level, walls.limits, walls.user
    writable = ["/tmp", "/dev/shm"] if level.alone else [folder]
    if level.alone:
        mounts.own_folders(limits.file_bytes, walls.keep)
    else:
        scratch.make(folder, user)
    others = 0 if user is not None or level.alone else _processes_of_user()
    for what, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, 1024),
        (resource.RLIMIT_NPROC, limits.processes + others),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (value, value))
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _drop_capabilities()
    die_with_parent()  # again: a change of user clears it
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if "landlock" in level.walls:
        _add_landlock(walls.readable, writable, own_proc=level.alone)
    if "seccomp" in level.walls:
        _add_seccomp(company=not level.alone)


def _add_landlock(readable: Iterable[str], writable: Iterable[str], *, own_proc: bool) -> None:
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    landlock.restrict(tuple(readable), tuple(writable), own_proc=own_proc)


def _add_seccomp(*, company: bool) -> None:
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    seccomp.install(company=company)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _drop_capabilities() -> None:
    for capability in range(64):
        _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _libc.capset(header, nothing)


def _status(name: str) -> str:
    """A line of this process's status."""
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(f"{name}:"))


def _processes_of_user() -> int:
    """Processes and threads that the user runs already: without a namespace the limit counts them too."""
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == os.getuid():
                    count += len(os.listdir(f"/proc/{entry.name}/task"))
    return count
