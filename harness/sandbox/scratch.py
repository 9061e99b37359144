"""The folder that a candidate may write in, where it has no /tmp of its own: made for it, and removed after it."""

from __future__ import annotations

import contextlib
import os
import secrets


def make(folder: str, user: int | None) -> None:
    """A new, empty folder for this user (None: the caller's). One that a machine's crash has left is removed first.

    Raises OSError where the name is taken by somebody else.
    """
    if os.path.islink(folder) or os.path.exists(folder):
        clear(folder)
    os.mkdir(folder, 0o700)
    if user is not None:
        os.chown(folder, user, user)


def clear(folder: str) -> None:
    """Remove it with all in it, however deep and whatever its modes, following no link. Nobody may work in it any more.

    What can't be removed stays.
    """
    with contextlib.suppress(OSError):
        os.chmod(folder, 0o700, follow_symlinks=False) if not os.path.islink(folder) else os.unlink(folder)
    with contextlib.suppress(OSError):
        while _emptied_by_one_level(folder):
            pass
        os.rmdir(folder)


def _emptied_by_one_level(folder: str) -> bool:
    """Remove what lies in a folder, and move what lies in its folders up into it; False when it is empty."""
    entries = list(os.scandir(folder))
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
            continue
        os.chmod(entry.path, 0o700)
        for inner in list(os.scandir(entry.path)):
            if inner.is_dir(follow_symlinks=False):
                os.chmod(inner.path, 0o700)  # to be moved it has to be writable
                os.rename(inner.path, os.path.join(folder, secrets.token_hex(8)))
            else:
                os.unlink(inner.path)
        os.rmdir(entry.path)
    return bool(entries)
