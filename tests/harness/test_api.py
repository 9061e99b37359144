"""`harness.api.Judge`: verdicts in a script, many at once; what is off is said, what dies is judged again."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from harness.api import WAITING, Judge, Judged
from harness.errors import InfrastructureError, UsageError
from harness.verdict import Outcome
from tests.harness.commands import TOY

RIGHT = (TOY / "doubled" / "reference.py").read_text()
WRONG = RIGHT.replace("2 *", "3 *").replace("* 2", "* 3")
HANGS = RIGHT + "\n\ndef doubled(x):\n    while True:\n        pass\n"
assert WRONG != RIGHT


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(TOY, device="interpreter", judges=2, stage_timeout=8.0) as judge:
        yield judge


def _started(judge: Judge) -> list[int]:
    """Processes of its judges."""
    return [each._process.pid for each in judge._judges._all if each._process is not None]


def test_one_candidate(judge: Judge) -> None:
    verdict = judge.evaluate("doubled", RIGHT)
    assert verdict.right and verdict.speedup is not None and verdict.timings[0].clock == "interpreted"
    assert judge.evaluate("doubled", WRONG).outcome is Outcome.VALUES
    assert judge.evaluate("doubled", "def doubled(x: return").outcome is Outcome.SYNTAX


def test_many_come_as_they_are_ready_and_each_once(judge: Judge) -> None:
    sources = [RIGHT, HANGS, WRONG, "", RIGHT + "# 1", RIGHT + "# 2", RIGHT + "# 3"]
    judged = list(judge.evaluate_many(("doubled", source) for source in sources))
    assert sorted(each.number for each in judged) == list(range(len(sources)))
    outcomes = {each.number: each.verdict.outcome for each in judged if each.verdict is not None}
    assert outcomes == {
        0: Outcome.RIGHT,
        1: Outcome.TIMEOUT,
        2: Outcome.VALUES,
        3: Outcome.NO_CODE,
        4: Outcome.RIGHT,
        5: Outcome.RIGHT,
        6: Outcome.RIGHT,
    }
    assert [each.number for each in judged].index(1) >= 1, "who hangs holds up nobody else"


def test_identical_sources_are_judged_once(judge: Judge) -> None:
    judged = list(judge.evaluate_many([("doubled", RIGHT)] * 4 + [("doubled", RIGHT + "#")]))
    seeds = {each.number: each.verdict.seed for each in judged if each.verdict is not None}
    assert len(seeds) == 5 and len({seeds[n] for n in range(4)}) == 1 and seeds[4] != seeds[0]
    assert judge.evaluate("doubled", RIGHT).seed != judge.evaluate("doubled", RIGHT).seed, "one by one, each is fresh"


def test_the_input_may_have_no_end(judge: Judge) -> None:
    taken = 0

    def endless() -> Iterator[tuple[str, str]]:
        nonlocal taken
        for number in count():
            taken += 1
            yield "doubled", f"{WRONG}\n# {number}"

    stream = judge.evaluate_many(endless())
    first = [next(stream) for _ in range(5)]
    stream.close()
    assert len({each.number for each in first}) == 5 and taken <= 5 + WAITING * 2


def test_what_is_unknown_is_said(judge: Judge) -> None:
    with pytest.raises(UsageError, match="no task 'tripled'; it has: doubled"):
        judge.evaluate("tripled", RIGHT)
    stream = judge.evaluate_many([("doubled", WRONG), ("tripled", RIGHT)])
    with pytest.raises(UsageError, match="tripled"):
        list(stream)
    with pytest.raises(UsageError, match=r"suite\.toml is missing"):
        Judge("no_such_suite")
    with pytest.raises(UsageError, match="a number above zero"):
        Judge(TOY, judges=0)
    with pytest.raises(UsageError, match="no GPU"):
        Judge(TOY, devices="all")
    assert [each.name for each in judge.tasks()] == ["doubled"]


def test_a_judge_that_is_killed_costs_nothing() -> None:
    with Judge(TOY, device="interpreter", judges=1, stage_timeout=8.0) as judge:
        assert judge.evaluate("doubled", WRONG).outcome is Outcome.VALUES
        (victim,) = _started(judge)
        judged: list[Judged] = []
        sources = [HANGS, WRONG, WRONG + "# 2"]
        asking = threading.Thread(target=lambda: judged.extend(judge.evaluate_many(("doubled", s) for s in sources)))
        asking.start()
        time.sleep(1.0)  # the first one hangs by now
        os.kill(victim, signal.SIGKILL)
        asking.join(120)
        outcomes = {each.number: each.verdict.outcome for each in judged if each.verdict is not None}
        assert outcomes == {0: Outcome.TIMEOUT, 1: Outcome.VALUES, 2: Outcome.VALUES}
        assert _started(judge) != [victim]


def test_after_the_end_there_is_no_verdict() -> None:
    judge = Judge(TOY, device="interpreter", judges=1)
    judge.evaluate("doubled", WRONG)
    (process,) = _started(judge)
    judge.close()
    with pytest.raises(InfrastructureError, match="the judge was closed"):
        judge.evaluate("doubled", WRONG)
    end = time.monotonic() + 10
    while os.path.exists(f"/proc/{process}") and time.monotonic() < end:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{process}")


def test_a_judgement_can_be_repeated(judge: Judge) -> None:
    assert judge.evaluate("doubled", RIGHT, seed=7).seed == 7
    judged = judge.evaluate_many([("doubled", RIGHT, 8), ("doubled", RIGHT, 9), ("doubled", RIGHT, None)])
    seeds = {each.number: each.verdict.seed for each in judged if each.verdict is not None}
    assert (seeds[0], seeds[1]) == (8, 9) and seeds[2] not in (8, 9, None)
    assert judge.environment["device"] == "interpreter" and judge.environment["isolation"]
