"""Tables as JSON: all tables of a command in one object, for programs.

    {"tables": [{"title": …, "facts": […], "notes": […], "legend": […], "columns": […], "rows": [{column: value}, …]}]}

Rows are in full precision, as `Table.data` has them, and unknown is null. Of a table without data they are the cells as
they are shown, each a text, with null where a number is unknown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from reports.render import shown
from reports.table import Table

_UNKNOWN = ("", "-", "?")
"""How a cell of a column of numbers shows what is not known."""


def as_json(tables: Sequence[Table]) -> str:
    """One object with all tables, indented, in ASCII, and read by every parser: no NaN, no infinity."""
    return json.dumps({"tables": [_table(table) for table in tables]}, indent=1, allow_nan=False) + "\n"


def _table(table: Table) -> dict[str, Any]:
    frame = table.data if table.data is not None else shown(table)
    names = [_text(str(name)) for name in frame.columns]
    columns = [[_value(value) for value in frame.iloc[:, number]] for number in range(len(names))]
    if table.data is None:
        columns = [
            cells if column.text else [None if cell in _UNKNOWN else cell for cell in cells]
            for column, cells in zip(table.columns, columns, strict=True)
        ]
    return {
        "title": _text(table.title),
        "facts": [_text(each) for each in table.facts],
        "notes": [_text(each) for each in table.notes],
        "legend": [_text(each) for each in table.legend],
        "columns": names,
        "rows": [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)],
    }


def _value(value: Any) -> Any:
    """A cell as JSON has it; None for what is not known."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or plain is pd.NA or plain is pd.NaT:
        return None
    if isinstance(plain, float):
        return plain if math.isfinite(plain) else None
    return plain if isinstance(plain, (bool, int)) else _text(str(plain))


def _text(text: str) -> str:
    """Without lone surrogates, which many parsers refuse."""
    return text.encode("utf-8", "replace").decode()
