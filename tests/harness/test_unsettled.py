"""Values that a reference gives otherwise when it is run again: where they are few and always the same ones, the others
judge; where it works at random, nobody is judged."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from harness.judge.compare import values, wrong_places
from harness.judge.judge import Judge
from harness.judge.unsettled import Unsettled, unsettled
from harness.sandbox.answers import Placed
from harness.script import PUBLISHED
from harness.task import Bound
from harness.verdict import Outcome, Verdict
from tests.harness import unwritten
from tests.harness.test_script import KERNEL, TEST, script

COUNTS = KERNEL + "\n_runs = []\n"
AGAIN = "_runs.append(1)\n"
UNWRITTEN = (
    f"{AGAIN}_held = torch.full((30,), 10.0 ** len(_runs))\n"
    "result_gold['case 130'] = torch.cat([result_gold['case 130'], _held])\n"
)
A_NUMBER = f"{AGAIN}result_gold['a number'] = 10.0 ** len(_runs)\n"
ALL = f"{AGAIN}result_gold = {{'noise': 10.0 ** len(_runs) * torch.arange(1.0, 30.0)}}\n"
RANDOM = f"{AGAIN}result_gold['case 130'][7 * len(_runs) : 7 * len(_runs) + 7] += 50\n"


def _judged(judge: Judge, more: str, candidate: str = COUNTS) -> Verdict:
    return judge.judge(script(COUNTS, TEST + more), candidate)


@pytest.mark.parametrize(("more", "count"), [(UNWRITTEN, 30), (A_NUMBER, 1)])
def test_what_it_does_not_settle_is_left_out(judge: Judge, more: str, count: int) -> None:
    verdict = _judged(judge, more)
    assert verdict.outcome is Outcome.RIGHT and all(verdict.rules.values()), verdict.reason
    note, untimed = verdict.notes
    assert untimed == "not timed: there are no published workloads"
    assert note.startswith(f"{count} of ") and note.endswith("the reference does not settle them")
    assert Verdict.from_json(verdict.to_json()).notes == verdict.notes
    standing = judge.standings.get(script(COUNTS, TEST + more).digest)
    assert standing is not None and standing.unsettled and not standing.reason


def test_what_it_settles_is_compared(judge: Judge) -> None:
    wrong = _judged(judge, UNWRITTEN, COUNTS.replace("return y", "y[-1:] += 1\n    return y"))
    assert wrong.outcome is Outcome.VALUES and "'case 5'" in wrong.reason
    shape = _judged(judge, UNWRITTEN, COUNTS.replace("return y", "return y[:-1] if y.numel() == 130 else y"))
    assert shape.outcome is Outcome.SHAPE, shape.reason


@pytest.mark.parametrize("more", [RANDOM, ALL])
def test_who_works_at_random_judges_nobody(judge: Judge, more: str) -> None:
    verdict = _judged(judge, more)
    assert verdict.outcome is Outcome.UNSUPPORTED and "other values when it is run again" in verdict.reason
    assert not verdict.notes


def _placed(*numbers: float) -> Placed:
    return Placed(torch.tensor(numbers), "cpu")


def test_places_are_found_in_containers() -> None:
    first = {"a": _placed(1.0, 2.0, 3.0), "b": (_placed(0.0, 5.0), 2.5, "text", [7])}
    again = {"a": _placed(1.0, 9.0, 3.0), "b": (_placed(float("nan"), 5.0), 2.75, "text", [7])}
    found = unsettled(first, again, PUBLISHED, "kept")
    assert found is not None and found.count == 3 and found.plain == {"kept['b'][1]"}
    assert {name: mask.tolist() for name, mask in found.masks.items()} == {
        "kept['a']": [False, True, False],
        "kept['b'][0]": [True, False],
    }
    back = found.put_back(again, first, "kept")
    assert unsettled(first, back, PUBLISHED, "kept") == Unsettled()
    assert found.leaves_enough(first, "kept")
    assert not found.leaves_enough({"b": (_placed(0.0, 5.0), 2.5, *range(9))}, "kept"), "one number is left of a tensor"
    assert not found.leaves_enough({"a": _placed(1.0, 2.0, 3.0), "b": 1.0, "c": 2}, "kept"), (
        "as many are left out as there are"
    )


@pytest.mark.parametrize(
    "again", [{"a": _placed(1.0)}, {"b": _placed(1.0, 2.0)}, [_placed(1.0, 2.0)], {"a": 1.0}, {"a": None}]
)
def test_another_structure_is_none(again: object) -> None:
    assert unsettled({"a": _placed(1.0, 2.0)}, again, PUBLISHED, "kept") is None


def test_they_have_to_be_the_same_places() -> None:
    def mask(*places: int) -> Unsettled:
        found = torch.zeros(1000, dtype=torch.bool)
        found[list(places)] = True
        return Unsettled({"kept": found})

    many = mask(*range(400))
    assert many.agrees(mask(*range(397))) and not many.agrees(mask(*range(380)))
    assert not mask(1, 2).agrees(mask(2, 3)) and many.joined(mask(500)).count == 401


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64])
def test_wrong_places_are_those_that_a_comparison_reports(dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    want = (100 * torch.randn(37, 64)).to(dtype)
    bound = Bound(1e-2, 1e-2) if dtype.is_floating_point else Bound(0.0, 0.0)
    for changed in (0, 1, 90):
        have, places = want.clone(), torch.randperm(want.numel())[:changed]
        have.view(-1)[places] += 50
        mask = wrong_places(bound, have, want)
        assert mask.view(-1).nonzero().view(-1).tolist() == sorted(places.tolist())
        difference, _ = values(bound, "kept", have, want)
        assert (difference is None) == (changed == 0)
        assert difference is None or f"{changed} of {want.numel()} values" in difference.sentence
    if dtype.is_floating_point:
        have, strange = want.clone(), want.clone()
        have[0, :3] = torch.tensor([float("nan"), float("inf"), float("inf")])
        strange[0, :4] = torch.tensor([float("nan"), float("inf"), -float("inf"), float("nan")])
        assert wrong_places(bound, have, strange).nonzero().tolist() == [[0, 2], [0, 3]]


@pytest.mark.parametrize("look", unwritten.LOOKS, ids=lambda look: look.__name__)
def test_memory_that_nobody_wrote(judge: Judge, look: Callable[[Judge], None]) -> None:
    look(judge)
