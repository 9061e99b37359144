"""What ends or interrupts `geak`: budgets, thresholds, failing calls, kills; its options and its instances."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted import TASK, ScriptedModel, coded, events, kernel, make_bench, play, right, tag_of, trouble, wrong

from agents.geak import GeakSolver
from agents.geak.memory import Memory, Version, no_code
from harness.errors import ModelTrouble, UsageError
from harness.solver import Budget
from harness.verdict import Feedback, Outcome


def test_the_budget_is_used_up_by_default(tmp_path):
    verdicts = {f"v{i}": right(9.0 - i) for i in range(8)}
    generator = [coded(f"v{i}") for i in range(8)]
    _, _, bench = play(tmp_path, {"generator": generator}, verdicts, iterations=8)
    assert bench.evaluations == 8 and not events(tmp_path, "early stop")


def test_threshold(tmp_path):
    verdicts = {"a": right(1.0), "b": right(2.0), "c": right(3.0)}
    generator = [coded(t) for t in "abc"]
    solution, _, bench = play(tmp_path, {"generator": generator}, verdicts, iterations=9, early_stop_threshold=2.0)
    assert bench.evaluations == 2 and tag_of(solution.source) == "b"


def test_patience(tmp_path):
    verdicts = {"a": right(1.0), "b": right(2.0), "c": right(1.5), "d": wrong(), "e": right(5.0)}
    generator = [coded(t) for t in "abcde"]
    solution, _, bench = play(tmp_path, {"generator": generator}, verdicts, iterations=9, patience=2)
    assert bench.evaluations == 4 and tag_of(solution.source) == "b"


def test_patience_does_not_count_before_the_first_right_version(tmp_path):
    verdicts = {"a": wrong(), "b": wrong(), "c": right(1.0)}
    generator = [coded(t) for t in "abc"]
    solution, _, _ = play(tmp_path, {"generator": generator}, verdicts, iterations=3, patience=1)
    assert tag_of(solution.source) == "c"


@pytest.mark.parametrize("role", ["generator", "optimizer", "reflector"])
def test_one_failing_model_call_loses_one_turn(tmp_path, role):
    answers = {
        "generator": [coded("a"), coded("b"), coded("c"), coded("d")],
        "optimizer": ["faster"],
        "reflector": ["mend it"],
    }
    answers[role] = [trouble(), *answers[role]]
    verdicts = {"a": right(1.0), "b": wrong(), "c": right(2.0), "d": right(1.0)}
    solution, _, bench = play(tmp_path, answers, verdicts, iterations=4)
    assert len(events(tmp_path, "lost turn")) == 1
    assert bench.evaluations == 3 and tag_of(solution.source) == "c"


def test_three_lost_turns_in_a_row_are_raised(tmp_path):
    answers = {"generator": [coded("a"), trouble()]}
    with pytest.raises(ModelTrouble):
        play(tmp_path, answers, {"a": right(1.0)}, iterations=9)


def test_two_lost_turns_between_good_ones_are_not(tmp_path):
    lost = [trouble(), trouble()]
    answers = {"generator": [coded("a"), *lost, coded("b"), *lost, coded("c")]}
    verdicts = {"a": right(1.0), "b": right(2.0), "c": right(3.0)}
    solution, _, _ = play(tmp_path, answers, verdicts, iterations=7)
    assert tag_of(solution.source) == "c"


def test_nothing_but_lost_turns_is_raised_and_not_graded(tmp_path):
    with pytest.raises(ModelTrouble):
        play(tmp_path, {"generator": [trouble()]}, {}, iterations=2)


def test_a_spent_budget_ends_the_loop_with_the_best(tmp_path):
    verdicts = {"a": right(1.0), "b": right(2.0), "c": right(3.0)}
    generator = [coded(t) for t in "abc"]
    solution, _, _ = play(tmp_path, {"generator": generator}, verdicts, Budget(evaluations=2), iterations=9)
    assert tag_of(solution.source) == "b"
    assert len(events(tmp_path, "budget spent")) == 1


def test_with_no_right_version_one_that_ran_is_handed_in(tmp_path):
    verdicts = {"a": wrong(Outcome.VALUES), "b": wrong(Outcome.CRASH), "c": wrong(Outcome.SYNTAX)}
    generator = [coded(t) for t in "abc"]
    solution, _, _ = play(tmp_path, {"generator": generator}, verdicts, iterations=3)
    assert tag_of(solution.source) == "a" and "no right version" in solution.origin


def test_with_no_code_at_all_there_is_no_solution(tmp_path):
    solution, _, _ = play(tmp_path, {"generator": ["I can't."]}, {}, iterations=2)
    assert solution is None


def test_parallel_instances_are_independent_and_the_best_is_taken(tmp_path):
    class BySample(ScriptedModel):
        def complete(self, messages, *, sample=0):
            reply = super().complete(messages, sample=sample)
            instance, number = divmod(sample, 10_000)
            self.answers["generator"] = ["unused"]
            return reply if self.asked[-1][0] == "optimizer" else type(reply)(coded(f"i{instance}v{number}"), "stop")

    model = BySample(generator=["unused"])
    speeds = {"i0v1": 1.0, "i0v2": 1.1, "i1v1": 0.5, "i1v2": 3.0, "i2v1": 2.0, "i2v2": 0.1}
    bench = make_bench(tmp_path, model, verdicts={tag: right(speed) for tag, speed in speeds.items()})
    solution = GeakSolver(iterations=2, parallel=3).solve(TASK, bench)
    assert tag_of(solution.source) == "i1v2" and "instance 2 of 3" in solution.origin
    assert bench.evaluations == 6
    assert len({(role, sample) for role, _, sample in model.asked}) == len(model.asked)
    bench.close()


def test_samples_of_a_task_ask_under_different_numbers(tmp_path):
    _, first, _ = play(tmp_path / "1", {"generator": [coded("a")]}, {"a": right(1.0)}, iterations=2, parallel=2)
    _, second, _ = play(
        tmp_path / "2", {"generator": [coded("a")]}, {"a": right(1.0)}, sample=2, iterations=2, parallel=2
    )
    assert not {sample for *_, sample in first.asked} & {sample for *_, sample in second.asked}


def test_options_are_not_changed_between_tasks(tmp_path):
    solver = GeakSolver(iterations=3, early_stop_threshold=5.0)
    before = repr(solver)
    for number in range(2):
        model = ScriptedModel(generator=[coded("a"), coded("b"), coded("c")])
        verdicts = {"a": wrong(), "b": right(1.0), "c": right(2.0)}
        bench = make_bench(tmp_path / str(number), model, verdicts=verdicts)
        assert tag_of(solver.solve(TASK, bench).source) == "c"
        assert model.roles() == ["generator", "reflector", "generator", "optimizer", "generator"]
        bench.close()
    assert repr(solver) == before


def test_a_killed_attempt_goes_on_where_it_was(tmp_path):
    verdicts = {"a": wrong(), "b": right(1.2), "c": right(1.5), "d": right(1.1)}
    answers = [coded(t) for t in "abcd"]
    whole, uninterrupted, _ = play(tmp_path / "whole", {"generator": answers}, verdicts, iterations=4)
    killed = {"generator": [coded("a"), coded("b"), KeyboardInterrupt()]}
    with pytest.raises(KeyboardInterrupt):
        play(tmp_path / "run", killed, verdicts, iterations=4)
    resumed, model, bench = play(tmp_path / "run", {"generator": [coded("c"), coded("d")]}, verdicts, iterations=4)
    assert resumed == whole and bench.evaluations == 4
    # Only what was not answered before the kill is asked.
    assert model.asked == uninterrupted.asked[-len(model.asked) :]
    assert model.roles() == ["generator", "optimizer", "generator"]


def test_every_turn_is_written_down_whole(tmp_path):
    play(tmp_path, {"generator": [coded("a"), "nothing"]}, {"a": right(1.0)}, iterations=2)
    first, second = events(tmp_path, "turn")
    assert first["version"]["source"] == kernel("a") and first["version"]["speedup"] == 1.0
    assert (second["kind"], second["version"]["source"], second["best"]) == ("optimise", None, 1)
    assert set(events(tmp_path, "geak")[0]["templates"]) == {
        "geak/generator.j2",
        "geak/reflector.j2",
        "geak/optimizer.j2",
        "geak/critic.j2",
    }


def test_right_but_not_timed_is_right_and_slowest():
    def version(number, speedup, is_right=True):
        feedback = Feedback(Outcome.RIGHT if is_right else Outcome.VALUES, True, is_right, "", speedup)
        return Version(number, f"s{number}", feedback)

    memory = Memory([version(1, 0.5), version(2, None), version(3, None, False), version(4, 0.5)])
    assert [each.number for each in memory.ascending] == [2, 4, 1]
    assert memory.best.number == 1
    assert [each.number for each in memory.others(memory.history(1))] == [3, 2, 4]
    assert Memory([version(1, None), Version(2, None, no_code("no"))]).result.number == 1


@pytest.mark.parametrize(
    "options",
    [{"iterations": 0}, {"parallel": 0}, {"ancestors": 0}, {"max_perf_debug_num": -1}, {"patience": 0}],
)
def test_senseless_options_are_refused(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        GeakSolver(**options)


def test_the_reference_is_shown_only_where_it_is_asked_for(tmp_path):
    language, rules = ScriptedModel(), ScriptedModel(language_model=False)
    assert not GeakSolver().wants_reference(language) and GeakSolver().wants_reference(rules)
    assert GeakSolver(start="reference").wants_reference(language)
    assert not GeakSolver(start="scratch").wants_reference(rules)
    model = ScriptedModel(language_model=False, generator=[coded("a")])
    bench = make_bench(tmp_path, model, verdicts={"a": right(1.0)}, reference="REFERENCE = 1\n")
    solution = GeakSolver(iterations=1).solve(TASK, bench)
    assert "REFERENCE = 1" in model.prompts("generator")[0]
    assert "not a language model" in solution.origin and "started from the reference" in solution.origin
    bench.close()


def test_first_versions_are_made_from_kernels_that_are_given(tmp_path):
    folder = tmp_path / "kernels"
    folder.mkdir()
    (folder / f"{TASK.name}.py").write_text("GIVEN = 1\n")
    rules = ScriptedModel(language_model=False, generator=[coded("a"), coded("b")])
    solver = GeakSolver(iterations=1, kernels=folder)
    solver.check([TASK], rules)
    assert not solver.wants_reference(rules), "then the run need not show it"
    bench = make_bench(tmp_path / "given", rules, verdicts={"a": right(1.0)}, reference="REFERENCE = 1\n")
    solution = solver.solve(TASK, bench)
    assert "GIVEN = 1" in rules.prompts("generator")[0] and "REFERENCE" not in rules.prompts("generator")[0]
    assert f"started from {TASK.name}.py" in solution.origin
    bench.close()
    bench = make_bench(tmp_path / "none", rules, verdicts={"b": right(1.0)})
    assert "started from" not in solver.solve(replace(TASK, name="other", aliases=()), bench).origin
    assert "GIVEN" not in rules.prompts("generator")[1]
    bench.close()
    (folder / "nobody.py").write_text("x = 1\n")
    with pytest.raises(UsageError, match="no task 'nobody'"):
        GeakSolver(kernels=tmp_path / "kernels" / ".." / "kernels").check([TASK], rules)
    with pytest.raises(UsageError, match="leave one of them out"):
        GeakSolver(kernels=folder, start="reference")
