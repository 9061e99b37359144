"""What of two sides may be compared: which rows are the sides, which tasks are in both, and what was not the same.

A side is the rows of one solver and model. Compared are tasks that are the same on both sides (by digest) and of which
each side has a verdict. The others are left out, and named: an owed attempt is no evidence for or against anybody.
Speed is compared only where clock and device are the same and known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from harness.errors import UsageError
from reports.table import clean

Who = tuple[str, str]
"""Solver's label and model; "" for a solver that uses none."""

_CONDITIONS = {
    **{"suite_version": "suite version", "suite_digest": "suite digest", "device": "device", "clock": "clock"},
    **{"isolation": "isolation", "driver": "driver", "torch": "torch", "triton": "Triton", "options": "options"},
    **{"shows_reference": "reference shown", "shows_examples": "examples shown"},
}
"""Column, and its word."""
_MINE = ("options", "shows_reference", "shows_examples")
"""What two versions of an agent may differ in: told, but no reason for --strict to refuse."""
_OF_SPEED = ("device", "clock")


@dataclass(frozen=True)
class Choice:
    """Which rows of each run are meant; None: all."""

    base_solver: str | None = None
    base_model: str | None = None
    new_solver: str | None = None
    new_model: str | None = None


@dataclass(frozen=True)
class Sides:
    """Two sides, and what of them may be compared."""

    base: Who
    new: Who
    before: pd.DataFrame
    """Judged rows of BASE at compared tasks, as `reports.load` has them, with the task's `name`."""
    after: pd.DataFrame
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Tasks by the reason why they are not compared."""
    owed: tuple[int, int] = (0, 0)
    """Attempts that are not judged, in BASE and NEW."""
    planned: tuple[int, int] = (0, 0)
    """Attempts, in BASE and NEW."""
    differing: tuple[str, ...] = ()
    """What was not the same: a sentence each."""
    speed_refused: str = ""
    """Why speed is not compared; empty where it is."""
    strict: bool = True
    """Nothing differs that makes two runs another measurement."""


def matched(
    base: Sequence[Who], new: Sequence[Who], choice: Choice | None = None
) -> tuple[list[tuple[Who, Who]], list[str]]:
    """Pairs of sides, and a sentence for each side that has no partner.

    Paired is what has the same solver and model. Where nothing has: what has the same solver, where each run has it
    with one model; or the same model, where each has it with one solver; or the only two there are. Raises
    `UsageError` where that leaves nothing.
    """
    choice = choice or Choice()
    ours = _chosen(base, "base", choice.base_solver, choice.base_model)
    theirs = _chosen(new, "new", choice.new_solver, choice.new_model)
    for same in (lambda who: who, lambda who: who[0], lambda who: who[1], lambda who: None):
        found = [(a, b) for a in ours for b in theirs if same(a) == same(b)]
        if found and len(dict(found)) == len(found) == len({b for _, b in found}):
            break
    else:
        raise UsageError(
            f"nothing to pair: BASE has {_names(ours)}, NEW has {_names(theirs)}: `kernel-assay compare` chooses by "
            "--base-solver, --base-model, --new-solver and --new-model"
        )
    alone = [("BASE", who) for who in ours if who not in dict(found)]
    alone += [("NEW", who) for who in theirs if who not in {b for _, b in found}]
    return found, [f"{name_of(who)} is in {side} only: not compared" for side, who in alone]


def everyone(frame: pd.DataFrame) -> list[Who]:
    """Who attempted anything, in the order of the plan."""
    return list(dict.fromkeys(zip(frame["solver"], frame["model"], strict=True)))


def sides(base: pd.DataFrame, new: pd.DataFrame, pair: tuple[Who, Who]) -> Sides:
    """What of a pair may be compared."""
    several = len({*base["suite"], *new["suite"]}) > 1
    before, after = (_rows(frame, who, several) for frame, who in zip((base, new), pair, strict=True))
    digests = [frame.dropna(subset="task_digest").groupby("name")["task_digest"].unique() for frame in (before, after)]
    judged = [frame[frame["status"] == "judged"] for frame in (before, after)]
    planned, known_to = ([{*frame["name"]} for frame in frames] for frames in ((before, after), judged))
    reasons: dict[str, list[str]] = {}
    compared = []
    for name in dict.fromkeys([*before["name"], *after["name"]]):
        known = [{*of.get(name, ())} for of in digests]
        if name not in planned[0]:
            reason = "in NEW only"
        elif name not in planned[1]:
            reason = "in BASE only"
        elif any(len(each) > 1 for each in known) or (known[0] and known[1] and known[0] != known[1]):
            reason = "changed between the runs"
        elif not all(name in names for names in known_to):
            reason = "owed"
        else:
            compared.append(name)
            continue
        reasons.setdefault(reason, []).append(name)
    both = [frame[frame["name"].isin(compared)] for frame in judged]
    differing, columns = _differing(*both)
    return Sides(
        pair[0],
        pair[1],
        both[0],
        both[1],
        left_out={reason: tuple(names) for reason, names in reasons.items()},
        owed=(len(before) - len(judged[0]), len(after) - len(judged[1])),
        planned=(len(before), len(after)),
        differing=tuple(differing),
        speed_refused=_refusal(*both),
        strict=not ({*columns} - {*_MINE}) and "changed between the runs" not in reasons,
    )


def name_of(who: Who) -> str:
    """Solver and model, for people."""
    return clean(" ".join(part for part in who if part), 80)


def _refusal(before: pd.DataFrame, after: pd.DataFrame) -> str:
    for column in _OF_SPEED:
        known = {None if pd.isna(each) else each for each in (*before[column], *after[column])}
        if len(known) > 1:
            return f"{column}s differ"
        if known == {None}:
            return f"{column} unknown"
    return ""


def _differing(before: pd.DataFrame, after: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Sentences, and the columns that they are of."""
    told, columns = [], []
    for column, word in _CONDITIONS.items():
        found = [sorted({_text(column, value) for value in frame[column]}) for frame in (before, after)]
        if found[0] != found[1]:
            told.append(f"{word}: BASE {' and '.join(found[0])}, NEW {' and '.join(found[1])}")
            columns.append(column)
    return told, columns


def _text(column: str, value: object) -> str:
    if value is None or value != value:
        return "none" if column == "options" else "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clean(value)[:12] if column == "suite_digest" else clean(value, 80)


def _rows(frame: pd.DataFrame, who: Who, several: bool) -> pd.DataFrame:
    """A side's rows with the task's `name`: that of its suite before it where there are several suites."""
    rows = frame[(frame["solver"] == who[0]) & (frame["model"] == who[1])]
    return rows.assign(name=rows["suite"] + "/" + rows["task"] if several else rows["task"])


def _chosen(every: Sequence[Who], side: str, solver: str | None, model: str | None) -> list[Who]:
    """The sides that are meant, in the run's order. Raises `UsageError` where there is none of that name."""
    found = [who for who in every if solver in (None, who[0]) and model in (None, who[1])]
    if not found:
        asked = " ".join(f"--{side}-{kind} {text}" for kind, text in (("solver", solver), ("model", model)) if text)
        raise UsageError(f"{asked or side.upper()}: no such attempts, {side.upper()} has {_names(every)}")
    return found


def _names(every: Sequence[Who]) -> str:
    return ", ".join(map(name_of, every)) or "no attempts"
