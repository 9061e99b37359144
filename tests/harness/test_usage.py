"""Quiet on a device: who times long calls there works alone, and nobody waits for ever."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.device import Device
from harness.engine.lease import quiet, using
from harness.judge import usage
from harness.judge.judge import Judge
from harness.judge.stopwatch import Stopwatch
from harness.judge.usage import Usage
from harness.task import Task
from harness.verdict import Outcome
from tests.harness.commands import ROOT
from tests.harness.test_script import KERNEL
from tests.harness.test_script_timing import timed


@pytest.fixture
def name() -> str:
    return f"GPU-{secrets.token_hex(6)}"


@pytest.fixture
def mine(name: str) -> Usage:
    return Usage(Device("cuda", 0, "A GPU", name))


@contextmanager
def _another(name: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the device for so long; it has begun."""
    code = (
        "import sys, time\nfrom harness.engine.lease import using\n"
        "with using(sys.argv[1]):\n    print('begun', flush=True)\n    time.sleep(float(sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", code, name, str(seconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def test_it_is_quiet_once_others_are_done(name: str) -> None:
    with _another(name, 0.5):
        start = time.monotonic()
        with quiet(name, 20.0) as alone:
            assert alone and 0.2 < time.monotonic() - start < 5


def test_many_use_it_side_by_side(name: str) -> None:
    with _another(name, 20.0), using(name):
        pass


def test_who_does_not_finish_is_waited_for_so_long_and_no_longer(name: str) -> None:
    with _another(name, 20.0):
        start = time.monotonic()
        with quiet(name, 0.3) as alone:
            assert not alone and 0.3 <= time.monotonic() - start < 5


def test_one_that_is_killed_holds_nobody_up(name: str) -> None:
    with _another(name, 60.0) as other:
        os.kill(other.pid, 9)
        with quiet(name, 20.0) as alone:
            assert alone


def test_who_comes_meanwhile_waits(name: str, mine: Usage) -> None:
    asked, begun = threading.Event(), threading.Event()

    def work() -> None:
        asked.set()
        with mine():
            begun.set()

    thread = threading.Thread(target=work)
    with quiet(name, 1.0) as alone:
        thread.start()
        assert alone and asked.wait(5) and not begun.wait(0.3)
    assert begun.wait(5) and mine.waited >= 0.2
    thread.join()


def test_what_is_asked_within_is_not_asked_again(name: str, mine: Usage) -> None:
    watch = Stopwatch()
    with mine(), mine():
        pass
    with mine.inside(), mine.quiet(2 * usage.LONG_US, watch):
        with mine():  # the judge's own processes, while it times them
            pass
        assert not mine.remarks()
    with mine.inside(), mine.quiet(usage.LONG_US / 2, watch), using(name):
        pass  # short calls need none


@pytest.mark.parametrize(("us", "doubted"), [(usage.LONG_US, False), (1.0, True)])
def test_beside_whom_it_was_timed_is_said(
    name: str, mine: Usage, us: float, doubted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "PATIENCE_OF_A_DOUBT" if doubted else "PATIENCE", 0.1)
    with _another(name, 20.0), mine.inside(), mine.quiet(us, Stopwatch(), doubted):
        pass
    assert mine.remarks() == ["others worked on the device while it should have been quiet for timing, 1 time"]
    assert not mine.remarks(), "once"


@pytest.mark.parametrize("of", ["a task", "a script"])
def test_a_whole_judgement_among_others(
    judge: Judge, doubled: Task, name: str, of: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: everything that is asked waits for quiet, and every call counts as long."""
    times: list[tuple[float, float]] = []
    uses: list[tuple[float, float]] = []
    over = threading.Event()

    @contextmanager
    def watched(device_id: str, patience: float) -> Iterator[bool]:
        with quiet(device_id, patience) as alone:
            begin = time.monotonic()
            yield alone
            times.append((begin, time.monotonic()))

    def others() -> None:
        while not over.is_set():
            with using(name):
                begin = time.monotonic()
                time.sleep(0.002)
                uses.append((begin, time.monotonic()))

    monkeypatch.setattr(usage, "quiet", watched)
    monkeypatch.setattr(usage, "LONG_US", 0.0)
    monkeypatch.setattr(judge.usage, "_id", name)
    threads = [threading.Thread(target=others) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        task = doubled if of == "a task" else timed()
        verdict = judge.judge(task, doubled.reference if of == "a task" else KERNEL)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        judge.drop_references()
    assert verdict.outcome is Outcome.RIGHT and verdict.timings and not verdict.notes, (verdict.reason, verdict.notes)
    assert len(times) >= len(verdict.timings) and len(uses) > 10
    for begin, end in times:
        assert not any(first < end and begin < last for first, last in uses), "nobody worked meanwhile"
