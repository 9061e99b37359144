"""Which files a candidate's process may open: Landlock, an allow-list that the kernel keeps for one process.

It needs neither root nor namespaces, so it hides the project, homes, suites and runs even where no other wall is to be
had. Allowed are: reading and executing below the Python installation, the library folders and system folders; reading
and writing below the scratch folder and of a few devices; what /proc tells of the process itself and of the machine.
`hidden` paths are left out of that, what must stay visible below them is not. From ABI 4 (Linux 6.7) on it also denies
TCP, from ABI 6 (6.12) on abstract sockets of, and signals to, processes outside.

A kernel with an older ABI keeps what it knows and no more: before ABI 3 (6.2) files that the user may write can be
truncated, wherever they lie. Landlock says nothing of stat(): that a path exists can be found out, not what is in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import stat
import struct
from collections.abc import Iterable, Sequence

_libc = ctypes.CDLL(None, use_errno=True)
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK, _TRUNCATE, _IOCTL_DEV = 1 << 6, 1 << 11, 1 << 14, 1 << 15
_FILES_BY_ABI = ((1, (1 << 13) - 1), (2, 1 << 13), (3, _TRUNCATE), (5, _IOCTL_DEV))
"""Rights on files and folders, by the ABI that brought them. The second one: to link and rename between folders."""
_TCP_ABI, _TCP = 4, 0b11
_SCOPE_ABI, _SCOPE = 6, 0b11

READ = _EXECUTE | _READ_FILE | _READ_DIR
WRITE = ((1 << 16) - 1) & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV)
"""All, but making devices and talking to them."""
DEVICE = _READ_FILE | _READ_DIR | _WRITE_FILE | _IOCTL_DEV
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

SYSTEM = ("bin", "etc", "gnu", "lib", "lib32", "lib64", "libx32", "nix", "opt", "sbin", "snap", "sys", "usr")
"""Folders below the root that programs need, with what they are made of."""
DEVICES = ("null", "zero", "full", "random", "urandom", "nvidia*", "kfd", "dri", "dxg")
MACHINE = ("cpuinfo", "meminfo", "stat", "version", "uptime", "loadavg", "filesystems", "devices", "driver", "sys")
"""Entries of /proc that tell of the machine, and of no process."""


def abi() -> int:
    """The version of Landlock that this kernel has; 0 for none."""
    version: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    return max(0, version)


def readable(keep: Iterable[str], hidden: Iterable[str]) -> list[str]:
    """Folders and files to allow so that all below `keep` and the system's folders can be read, but what is hidden.

    A folder with something hidden in it gives way to what else is in it, at this moment: Landlock knows no exceptions.
    """
    kept = {os.path.realpath(each) for each in keep}
    covered = {os.path.realpath(each) for each in hidden} - kept
    found: dict[str, None] = {}

    def grant(path: str) -> None:
        if not any(each.startswith(f"{path}/") for each in covered):
            found[path] = None
            return
        for entry in os.scandir(path):  # where a link leads to has to be allowed for its own sake
            if entry.path not in covered and not entry.is_symlink():
                grant(entry.path)

    system = {os.path.realpath(f"/{name}") for name in SYSTEM}
    for path in sorted(kept | {each for each in system if not any(f"{each}/".startswith(f"{h}/") for h in covered)}):
        with contextlib.suppress(OSError):  # what is not there, or can't be listed, can't be read either
            grant(path)
    return list(found)


def restrict(readable: Sequence[str], writable: Sequence[str], *, own_proc: bool) -> None:
    """Restrict this process, for good, to what may be read and what may be written. Needs `no_new_privs`.

    `own_proc`: /proc shows the candidate's processes alone, so that all of it may be seen, and what its user may write
    there (CUDA does) be written.
    Raises OSError where the kernel has no Landlock.
    """
    version = abi()
    rights = sum(bits for since, bits in _FILES_BY_ABI if version >= since)
    attributes = struct.pack("=QQQ", rights, _TCP if version >= _TCP_ABI else 0, _SCOPE if version >= _SCOPE_ABI else 0)
    ruleset = _checked(_libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    try:
        proc = ["/proc"] if own_proc else [f"/proc/{name}" for name in MACHINE]
        devices = [path for name in DEVICES for path in glob.glob(f"/dev/{name}")]
        for paths, allowed in (
            (readable, READ),
            (writable, WRITE),
            (devices, DEVICE),
            (proc, READ | (_WRITE_FILE | _TRUNCATE if own_proc else 0)),
            (["/proc/self"], READ | _WRITE_FILE | _TRUNCATE),  # threads are given names there
        ):
            for path in paths:
                _allow(ruleset, path, allowed & rights)
        _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Allow this below a path; a path that is gone, or that this process may not reach, needs no rule."""
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_A_FILE
        rule = struct.pack("=Qi", rights, fd)
        _checked(_libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        os.close(fd)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
