"""Kernels that are right and slow, for comparing agents that tune: `python -m tests.detuned DIR`.

The references of suite rocm with blocks of a fourth (of 16 at least) and warps of a fourth, written as `DIR/TASK.py`:

    pytest suites/rocm --solver=geak:kernels=DIR,iterations=10

Whether such a kernel still compiles, and is right, is for the judge to say; an agent may have to repair it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from agents.models.moves import Move, apply
from agents.models.tunables import Role, Tunable, discover
from harness.suite import load_suite

SUITE = Path(__file__).resolve().parent.parent / "suites" / "rocm"
LEAST = {Role.BLOCK: 16, Role.WARPS: 1}


def slower(tunable: Tunable) -> Move | None:
    """What makes it a fourth, if that is a change."""
    if tunable.value is None or tunable.role not in LEAST:
        return None
    value = max(LEAST[tunable.role], tunable.value // 4)
    return Move(tunable, value) if value < tunable.value else None


def detuned(source: str) -> str:
    """The source with all of them."""
    moves = [move for move in map(slower, discover(source)) if move is not None]
    return apply(moves, source) if moves else source


def main(arguments: list[str]) -> int:
    """Write the folder."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    changed = 0
    for task in load_suite(SUITE).tasks:
        source = detuned(task.reference)
        changed += source != task.reference
        (folder / f"{task.name}.py").write_text(source)
    print(f"{changed} of {len(list(folder.glob('*.py')))} are slower than their references")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
