"""The solver's side of the wall: what a solver is, what it gets, what it gives back.

A solver is any object with `name` and `solve(task, bench) -> Solution | None`. It is made once a run by a factory (a
class or function) found through the entry-point group `kernel_assay.solvers`, as `module:attr` or as `file.py:Name`;
the factory's keyword parameters are the solver's options (`--solver=name:key=value,…`). The simplest whole solver:

    class Fixed:
        name = "fixed"
        def solve(self, task, bench):
            return Solution(MY_SOURCE, origin="by hand")

`solve` may be called from several threads at once for different attempts: keep an attempt's state in local variables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from harness.verdict import Feedback


@dataclass(frozen=True)
class Message:
    """One message to a model."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Usage:
    """What model calls cost. None is unknown: never counted as nothing."""

    calls: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    dollars: float | None = 0.0
    seconds: float = 0.0
    """Wall time waiting for the model."""
    cached_tokens: int | None = None
    """Of the prompt tokens: those that the provider took from its own cache."""
    reasoning_tokens: int | None = None
    """Of the completion tokens: those of thinking that is not shown."""
    saved_dollars: float | None = 0.0
    """What answers from a cache of model calls cost when they were asked for; not among `dollars`."""

    @classmethod
    def nothing(cls) -> Usage:
        """Where a sum begins: no call, everything known."""
        return cls(cached_tokens=0, reasoning_tokens=0)

    @property
    def worth(self) -> float | None:
        """Dollars that all answers cost, now or when they were asked for: what a budget counts."""
        return None if self.dollars is None or self.saved_dollars is None else self.dollars + self.saved_dollars

    @property
    def tokens(self) -> int | None:
        """Prompt and completion together; None if either is unknown."""
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        def plus(a: Any, b: Any) -> Any:
            return None if a is None or b is None else a + b

        return Usage(**{f.name: plus(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)})


@dataclass(frozen=True)
class Reply:
    """A model's answer."""

    text: str
    finish_reason: str | None = None
    """As the provider gives it; `length` means the answer was cut."""
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    """The model that answered, as the provider names it."""
    cached: bool = False
    """From a cache of model calls: nobody was asked, and it cost nothing now."""


@runtime_checkable
class Model(Protocol):
    """A language model, or what stands in for one. Made by a factory from the group `kernel_assay.models`.

    The factory gets, where it has such parameters: `model` and `base_url`, and what was given of `--model-profile`,
    `--model-cache` and `--model-cache-file` as `profile`, `cache` and `cache_file`. A model may have a method
    `settings() -> dict`: what makes its answers what they are, as JSON; `run.json` holds it, and on resume it must be
    the same.
    """

    @property
    def name(self) -> str:
        """As it stands in records and leaderboards."""
        ...

    @property
    def language_model(self) -> bool:
        """False for rule-based stand-ins such as `offline`: a report says so, and solvers show them the reference."""
        ...

    def complete(self, messages: Sequence[Message], *, sample: int = 0) -> Reply:
        """Answer a conversation. `sample` numbers independent answers to the same messages.

        Raises `harness.errors.ModelTrouble` when the provider failed after all retries.
        """
        ...


@dataclass(frozen=True)
class Solution:
    """One file of Python source that defines the task's entry point, with where it came from."""

    source: str
    origin: str = ""
    """Free text for people: `turn 7, strategy: larger blocks`."""

    @property
    def digest(self) -> str:
        """SHA-256 of the source."""
        return hashlib.sha256(self.source.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class TaskView:
    """All of a task that a solver may see."""

    name: str
    suite: str
    entry_point: str
    signature: str
    outputs: str
    """Python expression over the arguments that allocates the outputs uninitialised (number, shapes, dtypes)."""
    instruction: str
    level: int
    category: str
    aliases: tuple[str, ...]
    device: str
    """Name of the device that judges: `NVIDIA H200`, `interpreter`."""
    device_kind: Literal["cuda", "hip", "interpreter"]
    wordings: tuple[str, ...] = ()
    """Other texts in which this task was put to models elsewhere."""


@dataclass(frozen=True)
class Budget:
    """The most that an attempt may spend; None is no limit. Spent means: the best so far is graded."""

    evaluations: int | None = None
    tokens: int | None = None
    dollars: float | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in records."""
        return asdict(self)


class Workbench(Protocol):
    """All that a solver may touch."""

    @property
    def model(self) -> Model:
        """The run's model, metered: each call is recorded and counted against the budget."""
        ...

    @property
    def budget(self) -> Budget:
        """What is left."""
        ...

    sample: int
    """Which of several independent attempts at the task this is, from 1."""
    scratch: Path
    """A folder of the attempt's own; gone when the attempt ends."""
    seed: int
    """For a solver's own random choices; the same on resume."""
    shows_reference: bool
    """Whether this run lets the solver see the expert reference."""
    best: Solution | None
    """The fastest right solution evaluated so far."""

    def evaluate(self, source: str) -> Feedback:
        """Have the judge judge a candidate. Raises `harness.errors.BudgetSpent` when no evaluation is left."""
        ...

    def reference(self) -> str:
        """Source of the reference. Raises `harness.errors.UsageError` unless this run shows it."""
        ...

    def save(self, name: str, text: str) -> None:
        """Keep a file of the solver's own in the run (`samples/<attempt>/solver/<name>`), in place of an earlier one:
        whole or not at all."""
        ...

    def log(self, event: str, **data: Any) -> None:
        """Add a line to the attempt's transcript (`samples/<attempt>/transcript.jsonl`)."""
        ...


@runtime_checkable
class Solver(Protocol):
    """A plug-in that turns a task into a solution."""

    @property
    def name(self) -> str:
        """As it stands in node ids, records and leaderboards."""
        ...

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The solution to grade; None: there is none (grades the best evaluated one, if any, else `no code`).

        A solver that needs the reference has a method `wants_reference(model) -> bool`, one that shows its model the
        references of other tasks `shows_examples(model) -> bool`; the run then says so.
        A solver without use for the run's model has the attribute `uses_model = False`; one that asks models of its own
        has `metered = False`: what it spends on them is unknown.
        """
        ...
