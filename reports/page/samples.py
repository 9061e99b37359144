"""All that the page shows of one attempt, read from its run folder: instruction, sources, verdict, times, transcript.

Texts are cut where they are long, and it is said so; the files have them whole.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.run import Run, read_lines
from reports.records import Key, attempt_of, is_judged

LONGEST_TEXT = 20_000
"""Characters of one text."""
MOST_VERSIONS = 50
"""Of a candidate, at most, the last ones."""
Sample = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """One version of one attempt, as its solver's judgements saw it."""

    turn: int
    right: bool
    speedup: float | None
    dollars: float
    """Spent on the attempt until then."""


@dataclass
class Room:
    """Characters that a sample's transcript may take."""

    left: int
    cut: bool = False
    seen: set[int] = field(default_factory=set)
    """Texts that were shown already: a prompt is mostly what the one before it was."""

    def take(self, text: str) -> str:
        """The text, or so much of it as there is room for."""
        most = max(0, min(LONGEST_TEXT, self.left))
        shown = text if len(text) <= most else f"{text[:most]}\n… {len(text) - most} characters more"
        self.cut = self.cut or len(text) > most
        self.left -= len(shown)
        return shown


def sample(run: Run, key: Key, line: dict[str, Any] | None, transcript: int) -> tuple[Sample, list[Turn]]:
    """One attempt, and its turns; `line` is its last record, None where nothing is recorded; `transcript`: characters
    of that."""
    attempt = attempt_of(key)
    folder = run.folder / "samples" / attempt.id
    room = Room(LONGEST_TEXT)
    verdict = line["verdict"] if line is not None and is_judged(line) else None
    told: Sample = {
        "id": attempt.id,
        **dict(zip(("suite", "task", "solver", "model", "sample"), key, strict=True)),
        "run": str(run.folder),
        "instruction": room.take(_read(run.task_page(attempt.suite, attempt.task))),
        "source": Room(4 * LONGEST_TEXT).take(_read(folder / "solution.py")),
        "error": str((line or {}).get("error") or ("" if line else "owed: nothing is recorded yet")),
        **{name: str((line or {}).get(name) or "") for name in ("origin", "stopped", "same_as", "started", "finished")},
        "helps": [str(each) for each in _list((line or {}).get("helps"))],
        "spent": {str(k): v for k, v in _dict((line or {}).get("spent")).items() if isinstance(v, (int, float))},
        "verdict": _verdict(verdict) if verdict else None,
        "timings": [_timing(each) for each in _list((verdict or {}).get("timings")) if isinstance(each, dict)],
    }
    versions, events, turns, cut = _transcript(folder / "transcript.jsonl", transcript)
    shown = {**told, **_differences(told["source"], versions), "versions": versions, "events": events, "cut": cut}
    return shown, turns


def _verdict(verdict: dict[str, Any]) -> dict[str, Any]:
    names = ("outcome", "reason", "detail", "cases_passed", "cases", "worst_error", "failed_on", "digest")
    return {
        **{name: verdict.get(name) for name in names},
        "detail": Room(LONGEST_TEXT).take(str(verdict.get("detail") or "")),
        "warnings": [str(each) for each in _list(verdict.get("warnings"))],
        "notes": [str(each) for each in _list(verdict.get("notes"))],
        "stages": {str(name): value is True for name, value in _dict(verdict.get("stages")).items()},
    }


def _timing(timing: dict[str, Any]) -> dict[str, Any]:
    names = ("speedup", "low", "high", "candidate_us", "reference_us", "fraction", "reference_fraction", "triton_share")
    numbers = {name: timing[name] if isinstance(timing.get(name), (int, float)) else None for name in names}
    kernels = [each for each in _list(timing.get("kernels")) if isinstance(each, dict)]
    told = [f"{each.get('name')} × {each.get('launches')}" for each in kernels]
    return {"workload": str(timing.get("workload")), **numbers, "kernels": [each[:200] for each in told]}


def _differences(source: str, versions: list[dict[str, Any]]) -> dict[str, Any]:
    """What was handed in beside the version before it, and each version beside the one before it."""
    before = ""
    for version in versions:
        version["difference"] = difference(before, version["source"]) if before else ""
        before = version["source"]
    others = [each for each in versions if each["source"] != source]
    previous = others[-1] if others else None
    best = max((each for each in versions if each["right"]), key=lambda each: each["speedup"] or 0.0, default=None)
    return {
        "to_previous": difference(previous["source"], source) if previous else "",
        "previous": previous["number"] if previous else None,
        "to_best": difference(best["source"], source) if best and best["source"] != source else "",
        "best": best["number"] if best else None,
    }


def difference(before: str, after: str) -> str:
    """A unified difference without its head; empty where both are the same."""
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3))[2:]
    return Room(LONGEST_TEXT).take("\n".join(lines))


def _transcript(path: Path, room: int) -> tuple[list[dict[str, Any]], list[dict[str, str]], list[Turn], bool]:
    """Versions, events as title and text, turns, and whether something was cut."""
    left, dollars = Room(room), 0.0
    versions: list[dict[str, Any]] = []
    events: list[dict[str, str]] = []
    turns: list[Turn] = []
    for event in read_lines(path):
        spent = _dict(_dict(event.get("reply")).get("usage")).get("dollars")
        dollars += spent if isinstance(spent, (int, float)) else 0.0
        if event.get("event") == "turn" and (version := _version(event)) is not None:
            versions.append(version)
            if version["turn"] is not None:
                turns.append(Turn(version["turn"], version["right"], version["speedup"], dollars))
        if left.left <= 0:
            left.cut = True
            continue
        events += [{"title": title[:200], "text": left.take(text)} for title, text in _told(event, left)]
    return versions[-MOST_VERSIONS:], events, turns, left.cut


def _version(event: dict[str, Any]) -> dict[str, Any] | None:
    version = _dict(event.get("version"))
    source, speedup = version.get("source"), version.get("speedup")
    if not isinstance(source, str):
        return None
    feedback = _dict(version.get("feedback"))
    return {
        "number": _number(version.get("number")),
        "turn": _number(event.get("turn")),
        "source": Room(4 * LONGEST_TEXT).take(source),
        "right": version.get("right") is True,
        "speedup": speedup if isinstance(speedup, (int, float)) else None,
        "reason": str(feedback.get("message") or feedback.get("outcome") or "")[:500],
    }


def _told(event: dict[str, Any], room: Room) -> list[tuple[str, str]]:
    """One event as titles and texts."""
    kind = str(event.get("event"))
    if kind == "model":
        parts = []
        for message in _list(event.get("messages")):
            text = str(_dict(message).get("content") or "")
            if text and hash(text) not in room.seen:
                room.seen.add(hash(text))
                parts.append((f"to the model, {_dict(message).get('role')}", text))
        reply = _dict(event.get("reply"))
        room.seen.add(hash(str(reply.get("text") or "")))
        return [*parts, ("the model's answer", str(reply.get("text") or reply.get("finish_reason") or ""))]
    if kind == "evaluation":
        return [(f"judged: {event.get('outcome')}", str(event.get("reason") or ""))]
    if kind == "turn":
        version = _dict(event.get("version"))
        number, best = version.get("number"), event.get("best")
        said = f"version {number} ({event.get('kind')}), the best so far is {best}"
        return [(f"turn {event.get('turn')}", said)]
    rest = {name: value for name, value in event.items() if name != "event"}
    return [(kind, json.dumps(rest, indent=1, default=str)[:4000])]


def _number(value: Any) -> int | None:
    return value if type(value) is int and abs(value) < 1 << 31 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
