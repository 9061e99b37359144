"""Text, Python and JSON of a checkout's files; what can't be read is a note of one line, and None."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping
from pathlib import Path


def text_of(path: Path, file: str, notes: list[str]) -> str | None:
    """What a file holds."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        notes.append(f"{file} is missing")
    except OSError as error:
        notes.append(f"{file} is left out: it can't be read ({error.strerror})")
    except UnicodeDecodeError as error:
        notes.append(f"{file} is left out: it is no UTF-8 text ({error.reason} at byte {error.start})")
    return None


def parsed(text: str, what: str, notes: list[str]) -> ast.Module | None:
    """A module's tree."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        notes.append(f"{what} is no Python that can be parsed ({reason})")
    return None


def rows_of(root: Path, file: str, notes: list[str]) -> list[Mapping[str, object]] | None:
    """The rows of a file that is one JSON list, or None."""
    text = text_of(root / file, file, notes)
    if text is None:
        return None
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        notes.append(f"{file} is left out: it is no whole JSON ({error})")
        return None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        notes.append(f"{file} is left out: it is no JSON list of objects")
        return None
    return rows
