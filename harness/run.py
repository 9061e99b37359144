"""A run: the folder that records one command, and is the truth of it.

    RUN/run.json               what was asked and on what: suite, solvers, model, options, environment, planned attempts
    RUN/device.json            the device, and how fast it was measured to be, beside its datasheet
    RUN/tasks/<task>.md        what solvers were told of each task
    RUN/results.jsonl          one line an attempt, append-only; a torn last line means "owed again"
    RUN/samples/<attempt>/     solution.py, verdict.json, transcript.jsonl, journal.jsonl (for going on after a kill)

Several processes (pytest-xdist's workers) append to the same results: each line is one locked write. Later lines of an
attempt replace earlier ones; a line with status `owed` records trouble that was no fault of the candidate.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from harness.errors import InfrastructureError, UsageError
from harness.verdict import Verdict

SCHEMA = 1


@dataclass(frozen=True)
class Attempt:
    """What is run, recorded and counted: one task, solver, model and sample."""

    suite: str
    task: str
    solver: str
    """The solver's label: its name, or its specification where options were given."""
    model: str
    """The model's name; empty for a solver that uses none."""
    sample: int
    """From 1; independent attempts at the same thing."""

    @cached_property
    def id(self) -> str:
        """Stable name within a run, and the name of its folder under `samples/`."""
        return _plain([self.suite, self.task, self.solver, *([self.model] if self.model else []), str(self.sample)])


@dataclass(frozen=True)
class Spent:
    """What an attempt cost. None is unknown."""

    evaluations: int = 0
    calls: int = 0
    """Model calls."""
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    dollars: float | None = 0.0
    model_seconds: float = 0.0
    seconds: float = 0.0
    """Wall time of the whole attempt."""
    cached_tokens: int | None = None
    """Of the prompt tokens: those that the provider took from its own cache."""
    reasoning_tokens: int | None = None
    """Of the completion tokens: those of thinking that is not shown."""
    saved_dollars: float | None = 0.0
    """What answers from a cache of model calls once cost; not among `dollars`."""


@dataclass(frozen=True)
class Record:
    """One line of `results.jsonl`."""

    attempt: Attempt
    status: Literal["judged", "owed"]
    verdict: Verdict | None
    """None only when owed."""
    task_digest: str
    environment: str
    """Digest of the environment; `run.json` has it in full."""
    level: int
    category: str
    spent: Spent = field(default_factory=Spent)
    origin: str = ""
    """Where the graded solution came from, in the solver's words."""
    stopped: str = ""
    """Why the solver ended early (`budget spent: evaluations`), empty if it ended by itself."""
    error: str = ""
    """For an owed attempt: what went wrong."""
    same_as: str = ""
    """Id of the attempt for which an identical solution was judged: its verdict is this one's. Empty: judged itself."""
    helps: tuple[str, ...] = ()
    """What was changed in a published task so that it runs here."""
    started: str = ""
    finished: str = ""
    """UTC, ISO 8601."""

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {**asdict(self), "schema": SCHEMA, "verdict": self.verdict.to_json() if self.verdict else None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Back from the file; fields of a newer version are passed over."""
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        verdict = Verdict.from_json(known["verdict"]) if known.get("verdict") else None
        return cls(
            **{
                **known,
                "attempt": Attempt(**known["attempt"]),
                "spent": Spent(**known["spent"]),
                "verdict": verdict,
                "helps": tuple(known.get("helps", ())),
            }
        )


def now() -> str:
    """The time as records write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Run:
    """A run folder, open for reading and appending."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self.about = about
        """What `run.json` holds."""

    @classmethod
    def create(cls, folder: Path, about: dict[str, Any]) -> Self:
        """A new run folder. Raises `UsageError` if it can't be written or holds a run already."""
        if (folder / "run.json").exists():
            raise UsageError(
                f"{folder} holds a run already: continue it with --resume {folder}, or name another --run-dir"
            )
        try:
            (folder / "samples").mkdir(parents=True, exist_ok=True)
            (folder / "results.jsonl").touch()
            write_whole(folder / "run.json", json.dumps({"schema": SCHEMA, **about}, indent=2) + "\n")
        except OSError as error:
            raise UsageError(
                f"the run folder {folder} can't be written ({error.strerror}): name another --run-dir"
            ) from None
        return cls(folder, {"schema": SCHEMA, **about})

    @classmethod
    def open(cls, folder: Path) -> Self:
        """An existing run folder. Raises `UsageError` if it is none, torn, or of a newer schema."""
        try:
            about = json.loads((folder / "run.json").read_text())
        except FileNotFoundError:
            raise UsageError(f"{folder} is no run folder: it has no run.json") from None
        except (OSError, ValueError) as error:
            raise UsageError(f"{folder / 'run.json'} can't be read: {error}") from None
        if not isinstance(about, dict) or about.get("schema") != SCHEMA:
            found = about.get("schema") if isinstance(about, dict) else None
            raise UsageError(f"{folder} was written by another version (schema {found}, this one reads {SCHEMA})")
        return cls(folder, about)

    def append(self, record: Record) -> None:
        """Add one line, whole or not at all as far as other processes see it, and force it to disk."""
        append_line(self.folder / "results.jsonl", record.to_json())

    def note_device(self, about: dict[str, Any]) -> None:
        """Write down, once, what the device was measured to do (`device.json`)."""
        path = self.folder / "device.json"
        if not path.exists():
            write_whole(path, json.dumps(about, indent=1) + "\n")

    def note_task(self, suite: str, task: str, instruction: str) -> None:
        """Write down, once, what solvers are told of a task."""
        path = self.task_page(suite, task)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            write_whole(path, instruction)

    def task_page(self, suite: str, task: str) -> Path:
        """Where that stands."""
        return self.folder / "tasks" / f"{_plain([suite, task])}.md"

    def records(self) -> list[Record]:
        """The last record of each attempt, in the order in which attempts were first recorded."""
        latest: dict[str, Record] = {}
        for data in self._lines():
            try:
                record = Record.from_json(data)
            except (KeyError, TypeError, ValueError):
                continue
            latest[record.attempt.id] = record
        return list(latest.values())

    def judged(self) -> dict[str, Record]:
        """Records of attempts that need nothing more, by attempt id."""
        return {record.attempt.id: record for record in self.records() if record.status == "judged"}

    def planned(self) -> list[Attempt]:
        """Every attempt that was collected: the denominator."""
        return [Attempt(**plan) for plan in self.about.get("plan", [])]

    def sample(self, attempt: Attempt) -> Path:
        """The attempt's folder, made if need be."""
        path = self.folder / "samples" / attempt.id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _lines(self) -> Iterator[dict[str, Any]]:
        return read_lines(self.folder / "results.jsonl")


def append_line(path: Path, data: dict[str, Any]) -> None:
    """Add one line of JSON to an existing file, whole or not at all as far as other processes see it, and force it to
    disk. Raises InfrastructureError where that can't be done."""
    line = json.dumps(data, allow_nan=True).encode() + b"\n"
    try:
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                torn = file.read(1) != b"\n"
                line = b"\n" + line if torn else line
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), end)
                raise
    except OSError as error:
        raise InfrastructureError(
            f"{path} can't be written ({error.strerror}): make room, then continue with --resume {path.parent}"
        ) from error


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file of JSON lines; torn lines are passed over, a missing file has none."""
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    data = json.loads(line)
                except ValueError:
                    continue
                if isinstance(data, dict):
                    yield data
    except FileNotFoundError:
        return


def _plain(parts: list[str]) -> str:
    """A name of these that is fit for a file system."""
    plain = [re.sub(r"[^A-Za-z0-9_.=,+]+", "-", part)[:80] for part in parts]
    return "--".join(plain if plain == parts else [*plain, _short_digest(parts)])


def _short_digest(parts: list[str]) -> str:
    """Tells names apart that look alike once they are fit for a file system."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:8]


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a kill leaves the old one or the new one, never half of it."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    part.write_text(text)
    os.replace(part, path)
