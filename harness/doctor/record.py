"""A doctor's run: the folder that records one `--doctor` command.

RUN/doctor.json       suites, device, software, isolation, options
RUN/device.json       how fast the device was measured to be
RUN/findings.jsonl    one line a finding, append-only; later ones of the same key take the place of earlier ones
RUN/fates.jsonl       one line a mutant, so that a check of many minutes goes on where it was killed
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Self

from harness.doctor.finding import Check, Finding
from harness.errors import InfrastructureError, UsageError
from harness.run import append_line, read_lines, write_whole
from harness.task import Task

ABOUT, DEVICE, FINDINGS, FATES = "doctor.json", "device.json", "findings.jsonl", "fates.jsonl"
SCHEMA = 1


class DoctorRun:
    """A doctor's run folder, open for reading and appending."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder, self.about = folder, about

    @classmethod
    def create(cls, folder: Path, about: dict[str, Any]) -> Self:
        """A new folder. Raises UsageError if it can't be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / FINDINGS).touch()
            write_whole(folder / ABOUT, json.dumps({"schema": SCHEMA, **about}, indent=2) + "\n")
        except OSError as error:
            raise UsageError(f"{folder} can't be written ({error.strerror}): name another --run-dir") from None
        return cls(folder, {"schema": SCHEMA, **about})

    @classmethod
    def open(cls, folder: Path) -> Self:
        """An existing folder. Raises UsageError if it is none, torn, or of another version."""
        try:
            about = json.loads((folder / ABOUT).read_text())
        except FileNotFoundError:
            raise UsageError(f"{folder} is no doctor's run: it has no {ABOUT}") from None
        except (OSError, ValueError) as error:
            raise UsageError(f"{folder / ABOUT} can't be read: {error}") from None
        if not isinstance(about, dict) or about.get("schema") != SCHEMA:
            raise UsageError(f"{folder} was written by another version of the doctor: run it again")
        return cls(folder, about)

    def append(self, finding: Finding) -> None:
        """Add one finding. Raises InfrastructureError where the disk is full."""
        append_line(self.folder / FINDINGS, finding.to_json())

    def findings(self) -> list[Finding]:
        """The last finding of each key, in the order in which keys were first recorded."""
        latest: dict[tuple[str, str, Check, str], Finding] = {}
        for data in read_lines(self.folder / FINDINGS):
            try:
                finding = Finding.from_json(data)
            except (KeyError, TypeError, ValueError):
                continue
            latest[finding.key] = finding
        return list(latest.values())

    def note_fate(self, task: Task, environment: str, mutant: str, fate: str, how: str) -> None:
        """Add what became of one mutant. Raises InfrastructureError where the disk is full."""
        path = self.folder / FATES
        try:
            path.touch()
        except OSError as error:
            raise InfrastructureError(f"{path} can't be written ({error.strerror}): make room") from error
        key = {"task": task.name, "task_digest": task.digest, "environment": environment}
        append_line(path, {**key, "mutant": mutant, "fate": fate, "how": how})

    def fates(self, task: Task, environment: str) -> dict[str, tuple[str, str]]:
        """(fate, how) of the task's mutants, by name, as far as they were tried."""
        key = (task.name, task.digest, environment)
        return {
            str(data.get("mutant")): (str(data.get("fate")), str(data.get("how")))
            for data in read_lines(self.folder / FATES)
            if (data.get("task"), data.get("task_digest"), data.get("environment")) == key
        }

    def note_device(self, about: dict[str, Any]) -> None:
        """Write down, once, what the device was measured to do."""
        path = self.folder / DEVICE
        if not path.exists():
            write_whole(path, json.dumps(about, indent=1) + "\n")
