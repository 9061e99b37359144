"""Descendants, the Critic, what prompts show besides the task, and the memory that is saved after every turn."""

from __future__ import annotations

import json

import pytest

from agents.geak import GeakSolver
from harness.errors import UsageError
from harness.verdict import Kernel, Outcome, Timing, Verdict
from tests.agents.scripted import (
    TASK,
    ScriptedModel,
    coded,
    events,
    kernel,
    make_bench,
    play,
    right,
    tag_of,
    trouble,
    wrong,
)

BARE = {"knowledge": False, "one_shot": False}


class BySample(ScriptedModel):
    """Answers the Generator by the number of the version that it writes; the Optimizer names it."""

    def complete(self, messages, *, sample=0):
        reply = super().complete(messages, sample=sample)
        role = self.asked[-1][0]
        text = coded(f"v{sample}") if role == "generator" else f"plan {sample}" if role == "optimizer" else reply.text
        return type(reply)(text, "stop", reply.usage)


def lines(folder):
    return [(e["turn"], e["version"]["descendant"], e["kind"], e["version"]["number"]) for e in events(folder, "turn")]


def test_descendants_have_lines_of_their_own_and_share_what_was_right(tmp_path):
    verdicts = {"v1": right(1.0), "v2": wrong(), "v3": right(0.5), "v4": right(2.0)}
    model = BySample()
    bench = make_bench(tmp_path, model, verdicts=verdicts)
    solution = GeakSolver(iterations=2, descendants=2).solve(TASK, bench)
    bench.close()
    assert tag_of(solution.source) == "v4" and bench.evaluations == 4
    assert lines(tmp_path) == [(1, 0, "afresh", 1), (1, 1, "afresh", 2), (2, 0, "optimise", 3), (2, 1, "repair", 4)]
    assert sorted(model.roles()) == ["generator"] * 4 + ["optimizer", "reflector"]


def test_a_turn_with_descendants_is_one_turn(tmp_path):
    verdicts = {f"v{number}": right(1.0 + number / 10) for number in range(1, 13)}
    bench = make_bench(tmp_path, BySample(), verdicts=verdicts)
    GeakSolver(iterations=3, descendants=4).solve(TASK, bench)
    bench.close()
    assert bench.evaluations == 12 and {turn for turn, *_ in lines(tmp_path)} == {1, 2, 3}


def test_a_descendants_strategy_stands_beside_its_own_figures(tmp_path):
    """The published code gave one candidate's strategy another's figures."""
    verdicts = {
        "v1": right(1.0),
        "v2": right(1.1),
        "v3": right(0.3),
        "v4": right(3.0),
        "v5": right(1.0),
        "v6": right(1.0),
    }
    model = BySample()
    bench = make_bench(tmp_path, model, verdicts=verdicts)
    GeakSolver(iterations=3, descendants=2).solve(TASK, bench)
    bench.close()
    shown = model.prompts("optimizer")[-1]
    for number, speed in ((3, "0.3"), (4, "3")):
        version = shown[shown.index(f'<version number="{number}"') :].partition("</analysis>")[0]
        assert (
            f'speedup="{speed}"' in version and f"plan {number}" in version and kernel(f"v{number}").strip() in version
        )


def test_patience_counts_turns_not_candidates(tmp_path):
    verdicts = {f"v{number}": right(2.0 if number == 1 else 1.0) for number in range(1, 30)}
    bench = make_bench(tmp_path, BySample(), verdicts=verdicts)
    GeakSolver(iterations=9, descendants=3, patience=2).solve(TASK, bench)
    bench.close()
    assert max(turn for turn, *_ in lines(tmp_path)) == 3


def test_a_failing_call_loses_one_candidate(tmp_path):
    class Flaky(BySample):
        def complete(self, messages, *, sample=0):
            if sample == 2:
                raise trouble()
            return super().complete(messages, sample=sample)

    verdicts = {f"v{number}": right(1.0) for number in range(1, 9)}
    bench = make_bench(tmp_path, Flaky(), verdicts=verdicts)
    GeakSolver(iterations=2, descendants=2).solve(TASK, bench)
    bench.close()
    assert [(e["turn"], e["descendant"]) for e in events(tmp_path, "lost turn")] == [(1, 1), (2, 0)]
    assert bench.evaluations == 2


def test_the_critic_sends_a_draft_back_once(tmp_path):
    answers = {"generator": [coded("a"), coded("b")], "critic": ["The mask is missing."]}
    solution, model, _ = play(tmp_path, answers, {"b": right(1.0)}, iterations=1, critic=True)
    assert tag_of(solution.source) == "b" and model.roles() == ["generator", "critic", "generator"]
    revision = model.prompts("generator")[1]
    assert "The mask is missing." in revision and kernel("a").strip() in revision
    assert events(tmp_path, "turn")[0]["version"]["review"] == "The mask is missing."


def test_an_approved_draft_goes_to_the_judge(tmp_path):
    answers = {"generator": [coded("a")], "critic": ["APPROVED"]}
    _, model, bench = play(tmp_path, answers, {"a": right(1.0)}, iterations=1, critic=True)
    assert model.roles() == ["generator", "critic"] and bench.evaluations == 1


def test_a_revision_without_code_leaves_the_draft(tmp_path):
    answers = {"generator": [coded("a"), "I would not change it."], "critic": ["It is too long."]}
    solution, _, _ = play(tmp_path, answers, {"a": right(1.0)}, iterations=1, critic=True)
    assert tag_of(solution.source) == "a"


def test_the_critic_is_off_by_default(tmp_path):
    _, model, _ = play(tmp_path, {"generator": [coded("a")]}, {"a": wrong()}, iterations=2)
    assert "critic" not in model.roles()


@pytest.mark.parametrize(
    ("options", "roles"),
    [
        ({}, ["generator", "reflector", "generator", "optimizer", "generator"]),
        ({"optimizer": False}, ["generator", "reflector", "generator", "generator"]),
        ({"reflector": False}, ["generator", "generator", "optimizer", "generator"]),
        ({"optimizer": False, "reflector": False}, ["generator"] * 3),
    ],
)
def test_roles_can_be_left_out(tmp_path, options, roles):
    answers = {"generator": [coded("a"), coded("b"), coded("c")]}
    verdicts = {"a": wrong(), "b": right(1.0), "c": right(2.0)}
    solution, model, _ = play(tmp_path, answers, verdicts, iterations=3, **options)
    assert tag_of(solution.source) == "c" and model.roles() == roles
    if not options.get("optimizer", True):
        assert "make it faster as you see fit" in model.prompts("generator")[-1]


def test_knowledge_and_example_are_shown_and_recorded_and_can_be_left_out(tmp_path):
    answers, verdicts = {"generator": [coded("a"), coded("b")]}, {"a": right(1.0), "b": right(1.1)}
    solution, model, _ = play(tmp_path / "with", answers, verdicts, iterations=2)
    first, second = model.prompts("generator")
    assert "<knowledge>" in first and "<example>" in first and "<example>" not in second
    assert "<knowledge>" in model.prompts("optimizer")[0]
    (told,) = events(tmp_path / "with", "geak")
    assert told["pages"] and told["example"]["name"] and told["corpus"]
    assert f"was shown {told['example']['name']}" in solution.origin
    solution, model, _ = play(tmp_path / "without", answers, verdicts, iterations=2, **BARE)
    assert not any("<knowledge>" in each or "<example>" in each for _, each, _ in model.asked)
    (told,) = events(tmp_path / "without", "geak")
    assert told["pages"] == {} and told["example"] is None and "was shown" not in solution.origin


def test_a_run_says_whether_examples_are_shown(tmp_path):
    language, rules = ScriptedModel(), ScriptedModel(language_model=False)
    assert GeakSolver().shows_examples(language) and not GeakSolver().shows_examples(rules)
    for options in ({"one_shot": False}, {"start": "reference"}, {"corpus": tmp_path / "own.jsonl"}):
        assert not GeakSolver(**options).shows_examples(language)


def test_rules_are_shown_neither(tmp_path):
    model = ScriptedModel(language_model=False, generator=[coded("a")])
    bench = make_bench(tmp_path, model, verdicts={"a": right(1.0)}, reference="REFERENCE = 1\n")
    GeakSolver(iterations=1).solve(TASK, bench)
    bench.close()
    assert "<knowledge>" not in model.prompts("generator")[0]


def test_a_corpus_that_cannot_be_read_is_told_before_anything_is_spent(tmp_path):
    solver = GeakSolver(corpus=tmp_path / "nowhere.jsonl")
    with pytest.raises(UsageError, match="nowhere"):
        solver.check([TASK], ScriptedModel())
    with pytest.raises(UsageError, match="one_shot"):
        GeakSolver(corpus=tmp_path / "nowhere.jsonl", one_shot=False)


def profiled(speedup: float) -> Verdict:
    timing = Timing(
        *("n=4", speedup, speedup, speedup, 100.0 / speedup, 100.0, (), (), "device", 50.0, speedup / 2),
        bandwidth=1.5e12,
        rate=2e12,
        kernels=(Kernel("_scale", 1, 61.0, 4, 40, 2, 1024, 0.75),),
    )
    return Verdict(Outcome.RIGHT, "right", timings=(timing,))


def test_the_optimizer_sees_the_profile_where_it_is_asked_for(tmp_path):
    words = ("1500 GB/s", "2 TFLOP/s", "_scale: 4 warps, 40 registers", "2 of them spilled", "occupancy 75 %", "61 µs")
    answers = {"generator": [coded("a"), coded("b")]}
    for asked in (True, False):
        folder = tmp_path / str(asked)
        _, model, _ = play(folder, answers, {"a": profiled(1.0), "b": profiled(2.0)}, iterations=2, profile=asked)
        shown = model.prompts("optimizer")[0]
        assert [word in shown for word in words] == [asked] * len(words)


def test_the_memory_is_saved_whole_after_every_turn(tmp_path):
    seen = []

    class Watching(ScriptedModel):
        def complete(self, messages, *, sample=0):
            path = tmp_path / "solver" / "memory-1.json"
            seen.append(json.loads(path.read_text())["turn"] if path.exists() else 0)
            return super().complete(messages, sample=sample)

    model = Watching(generator=[coded("a"), coded("b"), coded("c")])
    bench = make_bench(tmp_path, model, verdicts={"a": right(1.0), "b": wrong(), "c": right(2.0)})
    GeakSolver(iterations=3).solve(TASK, bench)
    bench.close()
    assert seen == [0, 1, 1, 2, 2]
    memory = json.loads((tmp_path / "solver" / "memory-1.json").read_text())
    assert memory["turn"] == 3 and memory["best"] == 3
    assert [each["source"] for each in memory["versions"]] == [kernel(tag) for tag in "abc"]
    assert [each["feedback"]["outcome"] for each in memory["versions"]] == ["right", "wrong values", "right"]


def test_instances_save_memories_of_their_own(tmp_path):
    play(tmp_path, {"generator": [coded("a")]}, {"a": right(1.0)}, iterations=1, parallel=3)
    assert sorted(path.name for path in (tmp_path / "solver").iterdir()) == [f"memory-{n}.json" for n in (1, 2, 3)]


def test_an_answer_that_was_cut_is_an_outcome_of_its_own(tmp_path):
    class Cut(ScriptedModel):
        def complete(self, messages, *, sample=0):
            reply = super().complete(messages, sample=sample)
            return type(reply)(reply.text, "length", reply.usage)

    model = Cut(generator=["Let me think about"])
    bench = make_bench(tmp_path, model)
    assert GeakSolver(iterations=1).solve(TASK, bench) is None and bench.cut
    bench.close()
    assert events(tmp_path, "turn")[0]["version"]["feedback"]["outcome"] == "answer cut"
