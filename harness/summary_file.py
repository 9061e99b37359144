"""`--summary=FILE`: pages in GitHub's Markdown, appended to a file as CI wants it (`$GITHUB_STEP_SUMMARY`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.errors import UsageError

LIMIT = 1 << 20
"""Bytes of all that one step of a job appends: of more, GitHub shows nothing."""


def check(path: Path) -> None:
    """Raises UsageError where nothing can be appended to a file; makes it."""
    try:
        with path.open("ab"):
            pass
    except OSError as error:
        raise UsageError(f"--summary {path} can't be written ({error.strerror}): name another file") from None


def append(path: Path, page: Callable[[int], str]) -> None:
    """Append a page; `page` is told how many bytes it may have, all that is in the file already taken off.

    Raises UsageError where the file can't be written, or has no room for a page.
    """
    try:
        with path.open("ab+") as file:
            size = file.seek(0, 2)
            file.seek(max(size - 1, 0))
            start = b"" if not size else b"\n" if file.read() == b"\n" else b"\n\n"
            text = page(LIMIT - size - len(start)).encode("utf-8", "replace")
            if not text or size + len(start) + len(text) > LIMIT:
                raise UsageError(f"--summary {path} is full, a step has {LIMIT} bytes: name another file")
            file.write(start + text)
    except OSError as error:
        raise UsageError(f"--summary {path} can't be written ({error.strerror}): name another file") from None
