"""One attempt in full, for a person who wants to know why: verdict, detail, times of each workload, cost, files."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.run import Run
from reports import table
from reports.records import Key, attempt_of, is_judged, latest, open_run, planned
from reports.render import terminal
from reports.table import Column, Table, clean

_LISTED = 12
"""Names given where one is not found."""


def show(run: Path | Run, name: str, width: int = 100) -> str:
    """Text on the attempt with that id, or on all attempts at the task of that name.

    Raises `UsageError` where the run has neither.
    """
    opened = open_run(run)
    lines, plan = latest(opened), planned(opened)
    keys = [*plan, *(key for key in lines if key not in plan)]
    chosen = [key for key in keys if attempt_of(key).id == name] or [key for key in keys if key[1] == name]
    if not chosen:
        raise UsageError(_not_found(opened, name, keys))
    return "\n".join(_one(opened, key, lines.get(key), width) for key in chosen)


def _not_found(run: Run, name: str, keys: list[Key]) -> str:
    names = list(dict.fromkeys(key[1] for key in keys))
    if not names:
        return f"{run.folder} has no attempts: its plan is empty"
    near = difflib.get_close_matches(name, [*names, *(attempt_of(key).id for key in keys)], n=3)
    shown = ", ".join(clean(each) for each in (near or names[:_LISTED]))
    more = f" and {len(names) - _LISTED} more" if not near and len(names) > _LISTED else ""
    offer = "did you mean" if near else "it has"
    return f"{run.folder} has no attempt and no task {clean(name)!r}: {offer} {shown}{more}"


def _one(run: Run, key: Key, line: dict[str, Any] | None, width: int) -> str:
    attempt = attempt_of(key).id
    parts = [clean(attempt)]
    if line is None:
        parts.append("owed: nothing is recorded yet")
    elif not is_judged(line):
        parts.append(f"owed: {clean(line.get('error') or 'the record holds no verdict')}")
    else:
        parts += _verdict(line["verdict"], width)
    if line is not None:
        parts += _rest(line)
    folder = run.folder / "samples" / attempt
    for what, name in (("solution", "solution.py"), ("transcript", "transcript.jsonl")):
        path = folder / name
        parts.append(f"{what}: {path}{'' if path.exists() else ' (missing)'}")
    return "\n".join(parts) + "\n"


def _verdict(verdict: dict[str, Any], width: int) -> list[str]:
    parts = [f"{clean(verdict.get('outcome'))}: {clean(verdict.get('reason') or 'no reason recorded')}"]
    detail = verdict.get("detail")
    if isinstance(detail, str) and detail.strip():
        parts += [f"    {_code_line(each)}" for each in detail.splitlines()]
    parts += [f"warning: {clean(each)}" for each in _list(verdict.get("warnings"))]
    parts += [f"note: {clean(each)}" for each in _list(verdict.get("notes"))]
    parts.append(f"cases passed: {verdict.get('cases_passed')} of {verdict.get('cases')}")
    parts += _accuracy(verdict.get("accuracy"))
    parts += _time(verdict)
    timings = [each for each in _list(verdict.get("timings")) if isinstance(each, dict)]
    if timings:
        parts.append(terminal([_workloads(timings)], width).rstrip())
    return parts


def _accuracy(found: Any) -> list[str]:
    if not isinstance(found, dict):
        return []
    mine, theirs, ratio = (_known(found.get(name)) for name in ("error", "reference_error", "ratio"))
    return [f"error: {mine}, the reference's {theirs}, {ratio} times it at most, on {clean(found.get('case'))}"]


def _time(verdict: dict[str, Any]) -> list[str]:
    """Where the judgement's time went; nothing in records of older versions."""
    phases = verdict.get("phases")
    if not isinstance(phases, dict) or not phases:
        return []
    told = ", ".join(f"{clean(name)} {_known(seconds)}" for name, seconds in phases.items())
    whole, held = _known(verdict.get("seconds")), _known(verdict.get("held_seconds"))
    return [f"judged in {whole} s, the device held alone for {held} s: {told}"]


def _workloads(timings: list[dict[str, Any]]) -> Table:
    def numbers(name: str) -> list[float]:
        return [float(each[name]) if isinstance(each.get(name), (int, float)) else float("nan") for each in timings]

    bounded = zip(numbers("speedup"), numbers("low"), numbers("high"), strict=True)
    columns = (
        Column("workload", tuple(clean(each.get("workload")) for each in timings), text=True, names=True),
        Column("speedup", tuple(table.ratio(*each) for each in bounded)),
        Column("candidate µs", tuple(map(table.microseconds, numbers("candidate_us")))),
        Column("reference µs", tuple(map(table.microseconds, numbers("reference_us")))),
        Column("% of limit", tuple(map(table.whole_percent, numbers("fraction")))),
        Column("reference % of limit", tuple(map(table.whole_percent, numbers("reference_fraction")))),
        Column("clock", tuple(clean(each.get("clock")) for each in timings), text=True),
    )
    return Table("", (), columns)


def _rest(line: dict[str, Any]) -> list[str]:
    spent = line.get("spent") if isinstance(line.get("spent"), dict) else {}
    names = ("evaluations", "calls", "prompt_tokens", "completion_tokens", "dollars", "model_seconds", "seconds")
    cost = ", ".join(f"{name.replace('_', ' ')} {_known((spent or {}).get(name))}" for name in names)
    said = [f"{name}: {clean(line[name])}" for name in ("origin", "stopped") if line.get(name)]
    said += [f"helped: {clean(each)}" for each in _list(line.get("helps"))]
    return [*said, f"spent: {cost}"]


def _known(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, (int, float)) and value == value else "unknown"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _code_line(line: str) -> str:
    """One line of code or of a traceback, safe for a terminal, with its indentation."""
    text = line.expandtabs(4)
    return " " * (len(text) - len(text.lstrip(" "))) + clean(text)
