"""Whose turn it is with the judges: what has to be found out of a script task once is found out by one of them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import Any

import pytest

from harness.engine.judges import Judges
from harness.errors import InfrastructureError
from harness.task import Task
from harness.verdict import Outcome, Verdict
from tests.harness.test_script import KERNEL, script


class Place:
    """A seat that judges for as long as it is told to, and writes down what it did."""

    def __init__(self, log: list[str], gate: dict[str, threading.Event], phases: dict[str, float]) -> None:
        self.recent: deque[str] = deque(maxlen=4)
        self.log, self.gate, self.phases = log, gate, phases

    def start(self) -> dict[str, Any]:
        return {"isolation": "process", "peaks": None}

    def judge(self, task: Task, source: str, seed: int | None, isolation: str) -> Verdict:
        self.log.append(f"begin {source}")
        if source in self.gate and not self.gate[source].wait(20):
            raise InfrastructureError("nobody opened")
        if source.startswith("trouble"):
            raise InfrastructureError("trouble")
        self.log.append(f"end {source}")
        return Verdict(Outcome.CALL_ERROR, "", phases=self.phases)

    def kill(self) -> None:
        pass


def _start(judges: Judges, task: Task, source: str) -> threading.Thread:
    def ask() -> None:
        with contextlib.suppress(InfrastructureError):
            judges.judge(task, source)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.1)
    return thread


@pytest.fixture
def slow() -> Task:
    return script(reference=KERNEL + "# slow\n")


@pytest.fixture
def quick() -> Task:
    return script(reference=KERNEL + "# quick\n")


def _judges(seats: int, gate: dict[str, threading.Event], phases: dict[str, float]) -> tuple[Judges, list[str]]:
    log: list[str] = []
    judges = Judges([Place(log, gate, phases) for _ in range(seats)], 1)
    judges.start()
    while len(judges._free) < seats:
        time.sleep(0.01)
    return judges, log


def test_others_of_the_task_wait_and_other_tasks_go_first(slow: Task, quick: Task) -> None:
    gate = {"first": threading.Event(), "of another": threading.Event()}
    judges, log = _judges(4, gate, {"reference": 1.0})
    threads = [_start(judges, slow, "first"), _start(judges, slow, "second"), _start(judges, slow, "third")]
    threads.append(_start(judges, quick, "of another"))
    assert log == ["begin first", "begin of another"]
    gate["first"].set()
    for thread in threads[:3]:
        thread.join(10)
    assert sorted(log[2:]) == ["begin second", "begin third", "end first", "end second", "end third"]
    gate["of another"].set()
    threads[-1].join(10)


def test_once_the_reference_was_asked_nobody_waits(slow: Task) -> None:
    gate = {"second": threading.Event(), "third": threading.Event()}
    judges, log = _judges(2, gate, {"reference": 1.0})
    _start(judges, slow, "first").join(10)
    threads = [_start(judges, slow, "second"), _start(judges, slow, "third")]
    assert log[2:] == ["begin second", "begin third"]
    for event in gate.values():
        event.set()
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize("first", ["first", "trouble"])
def test_who_says_nothing_of_the_reference_hands_on_the_turn(slow: Task, first: str) -> None:
    """Its source does not parse, say, or the judge is in trouble: then the next one finds out, and the rest wait."""
    gate = {first: threading.Event(), "second": threading.Event()}
    judges, log = _judges(3, gate, {})
    threads = [_start(judges, slow, each) for each in (first, "second", "third")]
    assert log == [f"begin {first}"]
    gate[first].set()
    time.sleep(0.2)
    assert [each for each in log if each.startswith("begin")] == [f"begin {first}", "begin second"]
    gate["second"].set()
    for thread in threads:
        thread.join(10)
    assert "end third" in log
