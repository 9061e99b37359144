"""Profiles: what a file says is what is sent and charged, options go before it, and a bad one is one clear line."""

from __future__ import annotations

import json

import pytest
from openai_server import OpenAIServer, answer, by_role
from scripted import coded

from agents.models.openai import OpenAIModel
from agents.models.profile import SHIPPED, Profile, read_profile
from harness import registry
from harness.errors import UsageError
from harness.solver import Message, Usage
from tests.harness.commands import NO_CACHE
from tests.harness.suites import write_suite

pytest.importorskip("openai")

ASK = [Message("user", "hello?")]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def written(folder, text):
    path = folder / "profile.toml"
    path.write_text(text)
    return str(path)


def asked(server):
    """The last request, without what every request has."""
    return {key: value for key, value in server.requests[-1].items() if key not in ("messages", "stream_options")}


def test_all_that_a_profile_says(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "k-123")
    with OpenAIServer([answer("x")]) as server:
        place = written(
            tmp_path,
            f"""
            model = "tiny"
            base_url = "{server.url}"
            api_key_variable = "SOME_KEY"
            temperature = 1
            top_p = 0.9
            max_tokens = 99
            max_tokens_name = "max_completion_tokens"
            reasoning_effort = "low"
            seed = 7
            prompt_price = 1
            cached_price = 0.5
            completion_price = 2.0
            concurrency = 3
            timeout = 5
            retries = 2
            deadline = 60.0
            backoff = 0.01
            [extra_body]
            top_k = 20
            chat_template_kwargs = {{ enable_thinking = false }}
            [extra_headers]
            x-title = "assay"
            """,
        )
        made = OpenAIModel(profile=place)
        made.complete(ASK)
    assert asked(server) == {
        "model": "tiny",
        "stream": True,
        "temperature": 1.0,
        "top_p": 0.9,
        "max_completion_tokens": 99,
        "reasoning_effort": "low",
        "seed": 7,
        "top_k": 20,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    headers = {name.lower(): value for name, value in server.headers[0].items()}
    assert headers["authorization"] == "Bearer k-123" and headers["x-title"] == "assay"
    assert made.name == "tiny" and made.retries == 2 and made.manners().deadline == 60.0
    assert made.dollars(Usage(1, 10, 10, cached_tokens=4)) == pytest.approx((6 + 2 + 20) / 1e6)


def test_unset_is_not_sent(tmp_path):
    with OpenAIServer([answer("x")]) as server:
        OpenAIModel("tiny", profile=written(tmp_path, f'base_url = "{server.url}"')).complete(ASK)
    assert asked(server) == {"model": "tiny", "stream": True}


def test_options_go_before_the_profile(tmp_path):
    with OpenAIServer([answer("x")]) as server:
        text = 'model = "big"\nbase_url = "http://127.0.0.1:1/v1"\ntemperature = 0.5\nmax_tokens = 5\nretries = 0'
        given = {"temperature": "0.25", "extra_body": '{"top_k": 3}'}
        defaults = {"model": "tiny", "base_url": server.url, "profile": written(tmp_path, text)}
        made = registry.make(OpenAIModel, given, defaults, "model")
        made.complete(ASK)
    assert asked(server) == {"model": "tiny", "stream": True, "temperature": 0.25, "max_tokens": 5, "top_k": 3}
    assert made.retries == 0 and made.name == "tiny"


def test_samples_get_seeds_of_their_own(tmp_path):
    with OpenAIServer(fallback=answer("x")) as server:
        made = OpenAIModel("tiny", base_url=server.url, seed=100)
        for sample in (0, 1, 10_000):
            made.complete(ASK, sample=sample)
    assert [each["seed"] for each in server.requests] == [100, 101, 10_100]


@pytest.mark.parametrize("where", ["file", "option"])
def test_a_temperature_that_the_model_refuses(tmp_path, where):
    text = 'base_url = "http://127.0.0.1:1/v1"\ntakes_temperature = false\n'
    place = written(tmp_path, text + ("temperature = 1.0" if where == "file" else ""))
    with pytest.raises(UsageError, match="takes_temperature is false: leave temperature out"):
        OpenAIModel("tiny", profile=place, temperature=None if where == "file" else 1.0)


BAD = {
    "torn": ("model = = 1", r"is no TOML: .*line 1"),
    "unknown, near": ('modle = "x"', "unknown key 'modle': do you mean model"),
    "unknown, a key": ('api_key = "sk-1"', "unknown key 'api_key': do you mean api_key_variable"),
    "unknown, far": ("zzz = 1", "unknown key 'zzz': there are model, base_url"),
    "options of the run": ('cache = "auto"', "unknown key 'cache'"),
    "text for a number": ('temperature = "hot"', "temperature is 'hot': a number is needed"),
    "number for text": ("model = 5", r"model is 5: text in quotes"),
    "truth for a number": ("max_tokens = true", "max_tokens is True: a whole number is needed"),
    "fraction for a whole": ("max_tokens = 1.5", "max_tokens is 1.5: a whole number is needed"),
    "number for a truth": ("takes_temperature = 0", "takes_temperature is 0: true or false is needed"),
    "text for a table": ('extra_body = "x"', "extra_body is 'x': a table is needed"),
    "list for a table": ("extra_body = [1]", "a table is needed"),
    "name of a parameter": ('max_tokens_name = "tokens"', "write one of max_tokens, max_completion_tokens"),
    "negative price": ("prompt_price = -1", "prompt_price is -1: a number from zero up"),
    "price without end": ("prompt_price = inf", "prompt_price is inf"),
    "no places": ("concurrency = 0", "concurrency is 0: a number above zero"),
    "not to be sent": ("[extra_body]\nwhen = 2026-01-01", "extra_body can't be sent as JSON"),
    "the client's own": ('[extra_body]\nmodel = "x"', "extra_body must not hold model"),
    "a secret": ('[extra_headers]\nAuthorization = "Bearer x"', "must not hold Authorization: .*api_key_variable"),
    "header of a number": ("[extra_headers]\nx-a = 1", r"extra_headers.x-a is 1: text in quotes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_profile_is_one_line(tmp_path, name):
    text, said = BAD[name]
    with pytest.raises(UsageError, match=said) as error:
        read_profile(written(tmp_path, text))
    assert "\n" not in str(error.value) and str(tmp_path / "profile.toml") in str(error.value)
    assert "sk-1" not in str(error.value)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("opnai", "do you mean openai"),
        ("zzz", "name a TOML file, or one of anthropic"),
        ("gone.toml", "there is no such file"),
        ("gone/openai", "there is no such file"),
    ],
)
def test_no_such_profile(place, said):
    with pytest.raises(UsageError, match=said):
        read_profile(place)


def test_no_name_at_all(tmp_path):
    with pytest.raises(UsageError, match="has no name"):
        OpenAIModel(profile=written(tmp_path, 'base_url = "http://127.0.0.1:1/v1"'))


def test_shipped_profiles(monkeypatch):
    names = {path.stem for path in SHIPPED.glob("*.toml")}
    local, far = {"ollama", "vllm"}, {"anthropic", "deepseek", "google", "mistral", "openai", "openrouter", "together"}
    assert names == local | far
    for name in sorted(names):
        profile = read_profile(name)
        own = profile.base_url.startswith("http://127.0.0.1:")
        assert own or (profile.base_url.startswith("https://") and profile.api_key_variable)
        assert (profile.prompt_price, profile.completion_price, profile.model) == (None, None, None)
        if own:
            assert OpenAIModel("tiny", profile=name).base_url == profile.base_url
        else:
            monkeypatch.delenv(profile.api_key_variable, raising=False)
            with pytest.raises(UsageError, match=profile.api_key_variable):
                OpenAIModel("tiny", profile=name)


def test_unset_is_taken_from_below():
    over = Profile(model="a", max_tokens=1).over(Profile(model="b", seed=2, takes_temperature=False))
    assert over == Profile(model="a", max_tokens=1, seed=2, takes_temperature=False)


def test_a_run_by_profile_and_its_resume(tmp_path, warm):
    """The command: recorded, completed on resume, refused where the profile has changed."""
    suite = write_suite(tmp_path / "suite", {"doubled": 2})
    with OpenAIServer(fallback=by_role(direct=lambda _: coded("x"))) as server:
        text = f'model = "tiny"\nbase_url = "{server.url}"\nmax_tokens = 50\n'
        (tmp_path / "mine.toml").write_text(text)
        command = (suite, "--solver=direct", "--model-profile=mine.toml", "--run-dir=run", *NO_CACHE)
        ran = warm.pytest(*command, cwd=tmp_path)
        assert "model: tiny" in ran.text and server.requests[0]["max_tokens"] == 50, ran.text
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["options"]["model_profile"] == "mine.toml"
    assert about["model"]["settings"]["parameters"] == {"max_tokens": 50}
    (row,) = (json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines())
    assert row["attempt"]["model"] == "tiny" and row["spent"]["dollars"] is None
    resume = (suite, "--resume=run", *NO_CACHE)
    assert "1 attempts judged before" in warm.pytest(*resume, cwd=tmp_path).text
    other = warm.pytest(*resume, "--model-profile=other.toml", cwd=tmp_path)
    assert other.code == 4 and "--model-profile mine.toml, not other.toml" in other.text
    (tmp_path / "mine.toml").write_text(text.replace("50", "60"))
    changed = warm.pytest(*resume, cwd=tmp_path)
    assert changed.code == 4 and "is not what it was" in changed.text, changed.text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model-profile=opnai"], "do you mean openai"),
        (["--model=offline", "--model-profile=openai"], "--model-profile has no meaning for --model=offline"),
        (["--model=offline", "--model-cache-file=x"], "--model-cache-file has no meaning for --model=offline"),
        (["--model=tiny", "--base-url=http://127.0.0.1:1/v1", "--model-cache=auto"], "name it with --model-cache-file"),
        (["--model-cache=maybe"], "there are auto, off, refresh, replay"),
        (["--model-profile=vllm"], "the model has no name"),
        (["--model-profile=vllm", "--model=x", "--model-option=retries=-1"], "retries is -1"),
        (["--model-profile=vllm", "--model=x", "--model-option=extra_body=x"], "extra_body is no JSON"),
    ],
)
def test_bad_commands(tmp_path, warm, options, said):
    suite = write_suite(tmp_path / "suite", {"doubled": 2})
    ran = warm.pytest(suite, "--solver=direct", *options, *NO_CACHE, cwd=tmp_path)
    assert ran.code == 4 and said in ran.text and "Traceback" not in ran.text, ran.text
    assert not (tmp_path / "runs").exists()
