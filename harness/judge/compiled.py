"""What Triton compiled, kept by content: a source that is judged again, in whatever run, need not be compiled again.

A piece belongs to one source, one version of PyTorch and Triton, and one kind of device, and is given to processes of
that source alone. Kept is only what came from a source that was judged right, with nothing to look at. Besides, there
is one piece for all of them: Triton's own driver module, which every process would have a C compiler make otherwise.

It is a cache: where a file can't be read or written, kernels are compiled.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from harness.device import Device, version_of
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.failed import CandidateFailed

BUDGET_BYTES = 4 << 30
"""Above it, what was used longest ago is removed."""
SECONDS = 30.0
"""For packing and unpacking."""
DRIVER = """
import triton.runtime

def prepare():
    triton.runtime.driver.active.get_current_target()
"""
"""A source that has Triton make its driver module, and nothing else."""


def folder_of(folder: Path | None, device: Device) -> Path | None:
    """That of the pieces for this kind of device and these versions, in the `folder` for all; None where nothing is
    kept."""
    if folder is None or device.interpreted:
        return None
    about = f"{torch.__version__} {version_of('triton')} {device.name}"
    found = folder / hashlib.sha256(about.encode()).hexdigest()[:16]
    try:
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return found


class Compiled:
    """Pieces in a folder that any number of judges share; with no folder nothing is kept."""

    def __init__(self, folder: Path | None, device: Device) -> None:
        self.folder = folder_of(folder, device)

    def knows(self, source: str) -> bool:
        """Is there a piece of this source?"""
        return self.folder is not None and self._path(source).exists()

    def give(self, source: str, process: CandidateProcess) -> None:
        """Let a process find what is kept of its source, and the driver module, before it is loaded."""
        for each in (DRIVER, source):
            with self._opened(each) as fd:
                if fd is not None:
                    process.give(fd, SECONDS)

    def hand(self, piece: bytes, process: CandidateProcess) -> None:
        """Let a process of the same source find a piece that was not kept."""
        if piece:
            with tempfile.TemporaryFile() as file:
                file.write(piece)
                file.flush()
                process.give(file.fileno(), SECONDS)

    def take(self, source: str, process: CandidateProcess) -> bytes:
        """What is worth keeping of a process, once it was judged: nothing of a source that is known already."""
        if self.folder is None or self.knows(source):
            return b""
        with contextlib.suppress(CandidateFailed):
            return process.pack(SECONDS)
        return b""

    def keep(self, source: str, piece: bytes) -> None:
        """Keep what `take` gave."""
        if self.folder is None or not piece:
            return
        path = self._path(source)
        unfinished = path.with_suffix(f".{secrets.token_hex(8)}")
        try:
            unfinished.write_bytes(piece)
            unfinished.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink()

    def tidy(self) -> None:
        """Stay within the budget."""
        if self.folder is None:
            return
        with contextlib.suppress(OSError):
            found = sorted(((each.stat(), each) for each in self.folder.iterdir()), key=lambda pair: pair[0].st_mtime)
            excess = sum(about.st_size for about, _ in found) - BUDGET_BYTES
            for about, path in found:
                if excess <= 0:
                    break
                path.unlink(missing_ok=True)
                excess -= about.st_size

    @contextmanager
    def _opened(self, source: str) -> Iterator[int | None]:
        fd = None
        if self.folder is not None:
            with contextlib.suppress(OSError):
                fd = os.open(self._path(source), os.O_RDONLY | os.O_CLOEXEC)
                os.utime(fd)  # used now
        try:
            yield fd
        finally:
            if fd is not None:
                os.close(fd)

    def _path(self, source: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{hashlib.sha256(source.encode('utf-8', 'surrogatepass')).hexdigest()}.tar"
