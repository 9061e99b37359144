"""Levels of isolation: their names, their order, and which is at least which.

A level is a base, and the walls that are added to it where the kernel has them: `namespaces+landlock+seccomp`. The
bases, strongest first, are `LEVELS`; what each means is in `harness.sandbox.isolation`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

LEVELS = ("namespaces", "user-namespaces", "bubblewrap", "landlock", "process")
"""Bases, strongest first."""
WALLS = ("landlock", "seccomp")
"""What is added to a base; the last is the first that is given up where a candidate could not work behind it."""
STRICT = "user-namespaces+landlock+seccomp"
"""What `--isolation=strict` asks for."""


@dataclass(frozen=True)
class Level:
    """A base with its walls; `str()` gives its name and `parse` reads it."""

    base: str
    walls: tuple[str, ...] = ()
    """In the order of `WALLS`; the base `landlock` has the wall of this name."""

    def __str__(self) -> str:
        return "+".join((self.base, *(wall for wall in self.walls if wall != self.base)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """From a name, or `strict`. Raises ValueError, with the known names, for any other."""
        base, *walls = (STRICT if text == "strict" else text).split("+")
        known = base in LEVELS and all(wall in WALLS for wall in walls)
        if not known or (base == "process" and "landlock" in walls):
            raise ValueError(
                f"{text!r} is no level of isolation: there are strict, {', '.join(LEVELS)}, "
                f"and these with {' and '.join(f'+{wall}' for wall in WALLS)}"
            )
        return cls(base, tuple(wall for wall in WALLS if wall in (*walls, base)))

    @property
    def alone(self) -> bool:
        """Has each candidate PIDs, System V IPC and folders for temporary files of its own?"""
        return self.base in ("namespaces", "user-namespaces")

    def without(self, wall: str) -> Self:
        """The same with one wall less."""
        base = "process" if wall == self.base else self.base
        return replace(self, base=base, walls=tuple(each for each in self.walls if each != wall))

    def at_least(self, other: Level) -> bool:
        """Is the base as strong as the other's, with all walls that are named there?"""
        added = set(other.walls) - {other.base}
        return LEVELS.index(self.base) <= LEVELS.index(other.base) and added <= set(self.walls)


UNGUARDED = "unguarded"
"""Stands where a level would, in runs that asked for no guard at all (`--unguarded`)."""

STRONGEST = Level(LEVELS[0], WALLS)
