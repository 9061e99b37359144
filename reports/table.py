"""A table for people: columns of finished text, the facts above it and the notes below it. No numbers are made here.

`render` turns a `Table` into terminal text, Markdown or CSV. Text in it may come from models and candidates: it is
cleaned here of what would steer a terminal, and escaped by each form in its own way.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Column:
    """One column; `cells` has one text a row."""

    header: str
    cells: tuple[str, ...]
    text: bool = False
    """Left-aligned; numbers are right-aligned."""
    names: bool = False
    """Says which row it is: a terminal repeats it where a table is too wide for one block."""
    brief: tuple[str, ...] | None = None
    """What a terminal shows instead, where room is short."""
    elastic: bool = False
    """A terminal may cut its cells to the room that is left."""


@dataclass(frozen=True)
class Table:
    """A table with what must be said beside it."""

    title: str
    facts: tuple[str, ...]
    """What holds for every row: device, suite, isolation. A line each."""
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()
    """Numbered from 1; cells refer to them as `[1]`."""
    legend: tuple[str, ...] = ()
    """How to read the columns."""
    data: pd.DataFrame | None = None
    """The same rows in full precision, for CSV."""


def clean(text: object, limit: int | None = None) -> str:
    """Text on one line, without control, format and surrogate characters; cut to `limit` characters with `…`."""
    line = " ".join(str(text).split())
    if not line.isprintable():
        line = "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c).startswith("C") else c for c in line)
    return line if limit is None or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def percent(share: float, low: float = math.nan, high: float = math.nan) -> str:
    """A share as `87.5 [52.9, 97.8]`, in percent; without bounds where they are unknown."""
    return with_bounds(f"{100 * share:.1f}", f"{100 * low:.1f}", f"{100 * high:.1f}") if share == share else "-"


def ratio(value: float, low: float = math.nan, high: float = math.nan, decimals: int = 2) -> str:
    """A speedup as `1.23 [0.98, 1.45]`: so many decimals below 10, three digits above and far below 1."""
    return with_bounds(*(_digits(each, decimals) for each in (value, low, high))) if value == value else "-"


def with_bounds(value: str, low: str, high: str) -> str:
    """`value [low, high]`, or the value alone where a bound is not a number."""
    return value if "nan" in (low, high) else f"{value} [{low}, {high}]"


def amount(value: float) -> str:
    """A count or sum, short: `950`, `12.3k`, `4.56M`; `?` where unknown."""
    if math.isnan(value):
        return "?"
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            scale = 1e3 if unit == "k" else size
            return f"{value / scale:.3g}{unit}" if value / scale < 999.5 else f"{value / scale:.0f}{unit}"
    return f"{value:.0f}"


def dollars(value: float) -> str:
    """An amount of money: cents, two digits where less than that; `?` where unknown."""
    if math.isnan(value):
        return "?"
    return f"{value:.2f}" if value == 0 or value >= 0.1 else f"{value:.2g}" if value >= 1e-4 else "<0.0001"


def seconds(value: float) -> str:
    """Wall time in seconds; `?` where unknown."""
    if math.isnan(value):
        return "?"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def microseconds(value: float) -> str:
    """Time of one call, three digits or whole µs; `-` where there is none."""
    return "-" if math.isnan(value) else _digits(value) if value < 1000 else f"{value:.0f}"


def whole_percent(share: float) -> str:
    """A share of the hardware's limit in percent; `-` where unknown."""
    return "-" if math.isnan(share) else f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.2g}"


def _digits(value: float, decimals: int = 2) -> str:
    if math.isnan(value):
        return "nan"
    if value >= 99.95:
        return f"{value:.0f}"
    if value >= 9.995:
        return f"{value:.1f}"
    return f"{value:.{decimals}f}" if value >= 0.1 else f"{value:.2g}"
