"""The leaderboard of the page: its groups, rows and ranks.

A group is one suite by one clock: interpreted times share no table with a device's. Within a group rows are ranked by
execution accuracy; those whose intervals overlap share a rank, as nothing shows who is better.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from reports import table
from reports.leaderboard import KEYS, leaderboard
from reports.published import Published, published
from reports.statistics import geometric_mean
from reports.table import clean

Row = dict[Hashable, Any]
SHOWN_CONDITIONS = ("device", "isolation", "options", "suite_digest", "environment", "torch", "triton", "driver")


@dataclass(frozen=True)
class Cell:
    """One cell: what is read, and what it is sorted by."""

    text: str
    order: float | str | None = None
    bounds: str = ""
    """Its interval."""


@dataclass(frozen=True)
class Entry:
    """One row."""

    number: int
    """Of the row in the whole page."""
    rank: int
    solver: str
    model: str
    stands_in: bool
    """No language model."""
    notes: tuple[str, ...]
    conditions: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """One table."""

    suite: str
    clock: str
    facts: tuple[str, ...]
    conditions: tuple[str, ...]
    """Headers of those that differ."""
    entries: list[Entry] = field(default_factory=list)
    others: list[Published] = field(default_factory=list)
    """Published by others."""


HEADERS = (
    ("samples", "attempts judged of those planned"),
    ("call %", "ran without an error, of all attempts; 95 % interval"),
    ("execution %", "every value right, of all attempts; 95 % interval"),
    ("fast₁ %", "right and faster than the reference, of all attempts"),
    ("fast₁.₅ %", "right and more than 1.5 times as fast"),
    ("fast₂ %", "right and more than twice as fast"),
    ("speedup", "geometric mean over right kernels; 95 % interval"),
    ("% of limit", "what right kernels reach of the hardware's limit, geometric mean"),
    ("tokens", "of the model, prompt and completion"),
    ("$ a solved", "dollars over tasks solved"),
    ("seconds", "wall time of attempts, summed"),
)


def board(frame: pd.DataFrame) -> tuple[list[Group], pd.Series]:
    """The groups, and for each attempt the number of its row."""
    rows: list[Row] = leaderboard(frame).to_dict("records")
    keys = list(zip(*(frame[name].astype("object").where(frame[name].notna(), None) for name in KEYS), strict=True))
    numbers = {tuple(row[name] for name in KEYS): number for number, row in enumerate(rows)}
    number_of = pd.Series([numbers[key] for key in keys], index=frame.index, dtype="int64")
    groups: list[Group] = []
    for suite, clock in dict.fromkeys((row["suite"], row["clock"]) for row in rows):
        mine = [(number, row) for number, row in enumerate(rows) if (row["suite"], row["clock"]) == (suite, clock)]
        groups.append(_group(str(suite), str(clock), mine, frame, number_of))
    return sorted(groups, key=lambda group: (group.clock != "device", group.suite)), number_of


def _group(suite: str, clock: str, rows: list[tuple[int, Row]], frame: pd.DataFrame, number_of: pd.Series) -> Group:
    varying = [name for name in SHOWN_CONDITIONS if len({row[name] for _, row in rows}) > 1]
    first = rows[0][1]
    same = [name for name in SHOWN_CONDITIONS if name not in varying and first[name]]
    facts = [f"{name.replace('_', ' ')} {_short(name, first[name])}" for name in same]
    group = Group(suite, clock, tuple(facts), tuple(name.replace("_", " ") for name in varying), [], published(suite))
    ranks = _ranks([row for _, row in rows])
    for (number, row), rank in zip(rows, ranks, strict=True):
        group.entries.append(_entry(number, row, rank, varying, frame[number_of == number]))
    return group


def _ranks(rows: list[Row]) -> list[int]:
    """1 and the number of rows that are shown to be better: whose interval lies above this one's."""
    return [1 + sum(other["execution_low"] > row["execution_high"] for other in rows) for row in rows]


def _entry(number: int, row: Row, rank: int, varying: list[str], attempts: pd.DataFrame) -> Entry:
    timed = attempts["timed"].to_numpy(dtype=bool)
    fractions = attempts["fraction"].to_numpy(dtype=np.float64)[timed]
    share = geometric_mean(fractions[~np.isnan(fractions)])
    solved = attempts[attempts["execution"]]["task"].nunique()
    dollars = float(row["dollars"]) / solved if solved else float("nan")
    cells = (
        Cell(f"{row['judged']}/{row['attempts']}", float(row["attempts"])),
        _share(row, "call"),
        _share(row, "execution"),
        *(Cell(table.percent(row[name]), row[name]) for name in ("fast_1", "fast_1_5", "fast_2")),
        _bounded(table.ratio(row["speedup"], row["speedup_low"], row["speedup_high"]), row["speedup"]),
        Cell(table.whole_percent(share), share),
        Cell(table.amount(row["tokens"]), row["tokens"]),
        Cell(table.dollars(dollars), dollars),
        Cell(table.seconds(row["seconds"]), row["seconds"]),
    )
    return Entry(
        number,
        rank,
        clean(row["solver"], 80),
        clean(row["model"], 80) if row["model"] else "",
        row["language_model"] is False,
        tuple(_notes(row)),
        tuple(_short(name, row[name]) for name in varying),
        cells,
    )


def _share(row: Row, name: str) -> Cell:
    return _bounded(table.percent(row[name], row[f"{name}_low"], row[f"{name}_high"]), row[name])


def _bounded(text: str, order: float) -> Cell:
    value, _, bounds = text.partition(" ")
    return Cell(value, order, bounds)


def _notes(row: Row) -> list[str]:
    """What must be said beside a row's figures."""
    said = []
    if row["shows_reference"] is True:
        said.append("is shown the expert reference kernel")
    if row["shows_examples"] is True:
        said.append("is shown the reference of another task")
    if row["language_model"] is False:
        said.append("rule-based: says nothing of any language model")
    for name, words in (
        ("owed", "not judged yet, counted as not passed"),
        ("unsupported", "can't be judged here, counted as not passed"),
        ("cheating", "seen cheating"),
        ("suspicious", "suspicious: a person should look"),
        ("right_untimed", "right without an accepted time"),
        ("mixed_tasks", "tasks changed between attempts"),
    ):
        if row[name]:
            said.append(f"{row[name]} {words}")
    return said


def _short(name: str, value: Any) -> str:
    if not value:
        return "-" if name == "options" else "unknown"
    return clean(value)[:8] if name in ("suite_digest", "environment") else clean(value, 80)
