"""How a failure in the candidate's process is told to the judge: kind, type, message, and the candidate's own lines."""

from __future__ import annotations

import linecache
import traceback
from collections.abc import Callable
from typing import Any

LONGEST = 6_000
"""Characters of message and trace that are kept."""


def describe_failure(
    error: BaseException, path: str, unsupported: Callable[[BaseException], str | None] | None
) -> dict[str, Any]:
    """What a candidate's exception says. `path` is the candidate's file; only its lines are quoted. `unsupported` names
    what the interpreter lacks, if it is that."""
    chain = _chain(error)
    cause = chain[-1]
    feature = unsupported(error) if unsupported is not None else None
    return {
        "kind": "exit" if isinstance(cause, SystemExit) else "exception",
        "types": [type(each).__name__ for each in chain],
        "message": _text(cause)[:LONGEST],
        "lines": _lines(chain, path)[-LONGEST:],
        "unsupported": feature,
    }


def _chain(error: BaseException) -> list[BaseException]:
    """From the exception that arrived to the one that started it."""
    chain = [error]
    while len(chain) < 16:
        following = chain[-1].__cause__
        if following is None or following in chain:
            break
        chain.append(following)
    return chain


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "(its message can't be shown)"


def _lines(chain: list[BaseException], path: str) -> str:
    found: list[str] = []
    for error in chain:
        if isinstance(error, SyntaxError) and error.filename == path:
            found.append(f"line {error.lineno}: {(error.text or '').strip()}")
        for frame, number in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_filename == path:
                entry = f"line {number}, in {frame.f_code.co_name}: {linecache.getline(path, number).strip()}"
                if entry not in found:
                    found.append(entry)
    return "\n".join(found)
