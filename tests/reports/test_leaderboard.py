"""The leaderboard's numbers against independent computation, and its conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.run import Spent
from harness.verdict import Outcome
from reports.leaderboard import COLUMNS, leaderboard
from reports.leaderboard_table import leaderboard_tables
from reports.load import load


def board_of(*runs: Any) -> list[dict[str, Any]]:
    return leaderboard(load(runs)).to_dict("records")


def test_every_number(build: Any, verdict: Callable[..., Any]) -> None:
    speedups = [2.0, 1.5, 1.0, 0.5]
    failures = [Outcome.SYNTAX, Outcome.VALUES, Outcome.UNSUPPORTED, Outcome.TIMING_FAILED]
    attempts = [build.attempt(f"t{n}") for n in range(10)]
    said = [verdict(x) for x in (*speedups, *failures)]
    run = build.run(list(zip(attempts[:9], [*said, None], strict=True)), plan=attempts)
    (row,) = board_of(run)
    counts = {"tasks": 10, "attempts": 10, "judged": 8, "owed": 2, "unsupported": 1, "timed": 4, "right_untimed": 1}
    assert {name: row[name] for name in counts} == counts
    for name, k in {"call": 6, "execution": 5, "fast_1": 2, "fast_1_5": 1, "fast_2": 0}.items():
        bounds = stats.binomtest(k, 10).proportion_ci(method="wilson")
        assert (row[name], row[f"{name}_low"], row[f"{name}_high"]) == pytest.approx((k / 10, bounds.low, bounds.high))
    assert row["speedup"] == pytest.approx(stats.gmean(speedups))
    assert row["speedup_failures_1"] == pytest.approx(stats.gmean(speedups + [1.0] * 6))
    assert row["speedup_low"] < row["speedup"] < row["speedup_high"]
    # nine are recorded; the tenth cost nothing that is known
    assert (row["tokens"], row["dollars"], row["seconds"], row["evaluations"]) == (9 * 1500, 9 * 0.25, 9 * 30, 27)


def test_the_best_comes_first(build: Any, verdict: Callable[..., Any]) -> None:
    results = {"slow": [1.0, 1.0], "fast": [2.0, 2.0], "wrong": [9.0, Outcome.VALUES]}
    attempts = [(build.attempt(f"t{n}", s), verdict(x)) for s, xs in results.items() for n, x in enumerate(xs)]
    assert [row["solver"] for row in board_of(build.run(attempts))] == ["fast", "slow", "wrong"]


@pytest.mark.parametrize(
    "about",
    [
        {"suites": [{"name": "rocm", "version": "1.0", "digest": "6" * 64}]},
        {"environment": {"device": "AMD MI300X", "device_kind": "hip", "isolation": "namespaces", "digest": "a"}},
        {"environment": {"device": "NVIDIA H200", "device_kind": "cuda", "isolation": "none", "digest": "b"}},
        {"options": {"max_evaluations": 50}},
        {"options": {"max_evaluations": 5, "model_option": ["temperature=1", "top_p=0.9"]}},
        {"solvers": [{"label": "geak", "shows_reference": True}]},
        {"solvers": [{"label": "geak", "shows_reference": False, "shows_examples": True}]},
        {"model": {"name": "m1", "language_model": False}},
    ],
)
def test_other_conditions_are_another_row(about: dict[str, Any], build: Any, verdict: Callable[..., Any]) -> None:
    result = [(build.attempt(), verdict(1.0))]
    first, same, other = build.run(result), build.run(result), build.run(result, **about)
    assert [row["runs"] for row in board_of(first, same)] == [2]
    assert [row["attempts"] for row in board_of(first, other)] == [1, 1]


def test_changed_tasks_are_said(build: Any, verdict: Callable[..., Any]) -> None:
    first, second = build.run(plan=[build.attempt()]), build.run(plan=[build.attempt()])
    for run, digest in ((first, "a"), (second, "b")):
        run.append(build.record(build.attempt(), verdict(1.0), task_digest=digest))
    (table,) = leaderboard_tables(load([first, second]))
    assert any("Tasks that changed between attempts: 1" in note for note in table.notes)
    assert any("2 runs" in note for note in table.notes)


def test_unknown_dollars_stay_unknown(build: Any, verdict: Callable[..., Any]) -> None:
    attempts = [build.attempt("a"), build.attempt("b")]
    run = build.run([(attempts[0], verdict(1.0))], plan=attempts)
    run.append(build.record(attempts[1], verdict(1.0), spent=Spent(1, 1, 5, 5, None)))
    (row,) = board_of(run)
    assert math.isnan(row["dollars"]) and row["dollars_unknown"] == 1 and row["tokens"] == 1510
    (table,) = leaderboard_tables(load([run]))
    (cell,) = next(column.cells for column in table.columns if column.header == "dollars")
    assert cell == "? [1]" and "unknown for 1" in table.notes[0]


def test_a_run_without_results_is_all_owed(build: Any) -> None:
    (row,) = board_of(build.run(plan=[build.attempt(), build.attempt("b")]))
    assert (row["attempts"], row["owed"], row["execution"], row["speedup_failures_1"]) == (2, 2, 0.0, 1.0)
    assert math.isnan(row["speedup"]) and math.isnan(row["dollars"])


def test_an_empty_run_is_an_empty_board(build: Any) -> None:
    board = leaderboard(load([build.run()]))
    assert list(board.columns) == list(COLUMNS) and len(board) == 0
    assert leaderboard_tables(load([build.run()])) == []


def test_samples_of_a_task_widen_the_interval(build: Any, verdict: Callable[..., Any]) -> None:
    results = [
        (build.attempt(f"t{t}", sample=s), verdict(1.0 if t < 5 else Outcome.VALUES))
        for t in range(10)
        for s in range(1, 5)
    ]
    (row,) = board_of(build.run(results))
    bounds = stats.binomtest(5, 10).proportion_ci(method="wilson")
    assert (row["execution_low"], row["execution_high"]) == pytest.approx((bounds.low, bounds.high))


def test_interpreted_times_have_a_table_of_their_own(build: Any, verdict: Any, interpreter: Any) -> None:
    device = build.run([(build.attempt(), verdict(2.0))])
    slow = build.run([(build.attempt(), verdict(0.5, clock="interpreted"))], environment=interpreter)
    first, second = leaderboard_tables(load([device, slow]))
    assert first.title == "Leaderboard" and second.title == "Leaderboard, interpreted times"
    assert "interpreter on a CPU" in second.notes[0] and not any("interpreter" in note for note in first.notes)
    assert "speedup [1]" in [column.header for column in second.columns]
    assert second.data is not None and "interpreted_speedup" in second.data and "speedup" not in second.data


def test_rule_based_models_are_marked(build: Any, verdict: Callable[..., Any]) -> None:
    results = [(build.attempt("a", "direct", "offline"), verdict(1.0)), (build.attempt("a", "ref", ""), verdict(1.0))]
    solvers = [{"label": "direct", "shows_reference": True}]
    run = build.run(results, model={"name": "offline", "language_model": False}, solvers=solvers)
    (table,) = leaderboard_tables(load([run]))
    cells = {column.header: column.cells for column in table.columns}
    assert set(cells["model"]) == {"offline (rule-based, starts from the reference) [2]", "-"}
    assert set(cells["solver"]) == {"direct [1]", "ref"}
    assert "reference kernel" in table.notes[0] and "Rule-based" in table.notes[1]


def test_help_by_other_tasks_references_is_said(build: Any, verdict: Callable[..., Any]) -> None:
    results = [(build.attempt("a", "geak"), verdict(1.0)), (build.attempt("a", "direct"), verdict(1.0))]
    solvers = [{"label": "geak", "shows_examples": True}, {"label": "direct", "shows_examples": False}]
    (table,) = leaderboard_tables(load([build.run(results, solvers=solvers)]))
    assert set(next(each.cells for each in table.columns if each.header == "solver")) == {"geak [1]", "direct"}
    assert table.notes[0] == "Is shown the expert reference of another task, none that is a near duplicate."


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_denominators_are_the_plan(data: st.DataObject, build_anywhere: Any, verdict: Callable[..., Any]) -> None:
    build = build_anywhere
    plan = [
        build.attempt(task, solver, sample=n)
        for task in "abc"
        for solver in ("s1", "s2")
        for n in range(1, data.draw(st.integers(2, 4)))
    ]
    outcomes = st.one_of(st.none(), st.sampled_from(list(Outcome)), st.floats(0.1, 10))
    results = [(each, data.draw(outcomes)) for each in plan if data.draw(st.booleans())]
    run = build.run([(each, None if x is None else verdict(x)) for each, x in results], plan=plan)
    rows = board_of(run)
    assert sum(row["attempts"] for row in rows) == len(plan) and len(rows) == 2
    for row in rows:
        mine = [x for each, x in results if each.solver == row["solver"]]
        assert row["judged"] + row["owed"] == row["attempts"] == sum(a.solver == row["solver"] for a in plan)
        assert row["owed"] == row["attempts"] - sum(x is not None for x in mine)
        right = [x for x in mine if isinstance(x, float)]
        assert row["fast_1"] == pytest.approx(sum(x > 1 for x in right) / row["attempts"])
        assert 1 >= row["call"] >= row["execution"] >= row["fast_1"] >= row["fast_1_5"] >= row["fast_2"] >= 0
        assert row["speedup_failures_1"] == pytest.approx(np.exp(np.sum(np.log(right)) / row["attempts"]))
