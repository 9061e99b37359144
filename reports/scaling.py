"""What more turns and more instances buy: accuracy and speedup after turn 1, 2, … n, and pass@k.

    kernel-assay scaling RUN …

Read from the transcripts, in which a solver that works in turns writes an event `turn` for each version, with its turn,
its instance, and what the judge said of it. The figures are those of the search: what is handed in is judged afresh.
Attempts that are not judged, and those whose transcript holds no turns, count as never right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UsageError
from harness.run import Run, read_lines
from reports.records import Key, attempt_of, open_run, planned
from reports.statistics import failures_as_one, geometric_interval, geometric_mean, wilson_by_task
from reports.table import Column, Table, clean, percent, ratio


@dataclass
class Instance:
    """One line of turns within an attempt, or several that share its memory."""

    ran: int | None = None
    """The first turn that made a version which ran; None: no turn did."""
    right: int | None = None
    """The first turn that made a right one."""
    best: dict[int, float] = field(default_factory=dict)
    """By turn: the best speedup until then."""
    turns: int = 0
    """The last one."""

    def see(self, turn: int, ran: bool, right: bool, speedup: float | None) -> None:
        """One version; turns come in order."""
        self.turns = turn
        self.ran = turn if ran and self.ran is None else self.ran
        self.right = turn if right and self.right is None else self.right
        if right and speedup is not None:
            self.best[turn] = max(speedup, *self.best.values()) if self.best else speedup

    def speedup(self, turn: int) -> float:
        """The best speedup after so many turns; NaN: none."""
        return max((best for at, best in self.best.items() if at <= turn), default=math.nan)


@dataclass(frozen=True)
class Lines:
    """One solver with one model: the instances of each attempt."""

    solver: str
    model: str
    attempts: dict[tuple[Key, str], dict[int, Instance]]
    """By the attempt and the folder of its run."""
    devices: tuple[str, ...] = ()

    @property
    def turns(self) -> int:
        """The last turn that any of them made."""
        return max((each.turns for instances in self.attempts.values() for each in instances.values()), default=0)


def read(runs: Sequence[Path], counted: Mapping[str, set[Key]] | None = None) -> list[Lines]:
    """Of all planned attempts, by solver and model. `counted`: by folder, those that count; all unless given. Raises
    UsageError for what is no run, or holds no turns at all."""
    found: dict[tuple[str, str], dict[tuple[Key, str], dict[int, Instance]]] = {}
    devices: dict[tuple[str, str], dict[str, None]] = {}
    for path in dict.fromkeys(runs):
        run = open_run(path)
        about = run.about.get("environment")
        device = clean(about.get("device", "unknown")) if isinstance(about, dict) else "unknown"
        for key in planned(run):
            if counted is not None and key not in counted.get(str(run.folder), ()):
                continue
            found.setdefault(key[2:4], {})[key, str(run.folder)] = _instances(run, key)
            devices.setdefault(key[2:4], {})[device] = None
    lines = [Lines(*name, attempts, tuple(devices[name])) for name, attempts in found.items()]
    with_turns = [each for each in lines if each.turns]
    if not with_turns:
        raise UsageError(
            f"{', '.join(map(str, runs))}: no transcript tells of turns: name a run of a solver with turns, as geak"
        )
    return with_turns


def _instances(run: Run, key: Key) -> dict[int, Instance]:
    """By number."""
    found: dict[int, Instance] = {}
    for event in read_lines(run.folder / "samples" / attempt_of(key).id / "transcript.jsonl"):
        told = _turn(event)
        if told is not None:
            number, turn, ran, right, speedup = told
            found.setdefault(number, Instance()).see(turn, ran, right, speedup)
    return found


def _turn(event: dict[str, Any]) -> tuple[int, int, bool, bool, float | None] | None:
    """Instance, turn, did it run, was it right, speedup; None for any other event."""
    if event.get("event") != "turn":
        return None
    try:
        version = event["version"]
        speedup = version["speedup"]
        return (
            int(event.get("instance", 0)),
            int(event["turn"]),
            bool(version["feedback"]["call"]),
            bool(version["right"]),
            None if speedup is None else float(speedup),
        )
    except (KeyError, TypeError, ValueError):
        return None


def tables(lines: Sequence[Lines]) -> list[Table]:
    """A curve over turns for each solver and model; pass@k where attempts have several instances."""
    return [table for each in lines for table in (turns_table(each), instances_table(each)) if table is not None]


def turns_table(lines: Lines) -> Table:
    """After turn 1, 2, … n: the best of all instances of an attempt."""
    task = np.array([key[1] for key, _ in lines.attempts])
    rows = []
    for turn in range(1, lines.turns + 1):
        ran, right, speed = [], [], []
        for instances in lines.attempts.values():
            every = list(instances.values())
            ran.append(any(each.ran is not None and each.ran <= turn for each in every))
            right.append(any(each.right is not None and each.right <= turn for each in every))
            known = [s for each in every if not math.isnan(s := each.speedup(turn))]
            speed.append(max(known, default=math.nan))
        speeds = np.array(speed, dtype=np.float64)
        timed = ~np.isnan(speeds)
        all_of_them = failures_as_one(speeds)
        rows.append(
            (
                str(turn),
                percent(float(np.mean(ran)), *wilson_by_task(np.array(ran), task)),
                percent(float(np.mean(right)), *wilson_by_task(np.array(right), task)),
                ratio(geometric_mean(speeds[timed]), *geometric_interval(speeds[timed], task[timed]), decimals=3),
                ratio(geometric_mean(all_of_them), *geometric_interval(all_of_them, task), decimals=3),
            )
        )
    headers = ("turn", "call %", "execution %", "speedup", "failures\n= 1")
    columns = tuple(Column(header, tuple(row[n] for row in rows), names=n == 0) for n, header in enumerate(headers))
    legend = (
        "After so many turns, the best of all instances of an attempt; 95 % intervals as in the leaderboard. By the "
        "judgements that the solver asked for: what is handed in is judged afresh.",
    )
    facts: tuple[str, ...] = (f"{len(lines.attempts)} attempts, device {', '.join(lines.devices)}",)
    if "interpreter" in lines.devices:
        facts += ("times are of Triton's interpreter on a CPU: they say nothing of speed on a GPU",)
    return Table(f"Turns: {_name(lines)}", facts, columns, (), legend)


def instances_table(lines: Lines) -> Table | None:
    """pass@k over an attempt's instances and a task's samples; None where there is one of each."""
    by_task: dict[tuple[str, str], list[bool]] = {}
    for (key, _), instances in lines.attempts.items():
        tried = by_task.setdefault(key[:2], [])
        tried += [each.right is not None for each in instances.values()] or [False]
    least = min(map(len, by_task.values()))
    if least < 2:
        return None
    shares = {k: [pass_at_k(len(each), sum(each), k) for each in by_task.values()] for k in range(1, least + 1)}
    columns = (
        Column("k", tuple(map(str, shares)), names=True),
        Column("pass@k %", tuple(percent(float(np.mean(each))) for each in shares.values())),
    )
    legend = (
        "Share of tasks that k independent instances (or samples) solve at least once, without bias from all that ran: "
        "Chen et al. (2021), arXiv:2107.03374.",
    )
    return Table(f"Instances: {_name(lines)}", (f"{len(by_task)} tasks",), columns, (), legend)


def pass_at_k(tried: int, right: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k): the chance that k of n instances, c of them right, hold a right one."""
    return 1.0 - math.comb(tried - right, k) / math.comb(tried, k)


def _name(lines: Lines) -> str:
    return clean(f"{lines.solver}, {lines.model}" if lines.model else lines.solver)
