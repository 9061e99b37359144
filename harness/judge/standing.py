"""What judges know of published references: can they judge anybody? Found out once, for this run and later ones.

A standing lies beside what Triton compiled (`harness.judge.compiled`): it is of one task, one version of PyTorch and
Triton, and one kind of device. Where it can't be read or written, it is found out again.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.verdict import Outcome

_TIMED_OUT = f": {Outcome.TIMEOUT}: "


@dataclass(frozen=True)
class Standing:
    """Of one reference."""

    reason: str = ""
    """Why it can't judge anybody; empty: it can."""
    runs: bool = False
    """Did it run, whatever its values are worth?"""
    acts: tuple[str, ...] | None = None
    """What it does itself, and no candidate is blamed for; None: nobody had to know yet."""
    soiled: bool = True
    """Does it run where memory that nobody wrote holds anything, and not zeros alone?"""
    silent: bool = False
    """Does what its test half keeps say nothing?"""
    unsettled: bool = False
    """Does it keep values that it gives otherwise when it is run again, beside others that it does not?"""


class Standings:
    """By the digest of a task."""

    def __init__(self, folder: Path | None, stage_seconds: float = 0.0) -> None:
        """`folder`: where they are kept; None: in memory alone. `stage_seconds`: what a stage may take."""
        self._folder, self._stage_seconds = folder, stage_seconds
        self._known: dict[str, Standing] = {}

    def get(self, digest: str) -> Standing | None:
        """What is known, if it is."""
        if digest not in self._known and self._folder is not None:
            with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
                told = json.loads(self._path(self._folder, digest).read_text())
                if _TIMED_OUT in told["reason"] and float(told["stage_seconds"]) < self._stage_seconds:
                    return None
                acts = told["acts"]
                acts = None if acts is None else tuple(map(str, acts))
                flags = {name: bool(told[name]) for name in ("runs", "soiled", "silent", "unsettled")}
                self._known[digest] = Standing(str(told["reason"]), acts=acts, **flags)
        return self._known.get(digest)

    def put(self, digest: str, standing: Standing) -> Standing:
        """From now on. A lack of memory may pass, and is not kept; one that was not done in time may get more."""
        self._known[digest] = standing
        if self._folder is not None and "out of memory" not in standing.reason:
            path = self._path(self._folder, digest)
            unfinished = path.with_suffix(f".{secrets.token_hex(8)}")
            with contextlib.suppress(OSError):
                unfinished.write_text(json.dumps(asdict(standing) | {"stage_seconds": self._stage_seconds}))
                unfinished.replace(path)
        return standing

    @staticmethod
    def _path(folder: Path, digest: str) -> Path:
        return folder / f"{digest}.standing"
