"""Profiles: what differs between models behind OpenAI-compatible addresses, as a TOML file.

    model = "NAME"                             # as the address knows it
    base_url = "http://127.0.0.1:8000/v1"
    max_tokens = 16384
    max_tokens_name = "max_completion_tokens"  # what the address calls it
    takes_temperature = false                  # so that none is ever sent
    prompt_price = 1.25                        # dollars per million tokens

    [extra_body]                               # sent as is
    top_k = 20

The keys are the fields of `Profile`, and the same names are options of the model (`--model-option KEY=VALUE`), which
go before the file's. What is unset is not sent. A profile holds no key, only the name of the variable with the key.
"""

from __future__ import annotations

import json
import math
import tomllib
import typing
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from harness.errors import UsageError
from harness.solver import Usage

SHIPPED = Path(__file__).parent / "profiles"
"""Profiles that come with the package: `--model-profile=NAME` is `NAME.toml` there."""


@dataclass(frozen=True)
class Manners:
    """How an address is asked: what changes no answer."""

    timeout: float = 300.0
    retries: int = 8
    deadline: float = 1800.0
    backoff: float = 1.0
    concurrency: int | None = None


@dataclass(frozen=True)
class Profile:
    """What a model is and how it is asked. None: unset."""

    model: str | None = None
    """The model's name, as the address knows it."""
    base_url: str | None = None
    """The address, such as `http://127.0.0.1:8000/v1`; unset: the SDK's own."""
    api_key_variable: str | None = None
    """Name of the environment variable that holds the key, which is needed then. Unset: `OPENAI_API_KEY`, needed only
    where no address is given."""
    temperature: float | None = None
    takes_temperature: bool | None = None
    """False: the model refuses a temperature, and none can be set."""
    top_p: float | None = None
    max_tokens: int | None = None
    """Most tokens of one answer."""
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] | None = None
    """What the address calls it. Unset: `max_completion_tokens` at the SDK's own address, whose newer models refuse the
    other, and `max_tokens` elsewhere."""
    reasoning_effort: str | None = None
    seed: int | None = None
    """Sent plus the number of the sample, so that equal prompts of two samples don't get one answer."""
    prompt_price: float | None = None
    """Dollars per million prompt tokens; unset: unknown, and so are the dollars spent. So for `completion_price`."""
    cached_price: float | None = None
    """Dollars per million prompt tokens that came from the provider's cache; unset: they are priced as all others."""
    completion_price: float | None = None
    """Dollars per million completion tokens, those of reasoning included."""
    concurrency: int | None = None
    """Most requests in flight at once in this process; unset: no limit."""
    timeout: float | None = None
    """Seconds without a byte after which a try is given up (300)."""
    retries: int | None = None
    """Tries after the first (8)."""
    deadline: float | None = None
    """Seconds for one call, all tries and waits together (1800)."""
    backoff: float | None = None
    """Seconds before the first retry; doubles from one to the next (1)."""
    extra_body: dict[str, Any] | None = None
    """More of the request's body, sent as is."""
    extra_headers: dict[str, str] | None = None
    """More headers, sent as they are: no secrets."""

    def over(self, below: Profile) -> Profile:
        """This profile, with what is unset taken from another."""
        mine = {each.name: getattr(self, each.name) for each in fields(Profile)}
        return Profile(**{name: getattr(below, name) if value is None else value for name, value in mine.items()})

    def checked(self, where: str) -> Profile:
        """The same, whole numbers made floating where that is meant. Raises UsageError, which begins with `where`."""
        values = {each.name: getattr(self, each.name) for each in fields(Profile)}
        clean = {name: _checked(name, value, where) for name, value in values.items() if value is not None}
        if clean.get("takes_temperature") is False and "temperature" in clean:
            raise UsageError(f"{where}: temperature is set, though takes_temperature is false: leave temperature out")
        return Profile(**clean)

    def sent(self, sample: int = 0) -> dict[str, Any]:
        """The request's parameters, besides messages and `extra_body`."""
        longest = self.max_tokens_name or ("max_completion_tokens" if self.base_url is None else "max_tokens")
        parameters = {
            "temperature": self.temperature,
            "top_p": self.top_p,
            longest: self.max_tokens,
            "reasoning_effort": self.reasoning_effort,
            "seed": None if self.seed is None else self.seed + sample,
        }
        return {name: value for name, value in parameters.items() if value is not None}

    def manners(self) -> Manners:
        """Limits and retries, the unset ones with their defaults."""
        values = {each.name: getattr(self, each.name) for each in fields(Manners)}
        return Manners(**{name: value for name, value in values.items() if value is not None})

    def dollars(self, usage: Usage) -> float | None:
        """What tokens cost; None where a number or price that is needed is unknown."""
        cached_price = self.prompt_price if self.cached_price is None else self.cached_price
        cached = 0 if self.cached_price is None else usage.cached_tokens
        if usage.prompt_tokens is None or usage.completion_tokens is None or cached is None:
            return None
        parts = (
            (usage.prompt_tokens - cached, self.prompt_price),
            (cached, cached_price),
            (usage.completion_tokens, self.completion_price),
        )
        if any(price is None for _, price in parts):
            return None
        return sum(tokens * price for tokens, price in parts if price is not None) / 1e6


def read_profile(place: str) -> Profile:
    """The profile of a TOML file, or the one shipped under a name. Raises UsageError in one line."""
    path = _found(place)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the profile {path} can't be read: {error.strerror}") from None
    except ValueError as error:  # TOML's own errors and wrong encodings
        raise UsageError(f"the profile {path} is no TOML: {error}") from None
    known = [each.name for each in fields(Profile)]
    for key in data:
        if key not in known:
            near = get_close_matches(key, known, 1, 0.5)
            hint = f"do you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"the profile {path} has an unknown key {key!r}: {hint}")
    return Profile(**data).checked(f"the profile {path}")


def table(name: str, text: str) -> Any:
    """A table as the command line gives it: as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        raise UsageError(f'--model-option: {name} is no JSON: write {name}={{"KEY": VALUE}}') from None


def _found(place: str) -> Path:
    names = sorted(path.stem for path in SHIPPED.glob("*.toml"))
    if place in names:
        return SHIPPED / f"{place}.toml"
    if Path(place).is_file():
        return Path(place)
    if "/" in place or place.endswith(".toml"):
        raise UsageError(f"--model-profile {place}: there is no such file")
    near = get_close_matches(place, names, 1)
    hint = f"do you mean {near[0]}? There are" if near else "name a TOML file, or one of"
    raise UsageError(f"--model-profile {place!r} is no profile: {hint} {', '.join(names)}")


_WANTED: dict[Any, str] = {
    str: 'text in quotes ("…")',
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dict: "a table",
}
_ABOVE_ZERO = frozenset({"max_tokens", "concurrency", "timeout", "deadline"})
_NOT_BELOW_ZERO = frozenset({"temperature", "retries", "backoff", "prompt_price", "cached_price", "completion_price"})
_OWN = frozenset({"model", "messages", "stream", "stream_options"})
"""Parts of the body that are the client's."""
_SECRET = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"})


def _kind(hint: Any) -> Any:
    """`float` of `float | None`, `dict` of `dict[str, Any] | None`, a `Literal` as it is."""
    kind = next(each for each in typing.get_args(hint) if each is not type(None))
    return dict if typing.get_origin(kind) is dict else kind


_KINDS = {name: _kind(hint) for name, hint in typing.get_type_hints(Profile).items()}


def _checked(name: str, value: Any, where: str) -> Any:
    kind = _KINDS[name]
    if typing.get_origin(kind) is Literal:
        allowed = typing.get_args(kind)
        if value not in allowed:
            raise UsageError(f"{where}: {name} is {value!r}: write one of {', '.join(allowed)}")
        return value
    whole = isinstance(value, int) and not isinstance(value, bool)
    fits = whole or isinstance(value, float) if kind is float else whole if kind is int else isinstance(value, kind)
    if not fits:
        raise UsageError(f"{where}: {name} is {value!r}: {_WANTED[kind]} is needed")
    if kind in (int, float):
        _check_range(name, value, where)
    elif kind is dict:
        _check_table(name, value, where)
    return float(value) if kind is float else value


def _check_range(name: str, value: float, where: str) -> None:
    if not math.isfinite(value) or (name in _ABOVE_ZERO and value <= 0) or (name in _NOT_BELOW_ZERO and value < 0):
        wanted = "above zero" if name in _ABOVE_ZERO else "from zero up"
        raise UsageError(f"{where}: {name} is {value}: a number {wanted} is needed")


def _check_table(name: str, table: dict[str, Any], where: str) -> None:
    try:
        json.dumps(table, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {name} can't be sent as JSON: {error}") from None
    for key, value in table.items():
        if name == "extra_body" and key in _OWN:
            raise UsageError(f"{where}: {name} must not hold {key}: the client sends it itself")
        if name == "extra_headers" and key.lower() in _SECRET:
            raise UsageError(f"{where}: {name} must not hold {key}: put the key into a variable, see api_key_variable")
        if name == "extra_headers" and not isinstance(value, str):
            raise UsageError(f"{where}: {name}.{key} is {value!r}: text in quotes is needed")
