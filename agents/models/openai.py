"""The model `openai`: any address that speaks the OpenAI chat protocol.

What was asked, put together: the options given go before the profile's; in front of the client (`agents.models.client`)
stands a cache of its answers, where one is asked for. With `cache="replay"` there is no network: neither a key nor the
`openai` package is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from agents.models.cache import Cache, CachedModel
from agents.models.client import Client
from agents.models.profile import Profile, read_profile, table
from harness.errors import UsageError
from harness.solver import Message, Reply


@dataclass(frozen=True)
class OpenAIModel(Profile):
    """A language model behind an OpenAI-compatible address. Once made, its fields are the settled ones."""

    profile: str | None = None
    """A TOML file, or the name of a profile that is shipped: what is unset here is taken from there."""
    cache: Literal["auto", "off", "refresh", "replay"] | None = None
    """Unset: `auto` where a file is named, else `off`."""
    cache_file: Path | None = None
    """SQLite file of answers."""

    name: str = field(init=False, default="")
    """The model's name."""
    language_model: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        for name in ("extra_body", "extra_headers"):
            value: Any = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, table(name, value))
        given = self.over(Profile()).checked("--model-option")
        settled = given.over(read_profile(self.profile)) if self.profile else given
        settled = settled.checked("--model-option with the profile")
        for each in fields(Profile):
            object.__setattr__(self, each.name, getattr(settled, each.name))
        client = Client(settled)
        mode = self.cache or ("auto" if self.cache_file else "off")
        if mode != "replay":
            client.check()
        if mode != "off" and self.cache_file is None:
            raise UsageError(f"--model-cache={mode} needs a file: name it with --model-cache-file=FILE")
        if mode == "off" or self.cache_file is None:
            asked: Client | CachedModel = client
        else:
            asked = CachedModel(client, Cache(Path(self.cache_file), mode))
        object.__setattr__(self, "name", client.name)
        object.__setattr__(self, "_asked", asked)
        object.__setattr__(self, "_client", client)

    def settings(self) -> dict[str, Any]:
        """What makes its answers what they are: stands in `run.json`, and must be the same on resume."""
        client: Client = self.__dict__["_client"]
        return client.settings()

    def complete(self, messages: Sequence[Message], *, sample: int = 0) -> Reply:
        """The model's answer, of the cache or of the address. Raises `ModelTrouble`."""
        asked: Client | CachedModel = self.__dict__["_asked"]
        return asked.complete(messages, sample=sample)
