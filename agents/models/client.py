"""The client: one model behind one OpenAI-compatible address, asked through the `openai` SDK.

The key comes from the environment and goes to the address alone: it is no field, and stands in no repr, log or error.

There is one layer of retries, this one; the SDK's own is off. Answers are streamed, so that a cut one is known by its
missing end and asked for again. Retried: no connection, time-out, 408, 409, 425, 429, 5xx, a cut or garbled stream,
with growing, jittered waits or as long as `Retry-After` says, all within one deadline, and never while the provider
says that its limit is used up (`agents.models.gate`). Final at once: every other status, and an exhausted quota. Either
ends in one line of `ModelTrouble`. An empty answer is an answer.
"""

from __future__ import annotations

import importlib.util
import os
import time
import urllib.parse
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from agents.models.answer import Cut, gathered
from agents.models.gate import Gate, TooLate
from agents.models.profile import Profile
from agents.models.retry import Failure, Patience, retry_after
from harness.errors import ModelTrouble, UsageError
from harness.solver import Message, Reply

KEY_VARIABLE = "OPENAI_API_KEY"
RETRIED = frozenset({408, 409, 425, 429})
"""Statuses below 500 that are asked again."""
MEANING = {
    401: "the key was refused: check {variable}",
    403: "the key may not use this model or address: check {variable} and --model",
    404: "there is no such model or address: check --model and --base-url",
}
_TRANSPORT = ("httpx", "httpx2", "httpcore", "httpcore2", "h11")
"""Packages whose errors the SDK lets through where a stream breaks off."""


class Client:
    """Asks one model. Thread-safe; all threads share the gate."""

    language_model = True

    def __init__(self, profile: Profile) -> None:
        if not profile.model:
            raise UsageError("the model has no name: give one with --model, or `model` in the profile")
        self.profile, self.name = profile, profile.model
        self._variable = profile.api_key_variable or KEY_VARIABLE
        self._manners = profile.manners()
        self._gate = Gate(self._manners.concurrency)
        if profile.base_url is not None:
            parts = urllib.parse.urlsplit(profile.base_url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise UsageError(
                    f"--base-url {profile.base_url!r} is no address: give one such as http://127.0.0.1:8000/v1"
                )
            if parts.username or parts.password:
                raise UsageError(f"--base-url must hold no key or password: put it in {self._variable}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Client, (self.profile,)

    def check(self) -> None:
        """Raises UsageError where the package or a key that is needed is missing."""
        if importlib.util.find_spec("openai") is None:
            raise UsageError("the model client needs the openai package: pip install openai")
        needed = self.profile.api_key_variable is not None or self.profile.base_url is None
        if needed and not os.environ.get(self._variable):
            raise UsageError(
                f"no key for the model {self.name!r}: set {self._variable}, "
                "or give the address of a server of your own with --base-url (and no api_key_variable)"
            )

    def settings(self) -> dict[str, Any]:
        """What makes an answer what it is, besides messages and sample: model, address, parameters and headers sent."""
        return {
            "model": self.name,
            "address": self.profile.base_url or os.environ.get("OPENAI_BASE_URL") or "the SDK's own",
            "parameters": {**self.profile.sent(), **(self.profile.extra_body or {})},
            "headers": self.profile.extra_headers or {},
        }

    def complete(self, messages: Sequence[Message], *, sample: int = 0) -> Reply:
        """The model's answer; of `sample`, only a seed tells the address. Raises `ModelTrouble`."""
        began = time.monotonic()
        patience = Patience(self._manners.retries, self._manners.deadline, self._manners.backoff)
        with_usage = True
        while True:
            outcome = self._try(messages, sample, with_usage, began + self._manners.deadline)
            if isinstance(outcome, Reply):
                usage = replace(outcome.usage, seconds=time.monotonic() - began)
                return replace(outcome, usage=replace(usage, dollars=self.profile.dollars(usage)))
            if with_usage and "stream_options" in outcome.message:
                # Some servers don't know the wish for usage: better an answer whose tokens are unknown.
                with_usage = False
                continue
            wait = patience.wait(outcome)
            if wait is None:
                why = f" ({patience.why})" if patience.why else ""
                raise ModelTrouble(self._without_key(f"model {self.name!r}: {outcome.message}{why}"))
            time.sleep(wait)

    @cached_property
    def _sdk(self) -> Any:
        import openai

        # A server of one's own that needs no key gets a placeholder.
        key = os.environ.get(self._variable) or "no-key"
        return openai.OpenAI(base_url=self.profile.base_url, api_key=key, max_retries=0, timeout=self._manners.timeout)

    def _try(self, messages: Sequence[Message], sample: int, with_usage: bool, until: float) -> Reply | Failure:
        """One try. Nothing of the SDK's errors leaves: their requests hold the key."""
        import openai

        try:
            with self._gate.passed(until):
                stream = self._sdk.chat.completions.create(
                    model=self.name,
                    messages=[{"role": each.role, "content": each.content} for each in messages],
                    stream=True,
                    extra_body=self.profile.extra_body,
                    extra_headers=self.profile.extra_headers,
                    **({"stream_options": {"include_usage": True}} if with_usage else {}),
                    **self.profile.sent(sample),
                )
                try:
                    self._gate.told(stream.response.headers)
                    return gathered(stream, self.name, until)
                finally:
                    stream.close()
        except TooLate as late:
            return Failure(f"no request to {self._address} before the deadline: {late}", final=True)
        except openai.APIStatusError as error:
            self._gate.told(error.response.headers)
            return self._status_failure(error)
        except openai.APITimeoutError:
            return Failure(f"no answer within {self._manners.timeout:g} s from {self._address}")
        except openai.APIConnectionError as error:
            cause = type(error.__cause__).__name__ if error.__cause__ else "no connection"
            return Failure(f"the connection to {self._address} failed ({cause})")
        except openai.APIError as error:
            return Failure(f"the provider broke off: {_line(error.message)}", final=_no_quota(error))
        except Cut as error:
            return Failure(f"the answer was cut off: {error}")
        except openai.OpenAIError as error:
            return Failure(f"the request can't be made: {_line(str(error))}", final=True)
        except (ValueError, TypeError, AttributeError) as error:
            return Failure(f"the answer is garbled ({type(error).__name__}: {_line(str(error))})")
        except OSError as error:
            return Failure(f"the connection to {self._address} failed ({type(error).__name__})")
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _TRANSPORT:
                raise
            return Failure(f"the answer was cut off ({type(error).__name__})")

    def _status_failure(self, error: Any) -> Failure:
        status: int = error.status_code
        meaning = MEANING.get(status, "").format(variable=self._variable) or _line(error.message)
        final = not (status in RETRIED or status >= 500) or _no_quota(error)
        return Failure(f"HTTP {status} from {self._address}: {meaning}", final, retry_after(error.response.headers))

    @property
    def _address(self) -> str:
        """The address, for people."""
        return urllib.parse.urlsplit(self.profile.base_url).netloc if self.profile.base_url else "the provider"

    def _without_key(self, text: str) -> str:
        key = os.environ.get(self._variable)
        return text.replace(key, "[key]") if key else text


def _no_quota(error: Any) -> bool:
    """An account without money: waiting doesn't help."""
    return "insufficient_quota" in (getattr(error, "code", None), getattr(error, "type", None))


def _line(text: object) -> str:
    """A message as one short line."""
    return " ".join(str(text).split())[:300]
