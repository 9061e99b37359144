"""The leaderboard for people: which columns, how its cells read, and what must be said beside them.

Interpreted times and times of a device never share a column: each gets its own table. A condition (suite, device,
isolation, environment) that is the same in all rows stands above the table; one that differs becomes a column.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports import table
from reports.leaderboard import FAST, leaderboard
from reports.load import counts_as_integers
from reports.table import Column, Table, clean

Row = dict[Hashable, Any]


@dataclass(frozen=True)
class Note:
    """A footnote: the column whose cells it marks, in which rows, and what it says of them."""

    column: str
    applies: Callable[[Row], bool]
    text: Callable[[list[Row]], str]


def _total(rows: list[Row], *names: str) -> int:
    return int(sum(row[name] for row in rows for name in names))


NOTES = (
    Note("solver", lambda r: r["shows_reference"] is True, lambda _: "Is shown the expert reference kernel."),
    Note(
        "solver",
        lambda r: r["shows_examples"] is True,
        lambda _: "Is shown the expert reference of another task, none that is a near duplicate.",
    ),
    Note(
        "model",
        lambda r: r["language_model"] is False,
        lambda _: "Rule-based: stands in for a language model. Its figures say nothing of any language model.",
    ),
    Note(
        "attempts",
        lambda r: r["owed"] > 0,
        lambda rows: (
            f"{_total(rows, 'owed')} of {_total(rows, 'attempts')} planned attempts are owed (not judged yet): "
            "they are in every denominator as not passed. What was never recorded is in no cost. Go on: --resume."
        ),
    ),
    Note(
        "attempts",
        lambda r: r["unplanned"] > 0,
        lambda rows: f"Recorded but not in the run's plan: {_total(rows, 'unplanned')}. They are counted.",
    ),
    Note(
        "attempts",
        lambda r: r["runs"] > 1,
        lambda rows: f"Attempts of up to {max(row['runs'] for row in rows)} runs under the same conditions in one row.",
    ),
    Note(
        "attempts",
        lambda r: r["mixed_tasks"] > 0,
        lambda rows: f"Tasks that changed between attempts: {_total(rows, 'mixed_tasks')}. Several digests in one row.",
    ),
    Note(
        "attempts",
        lambda r: r["attempts"] > r["tasks"],
        lambda _: "Several attempts a task: intervals of shares are Wilson's at the effective number of attempts.",
    ),
    Note(
        "execution",
        lambda r: r["cheating"] > 0,
        lambda rows: f"Seen cheating: {_total(rows, 'cheating')}. Not passed, whatever they returned.",
    ),
    Note(
        "execution",
        lambda r: r["suspicious"] > r["cheating"],
        lambda rows: f"Suspicious: {_total(rows, 'suspicious')}. `kernel-assay show` says why; a person should look.",
    ),
    Note(
        "unsupported",
        lambda r: r["unsupported"] > 0,
        lambda _: "What the interpreter can't judge: in the denominator as not passed, but not called wrong.",
    ),
    Note(
        "speedup",
        lambda r: r["right_untimed"] > 0,
        lambda rows: (
            f"Right kernels without an accepted time: {_total(rows, 'right_untimed')}. Not in this mean; 1 in the next."
        ),
    ),
    Note(
        "tokens",
        lambda r: r["tokens_unknown"] > 0,
        lambda rows: f"Tokens are unknown for {_total(rows, 'tokens_unknown')} attempts, so the sum is.",
    ),
    Note(
        "dollars",
        lambda r: r["dollars_unknown"] > 0,
        lambda rows: f"Dollars are unknown for {_total(rows, 'dollars_unknown')} attempts, so the sum is.",
    ),
)

_CONDITIONS = (
    ("suite", "suite", "suite {}"),
    ("suite_version", "suite version", "version {}"),
    ("suite_digest", "suite digest", "digest {}"),
    ("device", "device", "{}"),
    ("isolation", "isolation", "isolation {}"),
    ("driver", "driver", "driver {}"),
    ("torch", "torch", "torch {}"),
    ("triton", "Triton", "Triton {}"),
    ("environment", "environment", "environment {}"),
    ("options", "options", "options {}"),
)
"""Column of the board, its header where it differs, its words where it doesn't."""

_NAME = 80
"""Characters of a name, at most."""

_LEGEND = (
    "call, execution, fast_p: % of all attempts, with 95 % Wilson intervals; fast_p: right and more than p times as "
    "fast as the reference. speedup: geometric mean over right kernels; failures = 1: over all attempts, 1 for those "
    "without a speedup; 95 % bootstrap intervals over tasks. seconds: wall time of attempts, summed.",
)


def leaderboard_tables(frame: pd.DataFrame) -> list[Table]:
    """The leaderboard of a frame of attempts: one table for times of devices, one for interpreted times."""
    board = leaderboard(frame)
    tables = []
    for clock in ("device", "interpreted"):
        part = board[board["clock"] == clock].reset_index(drop=True)
        if len(part):
            tables.append(_table(part, clock == "interpreted"))
    return tables


def _table(board: pd.DataFrame, interpreted: bool) -> Table:
    rows: list[Row] = board.to_dict("records")
    marks: dict[tuple[int, str], str] = {}
    notes = []
    if interpreted:
        notes.append(
            "Times are of Triton's interpreter on a CPU: they say nothing of speed on a GPU and share no table with it."
        )
    for note in NOTES:
        marked = [number for number, row in enumerate(rows) if note.applies(row)]
        if marked:
            notes.append(note.text([rows[number] for number in marked]))
            for number in marked:
                marks[number, note.column] = f"{marks.get((number, note.column), '')} [{len(notes)}]"

    def column(header: str, name: str, cell: Callable[[Row], str], **options: Any) -> Column:
        added = [marks.get((number, name), "") for number in range(len(rows))]
        space = 0 if options.get("text") else max(map(len, added))  # so that numbers stay below each other

        def marked(shown: Callable[[Row], str], space: int = 0) -> tuple[str, ...]:
            return tuple(shown(row) + mark.ljust(space) for row, mark in zip(rows, added, strict=True))

        return Column(header, marked(cell), brief=marked(options.pop("short", cell), space), **options)

    time = " [1]" if interpreted else ""
    facts, varying = _conditions(rows)
    columns = [
        column("solver", "solver", lambda r: clean(r["solver"], _NAME), text=True, names=True),
        column("model", "model", _model, text=True, names=True),
        *varying,
        column("tasks", "tasks", lambda r: str(r["tasks"])),
        column("attempts", "attempts", lambda r: str(r["attempts"])),
        column("call %", "call", _share("call")),
        column("execution %", "execution", _share("execution")),
        column(f"speedup{time}", "speedup", _ratio("speedup")),
        column(
            f"failures\n= 1{time}",
            "speedup_failures_1",
            _ratio("speedup_failures_1"),
            short=lambda r: table.ratio(r["speedup_failures_1"]),
        ),
        *(
            column(f"{name.replace('_5', '.5')}\n%{time}", name, _share(name), short=_plain_share(name))
            for name in FAST
        ),
        column("unsup-\nported", "unsupported", lambda r: str(r["unsupported"])),
        column("owed", "owed", lambda r: str(r["owed"])),
        column("evalua-\ntions", "evaluations", lambda r: table.amount(r["evaluations"])),
        column("tokens", "tokens", lambda r: table.amount(r["tokens"])),
        column("dollars", "dollars", lambda r: table.dollars(r["dollars"])),
        column("seconds", "seconds", lambda r: table.seconds(r["seconds"])),
    ]
    title = "Leaderboard, interpreted times" if interpreted else "Leaderboard"
    return Table(title, facts, tuple(columns), tuple(notes), _LEGEND, _data(board, interpreted))


def _model(row: Row) -> str:
    if not row["model"]:
        return "-"
    marks = {
        (False, True): " (rule-based, starts from the reference)",
        (False, False): " (rule-based)",
        (False, None): " (rule-based)",
    }
    return clean(row["model"], _NAME) + marks.get((row["language_model"], row["shows_reference"]), "")


def _share(name: str) -> Callable[[Row], str]:
    return lambda row: table.percent(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _plain_share(name: str) -> Callable[[Row], str]:
    return lambda row: table.percent(row[name])


def _ratio(name: str) -> Callable[[Row], str]:
    return lambda row: table.ratio(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _conditions(rows: list[Row]) -> tuple[tuple[str, ...], list[Column]]:
    """Conditions that hold for all rows as one line, and columns of those that differ."""
    constant, varying = [], []
    for name, header, words in _CONDITIONS:
        found = [_condition(name, row[name]) for row in rows]
        if len({row[name] for row in rows}) > 1:
            varying.append(Column(header, tuple(found), text=True, names=True))
        elif rows[0][name]:
            constant.append(words.format(found[0]))
    return ((", ".join(constant),) if constant else ()), varying


def _condition(name: str, value: Any) -> str:
    if not value:
        return "unknown" if name != "options" else "-"
    return clean(value)[:8] if name in ("suite_digest", "environment") else clean(value, _NAME)


def _data(board: pd.DataFrame, interpreted: bool) -> pd.DataFrame:
    """For CSV: interpreted times under names of their own, so that they never fall into a column of device times."""
    whole = counts_as_integers(board)
    if not interpreted:
        return whole
    timed = [name for name in whole.columns if name.startswith(("speedup", "fast_"))]
    return whole.rename(columns={name: f"interpreted_{name}" for name in timed})
