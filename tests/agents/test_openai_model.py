"""The model client against a real server on the loopback interface, with the real SDK."""

from __future__ import annotations

import importlib.util
import pickle
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Lock

import pytest
from openai_server import OpenAIServer, answer, cut, garbled, no_stream, stalls, status, torn

from agents.models.openai import OpenAIModel
from agents.models.retry import Failure, Patience, limit_reset, retry_after
from harness.errors import ModelTrouble, UsageError
from harness.solver import Message, Model

pytest.importorskip("openai")

ASK = [Message("system", "be brief"), Message("user", "hello?")]
KEY = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)


def model(server: OpenAIServer, **options) -> OpenAIModel:
    return OpenAIModel("tiny", **{"base_url": server.url, "backoff": 0.01, "retries": 3, "timeout": 5.0, **options})


def test_a_whole_answer_with_usage():
    with OpenAIServer([answer("print('hello')\n" * 20)]) as server:
        reply = model(server).complete(ASK)
    assert reply.text == "print('hello')\n" * 20
    assert (reply.finish_reason, reply.model) == ("stop", "tiny-001")
    assert (reply.usage.calls, reply.usage.prompt_tokens, reply.usage.completion_tokens) == (1, 11, 7)
    assert reply.usage.dollars is None
    assert reply.usage.seconds > 0
    [request] = server.requests
    assert request["messages"] == [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello?"}]
    assert request["stream"] is True
    assert {"temperature", "max_tokens", "top_p"}.isdisjoint(request)


def test_options_are_sent_and_priced():
    with OpenAIServer([answer("x")]) as server:
        priced = model(server, temperature=0.5, max_tokens=99, prompt_price=1.0, completion_price=2.0)
        reply = priced.complete(ASK)
    assert (server.requests[0]["temperature"], server.requests[0]["max_tokens"]) == (0.5, 99)
    assert reply.usage.dollars == pytest.approx((11 + 14) / 1e6)


def test_no_usage_is_unknown_not_nothing():
    with OpenAIServer([answer("x", usage=None)]) as server:
        usage = model(server).complete(ASK).usage
    assert usage.prompt_tokens is None and usage.completion_tokens is None and usage.tokens is None


@pytest.mark.parametrize(
    "fault",
    [
        status(429, retry_after="0"),
        status(500),
        status(503),
        status(408),
        cut("def f"),
        cut("def f", done=True),
        torn("def f"),
        garbled(),
    ],
    ids=["429", "500", "503", "408", "cut", "cut-done", "torn", "garbled"],
)
def test_a_fault_is_asked_again(fault):
    with OpenAIServer([fault, fault, answer("whole")]) as server:
        assert model(server).complete(ASK).text == "whole"
    assert len(server.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_a_final_status_is_one_line(code):
    with OpenAIServer([status(code, message=f"bad {KEY}\nkey")]) as server, pytest.raises(ModelTrouble) as trouble:
        model(server).complete(ASK)
    assert len(server.requests) == 1
    assert "\n" not in str(trouble.value) and f"HTTP {code}" in str(trouble.value)


def test_an_exhausted_quota_is_final():
    script = [status(429, message="no money", error_code="insufficient_quota")]
    with OpenAIServer(script) as server, pytest.raises(ModelTrouble, match="no money"):
        model(server).complete(ASK)
    assert len(server.requests) == 1


def test_given_up_after_all_retries():
    with OpenAIServer(fallback=status(503)) as server, pytest.raises(ModelTrouble, match="given up after 4 tries"):
        model(server).complete(ASK)
    assert len(server.requests) == 4


def test_one_layer_of_retries():
    with OpenAIServer(fallback=status(500)) as server, pytest.raises(ModelTrouble):
        model(server, retries=0).complete(ASK)
    assert len(server.requests) == 1


def test_retry_after_is_obeyed():
    with OpenAIServer([status(429, retry_after="0.4"), answer("x")]) as server:
        began = time.monotonic()
        model(server).complete(ASK)
    assert time.monotonic() - began >= 0.4


def test_retry_after_beyond_the_deadline_ends_at_once():
    with (
        OpenAIServer([status(429, retry_after="3600"), answer("x")]) as server,
        pytest.raises(ModelTrouble, match="past the deadline"),
    ):
        model(server, deadline=2.0).complete(ASK)
    assert len(server.requests) == 1


def test_silence_times_out_and_is_asked_again():
    with OpenAIServer([stalls(1.0), answer("x")]) as server:
        assert model(server, timeout=0.2).complete(ASK).text == "x"


def test_no_server_at_all():
    with OpenAIServer() as server:
        url = server.url
    with pytest.raises(ModelTrouble, match="connection"):
        OpenAIModel("tiny", base_url=url, retries=1, backoff=0.01).complete(ASK)


def test_an_empty_answer_is_an_answer():
    with OpenAIServer([answer("")]) as server:
        assert model(server).complete(ASK).text == ""


def test_a_cut_at_the_length_limit_is_told():
    with OpenAIServer([answer("def f(", finish="length")]) as server:
        assert model(server).complete(ASK).finish_reason == "length"


def test_a_server_without_streaming_is_trouble_not_an_empty_answer():
    with OpenAIServer(fallback=no_stream("hello")) as server, pytest.raises(ModelTrouble):
        model(server, retries=1).complete(ASK)


def test_a_server_that_knows_no_usage_option():
    def refuses(handler, request):
        known = "stream_options" not in request
        (answer("x", usage=None) if known else status(400, message="unknown field stream_options"))(handler, request)

    with OpenAIServer(fallback=refuses) as server:
        assert model(server).complete(ASK).text == "x"


@pytest.mark.parametrize("fault", [status(401, message=f"wrong key {KEY}"), status(400, message=f"key {KEY}?")])
def test_the_key_is_never_shown(fault, caplog):
    caplog.set_level("DEBUG")
    with OpenAIServer([fault]) as server:
        client = model(server)
        try:
            client.complete(ASK)
        except ModelTrouble as trouble:
            told = "".join(traceback.format_exception(trouble))
            assert trouble.__context__ is None and trouble.__cause__ is None
    assert server.headers[0].get("authorization", server.headers[0].get("Authorization")) == f"Bearer {KEY}"
    for text in (told, repr(client), str(vars(client).get("model")), caplog.text):
        assert KEY not in text
    assert KEY.encode() not in pickle.dumps(model(server))


def test_a_server_of_ones_own_needs_no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with OpenAIServer([answer("x")]) as server:
        assert model(server).complete(ASK).text == "x"
    with pytest.raises(UsageError, match="OPENAI_API_KEY"):
        OpenAIModel("gpt")


def test_the_key_of_another_variable(monkeypatch):
    monkeypatch.setenv("OTHER_KEY", "other")
    with OpenAIServer([answer("x")]) as server:
        model(server, api_key_variable="OTHER_KEY").complete(ASK)
    assert "Bearer other" in server.headers[0].values()


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://x/", "http://me:word@host/v1"])
def test_a_bad_address_is_a_usage_error(url):
    with pytest.raises(UsageError, match="base-url"):
        OpenAIModel("tiny", base_url=url)


def test_a_missing_sdk_says_what_to_install(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "openai" else real(name, *a))
    with pytest.raises(UsageError, match="pip install openai"):
        OpenAIModel("tiny", base_url="http://127.0.0.1:1/v1")


def test_it_is_a_model():
    client = OpenAIModel("tiny", base_url="http://127.0.0.1:1/v1")
    assert isinstance(client, Model) and client.name == "tiny" and client.language_model


def test_retry_after_forms():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after({"retry-after": "7"}) == 7.0
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after({"retry-after": "Thu, 01 Jan 2026 00:01:00 GMT"}, now) == 60.0
    assert retry_after({"retry-after": "Wed, 31 Dec 2025 00:00:00 GMT"}, now) == 0.0
    assert retry_after({"retry-after": "soon"}, now) is None
    assert retry_after({}, now) is None


def test_waits_grow_within_bounds():
    patience = Patience(retries=4, deadline=1000.0, backoff=1.0, clock=lambda: 0.0)
    waits = [patience.wait(Failure("x")) for _ in range(5)]
    assert waits[4] is None
    assert all(2**i / 2 <= wait <= 2**i for i, wait in enumerate(waits[:4]))


def details(cached=None, reasoning=None):
    """Usage as OpenAI tells it."""
    return {
        "prompt_tokens": 1000,
        "completion_tokens": 200,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


@pytest.mark.parametrize(
    ("usage", "prices", "cached", "reasoning", "dollars"),
    [
        (details(600, 150), {"prompt_price": 2.0, "completion_price": 8.0}, 600, 150, 2000 + 1600),
        (
            details(600, 150),
            {"prompt_price": 2.0, "cached_price": 0.5, "completion_price": 8.0},
            *(600, 150, 800 + 300 + 1600),
        ),
        (details(), {"prompt_price": 2.0, "cached_price": 0.5, "completion_price": 8.0}, None, None, None),
        (details(), {"prompt_price": 2.0, "completion_price": 8.0}, None, None, 2000 + 1600),
        (details(600, 150), {"cached_price": 0.5, "completion_price": 8.0}, 600, 150, None),
        (details(600, 150), {"prompt_price": 2.0, "cached_price": 0.5}, 600, 150, None),
        (
            {"prompt_tokens": 1000, "completion_tokens": 200, "prompt_cache_hit_tokens": 400},
            {"prompt_price": 0.0, "cached_price": 0.0, "completion_price": 0.0},
            *(400, None, 0.0),
        ),
        (
            {"prompt_tokens": "many", "completion_tokens": -1, "prompt_tokens_details": "?"},
            {"prompt_price": 1.0, "completion_price": 1.0},
            *(None, None, None),
        ),
    ],
    ids=[
        "no price of its own",
        "a price of its own",
        "priced but not told",
        "not told",
        "no prompt price",
        "no completion price",
        "deepseek's name, free",
        "nonsense",
    ],
)
def test_cached_and_reasoning_tokens(usage, prices, cached, reasoning, dollars):
    with OpenAIServer([answer("x", usage=usage)]) as server:
        told = model(server, **prices).complete(ASK).usage
    assert (told.cached_tokens, told.reasoning_tokens) == (cached, reasoning)
    assert told.dollars == (None if dollars is None else pytest.approx(dollars / 1e6))


USED_UP = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "400ms"}


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        (USED_UP, True),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "0.4"}, True),
        ({**USED_UP, "x-ratelimit-remaining-requests": "1"}, False),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, False),
    ],
    ids=["requests", "tokens", "one left", "no time"],
)
def test_a_limit_that_is_used_up_holds_back_the_next_request(headers, waits):
    with OpenAIServer([answer("x", headers=headers), answer("y")]) as server:
        client = model(server)
        client.complete(ASK)
        client.complete(ASK)
    first, second = server.times
    assert (second - first >= 0.35) is waits


def test_a_limit_holds_back_all_threads():
    with OpenAIServer([answer("x", headers=USED_UP)], fallback=answer("y")) as server:
        client = model(server)
        client.complete(ASK)
        with ThreadPoolExecutor(4) as pool:
            replies = list(pool.map(lambda _: client.complete(ASK).text, range(4)))
    assert replies == ["y"] * 4
    assert all(each - server.times[0] >= 0.35 for each in server.times[1:])


def test_a_limit_told_with_a_429_holds_back_the_retry():
    with OpenAIServer([status(429, headers=USED_UP), answer("x")]) as server:
        assert model(server).complete(ASK).text == "x"
    assert server.times[1] - server.times[0] >= 0.35


def test_a_limit_past_the_deadline_ends_at_once():
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1h"}
    with OpenAIServer([answer("x", headers=headers), answer("y")]) as server:
        client = model(server, deadline=2.0)
        client.complete(ASK)
        began = time.monotonic()
        with pytest.raises(ModelTrouble, match="used up, and the next request allowed in 3600 s"):
            client.complete(ASK)
    assert time.monotonic() - began < 1.0 and len(server.requests) == 1


@pytest.mark.parametrize(("concurrency", "most"), [(2, 2), (None, 6)])
def test_requests_in_flight(concurrency, most):
    lock, at_once = Lock(), [0]

    def counted(handler, request):  # only until the answer begins: its end is seen there before it is seen here
        with lock:
            at_once.append(at_once[-1] + 1)
        time.sleep(0.3)
        with lock:
            at_once.append(at_once[-1] - 1)
        answer("x")(handler, request)

    with OpenAIServer(fallback=counted) as server:
        client = model(server, concurrency=concurrency)
        with ThreadPoolExecutor(6) as pool:
            replies = list(pool.map(lambda _: client.complete(ASK).text, range(6)))
    assert replies == ["x"] * 6 and max(at_once) == most


def test_no_place_before_the_deadline():
    with OpenAIServer(fallback=answer("x", delay=1.0)) as server:
        client = model(server, concurrency=1, deadline=0.5)
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.submit(client.complete, ASK), pool.submit(client.complete, ASK)
            troubles = [str(each.exception()) for each in (first, second)]
    assert len(server.requests) == 1 and any("all places for requests were taken" in each for each in troubles)


def test_a_failed_try_gives_its_place_back():
    with OpenAIServer([status(500), cut("def"), answer("x")]) as server:
        assert model(server, concurrency=1).complete(ASK).text == "x"


def test_limit_reset_forms():
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def reset(text, left="0"):
        return limit_reset({"x-ratelimit-remaining-tokens": left, "x-ratelimit-reset-tokens": text}, now)

    assert reset("6m0s") == 360.0 and reset("1h2m3.5s") == 3723.5 and reset("120ms") == pytest.approx(0.12)
    assert reset("7") == 7.0 and reset("2026-01-01T00:00:30Z") == 30.0 and reset("2025-01-01T00:00:00Z") == 0.0
    assert reset(str(now.timestamp() + 9)) == 9.0 and reset(str(1000 * now.timestamp() + 9000)) == pytest.approx(9.0)
    assert reset("-3") is None and reset("") is None and reset("soon") is None and reset("inf") is None
    assert reset("9", left="1") is None and reset("9", left="-1") == 9.0 and reset("9", left="?") is None
    both = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "3s"}
    assert limit_reset({**both, "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "5s"}, now) == 5.0
    assert limit_reset({}, now) is None


def test_a_named_key_is_needed_at_any_address():
    with pytest.raises(UsageError, match="set NO_SUCH_KEY"):
        OpenAIModel("tiny", base_url="http://127.0.0.1:1/v1", api_key_variable="NO_SUCH_KEY")
