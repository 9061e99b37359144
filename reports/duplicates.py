"""Attempts that several runs hold: which of them count.

Two runs of one solver are two samples of it: the same attempt in both counts twice. Not so

    a copy       the same judgement, by start, end and digests, in a copied or merged folder: counts once, always
    one command  attempts of a folder and of its copy that was resumed elsewhere: what is judged counts rather than
                 what is owed, and of two judgements the one that finished first, whatever they say

`--duplicates=first` (or `last`) takes runs of different commands for one as well, as shards of which some were begun
again elsewhere; `refuse` wants none of it. Never does it matter which judgement is the better one, and what was left
out is said under the table.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from harness.errors import UsageError
from harness.run import Run
from reports.leaderboard import KEYS
from reports.load import load
from reports.records import Key
from reports.table import Table, clean

RULES = ("samples", "first", "last", "refuse")
_SHOWN = 5
"""Runs and attempts that are named, at most."""


class Row(NamedTuple):
    """What decides about one attempt in one run."""

    attempt: str
    """As people read it."""
    run: str
    command: str | None
    judged: bool
    started: str | None
    finished: str | None
    task_digest: str | None
    solution_digest: str | None
    outcome: str | None

    @property
    def judgement(self) -> Hashable:
        """Tells judgements apart; None: can't be told."""
        told = self.judged and self.started and self.finished
        return (self.started, self.finished, self.task_digest, self.solution_digest) if told else None


@dataclass
class Resolved:
    """What was left out, and why."""

    rule: str
    copies: int = 0
    contradicting: list[str] = field(default_factory=list)
    """Copies of a judgement that tell another outcome."""
    owed: int = 0
    """Owed in one run, and judged or owed in another."""
    twice: list[str] = field(default_factory=list)
    """Judged in several runs."""
    runs: dict[str, None] = field(default_factory=dict)
    """Of which something was left out, or by `refuse` would be."""

    def choose(self, rows: Sequence[Row]) -> list[int]:
        """Of the rows on one attempt under the same conditions, the numbers of those that count."""
        whole: dict[Hashable, list[int]] = {}
        seen: dict[Hashable, int] = {}
        for number, row in enumerate(rows):
            first = seen.setdefault(row.judgement or number, number)
            if first != number:
                self.copies += 1
                self.contradicting += [row.attempt] if row.outcome != rows[first].outcome else []
                self.runs[row.run] = None
            else:
                whole.setdefault((row.command or number) if self.rule == "samples" else "", []).append(number)
        return sorted(number for numbers in whole.values() for number in self._choose_one(rows, numbers))

    def _choose_one(self, rows: Sequence[Row], numbers: list[int]) -> list[int]:
        """Of what may count once: one, or one for each of the task's digests."""
        judged: dict[str | None, list[int]] = {}
        for number in numbers:
            if rows[number].judged:
                judged.setdefault(rows[number].task_digest, []).append(number)
        kept = []
        for same in judged.values():
            self.twice += [rows[same[0]].attempt] if len(same) > 1 else []
            order = sorted(same, key=lambda number: rows[number].finished or "")
            kept.append(order[-1 if self.rule == "last" else 0])
        self.owed += len(numbers) - sum(map(len, judged.values())) - (not judged)
        kept = kept or numbers[:1]
        self.runs |= {rows[number].run: None for number in numbers if number not in kept}
        return kept

    def check(self) -> None:
        """Raises UsageError where the rule is to refuse, and something was judged twice."""
        if self.rule == "refuse" and self.twice:
            named = _named(dict.fromkeys(self.twice))
            raise UsageError(
                f"{_many(len(self.twice), 'attempt')} judged in several runs ({named}): as samples of one solver they "
                "are for a table of these runs (kernel-assay leaderboard RUN RUN); to keep one judgement of each, "
                "whatever it says, add --duplicates=first, by when it finished, or last"
            )

    @property
    def note(self) -> str:
        """A sentence; empty where nothing was left out."""
        end = "last" if self.rule == "last" else "first"
        parts = [
            f"{self.copies} copies of a judgement" if self.copies else "",
            f"{self.owed} that are owed here and recorded there" if self.owed else "",
            f"{len(self.twice)} judged more than once, of which what finished {end} counts" if self.twice else "",
        ]
        told = "; ".join(part for part in parts if part)
        if not told:
            return ""
        wrong = _named(dict.fromkeys(self.contradicting))
        wrong = f" COPIES THAT TELL ANOTHER OUTCOME, the first named counts: {wrong}." if wrong else ""
        return f"In several runs, and counted once: {told}. Left out of {_named(self.runs)}.{wrong}"


def distinct(runs: Iterable[Path | Run], rule: str = "samples") -> tuple[pd.DataFrame, Resolved]:
    """The attempts of these runs that count, as `load` gives them, and what was left out. Raises UsageError."""
    frame, resolved = load(runs), Resolved(rule)
    if frame["run"].nunique() < 2:
        return frame, resolved
    which = frame.groupby([*KEYS, "task", "sample"], dropna=False, sort=False).ngroup()
    several = frame[which.duplicated(keep=False)]
    groups: dict[int, list[tuple[int, Row]]] = {}
    for group, index, row in zip(which[several.index], several.index, _rows(several), strict=True):
        groups.setdefault(group, []).append((index, row))
    left: list[int] = []
    for members in groups.values():
        kept = set(resolved.choose([row for _, row in members]))
        left += [index for number, (index, _) in enumerate(members) if number not in kept]
    resolved.check()
    return frame.drop(index=left).reset_index(drop=True), resolved


def counted(runs: Iterable[Path | Run], rule: str = "samples") -> tuple[dict[str, set[Key]], str]:
    """By folder, as `load` has it: the attempts that count; and the note."""
    frame, resolved = distinct(runs, rule)
    keys = zip(*(frame[name] for name in ("suite", "task", "solver", "model", "sample")), strict=True)
    found: dict[str, set[Key]] = {}
    for run, key in zip(frame["run"], keys, strict=True):
        found.setdefault(run, set()).add(key)
    return found, resolved.note


def noted(tables: Iterable[Table], note: str) -> list[Table]:
    """The tables with this note below them, if there is one."""
    return [replace(table, notes=(*table.notes, note)) if note else table for table in tables]


def _rows(frame: pd.DataFrame) -> list[Row]:
    texts = ("run", "command", "started", "finished", "task_digest", "solution_digest", "outcome")
    columns = {name: [value if isinstance(value, str) else None for value in frame[name]] for name in texts}
    attempts = [f"{task} {solver}" for task, solver in zip(frame["task"], frame["solver"], strict=True)]
    judged = [status == "judged" for status in frame["status"]]
    parts = {**columns, "attempt": attempts, "judged": judged}
    return [Row(*values) for values in zip(*(parts[name] for name in Row._fields), strict=True)]


def _named(names: Iterable[str]) -> str:
    every = [clean(name, 120) for name in names]
    return ", ".join(every[:_SHOWN]) + (f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else "")


def _many(number: int, what: str) -> str:
    return f"{number} {what} is" if number == 1 else f"{number} {what}s are"
