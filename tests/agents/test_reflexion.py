"""`reflexion`: tries, reflects in words, tries again; ends at the first right version."""

from __future__ import annotations

import re

import pytest
from openai_server import OpenAIServer, by_role
from scripted import TASK, ScriptedModel, coded, events, make_bench, right, tag_of, trouble, wrong

from agents.models.openai import OpenAIModel
from agents.prompts import LINE
from agents.reflexion import ReflexionSolver
from harness.attempt import view
from harness.errors import ModelTrouble, UsageError
from harness.solver import Budget
from harness.verdict import Outcome

UNRUN = wrong(Outcome.COMPILE_ERROR, "it does not compile")


def reflect(folder, generator, verdicts, reflector=("words",), budget=None, sample=1, **options):
    model = ScriptedModel(generator=generator, reflector=list(reflector))
    bench = make_bench(folder, model, verdicts=verdicts, budget=budget or Budget(), sample=sample)
    try:
        return ReflexionSolver(**options).solve(TASK, bench), model, bench
    finally:
        bench.close()


def shown(prompt):
    """The reflections that a prompt shows, in order."""
    return re.findall(r"<reflection>\n(.*?)\n</reflection>", prompt, re.DOTALL)


def test_it_reflects_after_each_failure_and_ends_when_right(tmp_path):
    verdicts = {"a": wrong(), "b": UNRUN, "c": right(0.2)}
    solution, model, bench = reflect(tmp_path, [coded(each) for each in "abcd"], verdicts, ["first", "second", "third"])
    assert model.roles() == ["generator", "reflector", "generator", "reflector", "generator"]
    assert tag_of(solution.source) == "c" and solution.origin == "trial 3, reflections: 2"
    assert bench.evaluations == 3, "a right version is not optimised, however slow"


def test_each_prompt_shows_the_last_version_the_verdict_and_the_words(tmp_path):
    verdicts = {"a": wrong(reason="differs at [3]"), "b": UNRUN, "c": right(1.0)}
    _, model, _ = reflect(tmp_path, [coded(each) for each in "abc"], verdicts, ["the mask", "the grid"])
    first, second, third = model.prompts("generator")
    assert "Your last trial" not in first and shown(first) == []
    assert "return 'a'" in second and "differs at [3]" in second and shown(second) == ["the mask"]
    assert "return 'b'" in third and "return 'a'" not in third and "does not compile" in third
    assert shown(third) == ["the mask", "the grid"]
    reflecting = model.prompts("reflector")
    assert [shown(prompt) for prompt in reflecting] == [[], ["the mask"]]
    assert "return 'a'" in reflecting[0] and "return 'b'" in reflecting[1]


def test_only_the_last_reflections_are_shown(tmp_path):
    words = [f"lesson {number}" for number in range(5)]
    verdicts = {str(number): wrong() for number in range(6)}
    answers = [coded(str(number)) for number in range(6)]
    _, model, _ = reflect(tmp_path, answers, verdicts, words, iterations=6, memory=2)
    assert shown(model.prompts("generator")[-1]) == words[-2:]
    assert shown(model.prompts("reflector")[-1]) == words[2:4]


def test_code_in_a_reflection_is_left_out(tmp_path):
    _, model, _ = reflect(tmp_path, [coded("a"), coded("b")], {"a": wrong(), "b": right(1.0)}, [f"So:\n{coded('z')}"])
    assert "return 'z'" not in model.prompts("generator")[1] and "So:" in model.prompts("generator")[1]


def test_an_example_is_shown_where_asked_for(tmp_path):
    for shots in (0, 1):
        _, model, bench = reflect(tmp_path / str(shots), [coded("a")], {"a": right(1.0)}, shots=shots)
        assert ("squared_difference" in model.prompts("generator")[0]) is bool(shots)
        assert events(tmp_path / str(shots), "reflexion")[0]["example"] == ("squared_difference" if shots else None)
        assert bench.evaluations == 1


@pytest.mark.parametrize(
    ("answers", "verdicts", "chosen"),
    [
        (["a", "b", "c"], {"a": wrong(), "b": wrong(), "c": UNRUN}, "b"),
        (["a", "b", "c"], {"a": UNRUN, "b": UNRUN, "c": UNRUN}, "c"),
    ],
)
def test_with_nothing_right_the_newest_that_ran_is_handed_in(tmp_path, answers, verdicts, chosen):
    solution, model, _ = reflect(tmp_path, [coded(each) for each in answers], verdicts, iterations=3)
    assert tag_of(solution.source) == chosen and "no right version was found" in solution.origin
    assert model.roles()[-1] == "generator", "nobody reflects on the last trial: there is no next"


def test_an_answer_without_code_is_a_failed_trial(tmp_path):
    solution, model, bench = reflect(tmp_path, ["I can't.", coded("a")], {"a": right(1.0)})
    assert tag_of(solution.source) == "a" and bench.evaluations == 1
    assert "held no code" in model.prompts("reflector")[0]
    assert reflect(tmp_path / "none", ["I can't."], {}, iterations=2)[0] is None


def test_the_same_code_again_is_not_judged_again(tmp_path):
    _, _, bench = reflect(tmp_path, [coded("a")], {"a": wrong()}, iterations=4)
    assert bench.evaluations == 1


def test_a_lost_call_loses_its_trial(tmp_path):
    verdicts = {"a": wrong(), "b": right(1.0)}
    answers = [coded("a"), trouble(), coded("b")]
    solution, _, _ = reflect(tmp_path, answers, verdicts)
    assert tag_of(solution.source) == "b" and len(events(tmp_path, "lost turn")) == 1
    solution, _, _ = reflect(tmp_path / "all", [coded("a")], verdicts, [trouble()], iterations=3)
    assert tag_of(solution.source) == "a", "what was made before the provider went counts"


def test_a_provider_that_is_gone_is_its_trouble(tmp_path):
    with pytest.raises(ModelTrouble):
        reflect(tmp_path / "never", [trouble()], {}, iterations=2)
    with pytest.raises(ModelTrouble):
        reflect(tmp_path / "later", [coded("a")], {"a": wrong()}, [trouble()], iterations=9)


def test_a_spent_budget_ends_it(tmp_path):
    verdicts = {"a": wrong(), "b": wrong()}
    answers = [coded(each) for each in "abc"]
    solution, _, bench = reflect(tmp_path, answers, verdicts, budget=Budget(evaluations=2))
    assert tag_of(solution.source) == "b" and bench.spent == "evaluations"


def test_samples_go_lines_of_their_own(tmp_path):
    for sample in (1, 2):
        _, model, _ = reflect(
            tmp_path / str(sample), [coded("a"), coded("b")], {"a": wrong(), "b": wrong()}, sample=sample
        )
        assert {asked // LINE for _, _, asked in model.asked} == {sample - 1}
        assert [asked % LINE for _, _, asked in model.asked[:5]] == [1, 2, 2, 3, 3], "by trial: a repeat is a new draw"


def test_resumed_it_asks_and_judges_nothing_twice(tmp_path):
    first, _, _ = reflect(tmp_path, [coded("a"), coded("b")], {"a": wrong(), "b": right(1.0)})
    again, model, _ = reflect(tmp_path, [coded("z")], {})
    assert again == first and model.asked == []


@pytest.mark.parametrize("option", ["iterations", "memory"])
def test_options_are_checked(option):
    with pytest.raises(UsageError, match=f"{option} is 0"):
        ReflexionSolver(**{option: 0})
    with pytest.raises(UsageError, match="shots is 2"):
        ReflexionSolver(shots=2)


def test_over_http_with_the_real_judge(tmp_path, judge, doubled, monkeypatch):
    """A model that makes a mistake, understands the judge's words, and mends it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-this-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    mistaken = doubled.reference.replace("2 *", "3 *")
    lesson = "I multiplied by three; the task says twice."

    def generate(request):
        mended = lesson in request["messages"][-1]["content"]
        return f"```python\n{doubled.reference if mended else mistaken}```"

    with OpenAIServer(fallback=by_role(generator=generate, reflector=lambda _: lesson)) as server:
        model = OpenAIModel("tiny", base_url=server.url, retries=0, timeout=10.0)
        bench = make_bench(tmp_path, model, judge=lambda source: judge.judge(doubled, source))
        solution = ReflexionSolver().solve(view(doubled, judge.device), bench)
        bench.close()
    assert solution.source.strip() == doubled.reference.strip() and solution.origin == "trial 2, reflections: 1"
    outcomes = [event["outcome"] for event in events(tmp_path, "evaluation")]
    assert outcomes == ["wrong values", "right"] and bench.usage.calls == 3
