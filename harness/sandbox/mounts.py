"""The namespaces of the levels `namespaces` and `user-namespaces`, and the mounts that make walls of them."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_SYS_MOUNT_SETATTR, _AT_RECURSIVE, _ATTR_RDONLY = 442, 0x8000, 1

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def enter_namespaces(*, of_user: bool) -> None:
    """New namespaces for this process, but for PIDs; `of_user` with a user namespace first, in which it is root."""
    user, group = os.geteuid(), os.getegid()
    _check(_libc.unshare((_NEWUSER if of_user else 0) | _NEWNS | _NEWIPC | _NEWNET), "unshare")
    if of_user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def rehearse(of_user: bool) -> None:
    """All steps that a machine may refuse. Some allow the namespaces and then none of what they are for: AppArmor on
    Ubuntu refuses the user's map, containers a /proc, Landlock every mount. Raises OSError where one is refused."""
    enter_namespaces(of_user=of_user)
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    own_processes()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV)
            _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV)
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1] != 0:
        raise OSError


def own_processes() -> None:
    """The next child of this process is the first of a new PID namespace, with mounts, IPC and network of its own."""
    _check(_libc.unshare(_NEWNS | _NEWPID | _NEWIPC | _NEWNET), "unshare")


def seal(hidden: Iterable[str], keep: Iterable[str], *, others_enter: bool) -> None:
    """Cover what is hidden, and make the file system read-only. `others_enter`: what is kept has to be reached by
    another user than its owner."""
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    for path in hidden:
        _hide(path, keep)
    if others_enter:
        for path in keep:
            for closed_one in closed([path])[-1:]:
                _hide(closed_one, keep)
    attributes = _MountAttributes(_ATTR_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    if _libc.syscall(_SYS_MOUNT_SETATTR, -100, b"/", _AT_RECURSIVE, ctypes.byref(attributes), size) != 0:
        _mount(None, "/", None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY)


def closed(paths: Iterable[str]) -> list[str]:
    """Folders above these paths that their owner alone may enter, from the innermost to the outermost."""
    return [str(parent) for path in paths for parent in Path(path).parents if not parent.stat().st_mode & 0o001]


def own_folders(size: int, keep: Iterable[str]) -> None:
    """In the first process of a PID namespace: its own /proc and folders for temporary files, each of `size` bytes."""
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV)
    for place in ("/tmp", "/dev/shm", "/var/tmp"):
        if os.path.isdir(place):
            _cover(place, f"size={size},mode=1777", keep)


def _hide(path: str, keep: Iterable[str]) -> None:
    """Cover a file or folder by an empty one, with what must stay visible below it put back."""
    if path in keep or not os.path.exists(path):
        return
    if os.path.isdir(path):
        _cover(path, "size=1m,mode=755", keep)
    else:
        _mount("/dev/null", path, None, _MS_BIND)


def _cover(place: str, options: str, keep: Iterable[str]) -> None:
    """An empty folder over this place, with what must stay (a Python installation) put back.

    It has to be new folders, not just covered entries: a home that only its owner may enter would keep a candidate,
    which runs as another user, from a Python installed there.
    """
    kept = [
        (path, os.open(path, os.O_PATH)) for path in keep if Path(place) in Path(path).parents and os.path.isdir(path)
    ]
    _mount("tmpfs", place, "tmpfs", _MS_NOSUID | _MS_NODEV, options)
    for path, fd in kept:
        os.makedirs(path, exist_ok=True)
        _mount(f"/proc/self/fd/{fd}", path, None, _MS_BIND | _MS_REC)
        os.close(fd)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    encode = os.fsencode
    result = _libc.mount(
        encode(source) if source else None, encode(target), encode(kind) if kind else None, flags, encode(data) or None
    )
    _check(result, f"mount {target}")


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
