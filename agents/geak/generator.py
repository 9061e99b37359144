"""The Generator: the only role that writes code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from agents.extract import extract_code
from agents.geak.dialogue import Ask
from agents.geak.memory import Version

TEMPLATE = "geak/generator.j2"
BLANK: Mapping[str, object] = MappingProxyType(
    {
        "start": None,
        "base": None,
        "wrong": None,
        "strategy": "",
        "diagnosis": "",
        "tried": (),
        "draft": "",
        "review": "",
    }
)
"""What the template takes where a prompt has no such part."""


class NoCodeError(Exception):
    """The answer held no code; the message says so in words for the Reflector."""

    def __init__(self, reason: str, cut: bool = False) -> None:
        super().__init__(reason)
        self.cut = cut


def _write(ask: Ask, entry_point: str, **values: object) -> str:
    reply = ask(TEMPLATE, **{**BLANK, **values})
    source = extract_code(reply.text, entry_point)
    if source is None:
        cut = reply.finish_reason == "length"
        why = "was cut at the length limit before any code came" if cut else "held no code"
        raise NoCodeError(f"The answer {why}. Answer with one complete Python file in one ```python fence.", cut)
    return source


def afresh(ask: Ask, entry_point: str, start: str | None, tried: Sequence[Version]) -> str:
    """A first version, from the kernel `start` or from nothing; `tried` are versions of lines that were left."""
    return _write(ask, entry_point, start=start, tried=tried)


def improve(ask: Ask, entry_point: str, base: Version, strategy: str) -> str:
    """The right version `base` changed as the strategy says."""
    return _write(ask, entry_point, base=base, strategy=strategy)


def repair(ask: Ask, entry_point: str, wrong: Version, base: Version | None, diagnosis: str) -> str:
    """The wrong version put right; `base` is the best right version, where there is one."""
    return _write(ask, entry_point, wrong=wrong, base=base, diagnosis=diagnosis, strategy=wrong.strategy)


def revise(ask: Ask, entry_point: str, draft: str, review: str) -> str:
    """A draft that the Critic sent back, written again."""
    return _write(ask, entry_point, draft=draft, review=review)
