"""The solver `reflexion`: try, be judged, say in words what to learn from it, try again.

The method of Shinn et al., "Reflexion: Language Agents with Verbal Reinforcement Learning" (2023). An actor (Role:
generator) writes a kernel; the judge tries it; the model reflects on the failure (Role: reflector), and the words are
kept. The next trial sees the last version, what the judge said of it, and the last `memory` reflections: what is learnt
is text in a prompt. There is no optimiser: it ends at the first right version, however slow.

A failed model call loses its trial; `LOST_IN_A_ROW` of them are the provider's trouble and are raised, as is a run of
which no trial was left. A spent budget ends it. Where nothing was right the newest version that ran is handed in, else
the newest with code. Given the same answers and verdicts it makes the same requests in the same order.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

from agents.examples import Example, nearest
from agents.extract import extract_code, extract_words
from agents.geak.memory import Memory, Version, no_code
from agents.prompts import render, sample_number, template_digest
from harness.errors import BudgetSpent, ModelTrouble, UsageError
from harness.solver import Reply, Solution, TaskView, Workbench

ACT, REFLECT = "agents/reflexion.j2", "agents/reflexion_reflect.j2"
LOST_IN_A_ROW = 3


@dataclass(frozen=True)
class ReflexionSolver:
    """Repairs by reflecting in words, until a version is right."""

    name: ClassVar[str] = "reflexion"
    uses_model: ClassVar[bool] = True

    iterations: int = 10
    """Trials at the most: one generation and evaluation each."""
    shots: int = 0
    """Worked examples in the actor's prompt: 0 or 1."""
    memory: int = 3
    """How many of the last reflections are shown."""

    def __post_init__(self) -> None:
        for option in ("iterations", "memory"):
            if getattr(self, option) < 1:
                raise UsageError(f"reflexion: {option} is {getattr(self, option)}; it has to be at least 1")
        if self.shots not in (0, 1):
            raise UsageError(f"reflexion: shots is {self.shots}; it is 0 (zero-shot) or 1 (one-shot)")

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The first right version, or the best of what there is."""
        example = nearest(task) if self.shots else None
        templates = {name: template_digest(name) for name in (ACT, REFLECT)}
        shown = example.entry_point if example else None
        bench.log("reflexion", options=asdict(self), templates=templates, example=shown)
        trials = self._trials(task, bench, example)
        chosen = trials.result
        if chosen is None:
            return None
        reflections = sum(1 for each in trials.versions[: chosen.number] if each.diagnosis)
        origin = f"trial {chosen.number}, reflections: {reflections}"
        return Solution(chosen.source or "", origin if chosen.right else f"{origin}; no right version was found")

    def _trials(self, task: TaskView, bench: Workbench, example: Example | None) -> Memory:
        """All trials, the last one right unless none was; a version's `diagnosis` is the reflection it was made by."""
        memory = Memory()
        lost: ModelTrouble | None = None
        in_a_row = 0
        for turn in range(1, self.iterations + 1):
            try:
                version = self._trial(turn, memory, task, bench, example)
            except ModelTrouble as trouble:
                lost, in_a_row = trouble, in_a_row + 1
                bench.log("lost turn", turn=turn, error=str(trouble))
                if in_a_row == LOST_IN_A_ROW:
                    raise
                continue
            except BudgetSpent as spent:
                bench.log("budget spent", turn=turn, reason=str(spent))
                break
            in_a_row = 0
            memory.add(version)
            bench.log("turn", turn=turn, version=version.to_json())
            if version.right:
                break
        if lost is not None and not memory.versions:
            raise lost
        return memory

    def _trial(self, turn: int, memory: Memory, task: TaskView, bench: Workbench, example: Example | None) -> Version:
        number = memory.next_number
        last = memory.versions[-1] if memory.versions else None

        def ask(template: str, **values: object) -> Reply:
            prompt = render(template, task, last=last, **values)
            return bench.model.complete(prompt, sample=sample_number(bench, version=number))

        reflections = [each.diagnosis for each in memory.versions if each.diagnosis]
        words = ""
        if last is not None:
            words = extract_words(ask(REFLECT, reflections=reflections[-self.memory :]).text)
            reflections += [words] if words else []
        reply = ask(ACT, reflections=reflections[-self.memory :], example=example)
        source = extract_code(reply.text, task.entry_point)
        known = memory.known(source) if source is not None else None
        if source is None:
            cut = reply.finish_reason == "length"
            why = "was cut at the length limit before any code came" if cut else "held no code"
            feedback = no_code(f"The answer {why}. Answer with one complete Python file.", cut)
        else:
            feedback = known.feedback if known is not None else bench.evaluate(source)
        parent = last.number if last is not None else None
        return Version(number, source, feedback, diagnosis=words, parent=parent, turn=turn)
