"""Pages of what an expert knows of Triton and of the device at hand, for a prompt; written for this project.

A page is a Markdown file in this folder. Every task gets `ALWAYS` and the page of its device, and at most `SPECIFIC`
more, chosen by the words of its category and name, as far as there is room. The same task gets the same pages in the
same order, of at most `LIMIT` characters in all; no page of another device comes near it. A page names no task and
gives no task's answer away.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from harness.solver import TaskView

LIMIT = 6200
"""Characters of all pages that one task gets."""
SPECIFIC = 2
"""Pages on the kind of a task, at most."""

ALWAYS = ("basics",)
BY_DEVICE = {"cuda": "nvidia", "hip": "amd", "interpreter": "interpreter"}


@dataclass(frozen=True)
class Rule:
    """Which tasks a page is for."""

    page: str
    words: tuple[str, ...]
    """Parts of words in a task's category or name."""
    told: tuple[str, ...] = ()
    """Parts of words in its instruction, where category and name say too little."""


# In order of how much a page tells of a task that several fit: what has no room is left out.
RULES = (
    Rule("random", ("random", "rng", "dropout", "sampling")),
    Rule("order", ("sort", "scan", "argmax", "index", "kv-cache", "experts", "lora", "ssm", "movement", "swizzle")),
    Rule("attention", ("attention", "attn")),
    Rule("matmul", ("matrix product", "matmul", "gemm", "conv", "experts", "lora", "linear-attn", "dot")),
    Rule("rows", ("softmax", "norm", "reduc", "loss", "argmax")),
    Rule("lowbit", ("quant", "low-precision", "fp8", "mxfp", "fp4", "int4", "int8"), told=("float8", "int8")),
    Rule("elementwise", ("elementwise", "activation", "optimizer", "rope", "embedding", "movement", "memory", "copy")),
)


@dataclass(frozen=True)
class Page:
    """One page, as it goes into a prompt."""

    name: str
    title: str
    text: str
    """Markdown without the title."""

    @property
    def size(self) -> int:
        """Characters of title and text."""
        return len(self.title) + len(self.text)

    @property
    def digest(self) -> str:
        """SHA-256 of title and text, shortened to 16 digits."""
        return hashlib.sha256(f"{self.title}\0{self.text}".encode()).hexdigest()[:16]


def pages(task: TaskView) -> tuple[Page, ...]:
    """What to show for a task, in order: what always holds, its device, its kind."""
    return tuple(page(name) for name in (*ALWAYS, BY_DEVICE[task.device_kind], *_specific(task)))


@cache
def page(name: str) -> Page:
    """The page of that name."""
    head, _, text = (files("agents.knowledge") / f"{name}.md").read_text(encoding="utf-8").partition("\n")
    return Page(name, head.removeprefix("# ").strip(), text.strip())


def _specific(task: TaskView) -> list[str]:
    called, told = f"{task.category} {task.name}".lower(), task.instruction.lower()
    fitting = [
        rule.page
        for rule in RULES
        if any(word in called for word in rule.words) or any(word in told for word in rule.told)
    ]
    room = LIMIT - sum(page(name).size for name in (*ALWAYS, BY_DEVICE[task.device_kind]))
    chosen: list[str] = []
    for name in fitting:
        if page(name).size <= room and len(chosen) < SPECIFIC:
            chosen.append(name)
            room -= page(name).size
    return chosen
