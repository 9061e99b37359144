"""Tables in three forms: text for a terminal, GitHub's Markdown, and CSV in full precision (JSON and LaTeX have modules
of their own).

A terminal's width is kept: a table that is too wide goes on in further blocks below, which repeat the rows' names.
Names and reasons come from strangers, so Markdown and CSV escape what would be read as markup or as a formula.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pandas as pd
from tabulate import MIN_PADDING, tabulate

from reports.table import Column, Table

_columns: Callable[[str], int] = len
try:
    import wcwidth
except ImportError:  # tabulate does without it, too: wide characters then count as one column
    pass
else:
    _columns = wcwidth.wcswidth

_NAME_WIDTH = 20
"""Names longer than this go on in the next line, columns."""
_ELASTIC_WIDTH = 24
"""A cut column is no narrower, columns."""
_MARKDOWN = str.maketrans(
    {
        **{character: f"\\{character}" for character in "\\`*_[]|~$"},
        **{"&": "&amp;", "<": "&lt;", ">": "&gt;", "\n": " ", "\r": " "},
    }
)


def terminal(tables: Sequence[Table], width: int = 100) -> str:
    """Plain text, no line wider than `width` columns (60 at least)."""
    width = max(width, 60)
    parts = []
    for table in tables:
        lines = [line for fact in (table.title, *table.facts) if fact for line in _wrap(fact, width)]
        columns = _narrowed(table.columns, width)
        for block in _blocks(columns, width):
            lines += [*([""] if lines else []), *_grid(block, width)]
        if table.notes or table.legend:
            lines += [""]
        lines += [line for n, note in enumerate(table.notes, 1) for line in _wrap(f"[{n}] {note}", width, "    ")]
        lines += [line for each in table.legend for line in _wrap(each, width)]
        parts.append("\n".join(line.rstrip() for line in lines) + "\n")
    return "\n".join(parts)


def markdown(tables: Sequence[Table]) -> str:
    """GitHub's Markdown: a heading, facts, a table, notes as a list."""
    parts = []
    for table in tables:
        lines = [f"## {escape(table.title)}", ""]
        lines += [line for fact in table.facts for line in (escape(fact), "")]
        lines += _markdown_rows(table.columns)
        if table.notes or table.legend:
            lines += [""]
        lines += [f"- {escape(f'[{n}]')} {escape(note)}" for n, note in enumerate(table.notes, 1)]
        lines += [f"- {escape(each)}" for each in table.legend]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def csv(tables: Sequence[Table]) -> str:
    """The rows of all tables below each other: shares from 0 to 1, unknown empty, columns as in `Table.data`; of tables
    without that, the cells as they are shown."""
    frames = [table.data if table.data is not None else shown(table) for table in tables]
    columns = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    rows = [frame.reindex(columns=columns).astype("object") for frame in frames]
    whole = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    return str(whole.map(_no_formula).to_csv(index=False, lineterminator="\n"))


def shown(table: Table) -> pd.DataFrame:
    """The cells of a table as they are shown, each a text."""
    names = [" ".join(column.header.split()) or table.title for column in table.columns]
    return pd.DataFrame(dict(zip(names, (column.cells for column in table.columns), strict=True)))


def escape(text: str) -> str:
    """Text that GitHub shows as it stands: no markup, no HTML, no new cell, no link."""
    return text.translate(_MARKDOWN).replace("://", ":\\//")


def _no_formula(value: object) -> object:
    """Spreadsheets run text that starts like a formula: an apostrophe keeps it text (OWASP, CSV injection)."""
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _markdown_rows(columns: Sequence[Column]) -> list[str]:
    heads = [escape(" ".join(column.header.split())) for column in columns]
    rows = [[escape(cell) for cell in row] for row in zip(*(column.cells for column in columns), strict=True)]
    return _tabulated("pipe", heads, rows, columns)


def _narrowed(columns: Sequence[Column], width: int) -> list[Column]:
    """Text columns broken into lines, so that those that name the rows take half the width at most."""
    room = min(_NAME_WIDTH, width // (2 * max(sum(column.names for column in columns), 1)) - 2)

    def lines(text: str, column: Column) -> str:
        return "\n".join(_wrap(text, max(room, 4) if column.names else _NAME_WIDTH))

    return [
        replace(
            column,
            header=lines(column.header, column),
            cells=tuple(lines(text, column) for text in column.brief or column.cells),
            brief=None,
        )
        if column.text and not column.elastic
        else column
        for column in columns
    ]


def _blocks(columns: Sequence[Column], width: int) -> Iterator[list[Column]]:
    """Columns in blocks that fit, each led by the columns that name the rows."""
    names = [column for column in columns if column.names]
    block, used = list(names), sum(_width(column) + 2 for column in names)
    for column in columns:
        if column.names:
            continue
        if used + _width(column) > width and len(block) > len(names):
            yield block
            block, used = list(names), sum(_width(each) + 2 for each in names)
        block.append(column)
        used += _width(column) + 2
    if len(block) > len(names) or names:
        yield block


def _grid(columns: Sequence[Column], width: int) -> list[str]:
    """Aligned lines: headers, a rule, and for each row as many lines as its tallest cell."""
    room = width - sum(_width(column) + 2 for column in columns if not column.elastic)
    cells = [_cells(column, max(room, _ELASTIC_WIDTH)) for column in columns]
    return _tabulated("simple", [column.header for column in columns], list(zip(*cells, strict=True)), columns)


def _tabulated(form: str, heads: list[str], rows: Sequence[Sequence[str]], columns: Sequence[Column]) -> list[str]:
    sides = ["left" if column.text else "right" for column in columns]
    text = tabulate(rows, heads, form, disable_numparse=True, colalign=sides, headersalign=sides)
    return text.split("\n")


def _cells(column: Column, room: int) -> list[str]:
    shown = column.brief or column.cells
    return [_cut(text, room) for text in shown] if column.elastic else list(shown)


def _width(column: Column) -> int:
    """What tabulate takes: it gives a header two columns more than its text."""
    widest = max(_size(column.header) + MIN_PADDING, *map(_size, _cells(column, _ELASTIC_WIDTH)), 0)
    return min(widest, _ELASTIC_WIDTH) if column.elastic else widest


def _size(text: str) -> int:
    """Terminal columns of the longest line: two for wide characters, none for combining ones."""
    return max(max(_columns(line), 0) for line in text.split("\n"))


def _cut(text: str, room: int) -> str:
    while _size(text) > room:
        text = text[: min(len(text) - 2, room - 1)].rstrip() + "…"
    return text


def _wrap(text: str, width: int, indent: str = "") -> list[str]:
    if len(text) <= width and text.isascii():
        return [text]
    limit = width if _size(text) == len(text) else max(width // 2, 1)
    return textwrap.wrap(text, limit, subsequent_indent=indent, break_on_hyphens=False) or [""]
