"""Run folders, whole and damaged, as frames."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.errors import UsageError
from harness.run import Run, Spent
from harness.verdict import Outcome, Stage
from reports.load import COLUMNS, load


def test_a_right_attempt(build: Any, verdict: Callable[..., Any]) -> None:
    attempt = build.attempt()
    said = verdict(2.0, 0.5, 4.0)
    run = build.run([(attempt, said)])
    (row,) = load([run.folder]).to_dict("records")
    assert row["speedup"] == pytest.approx(said.speedup) == pytest.approx(4 ** (1 / 3))
    assert row["reference_us"] == pytest.approx(10 * 4 ** (1 / 3)) and row["candidate_us"] == pytest.approx(10)
    assert row["low"] == pytest.approx(row["speedup"] / 1.05 ** (1 / 3**0.5))
    assert row["fraction"] == pytest.approx(0.4)
    expected = {
        **{"suite": "rocm", "suite_version": "1.0", "suite_digest": "5" * 64, "task": "softmax", "solver": "geak"},
        **{"model": "m1", "language_model": True, "sample": 1, "level": 2, "category": "reduction"},
        **{"status": "judged", "outcome": "right", "call": True, "execution": True, "timed": True, "planned": True},
        **{"evaluations": 3, "calls": 2, "prompt_tokens": 1000, "completion_tokens": 500, "tokens": 1500},
        **{"dollars": 0.25, "seconds": 30, "model_seconds": 12, "device": "NVIDIA H200", "device_kind": "cuda"},
        **{"clock": "device", "isolation": "namespaces", "environment": "e" * 64, "shows_reference": False},
        **{"task_digest": "digest of softmax", "workloads": 3, "cases": 4, "options": "max_evaluations=5"},
    }
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize("outcome", list(Outcome))
def test_stages_are_those_of_the_verdict(outcome: Outcome, build: Any, verdict: Callable[..., Any]) -> None:
    said = verdict(outcome)
    (row,) = load([build.run([(build.attempt(), said)])]).to_dict("records")
    assert (row["call"], row["execution"]) == (said.passed(Stage.CALL), said.right)
    assert not row["timed"] and math.isnan(row["speedup"])
    assert row["outcome"] == outcome.value and row["reason"] == said.reason


def test_the_plan_is_the_denominator(build: Any, verdict: Callable[..., Any]) -> None:
    plan = [build.attempt(sample=n) for n in (1, 2, 3)]
    run = build.run([(plan[0], verdict(1.0)), (plan[1], None)], plan=plan)
    frame = load([run])
    assert frame["status"].tolist() == ["judged", "owed", "owed"]
    assert frame["recorded"].tolist() == [True, True, False]
    assert not frame["execution"][1:].any() and frame["outcome"].tolist()[1:] == [None, None]
    assert math.isnan(frame["dollars"][2]) and frame["dollars"][1] == 0.25


def test_unknown_is_never_nothing(build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run(plan=[build.attempt()], environment={}, suites=[], solvers=None, model=None, options=None)
    spent = Spent(1, 1, None, 5, None)
    run.append(build.record(build.attempt(), verdict(math.nan), spent=spent, environment="", category=""))
    (row,) = load([run]).to_dict("records")
    assert math.isnan(row["tokens"]) and math.isnan(row["dollars"]) and row["completion_tokens"] == 5
    assert math.isnan(row["speedup"]) and not row["timed"] and row["execution"]
    names = ("device", "isolation", "environment", "suite_digest", "shows_reference", "language_model", "category")
    assert [row[name] for name in names] == [None] * len(names)


def test_later_lines_win_and_torn_ones_are_passed_over(build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run([(build.attempt(), verdict(Outcome.VALUES)), (build.attempt(), verdict(3.0))])
    path = run.folder / "results.jsonl"
    whole = path.read_bytes()
    lines = ["[1, 2]", "{}", '{"attempt": {}, "status": "judged"}', "{" * 5, '{"attempt": 3}', "\x00", "[" * 100_000]
    path.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n" + whole + whole[: len(whole) // 3])
    (row,) = load([run]).to_dict("records")
    assert row["speedup"] == pytest.approx(3) and row["outcome"] == "right"


@pytest.mark.parametrize(
    "damage",
    [
        {"verdict": None},
        {"verdict": "text"},
        {"verdict": {"outcome": None}},
        {"verdict": {"outcome": 7, "timings": 3}},
    ],
)
def test_a_judged_line_without_a_verdict_is_owed(damage: dict[str, Any], build: Any, verdict: Any) -> None:
    run = build.run([(build.attempt(), verdict(1.0))])
    _rewrite(run, damage)
    assert load([run])["status"].tolist() == ["owed"]


@pytest.mark.parametrize("value", ["text", None, [1], {"a": 1}, 10**400, math.inf, -math.inf, math.nan])
def test_foreign_values_are_unknown(value: Any, build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run([(build.attempt(), verdict(1.0, 2.0))])
    line = json.loads((run.folder / "results.jsonl").read_text())
    line["verdict"]["timings"][1]["speedup"] = value
    _rewrite(run, {"level": value, "spent": {"dollars": value, "seconds": 1}, "verdict": line["verdict"]})
    (row,) = load([run]).to_dict("records")
    assert math.isnan(row["level"]) and math.isnan(row["dollars"]) and math.isnan(row["evaluations"])
    assert row["seconds"] == 1 and row["execution"] and math.isnan(row["speedup"]) and not row["timed"]


def test_an_outcome_of_a_newer_version_counts_as_recorded(build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run([(build.attempt(), verdict(1.0))])
    _rewrite(run, {"verdict": {"outcome": "haunted", "stages": {"call": True, "execution": False, "speedup": False}}})
    (row,) = load([run]).to_dict("records")
    assert (row["call"], row["execution"], row["outcome"]) == (True, False, "haunted")


def test_unplanned_attempts_are_rows(build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run([(build.attempt("other"), verdict(1.0))], plan=[build.attempt()])
    assert load([run])[["task", "planned"]].values.tolist() == [["softmax", True], ["other", False]]


def test_another_environment_is_not_described(build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run(plan=[build.attempt(), build.attempt("other")])
    run.append(build.record(build.attempt(), verdict(1.0), environment="f" * 64))
    frame = load([run])
    assert frame["environment"].tolist() == ["f" * 64, "e" * 64]
    assert frame["device"].tolist() == [None, "NVIDIA H200"]


def test_interpreted_times_are_known_by_device_or_by_clock(build: Any, verdict: Any, interpreter: Any) -> None:
    said = verdict(1.0, clock="interpreted")
    assert load([build.run([(build.attempt(), said)], environment=interpreter)])["clock"].tolist() == ["interpreted"]
    assert load([build.run([(build.attempt(), said)], environment={})])["clock"].tolist() == ["interpreted"]


def test_columns_do_not_depend_on_content(build: Any) -> None:
    empty, owed = load([build.run()]), load([build.run(plan=[build.attempt()])])
    assert list(empty.columns) == list(owed.columns) == list(COLUMNS)
    assert empty.dtypes.astype(str).to_dict() == owed.dtypes.astype(str).to_dict() == COLUMNS


def test_a_folder_named_twice_is_read_once(build: Any, verdict: Callable[..., Any]) -> None:
    run = build.run([(build.attempt(), verdict(1.0))])
    assert len(load([run, run.folder, run.folder / "."])) == 1


def test_strings_that_look_like_samples_stay_as_they_are(build: Any, verdict: Callable[..., Any]) -> None:
    reason = 'it said "candidate_samples_us": [1, 2] and \\"reference_samples_us": [3'
    assert load([build.run([(build.attempt(), verdict(1.0, reason=reason))])])["reason"].tolist() == [reason]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "can't be read"),
        ("[1]", "schema None"),
        ('{"schema": 99, "harness": "9.1"}', "written by version 9.1 with schema 99"),
        ('{"schema": 1, "plan": [{"task": "softmax"}]}', "entry 1 of the plan"),
        ('{"schema": 1, "plan": 3}', "entry 1 of the plan"),
        ("[" * 100_000, "can't be read"),
    ],
)
def test_what_is_no_run_says_what_to_do(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        load([tmp_path])
    assert "\n" not in str(caught.value)


def _rewrite(run: Run, changes: dict[str, Any]) -> None:
    path = run.folder / "results.jsonl"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}) + "\n")


def test_runs_by_name_and_a_single_one(build: Any, verdict: Callable[..., Any]) -> None:
    first, second = (build.run([(build.attempt(task), verdict(1.0))]) for task in ("a", "b"))
    pd.testing.assert_frame_equal(load(str(first.folder)), load([first]))
    pd.testing.assert_frame_equal(load([str(first.folder), second.folder]), load([first, second]))
    with pytest.raises(UsageError, match="is no folder"):
        load("no/such/run")


def test_what_json_proper_does_not_have_is_read(build: Any, verdict: Any) -> None:
    run = build.run([(build.attempt(sample=n), verdict(1.5, reason=f"no. {n}")) for n in (1, 2, 3)])
    path = run.folder / "results.jsonl"
    odd = [("no. 1", "\\ud800"), ('"worst_error": null', '"worst_error": NaN'), ("no. 3", "3" * 400)]
    lines = [line.replace(*swap) for line, swap in zip(path.read_text().splitlines(), odd, strict=True)]
    path.write_text("\n".join([*lines, "[" * 100_000, '{"status": "judged"']) + "\n")
    frame = load([run])
    assert list(frame["status"]) == ["judged"] * 3 and frame["reason"].iloc[0] == "\ud800"
    assert frame["worst_error"].isna().all()
