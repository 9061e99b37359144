"""A run on one short page in GitHub's Markdown, for CI: leaderboard, what failed by stage and task, how to read it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.verdict import Outcome
from reports.leaderboard_table import leaderboard_tables
from reports.load import load
from reports.render import escape, markdown
from reports.table import Column, Table, clean

_NAME = 80
"""Characters of a name, at most."""
_REASON = 200
"""Characters of a reason."""

STAGES = {
    "call": "does not run",
    "execution": "runs, and is wrong",
    "speedup": "is right, but has no accepted time",
    "unsupported": "can't be judged by the interpreter: never called wrong",
    "owed": "is not judged yet: go on with --resume",
}
"""Where an attempt stopped, in the order of the table, and what that says of it."""


def summary_page(run_folder: Path, room: int) -> str:
    """The page, at most `room` bytes long in UTF-8; rows that find no room are counted in its last line. Empty where
    not even a page without rows fits. Raises `UsageError` for what is no run folder."""
    frame = load(run_folder)
    boards, failed = leaderboard_tables(frame), failures_table(frame)
    every = [*boards, *([failed] if _rows(failed) else [])]
    total = sum(map(_rows, every))

    def page(kept: int) -> str:
        left_out = (
            f"{total - kept} of {total} rows were left out, for GitHub's limit: `kernel-assay tasks RUN` has all.\n"
        )
        told = _demoted(markdown(list(_cut(every, kept))))
        return "\n".join([_head(frame), told, *([left_out] if kept < total else [])])

    least, most = 0, total
    if _fits(page(total), room):
        return page(total)
    if not _fits(page(0), room):
        return ""
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if _fits(page(middle), room) else (least, middle)
    return page(least)


def failures_table(frame: pd.DataFrame) -> Table:
    """What is not right, or has no time: a row for each stage, task, solver, model and outcome, with a reason."""
    stopped = frame.assign(stage=[_stage(row) for row in frame.to_dict("records")])
    stopped["outcome"] = stopped["outcome"].fillna("owed")
    stopped["reason"] = stopped["reason"].fillna(stopped["error"]).fillna("not judged yet")
    who = [name for name in ("suite", "solver", "model") if frame[name].nunique() > 1]
    tried = Counter(zip(*(frame[name] for name in ("task", *who)), strict=True))
    rows = []
    for stage in STAGES:
        part = stopped[stopped["stage"] == stage]
        for key, group in part.groupby(["task", *who, "outcome"], sort=False):
            *which, outcome = key
            attempts = f"{len(group)} of {tried[tuple(which)]}"
            rows.append((stage, *which, outcome, attempts, group["reason"].iloc[0]))
    names = ("stage", "task", *who, "outcome", "attempts", "what the judge says")
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    columns = tuple(
        Column(name, tuple(clean(cell, _REASON if name == names[-1] else _NAME) for cell in each), name != "attempts")
        for name, each in zip(names, cells, strict=True)
    )
    found = {row[0] for row in rows}
    legend = ("; ".join(f"{stage}: {says}" for stage, says in STAGES.items() if stage in found) + ".",)
    return Table("What failed", (), columns, (), legend)


def _stage(row: Any) -> str:
    """Where an attempt stopped; empty where it is right, as far as was asked."""
    if row["outcome"] == Outcome.RIGHT.value:
        return ""
    if row["status"] == "owed":
        return "owed"
    if row["outcome"] == Outcome.UNSUPPORTED.value:
        return "unsupported"
    passed = {"call": row["call"], "execution": row["execution"], "speedup": row["timed"]}
    return next((stage for stage, through in passed.items() if not through), "")


def _head(frame: pd.DataFrame) -> str:
    """Title, and the counts in a sentence."""
    suites = ", ".join(dict.fromkeys(clean(name, _NAME) for name in frame["suite"]))
    title = f"## Kernel Assay: {escape(suites)}" if suites else "## Kernel Assay"
    if frame.empty:
        return f"{title}\n\nNo attempts were planned.\n"
    stages = pd.Series([_stage(row) for row in frame.to_dict("records")]).value_counts()
    counts = ", ".join(f"{stage} {stages[stage]}" for stage in STAGES if stage in stages)
    right = int(frame["execution"].sum())
    stopped = f" Stopped at: {counts}." if counts else ""
    return f"{title}\n\n**{right} of {len(frame)} attempts are right.**{stopped}\n"


def _cut(tables: Sequence[Table], kept: int) -> Iterator[Table]:
    """The tables with so many rows altogether, the first ones."""
    for table in tables:
        rows = min(kept, _rows(table))
        kept -= rows
        yield replace(table, columns=tuple(replace(each, cells=each.cells[:rows]) for each in table.columns))


def _rows(table: Table) -> int:
    return len(table.columns[0].cells)


def _fits(text: str, room: int) -> bool:
    return len(text.encode("utf-8", "replace")) <= room


def _demoted(text: str) -> str:
    """With headings below the page's own."""
    return re.sub(r"^## ", "### ", text, flags=re.MULTILINE)
