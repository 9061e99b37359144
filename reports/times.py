"""Where a run's time went: seconds of judging by phase, and those in which a device was held alone.

    kernel-assay times RUN …

Read from the attempts' journals, which hold the verdict of each judgement, evaluations and grades alike. A verdict that
several attempts share, since their sources were the same, counts once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.run import Run, read_lines
from reports.records import attempt_of, latest, open_run, part, planned
from reports.table import Column, Table, clean, seconds, whole_percent


@dataclass
class Times:
    """Of one run."""

    run: Run
    judgements: int = 0
    workloads: int = 0
    """That were timed."""
    judging: float = 0.0
    """Seconds of all judgements, those that ran side by side added up."""
    models: float = 0.0
    """Seconds of waiting for models, likewise."""
    phases: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    """Seconds by phase in which a device was held alone."""
    alone: float = 0.0
    """The same, altogether."""
    wall: float = math.nan
    """Seconds from the first attempt's start to the last one's end."""
    devices: int = 1

    @property
    def busy(self) -> float:
        """Share of the devices' time in which they were held alone."""
        return self.alone / self.wall / self.devices if self.wall > 0 else math.nan


def read(runs: Sequence[Path]) -> list[Times]:
    """Of each run. Raises UsageError for what is no run, and where nothing was judged."""
    found = [_of(open_run(path)) for path in runs]
    if not any(each.judgements for each in found):
        raise UsageError(f"{', '.join(map(str, runs))}: no journal tells of a judgement: nothing was judged there yet")
    return [each for each in found if each.judgements]


def _of(run: Run) -> Times:
    times, seen = Times(run), set[tuple[object, object]]()
    told = run.about.get("devices")
    times.devices = told if isinstance(told, int) and told > 0 else 1
    for key in planned(run):
        for verdict in _judged(run.folder / "samples" / attempt_of(key).id / "journal.jsonl"):
            mark = (verdict.get("digest"), verdict.get("seed"))
            if mark in seen:
                continue
            seen.add(mark)
            times.judgements += 1
            times.workloads += len(verdict.get("timings") or ())
            times.judging += _number(verdict.get("seconds"))
            times.alone += _number(verdict.get("held_seconds"))
            times.phases.update(_numbers(verdict.get("phases")))
            times.held.update(_numbers(verdict.get("held_phases")))
    lines = latest(run).values()
    times.models = sum(_number(part(line, "spent").get("model_seconds")) for line in lines)
    moments = [(_moment(line.get("started")), _moment(line.get("finished"))) for line in lines]
    whole = [(start, end) for start, end in moments if start is not None and end is not None]
    if whole:
        times.wall = max(end for _, end in whole) - min(start for start, _ in whole)
    return times


def _judged(path: Path) -> Iterator[dict[str, Any]]:
    for entry in read_lines(path):
        if entry.get("kind") in ("evaluation", "grade") and isinstance(entry.get("answer"), dict):
            yield entry["answer"]


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0.0


def _numbers(values: object) -> dict[str, float]:
    return {str(name): _number(value) for name, value in values.items()} if isinstance(values, dict) else {}


def _moment(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return None


def tables(times: Sequence[Times]) -> list[Table]:
    """One for each run."""
    return [table(each) for each in times]


def table(times: Times) -> Table:
    """Phases, the longest first."""
    phases = [*times.phases.most_common(), ("all else", max(0.0, times.judging - sum(times.phases.values())))]
    held = [times.held[name] if times.held else math.nan for name, _ in phases]  # older records do not tell
    environment = times.run.about.get("environment")
    device = clean(environment.get("device", "unknown")) if isinstance(environment, dict) else "unknown"
    many = f"{times.devices} × {device}" if times.devices > 1 else device
    columns = (
        Column("phase", (*(clean(name) for name, _ in phases), "all"), text=True, names=True),
        Column("seconds", tuple(map(seconds, (*(took for _, took in phases), times.judging)))),
        Column("% of\njudging", (*(whole_percent(took / times.judging) for _, took in phases), "100")),
        Column("held\nalone s", tuple(map(seconds, (*held, times.alone)))),
        Column("ms a\nworkload", tuple(_a_workload(each, times.workloads) for each in (*held, times.alone))),
    )
    facts = (
        f"{times.judgements} judgements, {times.workloads} workloads timed, on {many}",
        f"{seconds(times.wall)} s from the first attempt's start to the last one's end; models: "
        f"{seconds(times.models)} s of waiting; device held alone: {whole_percent(times.busy)} % of the time",
    )
    legend = (
        "Seconds of judgements that ran side by side are added up. Held alone: under the device's lease, while nobody "
        "else timed; its time a workload is what a faster machine, or more processors, can't take away.",
    )
    return Table(f"Times: {times.run.folder.name}", facts, columns, (), legend)


def _a_workload(held: float, workloads: int) -> str:
    return f"{1000 * held / workloads:.0f}" if workloads and held == held else "-"
