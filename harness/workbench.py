"""The workbench that a solver gets: a metered model, the judge behind one door, a budget, a scratch folder, a log.

Everything that came from outside (model answers, verdicts) is written to the attempt's `journal.jsonl` the moment it
arrives. An attempt that was killed is run again from the start with that journal: what was asked before is answered
from it, so that nothing is judged or paid twice and a deterministic solver ends up where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.errors import BudgetSpent, UsageError
from harness.run import write_whole
from harness.solver import Budget, Message, Model, Reply, Solution, Usage
from harness.transcript import Transcript
from harness.verdict import Feedback, Verdict

JudgeFn = Callable[[str], Verdict]
"""Source in, verdict out: the judge, bound to the task."""


class Journal:
    """What came from outside in an earlier try of this attempt, and what comes now. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._asked: Counter[tuple[str, str]] = Counter()
        self._answers: dict[tuple[str, str, int], dict[str, Any]] = {}
        if path.exists():
            for line in path.read_bytes().split(b"\n"):
                try:
                    entry = json.loads(line)
                    self._answers[entry["kind"], entry["key"], entry["occurrence"]] = entry["answer"]
                except (ValueError, KeyError, TypeError):
                    continue
        self._file = path.open("ab")
        if self._file.tell() and path.read_bytes()[-1:] != b"\n":
            self._file.write(b"\n")

    def ask(self, kind: str, key: str, answer: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], bool]:
        """The answer of an earlier try, or a new one that is written down: (answer, is it from before?)."""
        with self._lock:
            self._asked[kind, key] += 1
            place = (kind, key, self._asked[kind, key])
            if place in self._answers:
                return self._answers[place], True
        try:
            fresh = answer()
        except BaseException:
            with self._lock:
                self._asked[kind, key] -= 1
            raise
        entry = {"kind": kind, "key": key, "occurrence": place[2], "answer": fresh}
        with self._lock:
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
        return fresh, False

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Bench:
    """The workbench of one attempt; implements `harness.solver.Workbench`."""

    def __init__(
        self,
        *,
        folder: Path,
        judge: JudgeFn,
        grader: JudgeFn | None = None,
        model: Model | None,
        budget: Budget,
        seed: int,
        sample: int = 1,
        reference: str | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        self.sample, self.seed = sample, seed
        self.scratch = Path(tempfile.mkdtemp(prefix="kernel-assay-"))
        self.shows_reference = reference is not None
        self.best: Solution | None = None
        self.last: Solution | None = None
        self.evaluations = 0
        self.judgements = 0
        """Verdicts that were asked for, those that the journal had included."""
        self.spent = ""
        """The resource of the budget that ran out first, if any did."""
        self.usage = Usage.nothing()
        self.cut = False
        """Whether the model's last answer was cut at its length limit."""
        self._judges = {"evaluation": judge, "grade": grader or judge}
        self._folder, self._model, self._reference = folder, model, reference
        self._allowed = budget
        self._started = time.monotonic()
        self._best_speedup = float("-inf")
        self._notice = notice or (lambda _: None)
        self._lock = threading.RLock()
        self._judging = threading.Lock()
        self._journal = Journal(folder / "journal.jsonl")
        (folder / "versions").mkdir(exist_ok=True)
        self._transcript = (folder / "transcript.jsonl").open("w", encoding="utf-8", errors="backslashreplace")
        self._conversation = Transcript(folder / "transcript.md")

    @property
    def model(self) -> Model:
        """The run's model, metered."""
        if self._model is None:
            raise UsageError("this solver asks for a model: name one with --model")
        return _Metered(self, self._model)

    @property
    def budget(self) -> Budget:
        """What is left."""
        with self._lock:
            spent_tokens, dollars = self.usage.tokens, self.usage.worth
        allowed = self._allowed

        def left(limit: float | None, spent: float | None) -> Any:
            return None if limit is None else limit if spent is None else max(limit - spent, type(limit)(0))

        return Budget(
            evaluations=left(allowed.evaluations, self.evaluations),
            tokens=left(allowed.tokens, spent_tokens),
            dollars=left(allowed.dollars, dollars),
            seconds=left(allowed.seconds, time.monotonic() - self._started),
        )

    def evaluate(self, source: str) -> Feedback:
        """Have the judge judge a candidate; see `harness.solver.Workbench`."""
        solution = Solution(source)
        with self._lock:
            self._check("evaluations", "seconds")
            self.evaluations += 1
            number = self.evaluations
        self._notice(f"evaluation {number}")
        verdict = self._judged("evaluation", solution)
        with self._lock:
            self.last = solution
            speedup = verdict.speedup if verdict.speedup is not None else 0.0
            if verdict.right and speedup > self._best_speedup:
                self.best, self._best_speedup = solution, speedup
        self._write(f"versions/{number:03d}.py", source)
        self.log(
            "evaluation",
            number=number,
            digest=solution.digest,
            outcome=verdict.outcome,
            reason=verdict.reason,
            speedup=verdict.speedup,
            seconds=verdict.seconds,
        )
        best = f", best {self._best_speedup:.3f}x" if self.best else ""
        self._notice(f"evaluation {number}: {verdict.outcome}{best}")
        return Feedback.of(verdict, number)

    def grade(self, solution: Solution) -> Verdict:
        """The verdict that counts: judged afresh, with inputs and times of its own, not the solver's pick."""
        self._notice("grading")
        return self._judged("grade", solution)

    def reference(self) -> str:
        """Source of the reference, where the run shows it."""
        if self._reference is None:
            raise UsageError("this run does not show the reference to solvers")
        return self._reference

    def save(self, name: str, text: str) -> None:
        """Keep a file of the solver's own; see `harness.solver.Workbench`."""
        if not re.fullmatch(r"[\w.-]{1,80}", name) or name.startswith("."):
            raise UsageError(f"a solver's file can't be named {name!r}: letters, digits, `_`, `-` and `.` alone")
        folder = self._folder / "solver"
        folder.mkdir(exist_ok=True)
        write_whole(folder / name, text.encode("utf-8", "backslashreplace").decode())

    def log(self, event: str, **data: Any) -> None:
        """Add a line to the attempt's transcript."""
        with self._lock:
            self._transcript.write(json.dumps({"event": event, **data}, default=str) + "\n")
            self._transcript.flush()

    def close(self) -> None:
        """Close the files and remove the scratch folder."""
        for file in (self._transcript, self._journal):
            with contextlib.suppress(OSError):  # what a full disk did not take was told when it was written
                file.close()
        self._conversation.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _judged(self, kind: str, solution: Solution) -> Verdict:
        with self._lock:
            self.judgements += 1

        def judge() -> dict[str, Any]:
            with self._judging:
                return self._judges[kind](solution.source).to_json()

        answer, _ = self._journal.ask(kind, solution.digest, judge)
        return Verdict.from_json(answer)

    def _complete(self, model: Model, messages: Sequence[Message], sample: int) -> Reply:
        self._check("tokens", "dollars", "seconds")
        request = [asdict(message) for message in messages]
        key = hashlib.sha256(json.dumps([model.name, request, sample]).encode()).hexdigest()

        def ask() -> dict[str, Any]:
            self._notice("waiting for the model")
            return asdict(model.complete(messages, sample=sample))

        answer, _ = self._journal.ask("model", key, ask)
        reply = Reply(**{**answer, "usage": Usage(**answer["usage"])})
        with self._lock:
            self.usage = self.usage + reply.usage
            self.cut = reply.finish_reason == "length"
            self.log("model", messages=request, sample=sample, reply=answer)
            self._conversation.add(messages, sample, reply)
        return reply

    def _check(self, *resources: str) -> None:
        left = self.budget
        for name in resources:
            value = getattr(left, name)
            if value is not None and value <= 0:
                self.spent = name
                raise BudgetSpent(name)

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")


class _Metered:
    """A model whose calls are counted, journaled and written to the transcript."""

    def __init__(self, bench: Bench, model: Model) -> None:
        self._bench, self._inner = bench, model
        self.name, self.language_model = model.name, model.language_model

    def complete(self, messages: Sequence[Message], *, sample: int = 0) -> Reply:
        """As the model's own; raises BudgetSpent as well."""
        return self._bench._complete(self._inner, messages, sample)
