"""The solver `direct`: one prompt, no repair. What a model can do unaided.

Zero-shot (`shots=0`) shows the instruction alone; one-shot (`shots=1`) adds one worked example of another operation.
The code is taken from the answer as it is; an answer without code gives no solution.

Best of n (`n=8`) asks the same prompt n times, each an independent line of work, has every answer judged, and hands in
the fastest right one; else the first that ran, else the first with code. The answers know nothing of each other. A
failed model call loses its answer and no more, all failing is raised; a spent budget ends it with what there is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from agents.examples import nearest
from agents.extract import extract_code
from agents.prompts import render, sample_number, template_digest
from harness.errors import BudgetSpent, ModelTrouble, UsageError
from harness.solver import Message, Solution, TaskView, Workbench
from harness.verdict import Feedback

TEMPLATE = "agents/direct.j2"


@dataclass(frozen=True)
class Answer:
    """One answer that holds code."""

    number: int
    """From 1; an answer without code and one that was lost have numbers, too."""
    source: str
    feedback: Feedback | None
    """None: not judged."""

    @property
    def rank(self) -> tuple[bool, bool, float, int]:
        """Right before ran before code; of right ones the faster, of equals the earlier is greater."""
        told = self.feedback
        if told is None:
            return False, False, -math.inf, -self.number
        speedup = told.speedup if told.right and told.speedup is not None else -math.inf
        return told.right, told.call, -math.inf if math.isnan(speedup) else speedup, -self.number


@dataclass(frozen=True)
class DirectSolver:
    """Asks the model once, or n times for the best of n."""

    name: ClassVar[str] = "direct"
    uses_model: ClassVar[bool] = True

    shots: int = 0
    """Worked examples in the prompt: 0 or 1."""
    n: int = 1
    """Independent answers; with more than one each is evaluated, and the best is handed in."""

    def __post_init__(self) -> None:
        if self.shots not in (0, 1):
            raise UsageError(f"direct: shots is {self.shots}; it is 0 (zero-shot) or 1 (one-shot)")
        if self.n < 1:
            raise UsageError(f"direct: n is {self.n}; it has to be at least 1")

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The code of the one answer, or of the best one."""
        example = nearest(task) if self.shots else None
        bench.log(
            "prompt",
            template=TEMPLATE,
            version=template_digest(TEMPLATE),
            shots=self.shots,
            example=example.entry_point if example else None,
        )
        answers = list(self._answers(render(TEMPLATE, task, example=example), task, bench))
        best = max(answers, key=lambda each: each.rank, default=None)
        if best is None:
            return None
        origin = f"direct, {'one' if self.shots else 'zero'}-shot"
        return Solution(best.source, f"{origin}, answer {best.number} of {self.n}" if self.n > 1 else origin)

    def _answers(self, prompt: list[Message], task: TaskView, bench: Workbench) -> Iterator[Answer]:
        """The answers that hold code, until all are made or the budget is spent."""
        judged: dict[str, Feedback] = {}
        lost: ModelTrouble | None = None
        replies = 0
        for number in range(1, self.n + 1):
            try:
                sample = sample_number(bench, instance=number - 1, instances=self.n)
                reply = bench.model.complete(prompt, sample=sample)
            except ModelTrouble as trouble:
                lost = trouble
                bench.log("lost answer", number=number, error=str(trouble))
                continue
            except BudgetSpent as spent:
                bench.log("budget spent", number=number, reason=str(spent))
                break
            replies += 1
            source = extract_code(reply.text, task.entry_point)
            if source is None:
                cut = " (it was cut at the length limit)" if reply.finish_reason == "length" else ""
                reason = f"the answer holds no code{cut}"
                bench.log("no code", number=number, reason=reason, finish_reason=reply.finish_reason)
                continue
            if self.n == 1:  # The grading will judge it: an evaluation would only judge it twice.
                yield Answer(number, source, None)
                continue
            try:
                feedback = judged[source] if source in judged else bench.evaluate(source)
            except BudgetSpent as spent:
                bench.log("budget spent", number=number, reason=str(spent))
                yield Answer(number, source, None)
                break
            judged[source] = feedback
            bench.log("answer", number=number, outcome=feedback.outcome, speedup=feedback.speedup)
            yield Answer(number, source, feedback)
        if lost is not None and not replies:
            raise lost
