"""The solver `mine`: asks a model for a kernel, has it judged, and tells the model what is wrong until it is right.

A place to begin from: the whole of a solver, in as few lines as one can be written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agents.extract import extract_code
from harness.errors import UsageError
from harness.solver import Message, Solution, TaskView, Workbench

PROMPT = """\
Write a GPU kernel in Triton.

{task.instruction}

Answer with one complete Python file in one ```python fence that defines `{task.signature}`.
"""


@dataclass(frozen=True)
class MySolver:
    """Each field is an option: `--solver=mine:tries=5`."""

    name: ClassVar[str] = "mine"
    uses_model: ClassVar[bool] = True

    tries: int = 3
    """Answers at the most."""

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise UsageError(f"mine: tries is {self.tries}; it has to be at least 1")

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The first right kernel; None grades the last one that was evaluated."""
        messages = [Message("user", PROMPT.format(task=task))]
        for number in range(1, self.tries + 1):
            # A spent budget raises BudgetSpent here or in `evaluate`: nothing need be done about it.
            reply = bench.model.complete(messages, sample=bench.sample)
            source = extract_code(reply.text, task.entry_point)
            told = "The answer holds no code."
            if source is not None:
                feedback = bench.evaluate(source)
                if feedback.right:
                    return Solution(source, origin=f"try {number}")
                told = f"{feedback.outcome}: {feedback.message}"
            bench.log("try", number=number, told=told)
            messages += [Message("assistant", reply.text), Message("user", f"{told}\n\nMend it; give the whole file.")]
        return None
