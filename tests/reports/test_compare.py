"""Two runs compared: what is paired, what is left out and told, and what the verdict is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.errors import UsageError
from harness.verdict import Outcome
from reports.comparable import Choice
from reports.compare import _family, _Tasks, compare
from reports.compare_table import sentences, tables, verdicts
from reports.comparison import Comparison, Measure, Pair
from reports.paired import mcnemar, positive
from tests.reports.conftest import ENVIRONMENT

TASKS = 12
WRONG, OWED = Outcome.VALUES, None
Said = float | Outcome | None
Results = list[Said] | Said


class Runs:
    """Makes run folders."""

    def __init__(self, build: Any, verdict: Callable[..., Any]) -> None:
        self.build, self.verdict = build, verdict

    def __call__(self, results: Sequence[Results], solver: str = "geak", model: str = "m1", **about: Any) -> Any:
        """A run: for each task what came of its samples, a speedup, an outcome, or None (owed)."""
        return self.build.run(self.rows(results, solver, model), **about)

    def rows(self, results: Sequence[Results], solver: str = "geak", model: str = "m1") -> list[Any]:
        """Attempts with their verdicts."""
        return [
            (self.build.attempt(f"task{n}", solver, model, sample), None if said is None else self.verdict(said))
            for n, samples in enumerate(results)
            for sample, said in enumerate(samples if isinstance(samples, list) else [samples], start=1)
        ]


@pytest.fixture
def run(build: Any, verdict: Callable[..., Any]) -> Runs:
    return Runs(build, verdict)


def only(base: Any, new: Any, **options: Any) -> tuple[Comparison, Pair, dict[str, Measure]]:
    """The comparison, its only pair, and that one's measures by name."""
    found = compare(base.folder, new.folder, **options)
    (pair,) = found.pairs
    return found, pair, {each.name: each for each in pair.measures}


def test_a_regression_in_accuracy(run: Runs) -> None:
    base, new = run([1.0] * TASKS), run([*[1.0] * 4, *[WRONG] * 7, Outcome.TIMEOUT])
    found, pair, measures = only(base, new)
    assert found.regression and [each.name for each in found.worse(pair)] == ["execution"]
    execution = measures["execution"]
    assert (execution.base, execution.new) == pytest.approx((1, 1 / 3))
    assert execution.worse == pytest.approx(mcnemar(8, 8)) and execution.better == 1
    assert execution.worse <= execution.worse_corrected < 0.05 and execution.low < -2 / 3 < execution.high < 0
    assert pair.named("broken") == tuple(f"task{n}" for n in range(4, 12))
    assert pair.changes[-1].outcome == "timeout" and (pair.changes[0].base, pair.changes[0].new) == ("1/1", "0/1")
    assert measures["call"].change == pytest.approx(-1 / 12) and measures["speed"].tasks == 4
    (sentence,) = sentences(found)
    assert sentence.startswith("geak m1, 12 tasks: worse: execution 100.0 % to 33.3 % (p 0.00")
    turned, pair, _ = only(new, base)
    assert not turned.regression and [each.name for each in turned.better(pair)] == ["execution"]
    assert pair.named("fixed") == tuple(f"task{n}" for n in range(4, 12)) and "better: " in sentences(turned)[0]


def test_a_regression_in_speed_of_tasks_right_and_timed_in_both(run: Runs, build: Any, verdict: Any) -> None:
    speeds = np.exp(np.random.default_rng(1).normal(0.1, 0.3, TASKS))
    ratios = np.exp(np.random.default_rng(2).normal(-0.2, 0.05, TASKS))
    base = run([*speeds, 9.0, WRONG])
    untimed = (build.attempt("task12"), verdict(Outcome.IMPLAUSIBLE))
    new = build.run([*run.rows([*(speeds * ratios)]), untimed, (build.attempt("task13"), verdict(9.0))])
    found, pair, measures = only(base, new)
    speed = measures["speed"]
    assert speed.tasks == TASKS and pair.untimed == 1 and measures["execution"].tasks == TASKS + 2
    assert speed.change == pytest.approx(np.log(ratios).mean()) and found.regression
    assert speed.new / speed.base == pytest.approx(math.exp(speed.change))
    expected = stats.permutation_test(
        (np.log(ratios),), np.sum, permutation_type="samples", alternative="less", n_resamples=20_000
    )
    assert speed.worse == pytest.approx(expected.pvalue, abs=0.01)
    assert "worse: speed ×0.8" in sentences(found)[0] and "fixed" in {each.kind for each in pair.changes}
    assert any("not timed on both" in line for line in verdicts(found))


def test_a_loss_within_the_threshold_is_none(run: Runs) -> None:
    base, new = run([1.0, 1.1, 0.9] * 4), run([0.95, 1.05, 0.85] * 4)
    assert only(base, new)[0].regression and only(base, new, threshold=0.02)[0].regression
    within, pair, _ = only(base, new, threshold=0.1)
    assert not within.regression and not within.better(pair)
    assert "no difference by more than 0.1 shown" in sentences(within)[0]
    base, new = run([1.0] * TASKS), run([*[1.0] * 6, *[WRONG] * 6])
    assert only(base, new)[0].regression and not only(base, new, threshold=0.45)[0].regression


@pytest.mark.parametrize(
    ("tasks", "broken", "fixed"), [(7, 0.9, 0.0), (31, 0.05, 0.0), (31, 0.15, 0.1), (31, 0.6, 0.3), (184, 0.05, 0.03)]
)
def test_a_loss_of_just_the_threshold_is_rarely_called_more(tasks: int, broken: float, fixed: float) -> None:
    """By simulation, with one sample a task: in at most 5 % of comparisons."""
    random, alarms, rounds = np.random.default_rng(7), 0, 1000
    for seed in range(rounds):
        luck = random.random((tasks, 1))
        change = np.where(luck < broken, -1.0, np.where(luck > 1 - fixed, 1.0, 0.0)) * [1, 1, np.nan]
        table = _Tasks(change, change, change, np.ones((tasks, 2)), [])
        found = positive(-_family([table], beyond=True)[:, :1] - (broken - fixed), 1000, seed)
        alarms += int(found.chance[0] <= 0.05)
    assert alarms / rounds <= 0.06


def test_no_difference_tells_what_would_have_been_shown(run: Runs) -> None:
    base = run([1.0, 1.2, 0.8, WRONG] * 4)
    found, pair, measures = only(base, run([1.01, 1.19, 0.8, WRONG] * 4))
    assert not found.regression and not found.better(pair) and not pair.changes
    smallest = measures["execution"].smallest
    assert 0.4 < smallest < 0.6 and measures["execution"].low < 0 < measures["execution"].high
    assert (
        f"80 % of such comparisons would show a loss of {100 * smallest:.1f} points of execution"
        in (sentences(found)[0])
    )


def test_few_tasks_show_nothing(run: Runs) -> None:
    for count in (1, 4):
        found, pair, measures = only(run([1.0] * count), run([WRONG] * count))
        assert not found.regression and math.isnan(measures["execution"].smallest)
        assert measures["execution"].worse == 0.5**count and pair.tasks == count
        assert "so few tasks can show nothing" in sentences(found)[0]
    found, _, measures = only(run([WRONG] * TASKS), run([WRONG] * TASKS))
    assert measures["speed"].tasks == 0 and measures["speed"].worse_corrected == 1 and not found.regression


def test_samples_count_by_task_and_may_differ_in_number(run: Runs) -> None:
    base = run([[1.0] * 4] * TASKS)
    found, pair, measures = only(base, run([*[[1.0, 1.0]] * 4, *[[1.0, WRONG]] * 7, [WRONG, WRONG]]))
    assert measures["execution"].change == pytest.approx(-(7 / 2 + 1) / 12) and found.regression
    assert [each.kind for each in pair.changes] == ["broken", *["less often"] * 7]
    assert (pair.changes[1].base, pair.changes[1].new) == ("4/4", "1/2")
    assert any("not as many samples: BASE 48 attempts, NEW 24" in line for line in verdicts(found))
    one = only(run([[1.0, WRONG]] * 4), run([[1.0] * 2] * 4))[1]
    assert {each.kind for each in one.changes} == {"more often"}


def test_copies_of_a_task_are_no_more_tasks(run: Runs) -> None:
    """Many samples of four tasks that changed can't show what four tasks can't."""
    found = only(run([[1.0] * 20] * 4), run([[WRONG] * 20] * 4))[0]
    assert not found.regression


def test_what_is_owed_is_no_evidence(run: Runs) -> None:
    base = run([1.0] * TASKS)
    found, pair, measures = only(base, run([*[1.0] * 5, *[OWED] * 7]))
    assert not found.regression and measures["execution"].tasks == 5 and measures["execution"].new == 1
    assert pair.sides.owed == (0, 7) and pair.sides.left_out == {"owed": tuple(f"task{n}" for n in range(5, 12))}
    assert "owed, and no evidence: 7 of 12 attempts of NEW" in sentences(found)[0]
    found, pair, measures = only(run([[1.0, OWED]] * TASKS), run([[WRONG, WRONG]] * TASKS))
    assert pair.sides.owed == (12, 0) and measures["execution"].tasks == TASKS and found.regression
    with pytest.raises(UsageError, match=r"no task to compare: 12 owed: continue with pytest --resume"):
        compare(base.folder, run([OWED] * TASKS).folder)


def test_tasks_of_one_run_and_tasks_that_changed_are_left_out_and_named(run: Runs, build: Any, verdict: Any) -> None:
    base = run([1.0] * TASKS)
    plan = run.rows([WRONG] * (TASKS + 1))[1:]
    new = build.run(plan, suites=[{"name": "rocm", "version": "1.1", "digest": "6" * 64}])
    new.append(replace(build.record(plan[0][0], verdict(Outcome.VALUES)), task_digest="another"))
    found, pair, _ = only(base, new)
    assert pair.sides.left_out == {
        "in BASE only": ("task0",),
        "changed between the runs": ("task1",),
        "in NEW only": ("task12",),
    }
    assert pair.tasks == TASKS - 2 and "left out: 1 task changed between the runs" in sentences(found)[0]
    lines = verdicts(found)
    assert "LEFT OUT: 1 task changed between the runs: task1" in lines
    assert "NOT ALIKE: suite version: BASE 1.0, NEW 1.1" in lines
    with pytest.raises(
        UsageError, match=r"--strict: the runs are not alike: suite version: BASE 1\.0.*1 tasks in BASE"
    ):
        compare(base.folder, new.folder, strict=True)
    other = build.run(run.rows([1.0]), plan=[build.attempt("another")])
    with pytest.raises(UsageError, match="no task to compare"):
        compare(run([1.0], "nop").folder, build.run([(build.attempt("x", "nop"), verdict(1.0))]).folder)
    assert compare(base.folder, other.folder).pairs[0].tasks == 1, "what was recorded without being planned counts"


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"device": "NVIDIA H100"}, "devices differ"),
        ({"device": None}, "devices differ"),
        ({"device": "interpreter", "device_kind": "interpreter"}, "devices differ"),
        ({"isolation": "process"}, ""),
        ({"triton": "3.9.0"}, ""),
    ],
)
def test_conditions_that_differ_are_told_and_devices_share_no_speed(
    change: dict[str, Any], refused: str, run: Runs
) -> None:
    base, new = run([1.0] * TASKS), run([0.5] * TASKS, environment={**ENVIRONMENT, **change, "digest": "d" * 64})
    found, pair, measures = only(base, new)
    assert pair.sides.speed_refused == refused and measures["speed"].tasks == (0 if refused else TASKS)
    assert found.regression == (not refused) and measures["execution"].tasks == TASKS
    (sentence,), (name, value), lines = sentences(found), next(iter(change.items())), verdicts(found)
    assert f"not alike: {name}" in sentence.replace("Triton", "triton")
    told = f"{name}: BASE {ENVIRONMENT[name]}, NEW {value or 'unknown'}"
    assert any(told in line.replace("Triton", "triton") for line in lines if line.startswith("NOT ALIKE"))
    assert ("speed is not compared (devices differ)" in sentence) == bool(refused)
    with pytest.raises(UsageError, match="--strict"):
        compare(base.folder, new.folder, strict=True)


def test_alike_is_alike_even_when_strict(run: Runs) -> None:
    options = {"options": {"max_evaluations": 9}}
    found, pair, _ = only(run([1.0] * TASKS), run([1.0] * TASKS, **options), strict=True)
    assert pair.sides.differing == ("options: BASE max_evaluations=5, NEW max_evaluations=9",)
    assert "no difference shown" in sentences(found)[0]


def test_several_pairs_are_one_family(run: Runs, build: Any) -> None:
    slow = np.exp(np.random.default_rng(3).normal(-0.02, 0.04, TASKS))
    alone = only(run([1.0] * TASKS), run(list(slow)))[2]["speed"]
    solvers = [f"s{n}" for n in range(6)]
    base = build.run([row for solver in solvers for row in run.rows([1.0] * TASKS, solver)])
    new = build.run(
        [row for solver in reversed(solvers) for row in run.rows([1.0] * TASKS if solver > "s0" else slow, solver)]
    )
    found = compare(base.folder, new.folder)
    assert [pair.base[0] for pair in found.pairs] == solvers and len(sentences(found)) == 6
    among = found.pairs[0].measures[2]
    assert among.worse == pytest.approx(alone.worse, abs=0.01) and among.worse_corrected >= alone.worse_corrected - 0.01
    noisy = build.run(
        [
            row
            for n, solver in enumerate(solvers)
            for row in run.rows(list(np.random.default_rng(n).lognormal(0, 0.05, TASKS)), solver)
        ]
    )
    many = compare(base.folder, noisy.folder).pairs
    assert all(
        m.worse_corrected == pytest.approx(1 - (1 - m.worse) ** 6, abs=0.05)
        for m in [min((pair.measures[2] for pair in many), key=lambda each: each.worse)]
    ), "as independent questions are by Šidák"


def test_pairs_are_by_name_then_by_what_is_the_same(run: Runs, build: Any) -> None:
    both = build.run([*run.rows([1.0] * 6), *run.rows([0.9] * 6, "direct", "m1")])
    found = compare(both.folder, run([1.0] * 6).folder)
    assert [(pair.base, pair.new) for pair in found.pairs] == [(("geak", "m1"), ("geak", "m1"))]
    assert "NOT COMPARED: direct m1 is in BASE only: not compared" in verdicts(found)
    for new in (run([1.0] * 6, model="m2"), run([1.0] * 6, "mine", "m1"), run([1.0] * 6, "mine", "m2")):
        assert len(compare(run([1.0] * 6).folder, new.folder).pairs) == 1
    choice = Choice(base_solver="direct", new_solver="geak")
    found, pair, measures = only(both, both, choice=choice)
    assert (pair.base[0], pair.new[0]) == ("direct", "geak") and measures["speed"].change == pytest.approx(
        -math.log(0.9)
    )
    assert sentences(found)[0].startswith("direct m1 → geak m1, 6 tasks: better: speed")
    with pytest.raises(UsageError, match="compared with itself"):
        compare(both.folder, both.folder)
    with pytest.raises(
        UsageError, match="BASE has geak m1, direct m1, NEW has mine m2: `kernel-assay compare` chooses by --base"
    ):
        compare(both.folder, run([1.0] * 6, "mine", "m2").folder)
    with pytest.raises(UsageError, match="--new-solver nobody: no such attempts, NEW has geak m1"):
        compare(both.folder, run([1.0] * 6).folder, choice=Choice(new_solver="nobody"))


def test_tasks_of_one_name_in_two_suites_are_two(build: Any, verdict: Any) -> None:
    def suites(second: Any) -> Any:
        attempts = [build.attempt("t"), replace(build.attempt("t"), suite="other")]
        return build.run(list(zip(attempts, [verdict(1.0), second], strict=True)))

    _, pair, _ = only(suites(verdict(1.0)), suites(verdict(Outcome.VALUES)))
    assert pair.tasks == 2 and pair.named("broken") == ("other/t",)


def test_what_is_unsupported_here_is_not_passed_and_told(run: Runs) -> None:
    found, pair, measures = only(run([1.0] * 6), run([*[1.0] * 5, Outcome.UNSUPPORTED]))
    assert pair.unsupported == (0, 1) and measures["call"].new == pytest.approx(5 / 6)
    assert any("unsupported here" in line for line in verdicts(found))


@pytest.mark.parametrize("options", [{"confidence": 1.0}, {"confidence": 0.2}, {"threshold": 1.0}, {"threshold": -0.1}])
def test_what_can_not_be_is_refused(options: dict[str, float], run: Runs) -> None:
    with pytest.raises(UsageError, match="is needed"):
        only(run([1.0]), run([1.0]), **options)


def test_confidence_is_what_decides(run: Runs) -> None:
    base, new = run([1.0] * TASKS), run([*[1.0] * 6, *[WRONG] * 6])
    assert only(base, new, confidence=0.95)[0].regression
    assert not only(base, new, confidence=0.99)[0].regression, "1/64 by itself"


def test_names_of_strangers_are_cleaned(build: Any, verdict: Any) -> None:
    runs = [
        build.run([(build.attempt(f"t\x1b[2J{n}", "so\x1b]0;x\x07lver"), said) for n in range(6)])
        for said in (verdict(1.0), verdict(Outcome.VALUES))
    ]
    shown = tables(only(*runs)[0])
    text = "".join(
        [*(fact for each in shown for fact in each.facts), *(c for t in shown for k in t.columns for c in k.cells)]
    )
    assert "\x1b" not in text and "\x07" not in text


def test_the_same_runs_give_the_same_answer(run: Runs) -> None:
    speeds = np.random.default_rng(4).lognormal(0, 0.1, (2, 40))
    base, new = (run(list(each)) for each in speeds)
    assert only(base, new)[1].measures == only(base, new)[1].measures
