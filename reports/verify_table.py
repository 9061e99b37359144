"""A recount for people: what did not come out as recorded, on what each was judged, and one sentence at the end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from harness import __version__
from reports import table
from reports.records import attempt_of
from reports.table import Column, Table, clean
from reports.verify import Found, Recorded, Recount, speedups

_ON = ("device", "torch", "triton", "driver", "isolation")
_REASON = 160
"""Characters of a reason, at most."""
_NAME = 80
_NOT_TIMED = (math.nan, math.nan, math.nan)


def sentence(recount: Recount) -> str:
    """`verified 31 of 31: the same outcome`, or what is otherwise."""
    kinds = [found.differs[0] for _, found in recount.differing]
    counts = ", ".join(f"{name} {kinds.count(name)}" for name in dict.fromkeys(kinds))
    parts = [f"verified {recount.same} of {recount.total}: the same outcome"]
    parts += [f"{len(kinds)} not ({counts})"] if kinds else []
    left = recount.total - len(recount.found)
    parts += [f"stopped before {left} were judged"] if recount.stopped else []
    return "; ".join(parts)


def verify_table(recount: Recount) -> Table:
    """A row for each attempt that did not come out as recorded; without columns where all did."""
    rows = recount.differing
    legend = (
        "differs: source: the file is not what was judged, or is missing; task: it has changed since; stages: it got "
        "less far, or further; outcome: it stopped for another reason, as what is wrong by chance may; speedup: on the "
        "same device, the intervals of the geometric means do not overlap, with 1 % for what two processes differ by "
        "(on the interpreter ten times); "
        "not judged: trouble of the machine, no word about the kernel.",
    )
    return Table(
        "Verify",
        _facts(recount),
        _columns(rows) if rows else (),
        (*_loud(rows), *recount.notes, *_passed_over(recount)),
        (*(legend if rows else ()), sentence(recount)),
        _data(recount, rows),
    )


def _columns(rows: list[tuple[Recorded, Found]]) -> tuple[Column, ...]:
    before = [_times(each.line) for each, _ in rows]
    now = [_times(_line(found)) for _, found in rows]
    return (
        Column("attempt", tuple(clean(attempt_of(each.key).id, _NAME) for each, _ in rows), text=True, names=True),
        Column("differs", tuple(", ".join(found.differs) for _, found in rows), text=True),
        Column("recorded\noutcome", tuple(clean(each.verdict.get("outcome"), _NAME) for each, _ in rows), text=True),
        Column("outcome\nnow", tuple(_outcome(found) for _, found in rows), text=True),
        Column("recorded\nspeedup", tuple(table.ratio(*each) for each in before)),
        Column("speedup\nnow", tuple(table.ratio(*each) for each in now)),
        Column("recorded reason", tuple(reason(each.verdict) for each, _ in rows), text=True, elastic=True),
        Column("reason now", tuple(_reason_now(found) for _, found in rows), text=True, elastic=True),
    )


def _facts(recount: Recount) -> tuple[str, ...]:
    about = recount.run.about
    facts = [f"recorded: {words(recount.recorded_on)}, harness {clean(about.get('harness') or 'unknown', _NAME)}"]
    if recount.environment is not None:
        facts.append(f"now: {words(recount.environment)}, harness {__version__}")
    if recount.seed is not None:
        facts.append(f"sample: {len(recount.chosen)} of {recount.of} attempts, --sample-seed={recount.seed}")
    return tuple(facts)


def words(environment: Mapping[str, Any]) -> str:
    """What was judged on, on one line."""
    told = {name: clean(environment.get(name) or "unknown", _NAME) for name in _ON if name != "driver"}
    driver = f", driver {clean(environment['driver'], _NAME)}" if environment.get("driver") else ""
    return f"{told['device']}{driver}, torch {told['torch']}, Triton {told['triton']}, isolation {told['isolation']}"


def _loud(rows: Iterable[tuple[Recorded, Found]]) -> list[str]:
    damaged = [attempt_of(each.key).id for each, found in rows if "source" in found.differs]
    if not damaged:
        return []
    named = ", ".join(clean(each, _NAME) for each in damaged[:5]) + (" and others" if len(damaged) > 5 else "")
    many = "1 source is" if len(damaged) == 1 else f"{len(damaged)} sources are"
    return [f"TAMPERED WITH OR DAMAGED: {many} not what the record says was judged: {named}."]


def _passed_over(recount: Recount) -> list[str]:
    """What is not verified, by count."""
    notes = [f"Not verified: {recount.empty} attempts whose solver gave no code."] if recount.empty else []
    notes += [f"Not verified: {recount.owed} attempts that are owed."] if recount.owed else []
    for name, why in recount.absent.items():
        many = sum(each.key[0] == name for each in recount.chosen)
        notes.append(f"Not verified: {many} attempts of {clean(name, _NAME)}: {clean(why)}.")
    foreign = sum(not recount.same_device(each) for each in recount.chosen if each.key in recount.found)
    if recount.environment is not None and foreign:
        notes.append(f"Speedups of {foreign} attempts are not compared: they were judged on another device.")
    return notes


def _data(recount: Recount, rows: list[tuple[Recorded, Found]]) -> pd.DataFrame:
    """The same rows in full, with what each was judged on."""
    described, now = recount.recorded_on, recount.environment or {}
    known = [each.line.get("environment") in ("", None, described.get("digest")) for each, _ in rows]
    before, after = [_times(each.line) for each, _ in rows], [_times(_line(found)) for _, found in rows]
    return pd.DataFrame(
        {
            "attempt": [attempt_of(each.key).id for each, _ in rows],
            "differs": [", ".join(found.differs) for _, found in rows],
            "recorded_outcome": [each.verdict.get("outcome") for each, _ in rows],
            "outcome": [(found.verdict or {}).get("outcome") for _, found in rows],
            "recorded_reason": [each.verdict.get("reason") for each, _ in rows],
            "reason": [(found.verdict or {}).get("reason") or found.reason for _, found in rows],
            "recorded_seed": [each.verdict.get("seed") for each, _ in rows],
            "seed": [(found.verdict or {}).get("seed") for _, found in rows],
            **{f"recorded_{name}": [each[n] for each in before] for n, name in enumerate(("speedup", "low", "high"))},
            **{name: [each[n] for each in after] for n, name in enumerate(("speedup", "low", "high"))},
            **{f"recorded_{name}": [described.get(name) if each else None for each in known] for name in _ON},
            "recorded_harness": [recount.run.about.get("harness")] * len(rows),
            **{name: [now.get(name)] * len(rows) for name in _ON},
            "harness": [__version__] * len(rows),
        }
    )


def _times(line: Mapping[str, Any]) -> tuple[float, float, float]:
    return next(iter(speedups([line])), _NOT_TIMED)


def _line(found: Found) -> Mapping[str, Any]:
    return {"status": "judged", "verdict": found.verdict} if found.verdict is not None else {}


def _outcome(found: Found) -> str:
    return "not judged" if found.verdict is None else clean(found.verdict["outcome"], _NAME)


def reason(verdict: Mapping[str, Any]) -> str:
    """Of a verdict, as a cell."""
    return clean(verdict.get("reason") or "-", _REASON)


def _reason_now(found: Found) -> str:
    return reason(found.verdict) if found.verdict is not None else clean(found.reason, _REASON)
