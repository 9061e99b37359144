"""`--baseline=RUN`: the exit code of a session says whether it is worse than an earlier run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.harness.commands import NO_CACHE, SOLVERS, Ran, Warm
from tests.harness.suites import write_suite

TASKS = {f"times{factor}": factor for factor in range(2, 9)}
"""Enough tasks that the loss of all of them is shown."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, warm: Warm) -> Path:
    """A folder with a suite and two runs: all right, and all wrong; both by a solver that replays answers."""
    folder = tmp_path_factory.mktemp("baseline")
    suite = write_suite(folder / "suite", TASKS)
    for name in ("right", "wrong"):
        rows = []
        for task in TASKS:
            source = (suite / task / "reference.py").read_text()
            rows.append(
                {"task": task, "source": source if name == "right" else source.replace("* tl.load", "* 7 * tl.load")}
            )
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        ran = answers(warm, folder, name, f"--run-dir={name}")
        assert ran.code == (0 if name == "right" else 1), ran.text
    return folder


def answers(warm: Warm, place: Path, name: str, *arguments: object) -> Ran:
    """A session in which these answers are judged."""
    given = ("suite", "--solver=replay", f"--predictions={name}.jsonl")
    return warm.pytest(*given, *arguments, "-q", *NO_CACHE, cwd=place)


def told(ran: Ran) -> str:
    """What the summary says of the baseline, on one line."""
    _, there, rest = ran.text.partition("= baseline =")
    assert there, ran.text
    return " ".join(rest.partition("run: ")[0].split())


def again(warm: Warm, place: Path, run: Path, name: str, *arguments: object) -> Ran:
    """A session that goes on with a copy of a finished run: nothing is judged, and all is compared."""
    shutil.copytree(place / name, run)
    return warm.pytest("suite", f"--resume={run}", *arguments, "-q", *NO_CACHE, cwd=place)


def test_a_regression_shown_is_exit_code_one(place: Path, warm: Warm, tmp_path: Path) -> None:
    ran = answers(warm, place, "wrong", "--baseline=right", f"--run-dir={tmp_path / 'run'}")
    assert ran.code == 1 and "exit code 1: a regression is shown" in told(ran), ran.text
    assert "replay, 7 tasks: worse: execution 100.0 % to 0.0 % (p 0.008)" in told(ran)
    assert "newly broken: times2, times3" in told(ran)


def test_wrong_kernels_alone_fail_nothing(place: Path, warm: Warm, tmp_path: Path) -> None:
    ran = again(warm, place, tmp_path / "run", "wrong", "--baseline=wrong")
    assert "7 failed" in ran.text and ran.code == 0, ran.text
    assert "exit code 0: no regression is shown; wrong kernels fail nothing" in told(ran)
    assert "replay, 7 tasks: no difference shown: execution 0.0 % to 0.0 %" in told(ran)
    ran = again(warm, place, tmp_path / "without", "wrong")
    assert ran.code == 1 and "baseline" not in ran.text.replace(str(place), ""), ran.text


def test_better_is_no_regression(place: Path, warm: Warm, tmp_path: Path) -> None:
    ran = again(warm, place, tmp_path / "run", "right", "--baseline=wrong")
    assert ran.code == 0 and "better: execution 0.0 % to 100.0 %" in told(ran), ran.text


def test_workers_tell_what_failed_and_one_process_compares(place: Path, warm: Warm, tmp_path: Path) -> None:
    ran = answers(warm, place, "wrong", "--baseline=wrong", f"--run-dir={tmp_path / 'run'}", "-n2")
    assert ran.code == 0 and "7 failed" in ran.text and "no difference shown" in told(ran), ran.text
    assert ran.text.count("= baseline =") == 1


def test_threshold_and_confidence_are_taken(place: Path, warm: Warm, tmp_path: Path) -> None:
    for number, option in enumerate(("--baseline-confidence=0.9999", "--baseline-threshold=0.9")):
        ran = again(warm, place, tmp_path / str(number), "wrong", "--baseline=right", option)
        assert ran.code == 0 and "no regression is shown" in told(ran), ran.text


def test_what_else_fails_is_no_pass(place: Path, warm: Warm, tmp_path: Path) -> None:
    other = tmp_path / "test_other.py"
    other.write_text("def test_it(): assert False\n")
    ran = again(warm, place, tmp_path / "run", "wrong", other, "--baseline=wrong")
    assert ran.code == 1 and "something else than a wrong kernel failed" in told(ran), ran.text
    ran = answers(warm, place, "wrong", "-x", "--baseline=wrong", f"--run-dir={tmp_path / 'stopped'}")
    assert ran.code == 1 and "attempts are owed" in told(ran), ran.text
    assert "owed, and no evidence: 6 of 7 attempts of NEW" in told(ran)


def test_trouble_of_a_provider_is_no_pass(place: Path, warm: Warm, tmp_path: Path) -> None:
    solver = f"--solver={SOLVERS}:Troubled:counter={tmp_path / 'counter'},times=3"
    options = ("-k=times2 or times3", "--baseline=right", "-q", *NO_CACHE)
    ran = warm.pytest("suite", solver, f"--run-dir={tmp_path / 'run'}", *options, cwd=place)
    assert ran.code == 1 and "owed, and no evidence: 1 of 2 attempts of NEW" in told(ran), ran.text
    ran = warm.pytest("suite", f"--resume={tmp_path / 'run'}", *options, cwd=place)
    assert ran.code == 0 and "exit code 0" in told(ran), ran.text


def test_runs_without_a_common_task_can_not_be_compared(place: Path, warm: Warm, tmp_path: Path) -> None:
    base = shutil.copytree(place / "right", tmp_path / "older")
    lines = (base / "results.jsonl").read_text().splitlines(keepends=True)
    (base / "results.jsonl").write_text("".join(line for line in lines if '"times2"' in line))
    ran = answers(warm, place, "right", "-k=times3", f"--baseline={base}", f"--run-dir={tmp_path / 'run'}")
    assert ran.code == 4 and "not compared: no task to compare: 6 in BASE only, 1 owed" in told(ran), ran.text


MISTAKES = {
    "missing": (["--baseline=gone"], "gone is no run folder: it has no run.json"),
    "no run": (["--baseline=suite"], "is no run folder"),
    "another suite": (["--baseline=foreign"], "foreign has other: name a run of the same suite"),
    "changed": (["--baseline=changed"], "all tasks have changed since changed was made"),
    "empty": (["--baseline=empty"], "empty has no verdict at all: name a run of the same suite"),
    "nobody's": (["--baseline=several"], "--baseline: nothing to pair: BASE has a, b, NEW has nop"),
    "newer": (["--baseline=newer"], "was written by another version"),
    "itself": (["--baseline=right", "--run-dir=right"], "holds a run already"),
    "resumed": (["--resume=right", "--baseline=right"], "--baseline: right is this run itself"),
    "threshold": (["--baseline=right", "--baseline-threshold=1"], "--baseline-threshold 1.0: from 0 to less than 1"),
    "confidence": (["--baseline=right", "--baseline-confidence=95"], "--baseline-confidence 95.0: from 0.5"),
    "alone": (["--baseline-confidence=0.9"], "--baseline-confidence has no meaning without --baseline=RUN"),
    "doctor": (["--doctor", "--baseline=right"], "--doctor judges no solver: leave --baseline out"),
}


@pytest.mark.parametrize(("arguments", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_bad_baseline_is_one_line_before_anything_runs(
    arguments: list[str], words: str, place: Path, warm: Warm
) -> None:
    about = json.loads((place / "right" / "run.json").read_text())
    results = (place / "right" / "results.jsonl").read_text()
    several = [{**attempt, "solver": name} for attempt in about["plan"] for name in "ab"]
    for name, changes, lines in (
        ("foreign", {}, results.replace('"suite": "toy"', '"suite": "other"')),
        ("changed", {}, results.replace('"task_digest": "', '"task_digest": "0')),
        ("empty", {}, ""),
        ("several", {"plan": several}, results),
        ("newer", {"schema": 99}, results),
    ):
        (place / name).mkdir(exist_ok=True)
        (place / name / "run.json").write_text(json.dumps({**about, **changes}))
        (place / name / "results.jsonl").write_text(lines)
    solver = [] if any(each.startswith(("--resume", "--doctor")) for each in arguments) else ["--solver=nop"]
    ran = warm.pytest("suite", *solver, *arguments, *NO_CACHE, cwd=place)
    errors = [line for line in ran.lines if line.startswith("ERROR:")]
    assert ran.code == 4 and len(errors) == 1 == len(ran.lines) and words in errors[0], ran.text
    assert not (place / "runs").exists(), "nothing was run"
