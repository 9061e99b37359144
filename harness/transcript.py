"""The conversation of an attempt for people: `transcript.md`, one section a model call, in the order of the answers.

A section says who answered, what it cost and how it ended, then shows each message and the answer, unabridged, in
fences longer than any run of backticks inside them. `transcript.jsonl` beside it holds the same for programs.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path

from harness.solver import Message, Reply, Usage

_ROLE = re.compile(r"^Role: (.+?)\s*$", re.MULTILINE)
"""A line of this form, the last one of a prompt, says in which role the model is asked."""
_TICKS = re.compile("`+")


class Transcript:
    """The file, written call by call; there is none before the first. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)  # an attempt that is run again tells its calls again
        self._path = path
        self._file: TextIOWrapper | None = None
        self._calls = 0

    def add(self, messages: Sequence[Message], sample: int, reply: Reply) -> None:
        """Write down one call. Raises OSError where the disk doesn't take it."""
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        self._calls += 1
        self._file.write(section(self._calls, messages, sample, reply))
        self._file.flush()

    def close(self) -> None:
        """Close the file; what a full disk did not take was told when it was written."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()


def section(number: int, messages: Sequence[Message], sample: int, reply: Reply) -> str:
    """One call as Markdown."""
    roles = _ROLE.findall(next((each.content for each in reversed(messages) if each.role == "user"), ""))
    about = [
        f"model {reply.model or 'unknown'}",
        f"sample {sample}",
        tokens(reply.usage),
        f"{reply.usage.seconds:.1f} s",
        f"finish reason {reply.finish_reason or 'unknown'}",
        *(["from the cache"] if reply.cached else []),
    ]
    parts = [f"## Call {number}", *([f"Role: {roles[-1]}"] if roles else []), "; ".join(about)]
    for heading, text in (*((each.role, each.content) for each in messages), ("answer", reply.text)):
        parts += [f"### {heading}", fenced(text)]
    return "\n\n".join(parts) + "\n\n"


def tokens(usage: Usage) -> str:
    """`1200 prompt tokens (1000 cached), 300 completion tokens (unknown reasoning)`."""

    def known(value: int | None) -> str:
        return "unknown" if value is None else str(value)

    return (
        f"{known(usage.prompt_tokens)} prompt tokens ({known(usage.cached_tokens)} cached), "
        f"{known(usage.completion_tokens)} completion tokens ({known(usage.reasoning_tokens)} reasoning)"
    )


def fenced(text: str) -> str:
    """Text in a fence that nothing inside can close."""
    fence = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(text)), default=0))
    return f"{fence}text\n{text}{'' if text.endswith(chr(10)) else chr(10)}{fence}"
