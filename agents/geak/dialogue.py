"""One instance's line to the model: renders a prompt, asks, gives the reply.

The roles (generator, reflector, optimizer) get an `Ask` and know nothing of workbenches, samples or retries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from agents.prompts import render, sample_number, template_digest
from harness.solver import Reply, TaskView, Workbench

if TYPE_CHECKING:
    from agents.knowledge import Page
    from agents.retrieval import Example

TEMPLATES = ("geak/generator.j2", "geak/reflector.j2", "geak/optimizer.j2", "geak/critic.j2")


@dataclass(frozen=True)
class Aids:
    """What prompts show besides the task and the versions."""

    pages: tuple[Page, ...] = ()
    """On Triton, the device and the kind of operation."""
    example: Example | None = None
    """A kernel of another operation, for a first version."""
    profile: bool = False
    """Show the Optimizer what the compiled kernels take and reach."""


class Ask(Protocol):
    """Renders a template for the task at hand and asks the model."""

    def __call__(self, template: str, **values: object) -> Reply:
        """The model's reply. Raises `harness.errors.ModelTrouble`, `harness.errors.BudgetSpent`."""
        ...


def asker(task: TaskView, bench: Workbench, instance: int, instances: int, number: int, aids: Aids) -> Ask:
    """The line to the model for version `number` of one instance."""

    def ask(template: str, **values: object) -> Reply:
        sample = sample_number(bench, instance, number, instances)
        return bench.model.complete(render(template, task, aids=aids, **values), sample=sample)

    return ask


def template_digests() -> dict[str, str]:
    """Digest by template, for the transcript."""
    return {name: template_digest(name) for name in TEMPLATES}
