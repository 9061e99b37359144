"""Every branch of the loop, walked by a scripted model behind a real server, asserted on what is written down."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field

import pytest

from agents.geak import GeakSolver
from agents.models.openai import OpenAIModel
from tests.agents.openai_server import OpenAIServer, answer
from tests.agents.scripted import TASK, coded, events, make_bench, right, shown_speedups, tag_of, wrong

pytest.importorskip("openai")

W = None
"""A wrong version."""


@dataclass(frozen=True)
class Walk:
    """What the judge says of version after version, and what must come of it."""

    speeds: tuple[float | None, ...]
    kinds: str
    """First letters: afresh, repair, optimise."""
    result: int | None
    stop: str = ""
    """Words of an early stop."""
    parents: tuple[int | None, ...] = ()
    options: dict[str, object] = field(default_factory=dict)


WALKS = {
    "the seeds' example": Walk((0.8, 1.2, 1.1, 1.5), "aooo", 4),
    "wrong then right": Walk((W, 1.0), "ar", 2),
    "wrong twice then right then faster": Walk((W, W, 0.5, 0.9), "arro", 4),
    "right then wrong then repaired": Walk((1.0, W, 1.3), "aor", 3, parents=(None, 1, 2)),
    "right then wrong and never repaired": Walk((1.0, W, W), "aor", 1),
    "a trap is left after five": Walk((1.0, W, W, W, W, W, W, 1.2), "aorrrrro", 8, parents=(None, 1, 2, 3, 4, 5, 6, 1)),
    "a trap with nothing right begins afresh": Walk((W, W, W, W, W, W, 0.7), "arrrrra", 7),
    "a trap of a length of one's own": Walk((1.0, W, W, 1.1), "aoro", 4, options={"max_perf_debug_num": 1}),
    "slower ones stay out of the result": Walk((1.5, 0.2, 1.4), "aoo", 1, parents=(None, 1, 1)),
    "a slow one is timed and improved all the same": Walk((0.125, 0.25), "ao", 2),
    "patience": Walk((1.0, 0.9, 0.8, 2.0), "aoo", 1, "brought nothing faster", options={"patience": 2}),
    "patience counts wrong ones": Walk((1.0, W, W, 2.0), "aor", 1, "brought nothing faster", options={"patience": 2}),
    "patience waits for the first right one": Walk((W, W, W, 1.0), "arrr", 4, options={"patience": 1}),
    "threshold": Walk((1.0, 1.6, 9.0), "ao", 2, "reaches the threshold", options={"early_stop_threshold": 1.5}),
    "a threshold that is not reached": Walk((1.0, 1.4), "ao", 2, options={"early_stop_threshold": 1.5}),
    "nothing right": Walk((W, W), "ar", 2),
}


class Author:
    """A model that writes kernel after kernel, by role."""

    def __init__(self) -> None:
        self.written, self.lock = 0, threading.Lock()

    def play(self, handler, request) -> None:
        role = request["messages"][-1]["content"].strip().rpartition("Role: ")[2]
        text = f"words of the {role}"
        if role == "generator":
            with self.lock:
                self.written += 1
                text = coded(f"v{self.written}")
        answer(text)(handler, request)


def walked(folder, walk: Walk):
    verdicts = {f"v{n}": wrong() if speed is W else right(speed) for n, speed in enumerate(walk.speeds, 1)}
    options = {"iterations": len(walk.speeds), "knowledge": False, "one_shot": False, **walk.options}
    with OpenAIServer(fallback=Author().play) as server:
        bench = make_bench(folder, OpenAIModel("tiny", base_url=server.url), verdicts=verdicts)
        solution = GeakSolver(**options).solve(TASK, bench)
        bench.close()
    return solution, server


@pytest.mark.parametrize("name", WALKS)
def test_branch(tmp_path, name: str) -> None:
    walk = WALKS[name]
    solution, server = walked(tmp_path, walk)
    turns = events(tmp_path, "turn")
    assert "".join(each["kind"][0] for each in turns) == walk.kinds
    assert tag_of(solution.source) == f"v{walk.result}"
    speeds = [each["version"]["speedup"] and round(each["version"]["speedup"], 9) for each in turns]
    assert speeds == list(walk.speeds[: len(walk.kinds)])
    if walk.parents:
        assert tuple(each["version"]["parent"] for each in turns) == walk.parents
    assert bool(events(tmp_path, "early stop")) == bool(walk.stop)
    assert walk.stop in str(events(tmp_path, "early stop"))
    asks = {"a": ["generator"], "r": ["reflector", "generator"], "o": ["optimizer", "generator"]}
    roles = [prompt.strip().rpartition("Role: ")[2] for prompt in server.prompts()]
    assert roles == [role for kind in walk.kinds for role in asks[kind]]
    memory = json.loads((tmp_path / "solver" / "memory-1.json").read_text())
    assert [each["speedup"] and round(each["speedup"], 9) for each in memory["versions"]] == speeds
    best = max((speed for speed in speeds if speed is not None), default=None)
    assert memory["best"] == (None if best is None else speeds.index(best) + 1)


def test_the_optimizer_of_turn_four_saw_the_history_ascending(tmp_path) -> None:
    _, server = walked(tmp_path, WALKS["the seeds' example"])
    asked = [prompt for prompt in server.prompts() if prompt.strip().endswith("Role: optimizer")]
    assert [shown_speedups(prompt) for prompt in asked] == [["0.8"], ["0.8", "1.2"], ["0.8", "1.1", "1.2"]]


def test_the_best_of_parallel_instances(tmp_path) -> None:
    walk = Walk((0.5, 0.7, 3.0, 0.2, 1.0, 0.9), "", None, options={"parallel": 3, "iterations": 2})
    solution, _ = walked(tmp_path, walk)
    assert tag_of(solution.source) == "v3" and " of 3" in solution.origin
    by_instance = {each["instance"] for each in events(tmp_path, "turn")}
    assert by_instance == {0, 1, 2} and len(events(tmp_path, "turn")) == 6
