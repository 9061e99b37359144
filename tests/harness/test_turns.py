"""Whose turn it is with the judges: what has to be found out of a script task once is found out by one of them, and a
judge that is free takes a task that it judged before."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from typing import Any

import pytest

from harness.engine.judges import OVERTAKEN, Judges
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


def _task(name: str) -> Task:
    return script(reference=KERNEL + f"# {name}\n")


def _known(judges: Judges, *tasks: Task) -> None:
    judges._known.update(task.digest for task in tasks)


def _begun(log: list[str]) -> list[str]:
    return [each.removeprefix("begin ") for each in log if each.startswith("begin")]


def test_who_is_free_takes_a_task_that_it_judged_before(slow: Task, quick: Task) -> None:
    """Two judges, one for each task; then two wait for the first task, and one for the second: its judge is free."""
    gate = {each: threading.Event() for each in ("a1", "b1", "a2", "a3", "b2")}
    judges, log = _judges(2, gate, {"reference": 1.0})
    _known(judges, slow, quick)
    of = {"a": slow, "b": quick}
    threads = [_start(judges, of[each[0]], each) for each in gate]
    assert _begun(log) == ["a1", "b1"]
    gate["b1"].set()
    time.sleep(0.2)
    assert _begun(log) == ["a1", "b1", "b2"], "the first who waits is of the other judge's task"
    gate["b2"].set()
    time.sleep(0.2)
    assert _begun(log)[3:] == ["a2"], "rather than nothing it takes what another judge knows"
    for event in gate.values():
        event.set()
    for thread in threads:
        thread.join(10)
    assert sorted(_begun(log)) == sorted(gate)


def test_what_no_judge_knows_goes_before_what_a_busy_one_knows(slow: Task, quick: Task) -> None:
    new = _task("new")
    gate = {each: threading.Event() for each in ("a1", "b1", "a2", "c1")}
    judges, log = _judges(2, gate, {"reference": 1.0})
    _known(judges, slow, quick, new)
    of = {"a": slow, "b": quick, "c": new}
    threads = [_start(judges, of[each[0]], each) for each in gate]
    gate["b1"].set()
    time.sleep(0.2)
    assert _begun(log) == ["a1", "b1", "c1"]
    for event in gate.values():
        event.set()
    for thread in threads:
        thread.join(10)


def test_nobody_is_overtaken_for_ever(slow: Task, quick: Task) -> None:
    """One judge knows a task of which there is no end; the other task's turn comes all the same."""
    names = [f"a{number}" for number in range(OVERTAKEN + 4)]
    gate = {each: threading.Event() for each in names}
    judges, log = _judges(1, gate, {"reference": 1.0})
    _known(judges, slow, quick)
    threads = [_start(judges, slow, names[0]), _start(judges, quick, "other")]
    threads += [_start(judges, slow, each) for each in names[1:]]
    for event in gate.values():
        event.set()
        time.sleep(0.1)
    for thread in threads:
        thread.join(10)
    assert _begun(log) == [*names[: OVERTAKEN + 1], "other", *names[OVERTAKEN + 1 :]]


def test_who_is_interrupted_gives_its_seat_back(slow: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Ctrl-C, when it has just got one: of a task that others wait for, too."""
    judges, log = _judges(1, {}, {"reference": 1.0})
    wait_for = judges._changed.wait_for

    def interrupted(*arguments: Any) -> bool:
        wait_for(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(judges._changed, "wait_for", interrupted)
    with pytest.raises(KeyboardInterrupt):
        judges.judge(slow, "first")
    monkeypatch.undo()
    assert not log and len(judges._free) == 1 and not judges._given and not judges._waiting and not judges._asking
    threads = [_start(judges, slow, "second"), _start(judges, slow, "third")]
    for thread in threads:
        thread.join(5)
    assert sorted(log) == ["begin second", "begin third", "end second", "end third"]
