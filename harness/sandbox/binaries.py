"""What Triton compiled in one candidate's process, in one piece: a later process of the same source starts with it.

Both functions run in candidates' processes; the judge never looks into a piece. Triton finds what it compiled by a
digest of the kernel's source, its arguments' types and the compiler, so that a piece can only ever save time.
"""

from __future__ import annotations

import contextlib
import json
import os
import tarfile

MOST_BYTES = 64 << 20
"""A larger piece is not kept."""
_GROUP = "__grp__"
"""Triton's files of this prefix list the files of one kernel by their full paths."""


def pack(folder: str, fd: int) -> int:
    """Write Triton's folder into an open file: the bytes written, 0 where there is nothing or too much."""
    files = []
    for entry in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        for name in sorted(os.listdir(os.path.join(folder, entry))):
            path = os.path.join(folder, entry, name)
            if os.path.isfile(path) and not os.path.islink(path):
                files.append((path, f"{entry}/{name}", os.path.getsize(path)))
    if not files or sum(size + 2048 for _, _, size in files) > MOST_BYTES:
        return 0
    with os.fdopen(os.dup(fd), "wb") as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, name, _ in files:
            about = tarfile.TarInfo(name)
            with open(path, "rb") as content:
                about.size = os.fstat(content.fileno()).st_size
                tar.addfile(about, content)
    return os.lseek(fd, 0, os.SEEK_CUR)


def unpack(fd: int, folder: str) -> None:
    """Put a piece into Triton's folder, beside what is there; one that makes no sense is left alone."""
    with (
        contextlib.suppress(tarfile.TarError, OSError, ValueError, EOFError),
        os.fdopen(os.dup(fd), "rb") as file,
        tarfile.open(fileobj=file, mode="r:") as tar,
    ):
        for about in tar:
            parts, content = about.name.split("/"), tar.extractfile(about) if about.isreg() else None
            if content is None or len(parts) != 2 or ".." in parts:
                continue
            home, data = os.path.join(folder, parts[0]), content.read()
            if parts[1].startswith(_GROUP):
                data = _moved(data, home)
            os.makedirs(home, exist_ok=True)
            with open(os.path.join(home, parts[1]), "wb") as target:
                target.write(data)


def _moved(group: bytes, home: str) -> bytes:
    """The list of a kernel's files, as they lie now."""
    told = json.loads(group)
    paths = {str(name): os.path.join(home, os.path.basename(str(name))) for name in told["child_paths"]}
    return json.dumps({**told, "child_paths": paths}).encode()
