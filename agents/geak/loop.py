"""The turns of one instance.

Each turn asks the Optimizer or the Reflector (or neither, when there is nothing yet), then the Generator, then the
judge, and remembers one version, or one for each of its descendants. These have lines of their own: what becomes of one
candidate decides what its line does next, while all lines share the memory of what was right. Given the same answers
and the same feedback a turn makes the same requests, so that a killed attempt can be resumed from its journal; a lost
turn leaves no trace in them. The memory is saved whole after every turn.

A model call that fails loses its candidate and no more. A turn of which no candidate is left is lost; `LOST_IN_A_ROW`
lost turns in a row are the provider's trouble and are raised, as is a run of which no turn was left. A spent budget
ends the loop; what was found counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

from agents.geak import critic, generator, optimizer, reflector
from agents.geak.dialogue import Aids, Ask, asker
from agents.geak.memory import Memory, Version, no_code
from harness.errors import BudgetSpent, ModelTrouble
from harness.solver import TaskView, Workbench

LOST_IN_A_ROW = 3

Kind = Literal["afresh", "repair", "optimise"]


@dataclass(frozen=True)
class Limits:
    """The options that steer one instance."""

    iterations: int
    ancestors: int
    max_perf_debug_num: int
    early_stop_threshold: float | None = None
    patience: int | None = None
    descendants: int = 1
    optimizer: bool = True
    reflector: bool = True
    critic: bool = False


@dataclass(frozen=True)
class Draft:
    """A version that is not judged yet."""

    kind: Kind
    source: str | None
    trouble: str = ""
    """Why there is no source."""
    strategy: str = ""
    diagnosis: str = ""
    parent: int | None = None
    repairs: int = 0
    review: str = ""
    cut: bool = False
    """There is no source because the answer ended at its length limit."""


@dataclass
class Loop:
    """One instance: independent of all others but for the shared budget."""

    task: TaskView
    bench: Workbench
    limits: Limits
    start: str | None
    """The kernel to begin from; None: from nothing."""
    aids: Aids = field(default_factory=Aids)
    """What the prompts show besides the task."""
    instance: int = 0
    """From 0."""
    instances: int = 1
    memory: Memory = field(default_factory=Memory)

    def run(self) -> Memory:
        """All turns; gives what was remembered."""
        trouble: ModelTrouble | None = None
        in_a_row = 0
        for turn in range(1, self.limits.iterations + 1):
            drafts = self._drafts()
            lost = [each for each in drafts if isinstance(each, ModelTrouble)]
            for descendant, each in enumerate(drafts):
                if isinstance(each, ModelTrouble):
                    self._log("lost turn", turn=turn, descendant=descendant, error=str(each))
            spent = next((each for each in drafts if isinstance(each, BudgetSpent)), None)
            try:
                for descendant, each in enumerate(drafts):
                    if isinstance(each, Draft):
                        self._judge(turn, descendant, each)
            except BudgetSpent as error:
                spent = error
            self._save(turn)
            if spent is not None:
                self._log("budget spent", turn=turn, reason=str(spent))
                break
            if len(lost) == len(drafts):
                trouble, in_a_row = lost[-1], in_a_row + 1
                if in_a_row == LOST_IN_A_ROW:
                    raise trouble
                continue
            in_a_row = 0
            reason = self._enough()
            if reason:
                self._log("early stop", turn=turn, reason=reason)
                break
        if trouble is not None and not self.memory.versions:
            raise trouble
        return self.memory

    def _drafts(self) -> list[Draft | ModelTrouble | BudgetSpent]:
        """One draft of each line, made at the same time: no line knows what the others' turn brings."""
        number = self.memory.next_number

        def one(descendant: int) -> Draft | ModelTrouble | BudgetSpent:
            ask = asker(self.task, self.bench, self.instance, self.instances, number + descendant, self.aids)
            try:
                return self._draft(ask, descendant)
            except (ModelTrouble, BudgetSpent) as error:
                return error

        many = self.limits.descendants
        if many == 1:
            return [one(0)]
        with ThreadPoolExecutor(max_workers=many, thread_name_prefix="geak-line") as pool:
            return list(pool.map(one, range(many)))

    def _judge(self, turn: int, descendant: int, draft: Draft) -> None:
        known = self.memory.known(draft.source) if draft.source is not None else None
        if draft.source is None:
            feedback = no_code(draft.trouble, draft.cut)
        elif known is not None:
            feedback = known.feedback
        else:
            feedback = self.bench.evaluate(draft.source)
        version = Version(
            number=self.memory.next_number,
            turn=turn,
            source=draft.source,
            feedback=feedback,
            strategy=draft.strategy,
            diagnosis=draft.diagnosis,
            parent=draft.parent,
            repairs=draft.repairs,
            descendant=descendant,
            review=draft.review,
        )
        self.memory.add(version)
        best = self.memory.best
        self._log(
            "turn",
            turn=turn,
            kind=draft.kind,
            version=version.to_json(),
            same_as=known.number if known else None,
            best=best.number if best else None,
        )

    def _save(self, turn: int) -> None:
        memory = {"instance": self.instance, "turn": turn, **self.memory.to_json()}
        self.bench.save(f"memory-{self.instance + 1}.json", json.dumps(memory, indent=1) + "\n")

    def _draft(self, ask: Ask, descendant: int) -> Draft:
        """The next version of a line, by its last one's fate."""
        last, best = self.memory.newest(descendant), self.memory.best
        if last is not None and not last.right and last.repairs < self.limits.max_perf_debug_num:
            return self._repair(ask, last, best)
        if best is not None:
            return self._improve(ask, best)
        tried = self.memory.others([])
        draft = Draft("afresh", None)
        return self._filled(ask, draft, lambda: generator.afresh(ask, self.task.entry_point, self.start, tried))

    def _repair(self, ask: Ask, last: Version, best: Version | None) -> Draft:
        tried = [each for each in self.memory.others([]) if each is not last and each is not best]
        diagnosis = reflector.diagnose(ask, last, best, tried) if self.limits.reflector else ""
        draft = Draft("repair", None, "", last.strategy, diagnosis, last.number, last.repairs + 1)
        return self._filled(ask, draft, lambda: generator.repair(ask, self.task.entry_point, last, best, diagnosis))

    def _improve(self, ask: Ask, best: Version) -> Draft:
        history = self.memory.history(self.limits.ancestors)
        strategy = optimizer.propose(ask, history, self.memory.others(history)) if self.limits.optimizer else ""
        draft = Draft("optimise", None, "", strategy, parent=best.number)
        return self._filled(ask, draft, lambda: generator.improve(ask, self.task.entry_point, best, strategy))

    def _filled(self, ask: Ask, draft: Draft, write: Callable[[], str]) -> Draft:
        """The draft with its source, looked over by the Critic if there is one; or with the reason why it has none."""
        try:
            draft = replace(draft, source=write())
        except generator.NoCodeError as trouble:
            return replace(draft, trouble=str(trouble), cut=trouble.cut)
        if not self.limits.critic:
            return draft
        assert draft.source is not None
        review = critic.review(ask, draft.source, draft.diagnosis or draft.strategy)
        if not review:
            return draft
        try:
            return replace(
                draft, review=review, source=generator.revise(ask, self.task.entry_point, draft.source, review)
            )
        except generator.NoCodeError:
            return replace(draft, review=review)  # better what there was

    def _enough(self) -> str:
        """Why to stop early, by the user's own options; empty: go on."""
        best, limits = self.memory.best, self.limits
        if best is None:
            return ""
        threshold = limits.early_stop_threshold
        if threshold is not None and best.speedup is not None and best.speedup >= threshold:
            return f"speedup {best.speedup:.3g} reaches the threshold {threshold:g}"
        since = self.memory.turns_since(best)
        if limits.patience is not None and since >= limits.patience:
            return f"{since} turns in a row brought nothing faster than version {best.number}"
        return ""

    def _log(self, event: str, **data: object) -> None:
        self.bench.log(event, instance=self.instance, **data)
