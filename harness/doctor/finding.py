"""What the doctor says of one task and one check, and the checks that there are."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Check(StrEnum):
    """What a task has to prove, in this order."""

    PAGE = "page"
    """The instruction is complete."""
    CASES = "cases"
    """Cases vary what must vary, arguments too; costs count the tensors' bytes."""
    NULLS = "nulls"
    """Answers that compute nothing are wrong."""
    REFERENCE = "reference"
    """The reference is right with many fresh seeds, and at the workloads' sizes."""
    MUTANTS = "mutants"
    """Mistakes planted in the reference are found."""
    LIMIT = "limit"
    """Workloads are long enough to time, and the reference is near what the hardware can do."""


class Result(StrEnum):
    """How a check ended."""

    PROVEN = "proven"
    WAIVED = "waived"
    """Proven but for what the task's `waivers` explain."""
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One task, one check, one device."""

    suite: str
    task: str
    task_digest: str
    check: Check
    result: Result
    sentences: tuple[str, ...]
    """What was found wanting; for a proven check, what was seen."""
    device: str
    device_kind: str
    """`cuda`, `hip` or `interpreter`."""
    environment: str
    """Digest of device, software and isolation; `run.json` has it in full."""
    level: int
    category: str
    figures: dict[str, Any] = field(default_factory=dict)
    """Numbers of the check, as JSON: `mutants` counts fates, `limit` lists workloads."""
    seconds: float = 0.0
    finished: str = ""
    """UTC, ISO 8601."""

    @property
    def key(self) -> tuple[str, str, Check, str]:
        """A later finding of the same key takes the place of an earlier one."""
        return (self.task, self.task_digest, self.check, self.environment)

    def to_json(self) -> dict[str, Any]:
        """As it stands in `findings.jsonl`."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Back from the file; fields of a newer version are passed over."""
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        known.update(check=Check(known["check"]), result=Result(known["result"]), sentences=tuple(known["sentences"]))
        return cls(**known)
