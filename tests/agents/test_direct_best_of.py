"""`direct` with n > 1: independent answers, each judged, the best handed in; a fault costs what it touches."""

from __future__ import annotations

import pytest
from scripted import TASK, ScriptedModel, coded, events, kernel, make_bench, right, tag_of, trouble, wrong

from agents.direct import DirectSolver
from agents.prompts import LINE
from harness.attempt import view
from harness.errors import ModelTrouble, UsageError
from harness.solver import Budget
from harness.verdict import Outcome

UNRUN = wrong(Outcome.COMPILE_ERROR, "it does not compile")


def best_of(folder, answers, verdicts, n=None, sample=1, **budget):
    model = ScriptedModel(direct=answers)
    bench = make_bench(folder, model, verdicts=verdicts, sample=sample, budget=Budget(**budget))
    try:
        return DirectSolver(n=n or len(answers)).solve(TASK, bench), model, bench
    finally:
        bench.close()


def test_the_fastest_right_answer_is_handed_in(tmp_path):
    verdicts = {"a": right(1.1), "b": wrong(), "c": right(1.9), "d": right(1.4)}
    solution, model, bench = best_of(tmp_path, [coded(each) for each in "abcd"], verdicts)
    assert solution.source == kernel("c") and solution.origin == "direct, zero-shot, answer 3 of 4"
    assert bench.evaluations == 4
    assert len({prompt for _, prompt, _ in model.asked}) == 1, "no answer is told of another"
    assert [event["outcome"] for event in events(tmp_path, "answer")] == ["right", "wrong values", "right", "right"]


@pytest.mark.parametrize(
    ("verdicts", "chosen"),
    [
        ({"a": UNRUN, "b": wrong(), "c": wrong()}, "b"),
        ({"a": UNRUN, "b": UNRUN, "c": UNRUN}, "a"),
        ({"a": wrong(), "b": UNRUN, "c": right(0.1)}, "c"),
    ],
)
def test_right_comes_before_ran_and_ran_before_code(tmp_path, verdicts, chosen):
    solution, _, _ = best_of(tmp_path, [coded(each) for each in "abc"], verdicts)
    assert tag_of(solution.source) == chosen


def test_samples_of_the_model_are_all_different(tmp_path):
    """Three samples of four answers: twelve independent lines, and the first is the one that n=1 would have."""
    numbers = []
    for sample in (1, 2, 3):
        _, model, _ = best_of(tmp_path / str(sample), [coded("a")], {"a": wrong()}, n=4, sample=sample)
        numbers += [asked for _, _, asked in model.asked]
    assert len(set(numbers)) == 12 and all(number % LINE == 0 for number in numbers)
    _, model, bench = best_of(tmp_path / "one", [coded("a")], {}, n=1)
    assert model.asked[0][2] == numbers[0] and bench.evaluations == 0


def test_the_same_answer_is_judged_once(tmp_path):
    solution, _, bench = best_of(tmp_path, [coded("a"), coded("a"), coded("b")], {"a": right(1.0), "b": right(0.5)})
    assert bench.evaluations == 2 and "answer 1 of 3" in solution.origin


def test_a_lost_answer_and_one_without_code_cost_themselves_alone(tmp_path):
    answers = [trouble(), "I can't.", coded("a"), trouble()]
    solution, model, _ = best_of(tmp_path, answers, {"a": right(1.0)})
    assert tag_of(solution.source) == "a" and len(model.asked) == 4
    assert [event["number"] for event in events(tmp_path, "lost answer")] == [1, 4]
    assert [event["number"] for event in events(tmp_path, "no code")] == [2]


def test_all_lost_is_the_providers_trouble(tmp_path):
    with pytest.raises(ModelTrouble, match="down"):
        best_of(tmp_path, [trouble()], {}, n=3)


def test_answers_without_code_are_no_trouble(tmp_path):
    solution, _, bench = best_of(tmp_path, [trouble(), "No.", "No."], {})
    assert solution is None and bench.evaluations == 0


def test_a_spent_budget_ends_it_with_the_best_so_far(tmp_path):
    verdicts = {"a": right(1.2), "b": wrong()}
    solution, model, bench = best_of(tmp_path, [coded(each) for each in "abcd"], verdicts, evaluations=2)
    assert tag_of(solution.source) == "a" and bench.spent == "evaluations"
    assert len(model.asked) == 3, "the answer that could not be judged was the last"
    solution, model, bench = best_of(tmp_path / "tokens", [coded("a")], verdicts, n=9, tokens=50)
    assert tag_of(solution.source) == "a" and bench.spent == "tokens" and len(model.asked) == 3


def test_an_answer_that_could_not_be_judged_is_better_than_none(tmp_path):
    solution, _, bench = best_of(tmp_path, [coded("a"), coded("b")], {}, evaluations=0)
    assert tag_of(solution.source) == "a" and bench.evaluations == 0


def test_resumed_it_asks_and_judges_nothing_twice(tmp_path):
    verdicts = {"a": right(1.2), "b": right(1.3)}
    first, _, _ = best_of(tmp_path, [coded("a"), coded("b")], verdicts)
    again, model, _ = best_of(tmp_path, [coded("z")], {}, n=2)
    assert again == first and model.asked == []


def test_n_has_to_be_a_number_of_answers():
    with pytest.raises(UsageError, match="n is 0"):
        DirectSolver(n=0)


def test_with_the_real_judge(tmp_path, judge, doubled):
    """A wrong kernel, one that does not run, and the right one, as a model might answer them."""
    answers = [doubled.reference.replace("2 *", "3 *"), "def doubled(x):\n    return torch\n", doubled.reference]
    model = ScriptedModel(direct=[f"```python\n{source}```" for source in answers])
    bench = make_bench(tmp_path, model, judge=lambda source: judge.judge(doubled, source))
    solution = DirectSolver(n=3).solve(view(doubled, judge.device), bench)
    bench.close()
    assert solution.source.strip() == doubled.reference.strip() and bench.best is not None
    outcomes = [event["outcome"] for event in events(tmp_path, "answer")]
    assert outcomes[0] == "wrong values" and outcomes[2] == "right"
