"""Large tensors are compared in parts: the same verdict and the same error as all at once, whatever the shape."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dtypes import DTYPES
from harness.judge import compare
from harness.task import TOLERANCE
from harness.verdict import Outcome
from tests.harness.test_compare_values import FLOATS, INF, NAN, judged

SHAPES = st.one_of(
    st.tuples(st.integers(1, 400)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 40)),
)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "PART", 32)


def both(want: torch.Tensor, got: torch.Tensor):
    """Judged in parts and all at once."""
    parts = judged(want, got)
    compare.PART = 1 << 40
    try:
        return parts, judged(want, got)
    finally:
        compare.PART = 32


@settings(max_examples=300, deadline=None)
@given(
    shape=SHAPES,
    name=st.sampled_from(FLOATS),
    seed=st.integers(0, 1 << 30),
    off=st.sampled_from([0.0, 0.3, 0.99, 1.01, 3.0]),
    strange=st.sampled_from(["", "both", "got", "want"]),
    turned=st.booleans(),
)
def test_the_same_as_all_at_once(shape, name, seed, off, strange, turned) -> None:
    generator = torch.Generator().manual_seed(seed)
    want = torch.randn(shape, generator=generator, dtype=torch.float64) * 10 ** float(
        torch.rand(1, generator=generator)
    )
    want = want.to(DTYPES[name]).double()
    bound = TOLERANCE.bound(name)
    got = want.clone()
    flat = got.reshape(-1)
    place = int(torch.randint(flat.numel(), (1,), generator=generator))
    flat[place] += off * (bound.rtol + bound.atol) * float(want.abs().max())
    other = int(torch.randint(flat.numel(), (1,), generator=generator))
    for kind, tensor in (("got", got), ("want", want)):
        if strange in ("both", kind):
            tensor.reshape(-1)[other] = INF if seed % 2 else NAN
    got = got.to(DTYPES[name])
    if turned and got.dim() > 1:
        got = got.transpose(0, -1).contiguous().transpose(0, -1)
    in_parts, whole = both(want, got)
    assert in_parts[:2] == whole[:2]
    assert in_parts[2] == pytest.approx(whole[2], rel=1e-9, nan_ok=True)


def test_a_row_that_is_no_part_is_compared_as_a_whole() -> None:
    want = torch.linspace(1, 2, 100, dtype=torch.float64).reshape(2, 50)
    assert compare._worst_by_parts(want.float(), want, compare.Bound(1e-5, 1e-5)) is None
    assert judged(want, want.float())[0] is None
    assert judged(want, want.float() * 1.1)[0] is Outcome.VALUES


def test_a_small_row_beside_a_large_one_in_another_part() -> None:
    """Magnitudes are of the row, and no less than a share of the whole tensor's, not of the part's."""
    want = torch.ones(64, 16, dtype=torch.float64)
    want[:32] *= 1e6
    got = want.clone()
    got[40, 3] = 0.0
    (outcome, _, error), whole = both(want, got.float())
    assert outcome is Outcome.VALUES and error == pytest.approx(whole[2])
