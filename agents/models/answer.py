"""A streamed answer made whole, with what it cost in tokens."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from harness.solver import Reply, Usage


class Cut(Exception):
    """A stream ended before the model did."""


def gathered(stream: Iterable[Any], asked: str, until: float) -> Reply:
    """A streamed answer as a whole. Raises `Cut` if its end is missing, or had not come by the time `until`."""
    texts: list[str] = []
    finish: str | None = None
    model = asked
    usage = counted(None)
    for chunk in stream:
        if time.monotonic() > until:
            raise Cut(f"it was still coming at the deadline, after {len(''.join(texts))} characters")
        model = getattr(chunk, "model", None) or model
        if getattr(chunk, "usage", None) is not None:
            usage = counted(chunk.usage)
        for choice in chunk.choices or ():
            if choice.delta is not None and choice.delta.content:
                texts.append(choice.delta.content)
            finish = choice.finish_reason or finish
    if finish is None:
        raise Cut(f"the stream ended after {len(''.join(texts))} characters without a finish_reason")
    return Reply("".join(texts), finish, usage, model)


def counted(usage: Any) -> Usage:
    """The tokens that a provider tells of, at a price that is not known yet; what it doesn't tell is unknown."""
    cached = _number(usage, "prompt_tokens_details", "cached_tokens")
    return Usage(
        calls=1,
        prompt_tokens=_number(usage, "prompt_tokens"),
        completion_tokens=_number(usage, "completion_tokens"),
        dollars=None,
        # DeepSeek has a name of its own.
        cached_tokens=_number(usage, "prompt_cache_hit_tokens") if cached is None else cached,
        reasoning_tokens=_number(usage, "completion_tokens_details", "reasoning_tokens"),
    )


def _number(value: Any, *path: str) -> int | None:
    """A count, where one stands there: providers leave out and fill in what they like."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
