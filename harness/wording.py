"""How texts that were published elsewhere are told apart: with single spaces, and without the ends of answers."""

from __future__ import annotations

import hashlib
import re

ENDS = ("<|im_end|>", "<|EOT|>")
"""What some models end an answer with."""


def normal(text: str) -> str:
    """Without ends of answers, and with single spaces: published copies differ by these."""
    for end in ENDS:
        text = text.replace(end, "")
    return re.sub(r"\s+", " ", text).strip()


def label_alias(solution: str) -> str:
    """Alias of a task whose published data holds this solution: says which one, and nothing of it."""
    return f"label-{hashlib.sha256(normal(solution).encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
