"""How texts that were published elsewhere are told apart: with single spaces, and without the ends of answers."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

ENDS = ("<|im_end|>", "<|EOT|>")
"""What some models end an answer with."""
HEAD = 600
"""Characters of a solution by which it is told from others."""


@lru_cache(maxsize=2048)
def normal(text: str) -> str:
    """Without ends of answers, and with single spaces: published copies differ by these."""
    for end in ENDS:
        text = text.replace(end, "")
    return re.sub(r"\s+", " ", text).strip()


def label_alias(solution: str) -> str:
    """Alias of a task whose published data holds this solution: says which one, and nothing of it. Some copies are cut
    short, so that the beginning counts; two tasks may share it."""
    head = normal(solution)[:HEAD].encode("utf-8", "surrogatepass")
    return f"label-{hashlib.sha256(head).hexdigest()[:16]}"
