"""A real workbench over a judge and a model that play by a script."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from agents.geak import GeakSolver
from harness.errors import ModelTrouble
from harness.solver import Budget, Message, Reply, TaskView, Usage
from harness.verdict import Outcome, Timing, Verdict
from harness.workbench import Bench

TASK = TaskView(
    name="scale",
    suite="test",
    entry_point="scale",
    signature="scale(x: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty_like(x)",
    instruction="Double every element.",
    level=1,
    category="elementwise",
    aliases=("scale_alias",),
    device="interpreter",
    device_kind="interpreter",
)


def right(speedup: float) -> Verdict:
    """Right and timed at this speedup."""
    timing = Timing("n=4", speedup, speedup, speedup, 100.0 / speedup, 100.0, (), (), "interpreted", 50.0, speedup / 2)
    return Verdict(Outcome.RIGHT, "right on 3 cases", timings=(timing,))


def wrong(outcome: Outcome = Outcome.VALUES, reason: str = "output 0 differs at [3]") -> Verdict:
    """Stopped by this outcome."""
    return Verdict(outcome, reason)


def kernel(tag: object) -> str:
    """A source that stands for one version."""
    return f"def scale(x):\n    return {tag!r}\n"


def coded(tag: object) -> str:
    """An answer that holds `kernel(tag)`."""
    return f"Here it is.\n\n```python\n{kernel(tag)}```\n"


def tag_of(source: str) -> str:
    """The tag of `kernel(tag)`."""
    return re.search(r"return '?(.*?)'?\n", source)[1]


class ScriptedModel:
    """Answers each role from its own list (the last is repeated); an exception in a list is raised."""

    def __init__(self, language_model: bool = True, **answers: Sequence[str | BaseException]) -> None:
        self.name, self.language_model = "scripted", language_model
        self.answers = {role: list(each) for role, each in answers.items()}
        self.asked: list[tuple[str, str, int]] = []
        self.lock = threading.Lock()

    def complete(self, messages: Sequence[Message], *, sample: int = 0) -> Reply:
        prompt = messages[-1].content
        role = prompt.strip().rpartition("Role: ")[2]
        with self.lock:
            self.asked.append((role, prompt, sample))
            left = self.answers.get(role, ["some words"])
            given = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(given, BaseException):
            raise given
        return Reply(given, "stop", Usage(1, 10, 10, None, 0.0))

    def roles(self) -> list[str]:
        return [role for role, _, _ in self.asked]

    def prompts(self, role: str) -> list[str]:
        return [prompt for each, prompt, _ in self.asked if each == role]


def trouble() -> ModelTrouble:
    return ModelTrouble("the provider is down")


def make_bench(
    folder: Path,
    model: object = None,
    judge: Callable[[str], Verdict] | None = None,
    verdicts: dict[str, Verdict] | None = None,
    **options,
) -> Bench:
    """A real bench whose judge is a function, or a table by tag of `kernel(tag)`."""
    folder.mkdir(parents=True, exist_ok=True)
    table = verdicts or {}

    def by_tag(source: str) -> Verdict:
        return table[tag_of(source)]

    given = {"budget": Budget(), "seed": 0, **options}
    return Bench(folder=folder, judge=judge or by_tag, model=model, **given)


def play(folder, answers, verdicts, budget=None, sample=1, **options):
    model = ScriptedModel(**answers)
    bench = make_bench(folder, model, verdicts=verdicts, budget=budget or Budget(), sample=sample)
    solution = GeakSolver(**options).solve(TASK, bench)
    bench.close()
    return solution, model, bench


def events(folder, kind):
    lines = (folder / "transcript.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def shown_speedups(prompt):
    return re.findall(r'role="history" outcome="right" speedup="([\d.]+)"', prompt)


def eventually(true, seconds=10.0):
    until = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < until, "it did not come to be so"
        time.sleep(0.02)
    return found
