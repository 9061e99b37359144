"""What Triton compiled, kept by content: a source that is judged again, in whatever run, need not be compiled again.

A piece belongs to one source, one version of PyTorch and Triton, and one kind of device, and is given to processes of
that source alone. Kept is only what came from a source that was judged right, with nothing to look at. Besides, there
is what every process would have a C compiler make otherwise: one piece for all of them, Triton's own driver module; and
one a reference, for candidates for its task, the launchers of its kernels, which serve all kernels whose arguments have
the same types.

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
from harness.sandbox.binaries import LAUNCHERS
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.failed import CandidateFailed

BUDGET_BYTES = 4 << 30
"""Above it, what was used longest ago is removed."""
SECONDS = 30.0
"""For packing and unpacking."""
_LAUNCHERS = "-launchers"
"""Of a reference's process alone: no candidate has a hand in what others are given."""
DRIVER = """
import triton.runtime

def prepare():
    triton.runtime.driver.active.get_current_target()
"""
"""A source that has Triton make its driver module, and nothing else."""


class Compiled:
    """Pieces in a folder that any number of judges share; with no folder nothing is kept."""

    def __init__(self, folder: Path | None, device: Device) -> None:
        self.folder = None
        if folder is None or device.interpreted:
            return
        about = f"{torch.__version__} {version_of('triton')} {device.name}"
        self.folder = folder / hashlib.sha256(about.encode()).hexdigest()[:16]
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            self.folder = None

    def knows(self, source: str) -> bool:
        """Is there a piece of this source?"""
        return self.folder is not None and self._path(source).exists()

    def give(self, source: str, process: CandidateProcess, reference: str = "") -> None:
        """Let a process find what is kept of its source, the driver module, and the launchers of this reference, before
        it is loaded."""
        if self.folder is None:
            return
        for each in (self._path(DRIVER), self._path(reference, _LAUNCHERS), self._path(source)):
            with _opened(each) as fd:
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
        if self.folder is not None and piece:
            self._write(self._path(source), piece)

    def keep_reference(self, reference: str, process: CandidateProcess) -> None:
        """Keep what is worth it of a reference's process, and its launchers."""
        self.keep(reference, self.take(reference, process))
        if self.folder is None or self._path(reference, _LAUNCHERS).exists():
            return
        with contextlib.suppress(CandidateFailed):
            if piece := process.pack(SECONDS, LAUNCHERS):
                self._write(self._path(reference, _LAUNCHERS), piece)

    def _write(self, path: Path, piece: bytes) -> None:
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

    def _path(self, source: str, kind: str = "") -> Path:
        assert self.folder is not None
        return self.folder / f"{hashlib.sha256(source.encode('utf-8', 'surrogatepass')).hexdigest()}{kind}.tar"


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    fd = None
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        os.utime(fd)  # used now
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)
