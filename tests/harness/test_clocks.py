"""What the judge's clock says against claims, and who did the work by the device's account."""

from __future__ import annotations

import pytest

from harness.judge.clocks import Bare, Clocks, lie, suspicious, unseen
from harness.judge.devicetime import account, objection


def _clocks(claim: float, wall: float, bare: list[tuple[float, float]]) -> Clocks:
    return Clocks([claim] * 5, [wall] * 5, [Bare(*each, 20) for each in bare])


HONEST = _clocks(100.0, 450.0, [(95.0, 205.0), (96.0, 201.0), (95.0, 203.0)])


def test_the_same_kernel_tells_no_lie() -> None:
    assert lie(HONEST, HONEST) is None
    assert unseen(HONEST, HONEST) == pytest.approx(-2.0)


def test_a_claim_below_the_judges_clock() -> None:
    told = lie(_clocks(40.0, 450.0, HONEST_BARE), HONEST)
    assert told is not None and "no less than 100.0 µs" in told
    assert lie(_clocks(90.0, 450.0, HONEST_BARE), HONEST) is None, "within the slack"


HONEST_BARE = [(each.claim, each.unseen) for each in HONEST.bare]


def test_one_slow_block_from_outside_is_no_lie() -> None:
    slowed = _clocks(100.0, 450.0, [(95.0, 900.0), (95.0, 800.0), (95.0, 204.0)])
    slowed.walls[1:] = [900.0] * 4
    assert lie(slowed, HONEST) is None


def test_work_that_events_leave_out_shows_without_flushes() -> None:
    hidden = _clocks(100.0, 450.0, [(5.0, 290.0), (5.0, 295.0), (5.0, 291.0)])
    told = lie(hidden, HONEST)
    assert told is not None and "saw 87.0 µs more" in told


def test_a_short_block_that_is_heard_of_late_is_no_lie() -> None:
    """What was seen on a busy machine: five calls, and 0.1 ms until the judge knew that they were over."""
    honest = [(373.0, 210.0), (374.0, 212.0), (373.0, 211.0)]
    late = [(373.0, 234.0), (373.0, 236.0), (374.0, 235.0)]
    for calls, told in ((5, None), (20, "saw 23.0 µs more")):
        sides = [Clocks([374.0] * 5, [640.0] * 5, [Bare(*each, calls) for each in bare]) for bare in (late, honest)]
        said = lie(*sides)
        assert said is None if told is None else said is not None and told in said


def test_what_is_late_by_block_does_not_grow_with_the_calls() -> None:
    """Blocks of eight and of four calls; one side's are heard 0.25 ms late, whatever their length."""
    for late, each, told in ((250.0, 0.0, None), (0.0, 30.0, "saw 30.0 µs more"), (40.0, 30.0, "saw 30.0 µs more")):
        blocks = [Bare(35.0, 20.0 + each + late / calls, calls) for calls in (8, 4) * 3]
        honest = [Bare(35.0, 20.0, calls) for calls in (8, 4) * 3]
        sides = [Clocks([35.0] * 5, [400.0] * 5, bare) for bare in (blocks, honest)]
        assert suspicious(*sides)
        said = lie(*sides)
        assert said is None if told is None else said is not None and told in said
    first = [Clocks([35.0] * 5, [400.0] * 5, [Bare(35.0, unseen, 8)]) for unseen in (35.0, 20.0)]
    assert suspicious(*first) and lie(*first) is None, "one block alone: others have to follow"


def test_a_host_that_can_not_keep_up_is_no_lie() -> None:
    behind = _clocks(100.0, 450.0, [(160.0, 228.0), (165.0, 226.0), (162.0, 230.0)])
    assert lie(behind, HONEST) is None


def test_no_bare_blocks_no_complaint() -> None:
    alone = Clocks([100.0] * 3, [450.0] * 3)
    assert unseen(alone, alone) is None
    assert lie(alone, alone) is None


# --- who did the work -------------------------------------------------------------------------------------------------

FILL = "void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<float>, std::array<char*, 1ul> >"
PRODUCT = "sm90_xmma_gemm_f16f16_f16f32_f32_nn_n_tilesize128x128x64"


def test_kernels_that_triton_launched_are_the_candidates() -> None:
    found = account(
        [("_double", 40.0), ("_double", 10.0), (FILL, 50.0), ("Memcpy DtoD (Device -> Device)", 2.0)], ["_double"] * 2
    )
    assert found is not None and found.triton_us == 50.0 and not found.foreign
    assert found.triton_share == pytest.approx(50 / 102)
    assert objection(found) is None


def test_another_kernel_is_somebody_elses() -> None:
    found = account([("_double", 1.0), (PRODUCT, 99.0)], ["_double"])
    assert found is not None and found.foreign == {PRODUCT: 99.0}
    complaint = objection(found)
    assert complaint is not None and complaint.startswith("99%") and PRODUCT[:40] in complaint


def test_a_name_is_good_for_as_many_kernels_as_were_launched() -> None:
    """A Triton kernel of a library kernel's name, launched on next to nothing, does not make that one Triton's."""
    found = account([(PRODUCT, 1.0), (PRODUCT, 99.0)], [PRODUCT])
    assert found is not None and found.triton_us == 1.0 and found.foreign == {PRODUCT: 99.0}
    named_as_a_copy = account([("my_copy_kernel", 1.0), ("my_copy_kernel", 99.0)], ["my_copy_kernel"])
    assert named_as_a_copy is not None and named_as_a_copy.foreign_share == pytest.approx(0.99)


def test_copies_are_work_where_data_is_moved() -> None:
    ran = [("_double", 1.0), (FILL, 1.0), ("Memcpy DtoD (Device -> Device)", 98.0)]
    for moves_data in (False, True):
        found = account(ran, ["_double"], moves_data)
        assert found is not None and bool(objection(found)) is moves_data
        assert FILL not in found.foreign


def test_a_profiler_that_sees_nothing_accuses_nobody() -> None:
    assert account([], ["_double"]) is None
