"""Identical solutions are judged once: their verdict is shared, said to be so, and not confused with evaluations."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from harness.engine.once import Once
from harness.errors import InfrastructureError
from harness.verdict import Outcome, Verdict
from tests.harness.commands import NO_CACHE, TOY, Warm


def _records(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]


def test_who_comes_second_waits_for_the_first() -> None:
    once, judged, got = Once(), [], []

    def judge() -> Verdict:
        judged.append(1)
        time.sleep(0.2)
        return Verdict(Outcome.RIGHT, "")

    def ask(name: str) -> None:
        got.append(once.judge(("grade", "task", "source"), name, judge))

    threads = [threading.Thread(target=ask, args=(str(n),)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(judged) == 1 and len(got) == 5 and len({of for _, of in got}) == 1


def test_other_keys_are_judged_and_trouble_is_not_kept() -> None:
    once = Once([(("grade", "task", "old"), Verdict(Outcome.RIGHT, "before"), "attempt 7")])

    def broken() -> Verdict:
        raise InfrastructureError("no device")

    with pytest.raises(InfrastructureError):
        once.judge(("grade", "task", "new"), "a", broken)
    assert once.judge(("grade", "task", "new"), "b", lambda: Verdict(Outcome.VALUES, "")) == (
        Verdict(Outcome.VALUES, ""),
        "b",
    )
    assert once.judge(("grade", "task", "old"), "c", broken)[1] == "attempt 7"
    with pytest.raises(InfrastructureError):
        once.judge(("evaluation", "task", "old"), "c", broken)


@pytest.mark.parametrize("more", [(), ("--concurrency=3", "--judges=1")], ids=["one at a time", "at once"])
def test_samples_that_are_the_same_share_a_verdict(warm: Warm, tmp_path: Path, more: tuple[str, ...]) -> None:
    run = tmp_path / "run"
    command = (TOY, "--solver=reference", "--samples=3", "--device=interpreter", "-q", *more, *NO_CACHE)
    ran = warm.pytest(*command, f"--run-dir={run}", cwd=tmp_path)
    assert ran.code == 0, ran.text
    records = _records(run)
    judged = [each for each in records if not each["same_as"]]
    assert len(records) == 3 and len(judged) == 1
    first = f"toy--doubled--reference--{judged[0]['attempt']['sample']}"
    assert {each["same_as"] for each in records} == {"", first}
    assert len({each["verdict"]["seed"] for each in records}) == 1


def test_a_run_that_goes_on_knows_what_was_judged(warm: Warm, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = (TOY, "--solver=reference", "--samples=2", "--device=interpreter", "-q", *NO_CACHE)
    assert warm.pytest(*command, f"--run-dir={run}", cwd=tmp_path).code == 0
    first, second = _records(run)
    (run / "results.jsonl").write_text(json.dumps(first) + "\n")
    for path in (run / "samples" / "toy--doubled--reference--2").iterdir():
        if path.is_file():
            path.unlink()
    ran = warm.pytest(TOY, f"--resume={run}", "-q", *NO_CACHE, cwd=tmp_path)
    assert ran.code == 0, ran.text
    assert _records(run)[-1]["same_as"] == second["same_as"] == "toy--doubled--reference--1"


def test_with_a_seed_each_has_inputs_of_its_own(warm: Warm, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = (TOY, "--solver=reference", "--samples=2", "--seed=5", "--device=interpreter", "-q", *NO_CACHE)
    assert warm.pytest(*command, f"--run-dir={run}", cwd=tmp_path).code == 0
    first, second = _records(run)
    assert first["verdict"]["seed"] != second["verdict"]["seed"] and not second["same_as"]
