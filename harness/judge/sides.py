"""The two that are timed, in turn."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.judge.clocks import Clocks
from harness.judge.pace import Pace
from harness.judge.usage import Usage
from harness.sandbox.candidate import CandidateProcess


@dataclass(frozen=True)
class Sides:
    """Their processes."""

    reference: CandidateProcess
    candidate: CandidateProcess
    usage: Usage
    """Of the device, by their judge."""


@dataclass
class Side:
    """One of them."""

    process: CandidateProcess
    clocks: Clocks = field(default_factory=Clocks)
    pace: Pace = field(default_factory=Pace)
    bare_pace: Pace = field(default_factory=Pace)
    """In blocks without a flush, where there is less to launch."""
    claim: float = 0.0
    """µs a call, in the last block."""
