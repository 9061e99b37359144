"""What processes of one machine share a device by: a lease, held only while timing, so that no two time at once; parts
of its memory, so that all that is checked and compiled meanwhile fits; and quiet, for calls that are so long that the
device would give others a turn in the middle of them."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def lease(device_id: str) -> Iterator[None]:
    """Hold the device of this id (its UUID) alone; waits for others. The kernel ends the lease of a killed process."""
    fd = _opened(device_id, "lock")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def using(device_id: str) -> Iterator[None]:
    """Work on the device of this id that nobody times; waits while others want it to be quiet. Never ask twice, nor for
    the lease meanwhile."""
    turn = _opened(device_id, "turn")
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        use = _opened(device_id, "use")
        fcntl.flock(use, fcntl.LOCK_SH)
    finally:
        os.close(turn)
    try:
        yield
    finally:
        os.close(use)


@contextmanager
def quiet(device_id: str, patience: float) -> Iterator[bool]:
    """Have nobody begin to work on the device by `using` it, and wait until those that have begun are done, for up to
    `patience` seconds: are they? For who holds the lease."""
    turn, use = _opened(device_id, "turn"), _opened(device_id, "use")
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        end = time.monotonic() + patience
        while not (alone := _taken(use)) and time.monotonic() < end:
            time.sleep(_POLL)
        yield alone
    finally:
        os.close(use)
        os.close(turn)


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _opened(device_id: str, kind: str) -> int:
    return os.open(_path(device_id, kind), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


_POLL = 0.002
"""Seconds between looks at who holds memory, or uses the device; one process looks at a time."""


@contextmanager
def reserve(device_id: str, need: int, pool: int, use: str = "memory") -> Iterator[None]:
    """Hold `need` of the `pool` bytes that all processes together may take of this device for a `use`; waits until they
    are free, and its turn has come: one after the other, so that who needs much does not wait for ever.

    One that needs more than there is waits until nobody else holds any. A part is a locked file: the kernel gives back
    those of a killed process. Never ask for a second part of the same use, nor with the lease in hand.
    """
    folder = _path(device_id, use)
    folder.mkdir(mode=0o700, exist_ok=True)
    turn = os.open(folder / "turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        while (held := _held(folder)) and held + need > pool:
            time.sleep(_POLL)
        name = folder / f"{secrets.token_hex(8)}-{need}"
        mine = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(mine, fcntl.LOCK_EX)
    finally:
        os.close(turn)
    try:
        yield
    finally:
        os.close(mine)


def _held(folder: Path) -> int:
    """Bytes that living processes hold; what others left behind is removed."""
    total = 0
    for path in folder.glob("*-*"):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        except BlockingIOError:
            total += int(path.name.partition("-")[2])
        finally:
            os.close(fd)
    return total


def _path(device_id: str, kind: str) -> Path:
    name = re.sub(r"[^A-Za-z0-9-]", "_", device_id)
    return Path(tempfile.gettempdir()) / f"kernel-assay-{os.getuid()}-{name}.{kind}"
