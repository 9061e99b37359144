"""Do two runs judge the same answers alike: the interpreter and a GPU, two GPUs, two versions?

    kernel-assay agree RUN OTHER

Compared are attempts that both have judged, of the same source. What either can't judge is counted, and is neither
agreement nor disagreement. Every difference is named, with what both said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import UsageError
from harness.run import Run
from harness.verdict import Outcome, Stage
from reports.records import Key, attempt_of, is_judged, latest, open_run, part, stages
from reports.statistics import wilson
from reports.table import Column, Table, clean, percent
from reports.verify import WITHOUT_CODE
from reports.verify_table import reason, words

_HEAVIEST_FIRST = ("execution", "call", "outcome")
_NAME = 80
_UNJUDGED = {
    (True, False): "the first can't judge",
    (False, True): "the second can't judge",
    (True, True): "neither can judge",
}
"""By whether the first can't judge an attempt, and whether the second can't."""


@dataclass(frozen=True)
class Pair:
    """One attempt in both runs."""

    key: Key
    first: Mapping[str, Any]
    second: Mapping[str, Any]
    """Their verdicts."""

    @cached_property
    def differs(self) -> str:
        """The heaviest difference: whether it is right, whether it can be called, or why not; empty where none."""
        before, now = stages(self.first), stages(self.second)
        if before[Stage.EXECUTION] != now[Stage.EXECUTION]:
            return "execution"
        if before[Stage.CALL] != now[Stage.CALL]:
            return "call"
        return "outcome" if self.first.get("outcome") != self.second.get("outcome") else ""


@dataclass
class Agreement:
    """What two runs have in common."""

    first: Run
    second: Run
    pairs: list[Pair] = field(default_factory=list)
    """Judged in both, of the same source."""
    unjudged: Counter[str] = field(default_factory=Counter)
    """Attempts by who can't judge them, in words."""
    other_source: list[Key] = field(default_factory=list)

    @property
    def differing(self) -> list[Pair]:
        """Those judged otherwise, the heaviest differences first."""
        found = [each for each in self.pairs if each.differs]
        return sorted(found, key=lambda each: _HEAVIEST_FIRST.index(each.differs))


def read(first: Path, second: Path) -> Agreement:
    """Of two run folders. Raises UsageError where no attempt is judged in both."""
    found = Agreement(open_run(first), open_run(second))
    before, now = latest(found.first), latest(found.second)
    common = [key for key in before if is_judged(before[key]) and is_judged(now.get(key))]
    if not common:
        raise UsageError(
            f"{first} and {second} have no judged attempt in common: an attempt is a suite, a task, a solver with its "
            "options, a model and a sample (`kernel-assay tasks RUN` lists them)"
        )
    for key in common:
        _sort_in(found, Pair(key, before[key]["verdict"], now[key]["verdict"]))
    return found


def _sort_in(found: Agreement, pair: Pair) -> None:
    if _source(pair.first) != _source(pair.second):
        found.other_source.append(pair.key)
        return
    lost = (pair.first.get("outcome") == Outcome.UNSUPPORTED, pair.second.get("outcome") == Outcome.UNSUPPORTED)
    if any(lost):
        found.unjudged[_UNJUDGED[lost]] += 1
    else:
        found.pairs.append(pair)


def _source(verdict: Mapping[str, Any]) -> str:
    """Its digest; of an answer without code there may be none."""
    return "" if verdict.get("outcome") in WITHOUT_CODE else str(verdict.get("digest"))


def table(found: Agreement) -> Table:
    """A row for each attempt that was judged otherwise; without columns where none was."""
    rows = found.differing
    legend = (
        "differs: execution: right in one run alone; call: it ran in one alone; outcome: it failed in both, otherwise. "
        "%: of what both can judge, with 95 % Wilson intervals.",
    )
    return Table(
        "Agreement",
        tuple(_facts(found)),
        _columns(rows) if rows else (),
        tuple(_notes(found)),
        (*(legend if rows else ()), _sentence(found)),
        _data(rows),
    )


def _facts(found: Agreement) -> Iterator[str]:
    for name, run in (("first", found.first), ("second", found.second)):
        version = clean(run.about.get("harness") or "unknown", _NAME)
        yield f"{name}: {clean(run.folder)}: {words(part(run.about, 'environment'))}, harness {version}"


def _columns(rows: Sequence[Pair]) -> tuple[Column, ...]:
    outcomes = [[clean(verdict.get("outcome"), _NAME) for verdict in (row.first, row.second)] for row in rows]
    return (
        Column("attempt", tuple(clean(attempt_of(row.key).id, _NAME) for row in rows), text=True, names=True),
        Column("differs", tuple(row.differs for row in rows), text=True),
        Column("first\noutcome", tuple(first for first, _ in outcomes), text=True),
        Column("second\noutcome", tuple(second for _, second in outcomes), text=True),
        Column("first reason", tuple(reason(row.first) for row in rows), text=True, elastic=True),
        Column("second reason", tuple(reason(row.second) for row in rows), text=True, elastic=True),
    )


def _notes(found: Agreement) -> Iterator[str]:
    for who in _UNJUDGED.values():
        if found.unjudged[who]:
            yield f"Not compared, {who}: {found.unjudged[who]}."
    if found.other_source:
        named = ", ".join(clean(attempt_of(key).id, _NAME) for key in found.other_source[:5])
        more = " and others" if len(found.other_source) > 5 else ""
        yield f"Not compared, of another source: {len(found.other_source)}: {named}{more}."


def _sentence(found: Agreement) -> str:
    """`of 412 attempts that both judge: …`."""
    total, kinds = len(found.pairs), [each.differs for each in found.pairs]
    if not total:
        return "no attempt that both can judge"
    unlike = {name: kinds.count(name) for name in _HEAVIEST_FIRST}
    parts, alike = [], total
    for name, where in zip(_HEAVIEST_FIRST, ("execution", "call as well", "the outcome as well"), strict=True):
        alike -= unlike[name]
        parts.append(f"on {where} {alike} ({percent(alike / total, *wilson(alike, total))} %)")
    right = sum(stages(each.first)[Stage.EXECUTION] and not each.differs for each in found.pairs)
    return f"of {total} attempts that both judge they agree {', '.join(parts)}; {right} are right in both"


def _data(rows: Sequence[Pair]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "attempt": [attempt_of(row.key).id for row in rows],
            "differs": [row.differs for row in rows],
            **{
                f"{name}_{what}": [side.get(what) for side in sides]
                for what in ("outcome", "reason", "seed")
                for name, sides in (("first", [row.first for row in rows]), ("second", [row.second for row in rows]))
            },
        }
    )
