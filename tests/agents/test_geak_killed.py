"""`kill -9` in every role, then --resume: the same final state as without, and nothing is asked or judged twice. And a
run that is replayed from a cache of model calls, judged anew, with nobody there to ask."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import threading
import time
from collections import Counter

import pytest

from tests.agents.openai_server import OpenAIServer, answer
from tests.harness.commands import NO_CACHE, Warm, started
from tests.harness.suites import write_suite

SOLVER = "--solver=geak:critic=yes,one_shot=no"
TURNS = 4
KERNEL = """
import torch
import triton
import triton.language as tl


@triton.jit
def _doubled(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    tl.store(y_ptr + offsets, FACTOR * tl.load(x_ptr + offsets, mask=mask), mask=mask)


def doubled(x):
    y = torch.empty_like(x)
    for _ in range(ROUNDS):
        _doubled[(triton.cdiv(x.numel(), 1024),)](x, y, x.numel(), BLOCK=1024)
    return y
"""
VERSIONS = [{"ROUNDS": 120}, {"ROUNDS": 12, "FACTOR": 3}, {"ROUNDS": 12}, {"ROUNDS": 1}]
"""Right, wrong, repaired, and the fastest, by so much that a busy machine ranks them so, too."""
ROLES = ("generator", "critic", "reflector", "optimizer")


def source(version: int) -> str:
    text = KERNEL.replace("FACTOR *", f"{VERSIONS[version].get('FACTOR', 2)} *")
    return text.replace("ROUNDS", str(VERSIONS[version]["ROUNDS"]))


class Author:
    """Answers the n-th new question to a role with its n-th answer, and an old question as before. Where a question of
    the role `waits_in` is the `waits_at`-th, it sets `reached` and never answers."""

    def __init__(self, waits_in: str = "", waits_at: int = 0) -> None:
        self.waits_in, self.waits_at, self.reached = waits_in, waits_at, threading.Event()
        self.known: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.lock = threading.Lock()

    def play(self, handler, request) -> None:
        text = request["messages"][-1]["content"]
        role, key = text.strip().rpartition("Role: ")[2], hashlib.sha256(text.encode()).hexdigest()
        with self.lock:
            self.asked[key] += 1
            if key not in self.known:
                self.counts[role] += 1
                self.known[key] = self._answer(role, self.counts[role])
            waits = (role, self.counts[role]) == (self.waits_in, self.waits_at)
        if waits:
            self.waits_in = ""
            self.reached.set()
            time.sleep(30)
            return
        answer(self.known[key])(handler, request)

    def _answer(self, role: str, number: int) -> str:
        if role == "generator":
            return f"```python\n{source(number - 1)}\n```"
        return "APPROVED" if role == "critic" else f"words {number} of the {role}"


def command(server: OpenAIServer, *more: str) -> tuple[str, ...]:
    return (
        *("suite", SOLVER, f"--iterations={TURNS}", "--seed=5", *NO_CACHE),
        *("--model=tiny", f"--base-url={server.url}", "--model-option=timeout=60", *more),
    )


def state(run) -> dict[str, object]:
    """What must not depend on times."""
    (folder,) = (run / "samples").iterdir()
    memory = json.loads((folder / "solver" / "memory-1.json").read_text())
    versions = [
        {key: each[key] for key in ("number", "turn", "source", "strategy", "diagnosis", "parent", "repairs", "right")}
        for each in memory["versions"]
    ]
    (result,) = (json.loads(line) for line in (run / "results.jsonl").read_text().splitlines())
    return {
        "best": memory["best"],
        "turn": memory["turn"],
        "versions": versions,
        "solution": (folder / "solution.py").read_text(),
        "outcome": result["verdict"]["outcome"],
        "evaluations": result["spent"]["evaluations"],
        "calls": result["spent"]["calls"],
    }


def times(run) -> list[float]:
    """Of the right versions, µs."""
    (path,) = run.glob("samples/*/solver/memory-1.json")
    versions = json.loads(path.read_text())["versions"]
    return [workload["time_us"] for each in versions for workload in each["feedback"]["workloads"]]


def ranked(run) -> list[str]:
    """Sources of the right versions, the fastest first."""
    (path,) = run.glob("samples/*/solver/memory-1.json")
    right = [each for each in json.loads(path.read_text())["versions"] if each["right"]]
    return [each["source"] for each in sorted(right, key=lambda each: each["feedback"]["workloads"][0]["time_us"])]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("geak")
    write_suite(folder / "suite", {"doubled": 2})
    return folder


@pytest.fixture(scope="module")
def undisturbed(place, warm: Warm):
    author = Author()
    with OpenAIServer(fallback=author.play) as server:
        ran = warm.pytest(*command(server, "--run-dir=undisturbed"), cwd=place)
    assert ran.code == 0, ran.text
    return state(place / "undisturbed")


def test_undisturbed(undisturbed) -> None:
    assert undisturbed["best"] == TURNS and undisturbed["solution"].strip() == source(3).strip()
    assert [each["right"] for each in undisturbed["versions"]] == [True, False, True, True]


@pytest.mark.parametrize(
    ("role", "at"),
    [("generator", 1), ("critic", 1), ("optimizer", 1), ("reflector", 1), ("generator", 4)],
)
def test_killed_while_a_role_is_asked(place, undisturbed, warm: Warm, role: str, at: int) -> None:
    author, name = Author(role, at), f"killed-{role}-{at}"
    with OpenAIServer(fallback=author.play) as server:
        process = started(*command(server, f"--run-dir={name}"), cwd=place)
        assert author.reached.wait(90), process.communicate(timeout=5)[0]
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        ran = warm.pytest(*command(server, f"--resume={name}"), cwd=place)
    assert ran.code == 0, ran.text
    assert state(place / name) == undisturbed
    asked = sorted(author.asked.values())
    assert asked == [*[1] * (len(asked) - 1), 2], "only what was not answered is asked again"


def test_killed_while_a_candidate_is_judged(place, undisturbed, warm: Warm) -> None:
    author, name = Author(), "killed-judge"
    with OpenAIServer(fallback=author.play) as server:
        process = started(*command(server, f"--run-dir={name}"), cwd=place)
        until = time.monotonic() + 90
        journal = []
        while not any('"evaluation"' in line for line in journal) or not re.search('"model"', journal[-1]):
            journal = [line for path in (place / name).glob("samples/*/journal.jsonl") for line in path.open()]
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        ran = warm.pytest(*command(server, f"--resume={name}"), cwd=place)
    assert ran.code == 0, ran.text
    assert state(place / name) == undisturbed


def test_replayed_with_the_server_gone(place, undisturbed, warm: Warm) -> None:
    for number in range(3):  # it can be replayed if its versions rank as they did: on a busy machine they may not
        kept, again = place / f"kept-{number}", place / f"replayed-{number}"
        with OpenAIServer(fallback=Author().play) as server:
            asked = command(server, f"--model-cache-file=calls-{number}.sqlite")
            ran = warm.pytest(*asked, f"--run-dir={kept}", cwd=place)
            assert ran.code == 0, ran.text
        ran = warm.pytest(*asked, "--model-cache=replay", f"--run-dir={again}", cwd=place)
        assert ran.code == 0, ran.text
        if ranked(again) == ranked(kept):
            break
    assert state(kept) == state(again) == undisturbed
    assert times(kept) != times(again), "it was judged anew"
