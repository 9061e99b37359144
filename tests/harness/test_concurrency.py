"""`--concurrency`: attempts run at once while a model thinks, each as it would alone; kills and stops lose nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.device import find_device
from harness.engine.ahead import Ahead
from harness.errors import Stopped
from harness.judge.judge import Judge, JudgeLimits
from harness.run import Attempt
from harness.suite import load_suite
from tests.agents.openai_server import OpenAIServer, answer, status
from tests.harness.commands import NO_CACHE, SOLVERS, TOY, Warm, started
from tests.harness.suites import write_suite
from tests.harness.test_kill_and_resume import _assert_gone, _journals, _kill_when, _results

pytest.importorskip("openai")

REFERENCE = (TOY / "doubled" / "reference.py").read_text()
ENVIRONMENT = {"NO_PROXY": "127.0.0.1", "OPENAI_API_KEY": "sk-of-this-test"}
NAME = re.compile(r"(\w+)\(x: torch\.Tensor\)")


class Author:
    """A model that answers after a delay: the reference of whatever is asked for, each time with another last line;
    for tasks named in `down` its server fails for good."""

    def __init__(self, delay: float, down: tuple[str, ...] = ()) -> None:
        self.delay, self.down = delay, down
        self.most_at_once = self._at_once = 0
        self._written: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.server = OpenAIServer(fallback=self._play)
        self.server._server.socket.listen(64)  # all come at once

    @property
    def asked(self) -> Counter[str]:
        """Prompts, and how often each came."""
        return Counter(self.server.prompts())

    @contextmanager
    def serving(self):
        """Arguments of a command for `geak` with this model."""
        with self.server:
            yield ("--solver=geak", "--model=tiny", f"--base-url={self.server.url}", "--model-option=backoff=0.1")

    def _play(self, handler: Any, request: dict[str, Any]) -> None:
        prompt = request["messages"][-1]["content"]
        found = NAME.search(prompt)
        assert found is not None
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        time.sleep(self.delay)
        with self._lock:
            self._at_once -= 1
        if found[1] in self.down:
            status(400)(handler, request)
        elif prompt.strip().endswith("Role: generator"):
            answer(self._source(found[1]))(handler, request)
        else:
            answer("Take another block size.")(handler, request)

    def _source(self, name: str) -> str:
        with self._lock:
            self._written[name] += 1
            number = self._written[name]
        return f"```python\n{REFERENCE.replace('doubled', name)}\n# version {number}\n```"


def _suite(folder: Path, tasks: int) -> Path:
    """A suite of so many tasks that double a vector."""
    return write_suite(folder / "suite", {f"task{number}": 2 for number in range(tasks)})


def _rows(run: Path) -> dict[str, dict[str, Any]]:
    """What was recorded, by task; each attempt once."""
    rows = [json.loads(line) for line in _results(run)]
    found = {row["attempt"]["task"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def _judged(run: Path) -> Counter[tuple[str, str, str]]:
    """What was judged: attempt, evaluation or grade, and for evaluations the source's digest."""
    return Counter(
        (each["attempt"], each["kind"], each["key"] if each["kind"] == "evaluation" else "")
        for each in _journals(run)
        if each["kind"] != "model"
    )


def test_many_attempts_wait_together(tmp_path: Path, warm: Warm) -> None:
    many = 16
    suite, author = _suite(tmp_path, many), Author(delay=2.0)
    with author.serving() as arguments:
        begin = time.monotonic()
        ran = warm.pytest(
            suite, *arguments, "--iterations=2", f"--concurrency={many}", "--run-dir=run", *NO_CACHE,
            cwd=tmp_path, env=ENVIRONMENT,
        )  # fmt: skip
        wall = time.monotonic() - begin
    assert ran.code == 0 and f"{3 * many} passed" in ran.text, ran.text
    assert f"concurrency: up to {many} attempts at once" in ran.text
    assert author.most_at_once >= 0.6 * many
    waited = sum(author.asked.values()) * author.delay
    assert waited >= many * 3 * 2 and wall < waited / 3, f"{wall:.1f} s, where one after the other waits {waited:.0f} s"
    assert len(_judged(tmp_path / "run")) == many * (2 + 1)


def test_as_one_after_the_other(tmp_path: Path, warm: Warm) -> None:
    suite = _suite(tmp_path, 4)
    for many in (1, 3):
        with Author(delay=0.0).serving() as arguments:
            command = (*arguments, "--iterations=3", f"--concurrency={many}", f"--run-dir=run{many}", "-k", "not task3")
            ran = warm.pytest(suite, *command, *NO_CACHE, cwd=tmp_path, env=ENVIRONMENT)
        assert ran.code == 0 and "9 passed, 3 deselected" in ran.text, ran.text
        assert ("at once" in ran.text) == (many > 1)
    one, three = tmp_path / "run1", tmp_path / "run3"
    assert _judged(one) == _judged(three)
    for task, row in _rows(one).items():
        other = _rows(three)[task]
        for field in ("attempt", "status", "task_digest", "environment", "stopped"):
            assert row[field] == other[field]
        assert row["verdict"]["outcome"] == other["verdict"]["outcome"] == "right"
        assert row["spent"]["calls"] == other["spent"]["calls"]
    assert "concurrency" not in json.loads((one / "run.json").read_text())["options"]


def test_killed_and_resumed(tmp_path: Path, warm: Warm) -> None:
    """Twice, then continued one attempt after the other: how many run at once may differ each time."""
    suite, author, run = _suite(tmp_path, 4), Author(delay=0.1), tmp_path / "run"
    with author.serving() as arguments:
        first = (*arguments, "--iterations=4", "--concurrency=3", f"--run-dir={run}")
        for command in (first, (f"--resume={run}", "--concurrency=2")):
            judged = len(_judged(run))
            process = started(suite, *command, *NO_CACHE, cwd=tmp_path, env=ENVIRONMENT)
            _kill_when(lambda judged=judged: len(_judged(run)) >= judged + 4, process)
            _assert_gone(suite)
        kept = _journals(run)
        assert len({each["attempt"] for each in kept}) >= 3, "several attempts were under way"
        lost = sum(author.asked.values()) - sum(each["kind"] == "model" for each in kept)
        assert lost <= 3 + 2, "only what was being answered at a kill is asked again"
        ran = warm.pytest(suite, f"--resume={run}", *NO_CACHE, cwd=tmp_path, env=ENVIRONMENT)
    assert ran.code == 0 and "12 passed" in ran.text, ran.text
    entries = _journals(run)
    assert all(each in entries for each in kept), "what was paid for is kept"
    places = Counter((each["attempt"], each["kind"], each["key"], each["occurrence"]) for each in entries)
    assert set(places.values()) == {1}, "nothing was judged twice"
    assert sum(author.asked.values()) == sum(each["kind"] == "model" for each in entries) + lost, "or asked twice"
    assert {row["verdict"]["outcome"] for row in _rows(run).values()} == {"right"}


def test_trouble_is_its_own(tmp_path: Path, warm: Warm) -> None:
    suite, author = _suite(tmp_path, 4), Author(delay=0.05, down=("task1",))
    with author.serving() as arguments:
        ran = warm.pytest(
            suite, *arguments, "--iterations=2", "--concurrency=4", "--run-dir=run", *NO_CACHE,
            cwd=tmp_path, env=ENVIRONMENT,
        )  # fmt: skip
    assert ran.code == 1 and "9 passed" in ran.text and "3 errors" in ran.text, ran.text
    rows = _rows(tmp_path / "run")
    assert {task: row["status"] for task, row in rows.items()} == {
        "task0": "judged",
        "task1": "owed",
        "task2": "judged",
        "task3": "judged",
    }
    assert "HTTP 400" in rows["task1"]["error"]


def test_a_judge_that_dies_is_replaced(tmp_path: Path) -> None:
    """Its judgement is trouble of the machine, and tried again."""
    suite, author, run = _suite(tmp_path, 3), Author(delay=0.3), tmp_path / "run"
    with author.serving() as arguments:
        command = (*arguments, "--iterations=3", "--concurrency=3", "--judges=1", f"--run-dir={run}", *NO_CACHE)
        process = started(suite, *command, cwd=tmp_path, env=ENVIRONMENT)
        _wait(lambda: len(_judged(run)) >= 2)
        os.kill(_judges(process.pid)[0], signal.SIGKILL)
        text = process.communicate(timeout=120)[0]
    assert process.returncode == 0 and "9 passed" in text, text
    assert set(_judged(run).values()) == {1}


def test_a_stop_starts_no_more(tmp_path: Path, warm: Warm) -> None:
    suite, run = _suite(tmp_path, 6), tmp_path / "run"
    # The first of its versions is wrong, and handed in at once; those that follow take their time.
    command = (suite, f"--solver={SOLVERS}:Versions:versions=1,pause=0.5", "--concurrency=2", f"--run-dir={run}", "-x")
    ran = warm.pytest(*command, *NO_CACHE, cwd=tmp_path)
    assert ran.code == 1 and "stopping after 1 failures" in ran.text, ran.text
    begun = [path.name for path in (run / "samples").iterdir()]
    assert 1 <= len(_results(run)) <= len(begun) < 6, begun
    _assert_gone(suite)
    ran = warm.pytest(suite, f"--resume={run}", "--concurrency=6", *NO_CACHE, cwd=tmp_path)
    assert len(_rows(run)) == 6, ran.text


def test_interrupted_while_the_model_thinks(tmp_path: Path) -> None:
    suite, author, run = _suite(tmp_path, 3), Author(delay=30.0), tmp_path / "run"
    with author.serving() as arguments:
        command = (*arguments, "--concurrency=3", f"--run-dir={run}", *NO_CACHE)
        process = started(suite, *command, cwd=tmp_path, env=ENVIRONMENT)
        _wait(lambda: author.most_at_once == 3)
        os.killpg(process.pid, signal.SIGINT)
        text = process.communicate(timeout=30)[0]
    assert process.returncode == 2 and "KeyboardInterrupt" in text, text
    assert _results(run) == [] and _journals(run) == []
    assert "Traceback" not in text, text
    _assert_gone(suite)


def _attempts(number: int) -> list[Attempt]:
    return [Attempt("suite", f"task{each}", "solver", "model", 1) for each in range(number)]


def test_ahead_keeps_the_order_of_the_plan_and_counts() -> None:
    plan, begun, gate = _attempts(5), [], threading.Event()

    def perform(attempt: Attempt, notice: Callable[[str], None]) -> str:
        begun.append(attempt.task)
        notice("waiting for the model")
        assert gate.wait(20)
        if attempt.task == "task1":
            raise OSError("its own trouble")
        return attempt.task

    def told() -> None:
        if not gate.is_set():
            while ahead.doing() != {"waiting for models": 2}:
                time.sleep(0.01)
            assert ahead.done() == []
        gate.set()

    ahead = Ahead(plan, perform, 2)
    assert ahead.result(plan[0], told) == "task0" and gate.is_set()
    with pytest.raises(OSError, match="its own"):
        ahead.result(plan[1], told)
    assert [ahead.result(each, told) for each in plan[2:]] == ["task2", "task3", "task4"]
    assert sorted(begun[:2]) == ["task0", "task1"] and sorted(begun) == [each.task for each in plan]
    assert sorted(ahead.done()) == ["task0", "task2", "task3", "task4"] and ahead.seconds > 0


def test_ahead_stops_those_that_run_and_starts_no_more() -> None:
    plan, begun = _attempts(4), []

    def perform(attempt: Attempt, notice: Callable[[str], None]) -> str:
        begun.append(attempt.task)
        while attempt.task != "task0":
            try:
                notice("evaluation")
                time.sleep(0.01)
            except Exception:
                raise AssertionError("a solver can catch it") from None
        return attempt.task

    ahead = Ahead(plan, perform, 2)
    assert ahead.result(plan[0], lambda: None) == "task0"
    ahead.stop()
    ahead.settle()
    with pytest.raises(Stopped):
        ahead.result(plan[1], lambda: None)
    assert "task3" not in begun


def test_a_judge_keeps_the_references_of_the_tasks_judged_last(tmp_path: Path) -> None:
    first, second, third = load_suite(_suite(tmp_path, 3)).tasks
    with Judge(find_device("interpreter"), JudgeLimits(references=2)) as judge:
        kept = {task.name: judge.reference_process(task) for task in (first, second)}
        assert judge.judge(first, first.reference).right and judge.judge(second, second.reference).right
        assert judge.reference_process(first) is kept["task0"]
        judge.reference_process(third)
        assert judge.reference_process(first) is kept["task0"]
        assert judge.reference_process(second) is not kept["task1"], "used the longest ago"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--concurrency=0"], "--concurrency 0"),
        (["--judges=2"], "attempts run one at a time"),
        (["--concurrency=2", "-n2"], "leave -n out"),
    ],
    ids=["none at once", "judges of one", "with xdist"],
)
def test_usage(arguments: list[str], words: str, one: Path, warm: Warm) -> None:
    ran = warm.pytest(one, "--solver=nop", *arguments, "--run-dir=run", *NO_CACHE, cwd=one.parent)
    assert ran.code == 4, ran.text
    assert [line for line in ran.lines if line.startswith("ERROR:") and words in line], ran.text
    assert not (one.parent / "run").exists()


def _wait(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.01)


def _judges(parent: int) -> list[int]:
    """Processes of judges that a command has started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes()
            above = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if above == parent and b"harness.engine.warming" in line:
            found.append(int(entry.name))
    return found
