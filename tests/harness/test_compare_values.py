"""Comparison of values: NaN and infinity, tolerances by dtype and magnitude, what the sentence says and never says."""

from __future__ import annotations

import re

import pytest
import torch

from harness.dtypes import DTYPES
from harness.judge.compare import compare, expect
from harness.sandbox.answers import Placed, Returned
from harness.task import TOLERANCE, Case, Rng, Task, Tolerance
from harness.verdict import Outcome
from tests.harness.test_compare_form import task

FLOATS = [name for name, dtype in DTYPES.items() if dtype.is_floating_point]
EXACT = [name for name, dtype in DTYPES.items() if not dtype.is_floating_point]
INF, NAN = float("inf"), float("nan")


def judged(
    expected: torch.Tensor, got: torch.Tensor, tolerance: Tolerance = TOLERANCE
) -> tuple[Outcome | None, str, float]:
    """(outcome, sentence, error as a share of what is allowed) where the oracle gives `expected`."""
    made: Task = task(lambda x: expected, "torch.empty(0)", tolerance=tolerance)
    made.outputs = f"torch.empty({tuple(got.shape)}, dtype={got.dtype})"
    inputs = {"x": torch.zeros(1)}
    difference, error = compare(made, inputs, expect(made, inputs), Returned((Placed(got, "cpu"),), {}), "cpu")
    return (difference.outcome, difference.sentence, error) if difference else (None, "", error)


def values(name: str, n: int = 2048) -> torch.Tensor:
    """Normal values as fp64, each exact in the format."""
    return Rng(5).normal(n).to(DTYPES[name]).double()


@pytest.mark.parametrize("name", FLOATS)
def test_rounding_passes_and_more_does_not(name: str) -> None:
    exact = Rng(5).normal(2048).double()
    outcome, _, error = judged(exact, exact.to(DTYPES[name]))
    assert outcome is None and (0 < error < 1 or (name in ("fp32", "fp64") and error == 0))
    bound = TOLERANCE.bound(name)
    want = values(name)
    off = want * (1 + 4 * bound.rtol) + 4 * bound.atol * want.sign()
    assert judged(want, off.to(DTYPES[name]))[0] is Outcome.VALUES
    assert judged(want, torch.zeros_like(want, dtype=DTYPES[name]))[0] is Outcome.VALUES


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 100.0])
def test_tolerance_follows_the_magnitude(name: str, scale: float) -> None:
    want = (values(name) * scale).to(DTYPES[name]).double()
    if not want.isfinite().all() or float(want.abs().max()) < 8 * torch.finfo(DTYPES[name]).tiny:
        pytest.skip("out of the format's range")
    assert judged(want, want.to(DTYPES[name]))[0] is None
    outcome, sentence, error = judged(want, torch.zeros_like(want, dtype=DTYPES[name]))
    assert outcome is Outcome.VALUES and error > 1, "zeros are wrong for small values too"
    assert re.search(r"times what is allowed; the first wrong is at \[\d+\]", sentence)


def test_tiny_values_do_not_pass_as_zeros() -> None:
    want = torch.full((64,), 1e-30, dtype=torch.float64)
    assert judged(want, torch.zeros(64))[0] is Outcome.VALUES
    assert judged(torch.zeros(64, dtype=torch.float64), torch.zeros(64))[0] is None
    assert judged(torch.zeros(64, dtype=torch.float64), torch.full((64,), 1e-30))[0] is Outcome.VALUES


def test_zeros_do_not_hide_beside_a_row_of_large_values() -> None:
    want = torch.ones(4, 64, dtype=torch.float64)
    want[0] = 1e3
    got = want.to(torch.float32)
    got[2] = 0.0
    assert judged(want, got)[0] is Outcome.VALUES


def test_what_cancels_to_zero_may_leave_some_rounding() -> None:
    want = torch.ones(4, 64, dtype=torch.float64)
    want[1] = 0.0
    got = want.to(torch.float32)
    got[1] = 5e-9
    assert judged(want, got)[0] is None
    got[1] = 1e-6
    assert judged(want, got)[0] is Outcome.VALUES


def test_a_row_of_large_values_has_its_own_scale() -> None:
    want = torch.ones(64, 32, dtype=torch.float64)
    want[0] = 1e6
    want[0, 3] = 0.0
    got = want.float()
    got[0, 3] = 5.0
    assert judged(want, got)[0] is None, "what cancels in a large row may be off by its rounding"
    got[0, 3] = 50.0
    assert judged(want, got)[0] is Outcome.VALUES


@pytest.mark.parametrize(
    ("want", "got", "words"),
    [
        ([1.0, NAN], [1.0, 2.0], "[1] is not NaN where it should be (1 of 2 values)"),
        ([1.0, 2.0], [NAN, NAN], "[0] is NaN where it should not be (2 of 2 values)"),
        ([1.0, INF], [1.0, 3e38], "[1] is not infinite where it should be (1 of 2 values)"),
        ([1.0, 2.0], [1.0, -INF], "[1] is infinite where it should not be"),
        ([1.0, INF], [1.0, -INF], "[1] is infinite"),
        ([INF, NAN], [NAN, INF], "[0] is NaN where it should not be (2 of 2 values)"),
    ],
)
def test_nan_and_infinity(want: list[float], got: list[float], words: str) -> None:
    outcome, sentence, error = judged(torch.tensor(want, dtype=torch.float64), torch.tensor(got))
    assert outcome is Outcome.NON_FINITE and words in sentence, sentence
    assert error == INF


def test_not_finite_and_right() -> None:
    want = torch.tensor([NAN, INF, -INF, 1.0], dtype=torch.float64)
    assert judged(want, want.float())[0] is None
    wrong = want.float()
    wrong[3] = 1.1
    assert judged(want, wrong)[0] is Outcome.VALUES
    large = torch.tensor([1e6, -1e6, 1.0], dtype=torch.float64)
    assert judged(large, large.half())[0] is None, "what overflows in the format is infinite in it"
    assert judged(large, torch.tensor([65504.0, -INF, 1.0]).half())[0] is Outcome.NON_FINITE


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("floating", [False, True], ids=["oracle in the dtype", "oracle in fp64"])
def test_integers_and_booleans_are_exact(name: str, floating: bool) -> None:
    right = torch.tensor([0, 1, 0, 1, 1]).to(DTYPES[name])
    want = right.double() if floating else right
    assert judged(want, right)[::2] == (None, 0.0)
    wrong = torch.tensor([0, 1, 1, 0, 1]).to(DTYPES[name])
    outcome, sentence, error = judged(want, wrong)
    assert outcome is Outcome.VALUES and "2 of 5 values" in sentence and "[2]" in sentence, sentence
    assert error == INF or error > 1


def test_integers_with_a_tolerance() -> None:
    one_off = TOLERANCE.by(int8=(0.0, 1.0))
    want = torch.tensor([10, -10, 10], dtype=torch.int8)
    assert judged(want, want + 5, one_off)[0] is None
    assert judged(want, want + 11, one_off)[0] is Outcome.VALUES
    zeros = torch.zeros(3, dtype=torch.int8)
    assert judged(zeros, zeros, one_off)[0] is None
    assert judged(zeros, torch.tensor([0, 100, 0], dtype=torch.int8), one_off)[0] is Outcome.VALUES


def test_large_integers_are_not_rounded() -> None:
    want = torch.tensor([2**60 + 1, 5])
    assert judged(want, torch.tensor([2**60 + 1, 5]))[0] is None
    assert judged(want, torch.tensor([2**60, 5]))[0] is Outcome.VALUES


def test_the_sentence_says_where_and_how_much_but_no_expected_value() -> None:
    want = torch.full((4, 5), 7.7731, dtype=torch.float64)
    got = want.float()
    got[1, 2], got[3, 0] = 7.0, 2.5
    _, sentence, _ = judged(want, got)
    assert "2 of 20 values" in sentence and "the worst at [3, 0] is off by 5.27" in sentence, sentence
    assert "the first wrong is at [1, 2]" in sentence
    assert "7.77" not in sentence


def test_cases_read_as_values_and_types() -> None:
    case = Case((("rows", 3), ("dtype", "bf16")))
    assert (case.rows, case["dtype"], case.dtype, case.id) == (3, "bf16", torch.bfloat16, "rows=3,dtype=bf16")
    with pytest.raises(AttributeError, match="has no parameter 'columns'"):
        _ = case.columns
