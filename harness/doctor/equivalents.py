"""Mutants that are no mistakes: `equivalents.toml` in a task's folder names them, each with the reason.

    [[equivalent]]
    mutant = "wrong boundary: _add: n - start >= BLOCK → n - start > BLOCK"
    why = "a whole block then takes the masked path, which gives the same values"

    on = "interpreter"    # optional: only there; on other devices it has to be killed

A name that no tried mutant of the reference has is an error: the reference has changed, and so may the reason.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from harness.errors import SuiteError

FILE = "equivalents.toml"


def read(folder: Path, known: set[str], kind: str | None = None) -> dict[str, str]:
    """Reasons by mutant, on a kind of device (`interpreter`, `cuda`, `hip`) or on any.

    Raises SuiteError where the file is malformed, or names an unknown mutant."""
    path = folder / FILE
    try:
        entries = tomllib.loads(path.read_text()).get("equivalent", [])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SuiteError(f"{path}: {error}") from None
    reasons: dict[str, str] = {}
    named: set[str] = set()
    for entry in entries:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(each), str) for each in ("mutant", "why")):
            raise SuiteError(f"{path}: every [[equivalent]] needs `mutant` and `why` as text")
        named.add(entry["mutant"])
        if kind is None or entry.get("on", kind) == kind:
            reasons[entry["mutant"]] = entry["why"]
    strange = sorted(named - known)
    if strange:
        raise SuiteError(f"{path}: no mutant that is tried is named {strange[0]!r}: take the entry out")
    return reasons
