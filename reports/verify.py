"""A recount: the sources that a run recorded are judged again, and what comes of it is held against the record.

    kernel-assay verify RUN

Held against it are the source, by the digest in the verdict; the task's digest; the outcome; the stages; and, on the
same device, the speedup. Nothing in the run folder is changed. This module reads and compares; `recount` judges.
"""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.run import Run
from harness.solver import Solution
from harness.verdict import Outcome
from reports.flat import columns, flatten
from reports.records import Key, attempt_of, is_judged, latest, part, planned
from reports.records import stages as stages_of
from reports.table import clean

SLACK = 0.01
"""By how much two judgements of one kernel may differ beyond what the intervals show, as a share: each times in
processes of its own, with tensors in other places (MEASUREMENTS.md, "Where a percent comes from")."""
INTERPRETED_SLACK = 9.0
"""On the interpreter: a few short rounds on processors that others use as well."""
WITHOUT_CODE = (Outcome.NO_CODE.value, Outcome.CUT.value)
_ESCAPED = re.compile(r"\\u(d[89a-f][0-9a-f]{2})")


@dataclass(frozen=True)
class Recorded:
    """An attempt as the run has it."""

    key: Key
    line: Mapping[str, Any]
    folder: Path
    """Its folder below `samples/`."""

    @property
    def verdict(self) -> Mapping[str, Any]:
        """The recorded one."""
        verdict: Mapping[str, Any] = self.line["verdict"]
        return verdict

    @property
    def empty(self) -> bool:
        """Did the solver give nothing, so that there is nothing to judge?"""
        nothing = self.verdict.get("outcome") in WITHOUT_CODE and not self.verdict.get("digest")
        return nothing and not (self.folder / "solution.py").exists()

    @cached_property
    def source(self) -> str | None:
        """What was judged; None where the file that should hold it does not, see `damage`."""
        return self._read[0]

    @property
    def damage(self) -> str:
        """What is wrong with the file of the source; empty where nothing is."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[str | None, str]:
        path, digest = self.folder / "solution.py", self.verdict.get("digest")
        if not path.exists():
            return None, "solution.py is missing"
        if not path.is_file():
            return None, "solution.py is no file"
        try:
            text = path.read_bytes().decode()
        except OSError as error:
            return None, f"solution.py can't be read ({error.strerror})"
        except UnicodeDecodeError:
            return None, "solution.py is not what was judged: it is no text"
        # As `harness.attempt` writes it: lone surrogates, which no file can hold, are spelled out.
        for source in (text, _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)):
            if Solution(source).digest == digest:
                return source, ""
        return None, "solution.py is not what was judged: its digest is not the verdict's"


@dataclass(frozen=True)
class Found:
    """What came of one attempt now."""

    differs: tuple[str, ...] = ()
    """In what: `source`, `task`, `stages`, `outcome`, `speedup`; or `not judged`."""
    verdict: Mapping[str, Any] | None = None
    """The new one, as records have it; None where there is none."""
    reason: str = ""
    """Then, why."""


@dataclass
class Recount:
    """What is asked of a run, and what was found by now."""

    run: Run
    chosen: list[Recorded]
    """What is to be verified."""
    of: int
    """Of so many that could be."""
    seed: int | None
    """Of the sample; None: all of them."""
    owed: int = 0
    empty: int = 0
    """Attempts whose solver gave nothing."""
    absent: dict[str, str] = field(default_factory=dict)
    """Suites whose tasks are not at hand, and why."""
    notes: list[str] = field(default_factory=list)
    """What else is to be said, a sentence each."""
    environment: Mapping[str, Any] | None = None
    """What it runs on now, once a judge has started."""
    found: dict[Key, Found] = field(default_factory=dict)
    stopped: bool = False
    """Before it was through."""

    @property
    def total(self) -> int:
        """Attempts to verify whose suite is at hand."""
        return sum(each.key[0] not in self.absent for each in self.chosen)

    @property
    def same(self) -> int:
        """Those that came out as recorded."""
        return sum(not each.differs for each in self.found.values())

    @property
    def differing(self) -> list[tuple[Recorded, Found]]:
        """Those that did not, in the order of the plan."""
        return [(each, self.found[each.key]) for each in self.chosen if self.found.get(each.key, Found()).differs]

    @property
    def recorded_on(self) -> Mapping[str, Any]:
        """What the run was judged on, as `run.json` describes it."""
        return part(self.run.about, "environment")

    def same_device(self, recorded: Recorded) -> bool:
        """Was it judged on a device like the one that judges now?"""
        described, now = self.recorded_on, self.environment or {}
        known = recorded.line.get("environment") in ("", None, described.get("digest"))
        return known and bool(now.get("device")) and described.get("device") == now.get("device")

    def hold(self, recorded: Recorded, verdict: Mapping[str, Any]) -> None:
        """Take down what was judged now."""
        interpreted = (self.environment or {}).get("device_kind") == "interpreter"
        differs = compare(recorded, verdict, self.same_device(recorded), interpreted)
        self.found[recorded.key] = Found(differs, verdict)


def read(run: Run, tasks: Sequence[str] = (), sample: int | None = None, seed: int | None = None) -> Recount:
    """What there is to verify: attempts at these tasks (all), or so many of them, drawn at random. The seed of the draw
    is fresh unless given. Raises UsageError for an unknown task, and where there is nothing to verify."""
    lines, plan = latest(run), planned(run)
    keys = [*plan, *(key for key in lines if key not in plan)]
    for name in tasks:
        _check_task(run, name, keys)
    keys = [key for key in keys if not tasks or key[1] in tasks]
    samples = run.folder / "samples"
    judged = [Recorded(key, lines[key], samples / attempt_of(key).id) for key in keys if is_judged(lines.get(key))]
    there = [each for each in judged if not each.empty]
    owed, empty = len(keys) - len(judged), len(judged) - len(there)
    if not there:
        raise UsageError(f"{run.folder}: nothing to verify: of {len(keys)} attempts {owed} are owed, {empty} empty")
    if sample is None or sample >= len(there):
        return Recount(run, there, len(there), None, owed, empty)
    seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
    drawn = sorted(random.Random(seed).sample(range(len(there)), sample))
    return Recount(run, [there[number] for number in drawn], len(there), seed, owed, empty)


def _check_task(run: Run, name: str, keys: Iterable[Key]) -> None:
    names = list(dict.fromkeys(key[1] for key in keys))
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3) or names[:12]
        raise UsageError(f"{run.folder} has no attempt at {clean(name)!r}: it has {', '.join(map(clean, near))}")


def compare(recorded: Recorded, verdict: Mapping[str, Any], times: bool, interpreted: bool = False) -> tuple[str, ...]:
    """In what a new verdict differs from the recorded one. `times`: they can be compared, it is the same device."""
    before = recorded.verdict
    outcome = before.get("outcome") != verdict["outcome"]
    # Tables go by the outcome; a record whose stages contradict it differs as well.
    passed = stages_of(before)
    stages = passed != verdict["stages"] or before.get("stages", passed) != passed
    timed = times and not outcome and not stages
    slack = INTERPRETED_SLACK if interpreted else SLACK
    before_and_now = list(speedups([recorded.line, {"status": "judged", "verdict": verdict}]))
    speed = timed and not _overlap(before_and_now[0], before_and_now[1], slack)
    return tuple(name for name, differs in (("stages", stages), ("outcome", outcome), ("speedup", speed)) if differs)


def speedups(lines: Iterable[Mapping[str, Any]]) -> Iterator[tuple[float, float, float]]:
    """Of each line: geometric mean of the speedups over the workloads and its interval; NaN where not timed."""
    said, _ = columns([flatten(line) for line in lines])
    return zip(*(map(float, said[name]) for name in ("speedup", "low", "high")), strict=True)


def _overlap(before: tuple[float, float, float], now: tuple[float, float, float], slack: float) -> bool:
    """Do the intervals overlap, with what they don't show; or was neither timed?"""
    timed = [value[0] == value[0] for value in (before, now)]
    if not all(timed):
        return timed[0] == timed[1]
    (low, high), (lower, higher) = (_bounds(*each) for each in (before, now))
    return low <= higher * (1 + slack) and lower <= high * (1 + slack)


def _bounds(speedup: float, low: float, high: float) -> tuple[float, float]:
    """An unknown bound is the value itself."""
    return (low if low == low else speedup), (high if high == high else speedup)
