"""What the harness itself costs, by pytest-benchmark: `pytest tests/benchmarks` (on one core at least, no GPU needed).

Run by several workers, or with --benchmark-disable, each is done once, as a test.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from harness.device import find_device
from harness.judge.judge import Judge
from harness.run import Attempt, Record, Run
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.isolation import Limits
from harness.task import Task
from harness.verdict import Outcome, Verdict

RECORDS = 100_000
numbers = itertools.count()


@pytest.fixture(scope="module")
def judge(doubled: Task) -> Iterator[Judge]:
    """On the interpreter, with the reference's process running."""
    with Judge(find_device("interpreter")) as judge:
        assert judge.judge(doubled, doubled.reference).right
        yield judge


def test_a_process_forked_and_ended(benchmark: Any, judge: Judge) -> None:
    def fork() -> None:
        with CandidateProcess(judge.parent, Limits(), "cpu"):
            pass

    benchmark(fork)


def test_a_right_candidate(benchmark: Any, judge: Judge, doubled: Task) -> None:
    """Three small cases and a workload, on the interpreter: next to nothing of it is the kernel's."""
    verdict = benchmark(lambda: judge.judge(doubled, f"{doubled.reference}\n# {next(numbers)}"))
    assert verdict.right
    if benchmark.stats is not None:
        assert benchmark.stats.stats.median < 0.25, "a candidate costs the harness more than it may"


def test_a_candidate_that_fails_at_once(benchmark: Any, judge: Judge, doubled: Task) -> None:
    verdict = benchmark(lambda: judge.judge(doubled, f"raise ValueError({next(numbers)})\ndef doubled(x): ..."))
    assert verdict.outcome is Outcome.IMPORT_ERROR


def test_source_that_cannot_parse(benchmark: Any, judge: Judge, doubled: Task) -> None:
    verdict = benchmark(lambda: judge.judge(doubled, f"def doubled(x: {next(numbers)}"))
    assert verdict.outcome is Outcome.SYNTAX
    if benchmark.stats is not None:
        assert benchmark.stats.stats.median < 0.01


def test_records_read_on_resume(benchmark: Any, tmp_path: Path) -> None:
    """A run with 100,000 records, opened to go on with."""
    attempts = [Attempt("suite", f"task_{n % 200}", "direct", "model", n // 200 + 1) for n in range(RECORDS)]
    plan = [asdict(each) for each in attempts]
    run = Run.create(tmp_path / "run", {"environment": {"digest": "e"}, "plan": plan, "options": {}})
    record = Record(attempts[0], "judged", Verdict(Outcome.VALUES, "on n=1: 3 of 7 values differ"), "t", "e", 1, "none")
    whole = record.to_json()
    lines = (json.dumps({**whole, "attempt": asdict(each)}) for each in attempts)
    (run.folder / "results.jsonl").write_text("\n".join(lines) + "\n")

    def resume() -> int:
        again = Run.open(run.folder)
        return len(again.judged())

    assert benchmark.pedantic(resume, rounds=3) == RECORDS
    if benchmark.stats is not None:
        benchmark.extra_info["records a second"] = RECORDS / benchmark.stats.stats.median
