"""The cache of model calls: real server, real SDK, real SQLite file, several threads and processes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from openai_server import OpenAIServer, answer, by_role, cut, status
from scripted import TASK, coded, kernel, make_bench, right, wrong

from agents.geak import GeakSolver
from agents.models.cache import Cache
from agents.models.openai import OpenAIModel
from harness.errors import BudgetSpent, InfrastructureError, ModelTrouble, UsageError
from harness.solver import Budget, Message, Usage
from tests.harness.commands import NO_CACHE
from tests.harness.suites import write_suite

pytest.importorskip("openai")

ASK = [Message("user", "hello?")]
PRICES = {"prompt_price": 1e6, "completion_price": 1e6}
"""So that a call costs 18 dollars."""
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "calls.sqlite"


def model(server, file, mode=None, **options):
    given = {"base_url": server.url, "backoff": 0.01, "retries": 1, "timeout": 5.0, **options}
    return OpenAIModel("tiny", cache=mode, cache_file=file, **given)


def test_a_kept_answer_is_taken_and_costs_nothing(file):
    with OpenAIServer([answer("x", finish="length")]) as server:
        first = model(server, file, **PRICES).complete(ASK)
        second = model(server, file, **PRICES).complete(ASK)
    assert len(server.requests) == 1
    assert (first.cached, first.usage.dollars, first.usage.saved_dollars) == (False, 18.0, 0.0)
    assert first.usage.seconds > 0
    assert second == replace(
        first, cached=True, usage=replace(first.usage, dollars=0.0, seconds=0.0, saved_dollars=18.0)
    )


@pytest.mark.parametrize(
    ("change", "sample"),
    [({}, 1), ({"temperature": 0.5}, 0), ({"extra_body": {"top_k": 1}}, 0), ({"model": "other"}, 0), (None, 0)],
    ids=["sample", "parameter", "body", "model", "message"],
)
def test_another_question_is_asked(file, change, sample):
    with OpenAIServer([answer("x"), answer("y")]) as server:
        model(server, file).complete(ASK)
        other = OpenAIModel(**{"model": "tiny", "base_url": server.url, "cache_file": file, **(change or {})})
        reply = other.complete([*ASK, Message("user", "?")] if change is None else ASK, sample=sample)
    assert (reply.text, reply.cached, len(server.requests)) == ("y", False, 2)


def test_another_address_is_asked(file):
    with OpenAIServer([answer("x")]) as one, OpenAIServer([answer("y")]) as two:
        assert [model(each, file).complete(ASK).text for each in (one, two)] == ["x", "y"]


def test_how_it_is_asked_changes_no_answer(file):
    with OpenAIServer([answer("x")]) as server:
        model(server, file).complete(ASK)
        again = model(server, file, timeout=9.0, retries=0, concurrency=1, **PRICES)
        assert again.complete(ASK).cached


def test_the_modes(file):
    with OpenAIServer([answer(text) for text in "abcd"]) as server:
        said = [
            model(server, file, mode).complete(ASK).text
            for mode in ("auto", "auto", "refresh", "auto", "replay", "off", "auto")
        ]
    assert said == ["a", "a", "b", "b", "b", "c", "b"]


@pytest.mark.parametrize("fault", [status(500), cut("def"), status(400)], ids=["500", "cut", "400"])
def test_trouble_is_not_kept(file, fault):
    with OpenAIServer([fault, fault, answer("x")] if fault else []) as server:
        with pytest.raises(ModelTrouble):
            model(server, file).complete(ASK)
        server.script = [answer("whole")]
        assert model(server, file).complete(ASK).text == "whole"


def test_a_miss_in_a_replay_is_trouble_that_says_what_to_do(file):
    with OpenAIServer([answer("x")]) as server:
        model(server, file).complete(ASK)
        with pytest.raises(ModelTrouble, match=r"no answer to this call \(sample 5\).*--model-cache=auto"):
            model(server, file, "replay").complete(ASK, sample=5)
    assert len(server.requests) == 1


def test_a_replay_passes_over_numbers_and_nothing_else(file):
    """Measured times in a prompt are others each time."""

    def asked(text, sample=0, mode="auto"):
        return model(server, file, mode).complete([Message("user", text)], sample=sample).text

    with OpenAIServer([answer("first"), answer("second"), answer("third")]) as server:
        assert asked("it took 1.5 µs") == "first" and asked("it took 1.7 µs") == "second"
        assert asked("it took 0.2 s") == "third", "in no other mode"
    assert asked("it took 1.5 µs", mode="replay") == "first", "the very question counts most"
    assert asked("it took 31e-2 µs", mode="replay") == "second", "then the newest"
    for text, sample in (("it took 1.5 ms", 0), ("it took µs", 0), ("it took 31 µs", 1)):
        with pytest.raises(ModelTrouble, match="no answer to this call"):
            asked(text, sample, "replay")


def test_a_replay_needs_no_key_and_no_package(file):
    url = "http://127.0.0.1:9/v1"
    made = OpenAIModel("tiny", base_url=url, cache_file=file)
    made._asked.cache.put(*made._asked.keys(ASK, 0), made._asked.inner and _reply("kept"))
    program = (
        "import sys; sys.modules['openai'] = None\n"
        "from agents.models.openai import OpenAIModel\n"
        "from harness.solver import Message\n"
        f"model = OpenAIModel('tiny', base_url={url!r}, api_key_variable='NO_SUCH', cache='replay',"
        f" cache_file={str(file)!r})\n"
        "print(model.complete([Message('user', 'hello?')]).text)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout == "kept\n", ran.stderr


def _reply(text):
    from harness.solver import Reply

    return Reply(text, "stop", Usage(1, 1, 1, None), "tiny")


def test_odd_text_comes_back_as_it_was(file):
    text = "\ud800 a\0b \u2028 ü\r\n"
    cache = Cache(file, "auto")
    cache.put("k", "l", _reply(text))
    assert cache.get("k").text == text and cache.get("other") is None


@pytest.mark.parametrize("kind", ["text", "foreign", "newer", "torn", "folder"])
def test_a_file_that_is_no_cache_is_one_line(file, kind):
    if kind == "text":
        file.write_text("not a database at all, but a text that is long enough to be looked at" * 20)
    elif kind == "folder":
        file.mkdir()
    elif kind == "torn":
        Cache(file, "auto").put("k", "l", _reply("x"))
        file.write_bytes(file.read_bytes()[:50] + b"\xff" * 4000)
    else:
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE answers (key, answer)")
            if kind == "newer":
                database.execute(f"PRAGMA application_id = {0x4B414D43}")
                database.execute("PRAGMA user_version = 99")
        database.close()
    for mode in ("auto", "replay"):
        with pytest.raises(UsageError, match=r"calls\.sqlite") as error:
            OpenAIModel("tiny", base_url="http://127.0.0.1:9/v1", cache=mode, cache_file=file)
        assert "\n" not in str(error.value) and "--model-cache" in str(error.value)


def test_no_file_to_replay_and_no_folder_to_write(tmp_path):
    with pytest.raises(UsageError, match="make it with --model-cache=auto"):
        Cache(tmp_path / "gone.sqlite", "replay")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="can't be used"):
        Cache(tmp_path / "gone" / "calls.sqlite", "auto")


def test_a_file_that_breaks_in_use_is_no_wrong_kernel(file):
    cache = Cache(file, "auto")
    with sqlite3.connect(file) as database:
        database.execute("INSERT INTO answers VALUES ('bad', '', '{')")
        database.execute('INSERT INTO answers VALUES (\'old\', \'\', \'{"text": "x", "usage": {}, "strange": 1}\')')
    database.close()
    for key in ("bad", "old"):
        with pytest.raises(InfrastructureError, match="--model-cache=refresh"):
            cache.get(key)
    file.unlink()
    with pytest.raises(InfrastructureError, match="can't be read"):
        cache.get("k")


WRITER = """
import sys
from pathlib import Path
from agents.models.cache import Cache
from harness.solver import Reply
sys.stdin.read()
cache = Cache(Path(sys.argv[1]), "auto")
for number in range(40):
    cache.put(f"{sys.argv[2]}-{number}", "", Reply(sys.argv[2] * 2000))
    assert cache.get(f"{sys.argv[2]}-{number}").text == sys.argv[2] * 2000
"""


def test_many_processes_and_threads_at_once(file):
    """All make the file at the same moment, then write and read."""
    command = [sys.executable, "-c", WRITER, str(file)]
    ran = [
        subprocess.Popen([*command, name], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for name in "abcd"
    ]
    errors = []
    for each in ran:
        each.stdin.close()
    for each in ran:
        errors.append(each.stderr.read().decode())
        assert each.wait(60) == 0, errors
    cache = Cache(file, "replay")
    assert all(cache.get(f"{name}-{number}").text == name * 2000 for name in "abcd" for number in range(40))
    writing = Cache(file, "auto")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: writing.put(f"t-{number}", "", _reply("t")), range(100)))
    assert all(writing.get(f"t-{number}") for number in range(100))


def test_many_make_the_file_at_once(tmp_path):
    for number in range(30):
        start = Barrier(8)

        def make(path=tmp_path / f"{number}.sqlite", start=start):
            start.wait()
            return Cache(path, "auto")

        with ThreadPoolExecutor(8) as pool:
            made = [each.result() for each in [pool.submit(make) for _ in range(8)]]
        assert made[0].get("k") is None


def roles():
    kernels = iter("abcdefgh")
    return by_role(
        generator=lambda _: coded(next(kernels)),
        optimizer=lambda _: "Take larger blocks.",
        reflector=lambda _: "The mask is missing.",
    )


VERDICTS = {"a": wrong(), "b": right(1.1), "c": right(0.9), "d": right(1.3)}


def geak(folder, made, budget=None):
    bench = make_bench(folder, made, verdicts=VERDICTS, budget=budget or Budget())
    solution = GeakSolver(iterations=4).solve(TASK, bench)
    bench.close()
    return solution, bench


def told(folder):
    """The transcript apart from times, and from what the cache says of itself."""
    lines = [json.loads(line) for line in (folder / "transcript.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds", None)
        if "reply" in line:
            line["reply"].pop("cached")
            for name in ("seconds", "dollars", "saved_dollars"):
                line["reply"]["usage"].pop(name)
    return lines


def test_geak_replayed_with_the_server_gone(tmp_path, file):
    with OpenAIServer(fallback=roles()) as server:
        first, live = geak(tmp_path / "first", model(server, file, **PRICES))
    second, replayed = geak(tmp_path / "second", model(server, file, "replay", **PRICES))
    assert first == second and first.source == kernel("d") and len(server.requests) == 7
    assert told(tmp_path / "first") == told(tmp_path / "second")
    assert live.usage.tokens == replayed.usage.tokens == 7 * 18
    assert (live.usage.dollars, live.usage.worth) == (126.0, 126.0)
    assert (replayed.usage.dollars, replayed.usage.worth) == (0.0, 126.0)
    replies = [
        line["reply"]["cached"]
        for line in map(json.loads, (tmp_path / "second" / "transcript.jsonl").read_text().splitlines())
        if line["event"] == "model"
    ]
    assert replies == [True] * 7
    assert "from the cache" in (tmp_path / "second" / "transcript.md").read_text()


def test_a_budget_ends_a_replay_where_it_ended_the_run(tmp_path, file):
    budget = Budget(dollars=60.0)
    with OpenAIServer(fallback=roles()) as server:
        _, live = geak(tmp_path / "first", model(server, file, **PRICES), budget)
    _, replayed = geak(tmp_path / "second", model(server, file, "replay", **PRICES), budget)
    assert live.usage.calls == replayed.usage.calls == 4 and live.spent == replayed.spent == "dollars"
    assert told(tmp_path / "first") == told(tmp_path / "second")
    with pytest.raises(BudgetSpent):
        replayed.model.complete(ASK)


def test_the_journal_reads_cached_answers_and_those_of_older_versions(tmp_path, file):
    with OpenAIServer(fallback=roles()) as server:
        geak(tmp_path / "run", model(server, file))
    journal = tmp_path / "run" / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if line["kind"] == "model":
            del line["answer"]["cached"]
            for name in ("cached_tokens", "reasoning_tokens", "saved_dollars"):
                del line["answer"]["usage"][name]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    solution, bench = geak(tmp_path / "run", model(server, file, "replay"))
    assert solution.source == kernel("d") and bench.usage.tokens == 7 * 18
    assert bench.usage.cached_tokens is None, "unknown, not nothing"


def test_a_run_replayed_by_the_command(tmp_path, warm):
    suite = write_suite(tmp_path / "suite", {"doubled": 2, "tripled": 3})
    with OpenAIServer(fallback=by_role(direct=lambda _: coded("x"))) as server:
        asked = ("--solver=direct", "--model=tiny", f"--base-url={server.url}", "--model-cache-file=calls.sqlite")
        first = warm.pytest(suite, *asked, "--run-dir=first", *NO_CACHE, cwd=tmp_path)
    assert "model cache: auto, calls.sqlite" in first.text and len(server.requests) == 2, first.text
    second = warm.pytest(suite, *asked, "--model-cache=replay", "--run-dir=second", *NO_CACHE, cwd=tmp_path)
    assert first.code == second.code == 1 and "error" not in second.lines[-1], second.text
    options = json.loads((tmp_path / "second" / "run.json").read_text())["options"]
    assert (options["model_cache"], options["model_cache_file"]) == ("replay", "calls.sqlite")
    folders = sorted(path.name for path in (tmp_path / "first" / "samples").iterdir())
    assert len(folders) == 2
    for name in folders:
        one, two = (told(tmp_path / run / "samples" / name) for run in ("first", "second"))
        assert one == two and any(line["event"] == "model" for line in one)
    resumed = warm.pytest(suite, "--resume=second", "--model-cache=auto", *NO_CACHE, cwd=tmp_path)
    assert "2 attempts judged before" in resumed.text and "model cache: auto" in resumed.text, resumed.text
