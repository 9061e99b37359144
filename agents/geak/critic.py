"""The Critic: a language model's look at a draft before the judge has it. Off by default.

It may send a draft back to the Generator once, with what it found in words; it writes no code, and decides nothing:
what is right, and how fast, the judge alone says.
"""

from __future__ import annotations

from agents.extract import extract_words
from agents.geak.dialogue import Ask

TEMPLATE = "geak/critic.j2"
GOOD = "APPROVED"


def review(ask: Ask, source: str, plan: str) -> str:
    """What is wrong with a draft that was written to a plan (a strategy or a diagnosis); empty where it is approved,
    or the model had nothing to say."""
    words = extract_words(ask(TEMPLATE, draft=source, plan=plan).text)
    return "" if GOOD in words.upper().split("\n", 1)[0] else words
