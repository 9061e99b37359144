"""The solver itself: options, parallel instances, and the choice of what is handed in.

Sequential scaling is more turns (`iterations`), parallel scaling is more independent instances (`parallel`), of which
the best result is taken; `descendants` are several candidates a turn on one memory. The solution is the fastest right
version of all turns and instances. Where no version was right it is the newest that at least ran, so that call accuracy
can count; else the newest with code; else none.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal

from agents.geak.dialogue import Aids, template_digests
from agents.geak.loop import Limits, Loop
from agents.geak.memory import Memory, Version
from agents.knowledge import pages
from agents.replay import ReplaySolver
from agents.retrieval import Corpus
from harness.errors import UsageError
from harness.solver import Model, Solution, TaskView, Workbench


@dataclass(frozen=True)
class GeakSolver:
    """Generates, judges, reflects and optimises in turns."""

    name: ClassVar[str] = "geak"
    uses_model: ClassVar[bool] = True

    iterations: int = 10
    """Turns of each instance, debugging and optimising alike."""
    parallel: int = 1
    """Independent instances that share the attempt's budget."""
    descendants: int = 1
    """Candidates of a turn, each with a line of its own."""
    ancestors: int = 5
    """How many of the fastest right versions the Optimizer sees."""
    max_perf_debug_num: int = 5
    """Failed repairs in a row after which a line is left."""
    early_stop_threshold: float | None = None
    """An instance stops at this speedup; None: never."""
    patience: int | None = None
    """An instance stops when so many turns after that of its best right version brought nothing faster; None: never."""
    start: Literal["auto", "scratch", "reference"] = "auto"
    """What the first version is made from. `auto`: nothing, but the reference for a model that is no language model."""
    kernels: Path | None = None
    """Kernels that first versions are made from, as `replay` reads them: a file, or a folder of `<task>.py`. A task
    without one starts from nothing."""
    optimizer: bool = True
    """Off: the Generator is asked for a faster version without a strategy."""
    reflector: bool = True
    """Off: the Generator repairs from the judge's words alone."""
    knowledge: bool = True
    """Show pages on Triton, the device and the kind of operation."""
    one_shot: bool = True
    """Show a kernel of another operation before the first version, the nearest of the corpus."""
    corpus: Path | None = None
    """Kernels to choose from, JSON lines; None: the references of other tasks."""
    profile: bool = False
    """Show the Optimizer what the compiled kernels take and reach."""
    critic: bool = False
    """Have the model look a draft over before the judge has it."""

    def __post_init__(self) -> None:
        least = dict(iterations=1, parallel=1, descendants=1, ancestors=1, max_perf_debug_num=0)
        for option, smallest in least.items():
            if getattr(self, option) < smallest:
                raise UsageError(f"geak: {option} is {getattr(self, option)}; it has to be at least {smallest}")
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"geak: patience is {self.patience}; it has to be at least 1")
        if self.start not in ("auto", "scratch", "reference"):
            raise UsageError(f"geak: start is {self.start!r}; it is auto, scratch or reference")
        if self.kernels is not None and self.start != "auto":
            raise UsageError(f"geak: kernels to start from, and start={self.start}: leave one of them out")
        if self.corpus is not None and not self.one_shot:
            raise UsageError("geak: a corpus has no use with one_shot=false: leave one of them out")

    def wants_reference(self, model: Model | None) -> bool:
        """Whether the run has to show the reference to this solver."""
        if self.start == "auto":
            return self.kernels is None and model is not None and not model.language_model
        return self.start == "reference"

    def shows_examples(self, model: Model | None) -> bool:
        """Whether first versions are written beside the reference of another task."""
        asked = model is not None and model.language_model
        return self.one_shot and self.corpus is None and asked and not self.wants_reference(model)

    def check(self, tasks: Sequence[TaskView], model: Model | None) -> None:
        """Raises UsageError where examples or kernels are to be shown and can't be found."""
        if self.kernels is not None:
            _given(self.kernels).check(tasks)
        if tasks and self.one_shot and model is not None and model.language_model:
            self._corpus().nearest(tasks[0])

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The best version of all instances."""
        reference = self.wants_reference(bench.model)
        start, where = (bench.reference(), "the reference") if reference else self._kernel(task, bench.sample)
        aids = self._aids(task, bench, start, where)
        limits = Limits(
            self.iterations,
            self.ancestors,
            self.max_perf_debug_num,
            self.early_stop_threshold,
            self.patience,
            self.descendants,
            self.optimizer,
            self.reflector,
            self.critic,
        )
        loops = [Loop(task, bench, limits, start, aids, each, self.parallel) for each in range(self.parallel)]
        memories = _run(loops)
        chosen = _choose(memories)
        if chosen is None:
            return None
        instance, version = chosen
        return Solution(version.source or "", origin=self._origin(instance, version, bench.model, where, aids))

    def _kernel(self, task: TaskView, sample: int) -> tuple[str | None, str]:
        """What was given to start from, and where it stands."""
        given = None if self.kernels is None else _given(self.kernels)
        found = None if given is None else given.find(task, sample) or given.find(task, 1)
        source = None if given is None or found is None else given.code(found, task)
        return (source, found.where) if source is not None and found is not None else (None, "")

    def _aids(self, task: TaskView, bench: Workbench, start: str | None, where: str) -> Aids:
        """What the prompts show, which the transcript says. Rules that tune a kernel they are shown need none of it."""
        asked = bench.model.language_model
        example = self._corpus().nearest(task) if self.one_shot and start is None and asked else None
        aids = Aids(
            pages=pages(task) if self.knowledge and asked else (),
            example=example,
            profile=self.profile,
        )
        bench.log(
            "geak",
            options=asdict(self),
            templates=template_digests(),
            started_from=where,
            pages={page.name: page.digest for page in aids.pages},
            corpus=self._corpus().digest if self.one_shot and start is None and asked else None,
            example={"name": example.name, "origin": example.origin, "score": example.score} if example else None,
        )
        return aids

    def _corpus(self) -> Corpus:
        return _corpus(self.corpus)

    def _origin(self, instance: int, version: Version, model: Model, where: str, aids: Aids) -> str:
        parts = [f"turn {version.turn}"]
        if self.parallel > 1:
            parts.append(f"instance {instance + 1} of {self.parallel}")
        if version.note:
            words = " ".join(version.note.split())
            parts.append(f"{'repair' if version.diagnosis else 'strategy'}: {words[:200]}")
        if not version.right:
            parts.append("no right version was found")
        if not model.language_model:
            parts.append(f"by {model.name}: rules, not a language model")
        if where:
            parts.append(f"started from {where}")
        if aids.example is not None:
            parts.append(f"was shown {aids.example.name} of {aids.example.origin}")
        return "; ".join(parts)


@cache
def _given(path: Path) -> ReplaySolver:
    return ReplaySolver(path)


@cache
def _corpus(file: Path | None) -> Corpus:
    return Corpus.default() if file is None else Corpus.from_file(file)


def _run(loops: list[Loop]) -> list[Memory]:
    """Run all instances, the first to fail (in their order) failing the attempt, once all have ended."""
    if len(loops) == 1:
        return [loops[0].run()]
    with ThreadPoolExecutor(max_workers=len(loops), thread_name_prefix="geak") as pool:
        futures = [pool.submit(loop.run) for loop in loops]
    return [future.result() for future in futures]


def _choose(memories: list[Memory]) -> tuple[int, Version] | None:
    """The instance and version to hand in: right before ran before code; of right ones the fastest."""
    found = [(number, memory.result) for number, memory in enumerate(memories)]
    versions = [(number, version) for number, version in found if version is not None]

    def rank(pair: tuple[int, Version]) -> tuple[bool, bool, float, int]:
        number, version = pair
        return version.right, version.feedback.call, version.speedup or 0.0, -number

    return max(versions, key=rank, default=None)
