"""What references of script tasks kept, by task and seed: judges of one command run a reference once for all answers.

The judgements that end attempts of one command share their seeds, secret and fresh for the command, so that hundreds of
answers to one task are held against the same values. These lie in a folder that candidates never see, until the command
ends; a judge that finds nothing there runs the reference.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from pathlib import Path

import torch

from harness.judge.values import tensors
from harness.sandbox.answers import Foreign, Placed, Scripted

MOST_BYTES, BUDGET_BYTES = 256 << 20, 8 << 30
"""Tensors of one run, and of all runs together; what is more is made anew."""
_PREFIX, _STALE = "values-", 2 * 24 * 3600.0
"""Folders that a killed command left are removed after so many seconds."""


def new_folder(beside: Path) -> Path | None:
    """A folder for one command's values; None where none can be made."""
    with contextlib.suppress(OSError):
        beside.mkdir(parents=True, exist_ok=True)
        for old in beside.glob(f"{_PREFIX}*"):
            if time.time() - old.stat().st_mtime > _STALE:
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=beside))
    return None


class Kept:
    """The values in one folder; with no folder nothing is kept."""

    def __init__(self, folder: Path | None, device: str) -> None:
        """`device`: where tensors that are read come to, as PyTorch names it."""
        self._folder, self._device = folder, device

    def get(self, digest: str, seed: int, soiled: bool) -> Scripted | None:
        """What the reference kept with this seed, in memory that was soiled or was not."""
        if self._folder is None:
            return None
        path = self._path(digest, seed, soiled)
        with (
            contextlib.suppress(Exception),  # whatever is wrong with the file
            torch.serialization.safe_globals([Scripted, Placed, Foreign]),
        ):
            # With weights alone no file makes this process run code.
            found = torch.load(path, map_location=self._device, weights_only=True)
            return found if isinstance(found, Scripted) else None
        return None

    def put(self, digest: str, seed: int, soiled: bool, ran: Scripted) -> None:
        """For all judges of the command."""
        if self._folder is None or sum(each.nbytes for each in tensors(ran.value)) > MOST_BYTES:
            return
        path = self._path(digest, seed, soiled)
        unfinished = path.with_suffix(f".{secrets.token_hex(8)}")
        with contextlib.suppress(OSError, RuntimeError):
            if sum(each.stat().st_size for each in os.scandir(self._folder)) > BUDGET_BYTES:
                return
            torch.save(ran, unfinished)
            unfinished.replace(path)

    def confirm(self, digest: str, seed: int) -> None:
        """The reference was run once more for a candidate that differed from it, and gave the same."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._mark(digest, seed).touch()

    def confirmed(self, digest: str, seed: int) -> bool:
        """Was it?"""
        return self._folder is not None and self._mark(digest, seed).exists()

    def _path(self, digest: str, seed: int, soiled: bool) -> Path:
        assert self._folder is not None
        return self._folder / f"{digest[:32]}-{seed}-{'soiled' if soiled else 'zeros'}.values"

    def _mark(self, digest: str, seed: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{digest[:32]}-{seed}.confirmed"
