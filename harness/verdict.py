"""What the judge says of a candidate: how far it came, why it stopped, its figures. One vocabulary of failure.

A verdict holds no expected values and no inputs; the seeds that made its inputs are in it, because they are spent.
`Feedback` is the part of a verdict that a solver may see.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Stage(StrEnum):
    """What is asked of a candidate, in this order, each a condition of the next."""

    CALL = "call"
    EXECUTION = "execution"
    SPEEDUP = "speedup"


class Outcome(StrEnum):
    """Why the judge stopped. `STAGE_OF` says which stage an outcome denies."""

    RIGHT = "right"
    """Right on every case and timed on every workload."""

    NO_CODE = "no code"
    CUT = "answer cut"
    """No code, and the model's last answer was cut at its length limit: the limit's fault, or the model's verbosity."""
    SYNTAX = "syntax error"
    NO_ENTRY_POINT = "no entry point"
    IMPORT_ERROR = "import error"
    CALL_ERROR = "call error"
    COMPILE_ERROR = "compile error"
    CRASH = "crash"
    EXIT = "exit"
    TIMEOUT = "timeout"
    MEMORY = "out of memory"
    ILLEGAL_ACCESS = "illegal memory access"
    OUTPUT_FLOOD = "output flood"
    PROTOCOL = "broken protocol"

    STRUCTURE = "wrong structure"
    SHAPE = "wrong shape"
    DTYPE = "wrong dtype"
    DEVICE = "wrong device"
    STRIDES = "wrong strides"
    NON_FINITE = "wrong NaN or infinity"
    VALUES = "wrong values"
    MUTATED = "inputs changed"
    ALIASED = "output is an input"
    NO_TRITON = "no Triton kernel"
    TORCH_WORK = "torch does the work"
    CHEATING = "cheating"
    """It was seen doing what no kernel needs and the rules forbid; the sentence says what."""

    TIMED_WRONG = "wrong when timed"
    TIMING_FAILED = "failed when timed"
    IMPLAUSIBLE = "implausible time"

    UNSUPPORTED = "unsupported here"
    """The interpreter can't judge it: in the denominator, in its own column, never called wrong."""


_CALL = (
    "NO_CODE CUT SYNTAX NO_ENTRY_POINT IMPORT_ERROR CALL_ERROR COMPILE_ERROR CRASH EXIT TIMEOUT MEMORY ILLEGAL_ACCESS "
    "OUTPUT_FLOOD PROTOCOL UNSUPPORTED"
)
_EXECUTION = (
    "STRUCTURE SHAPE DTYPE DEVICE STRIDES NON_FINITE VALUES MUTATED ALIASED NO_TRITON TORCH_WORK CHEATING TIMED_WRONG"
)

STAGE_OF: dict[Outcome, Stage | None] = {
    Outcome.RIGHT: None,
    **{Outcome[name]: Stage.CALL for name in _CALL.split()},
    **{Outcome[name]: Stage.EXECUTION for name in _EXECUTION.split()},
    Outcome.TIMING_FAILED: Stage.SPEEDUP,
    Outcome.IMPLAUSIBLE: Stage.SPEEDUP,
}
"""The stage that an outcome denies; the stages before it were passed."""


@dataclass(frozen=True)
class Kernel:
    """One compiled kernel of a candidate, as one call on a workload ran it; None is unknown.

    Told by the candidate's own process: for people and optimisers, never for a verdict."""

    name: str
    launches: int
    """In the call."""
    time_us: float | None
    """Of all its launches, by the device's profiler."""
    warps: int | None
    """A program."""
    registers: int | None
    """A thread."""
    spills: int | None
    """Values a thread that found no register."""
    shared: int | None
    """Bytes of shared memory a program."""
    occupancy: float | None
    """Share of a multiprocessor's threads that can be resident, from 0 to 1; see `harness.judge.occupancy`."""


@dataclass(frozen=True)
class Timing:
    """Candidate and reference on one workload, timed in turn."""

    workload: str
    """Id of the workload (or case, on the interpreter)."""
    speedup: float
    """Median of paired ratios, reference over candidate; above 1 the candidate is faster."""
    low: float
    high: float
    """Ends of its 95 % interval (`harness.judge.statistics`)."""
    candidate_us: float
    reference_us: float
    """Median time of one call, µs."""
    candidate_samples_us: tuple[float, ...]
    reference_samples_us: tuple[float, ...]
    """A median of a round, or of each half of its calls, in the order of the rounds, µs; the same length, paired."""
    clock: str
    """`device` (device events, bounded by the judge's clock) or `interpreted` (the judge's clock, interpreter)."""
    limit_us: float | None = None
    """The hardware's limit: least bytes or operations over the rates measured on this device, µs."""
    fraction: float | None = None
    """`limit_us / candidate_us`: share of the hardware's limit that the candidate reaches."""
    reference_fraction: float | None = None
    judge_us: float | None = None
    """One call by the judge's own clock, µs: an upper bound, launch and flush included."""
    unseen_us: float | None = None
    """What the judge's clock saw beyond the claims in blocks without flushes, µs a call, the harness's part taken off;
    see `harness.judge.clocks`."""
    triton_share: float | None = None
    """Of the device's time in a call: what the kernels took that Triton launched, by the profiler."""
    bandwidth: float | None = None
    """Least bytes of the workload over the candidate's time, bytes/s; None on the interpreter."""
    rate: float | None = None
    """Its operations over that time, operations/s; None where a task counts none."""
    worst_error: float | None = None
    """Largest error of the outputs compared when timed, as a share of what the tolerance allows."""
    kernels: tuple[Kernel, ...] = ()
    """What it launched, the longest first (GPU)."""
    doubt: str = ""
    """What the judge's clock says against the claims, and the device was too busy to prove."""
    processes: int = 1
    """Pairs of processes that it was timed in; the samples of one follow those of another."""


@dataclass(frozen=True)
class Accuracy:
    """What a right kernel loses against the oracle, on the case where that is most beside what the reference loses."""

    case: str
    error: float
    """Root mean square of the distance from the oracle, over the oracle's root mean square."""
    reference_error: float
    ratio: float
    """`error` over `reference_error`, neither taken as less than the rounding of the output's format."""


@dataclass(frozen=True)
class Verdict:
    """What the judge says of one candidate."""

    outcome: Outcome
    reason: str
    """One sentence with the evidence."""
    detail: str = ""
    """What a person or model needs to repair it: the error with the candidate's line, or where values differ."""
    cases_passed: int = 0
    cases: int = 0
    worst_error: float | None = None
    """Largest error over all right outputs, as a share of what the tolerance allows (1 would just pass)."""
    accuracy: Accuracy | None = None
    """Of a right kernel with floating-point outputs."""
    timings: tuple[Timing, ...] = ()
    seed: int | None = None
    """The secret from which this judgement's inputs were made."""
    seconds: float = 0.0
    """Wall time of the judgement."""
    timing_seconds: float = 0.0
    """The part of it that timing took, workloads' first calls and waiting for the device included."""
    held_seconds: float = 0.0
    """The part of it in which the device was held alone."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds by what was done, each moment counted once; see `harness.judge.stopwatch`."""
    held_phases: dict[str, float] = field(default_factory=dict)
    """Those of them in which the device was held alone."""
    slowest: tuple[str, float] | None = None
    """The case that took longest, its compilation and check included, and its seconds."""
    failed_on: str | None = None
    """The case or workload on which it first failed or was wrong; None where it was none of them that showed it."""
    digest: str = ""
    """SHA-256 of the candidate's source."""
    warnings: tuple[str, ...] = ()
    """What makes it suspicious, a sentence each: a person should look. It proves nothing and changes no stage."""
    notes: tuple[str, ...] = ()
    """What this judgement could not look at, a sentence each; no fault of the candidate."""
    rules: dict[str, bool] = field(default_factory=dict)
    """Of a script task: what other rules say; see `harness.judge.script_trial`."""

    def passed(self, stage: Stage) -> bool:
        """Did the candidate pass this stage?"""
        stopped = STAGE_OF[self.outcome]
        order = list(Stage)
        return stopped is None or order.index(stage) < order.index(stopped)

    def reached(self, stage: Stage) -> bool:
        """Was this stage tried at all?"""
        stopped = STAGE_OF[self.outcome]
        order = list(Stage)
        return stopped is None or order.index(stage) <= order.index(stopped)

    @property
    def right(self) -> bool:
        """Passed call and execution, whatever its speed."""
        return self.passed(Stage.EXECUTION)

    @property
    def speedup(self) -> float | None:
        """Geometric mean of the speedups over the workloads; None where nothing was timed."""
        return geometric_mean([timing.speedup for timing in self.timings]) if self.passed(Stage.SPEEDUP) else None

    def to_json(self) -> dict[str, Any]:
        """As it stands in records."""
        return {**asdict(self), "stages": {stage.value: self.passed(stage) for stage in Stage}, "speedup": self.speedup}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Back from a record."""
        plain: dict[str, Any] = {key: value for key, value in data.items() if key not in ("stages", "speedup")}
        plain["timings"] = tuple(_timing(each) for each in plain["timings"])
        plain["accuracy"] = Accuracy(**plain["accuracy"]) if plain.get("accuracy") else None
        plain["slowest"] = tuple(plain["slowest"]) if plain.get("slowest") else None
        sentences = {name: tuple(plain.get(name, ())) for name in ("warnings", "notes")}
        return cls(**{**plain, **sentences, "outcome": Outcome(plain["outcome"])})


def _timing(data: dict[str, Any]) -> Timing:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    values["kernels"] = tuple(Kernel(**each) for each in values.get("kernels", ()))
    return Timing(**values)


def geometric_mean(values: list[float]) -> float | None:
    """Geometric mean of positive values; None of none, or where one is unknown (NaN)."""
    if not values or any(math.isnan(value) for value in values):
        return None
    return math.exp(sum(math.log(value) for value in values) / len(values))


@dataclass(frozen=True)
class WorkloadFeedback:
    """One timed workload, as a solver sees it."""

    workload: str
    time_us: float
    reference_us: float
    speedup: float
    fraction: float | None
    """Share of the hardware's limit, None where unknown."""
    bandwidth: float | None = None
    """Bytes/s, as `Timing` counts them."""
    rate: float | None = None
    """Operations/s, likewise."""
    kernels: tuple[Kernel, ...] = ()


@dataclass(frozen=True)
class Feedback:
    """What a solver learns of a candidate: never expected values, never seeds."""

    outcome: Outcome
    call: bool
    right: bool
    """Passed call and execution accuracy."""
    message: str
    """The verdict's sentence, then what is needed to repair it."""
    speedup: float | None
    workloads: tuple[WorkloadFeedback, ...] = field(default=())
    evaluation: int = 0
    """Number of this evaluation within the attempt, from 1."""

    @classmethod
    def of(cls, verdict: Verdict, evaluation: int) -> Self:
        """The part of a verdict that a solver may see."""
        return cls(
            outcome=verdict.outcome,
            call=verdict.passed(Stage.CALL),
            right=verdict.right,
            message="\n".join(part for part in (verdict.reason, verdict.detail) if part),
            speedup=verdict.speedup,
            workloads=tuple(
                WorkloadFeedback(
                    t.workload,
                    t.candidate_us,
                    t.reference_us,
                    t.speedup,
                    t.fraction,
                    t.bandwidth,
                    t.rate,
                    t.kernels,
                )
                for t in verdict.timings
            ),
            evaluation=evaluation,
        )
