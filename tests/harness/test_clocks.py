"""What the judge's clock says against claims, and who did the work by the device's account."""

from __future__ import annotations

import random
import statistics
from dataclasses import replace

import pytest
import scipy.stats

from harness.judge.clocks import Bare, Clocks, doubts, remark, shares, unseen
from harness.judge.devicetime import account, objection
from harness.judge.statistics import median_above


def _clocks(claim: float, wall: float, bare: list[tuple[float, float]], calls: int = 20) -> Clocks:
    return Clocks([claim] * 15, [claim] * 15, [wall] * 15, [Bare(*each, calls) for each in bare], calls=4)


def _told(candidate: Clocks, reference: Clocks) -> str | None:
    """What is proved."""
    found = doubts(candidate, reference)
    return found[0].sentence if found and found[0].proved else None


HONEST_BARE = [(95.0, 205.0), (96.0, 201.0), (95.0, 203.0)] * 5
HONEST = _clocks(100.0, 450.0, HONEST_BARE)


def test_the_same_kernel_tells_no_lie() -> None:
    assert not doubts(HONEST, HONEST)
    assert unseen(HONEST, HONEST) == 0.0


def test_a_claim_below_the_judges_clock() -> None:
    told = _told(_clocks(40.0, 450.0, HONEST_BARE), HONEST)
    assert told is not None and "saw 60.0 µs more" in told
    assert not doubts(_clocks(90.0, 450.0, HONEST_BARE), HONEST), "within the slack"
    one = replace(_clocks(60.0, 450.0, HONEST_BARE), calls=1)
    assert not doubts(one, HONEST), "one call a block: 0.1 ms may be the block's"


def test_few_pairs_prove_nothing() -> None:
    few = [Clocks([claim] * 13, [claim] * 13, [450.0] * 13, calls=4) for claim in (40.0, 100.0)]
    (found,) = doubts(few[0], few[1])
    assert not found.proved and not found.bare and found.pairs == 13


def test_slow_blocks_from_outside_are_no_lie_and_hide_none() -> None:
    """Seen on an H200 that other processes were busy on: a block of either side lasts milliseconds longer at times."""
    rng = random.Random(4)

    def late() -> float:
        return rng.choice([0.0, 50.0, 200.0, 2450.0, 4900.0])

    for hidden in (0.0, 93.0):
        said = 0
        for _ in range(50):
            sides = [
                Clocks(
                    [100.0 - less] * 60,
                    [100.0 - less] * 60,
                    [450.0 + late() / 4 for _ in range(60)],
                    [Bare(95.0 - less, 200.0 + less + rng.gauss(0.0, 40.0), 8) for _ in range(60)],
                    calls=4,
                )
                for less in (hidden, 0.0)
            ]
            said += _told(*sides) is not None
        assert said == (50 if hidden else 0)


def test_a_host_that_launches_late_is_no_lie() -> None:
    """Seen on an H200: a twin whose launches fail and are repeated; the device waits between most events."""
    rng = random.Random(5)
    for _ in range(50):
        late = Clocks(calls=3)
        for number in range(60):
            samples = [110.0 + (rng.expovariate(1 / 2000.0) if number % 7 else 0.0) for _ in range(3)]
            late.claims.append(statistics.median(samples))
            late.means.append(statistics.mean(samples))
            late.walls.append(350.0 + statistics.mean(samples) + rng.gauss(0.0, 50.0))
        honest = replace(HONEST, claims=[110.0] * 60, means=[110.0] * 60, walls=[460.0] * 60, bare=[])
        assert not doubts(late, honest)


def test_one_call_that_does_the_work_of_all() -> None:
    uneven = replace(HONEST, claims=[5.0] * 15)  # 5, 5 and 290 µs
    told = _told(uneven, HONEST)
    assert told is not None and "no block has less than 100.0 µs a call" in told
    assert not doubts(replace(uneven, means=[5.0, *[100.0] * 14], walls=[355.0, *[450.0] * 14]), HONEST)
    assert shares(HONEST, uneven) == (HONEST.means, uneven.means), "besides, it is timed by all of its calls"
    assert shares(HONEST, HONEST) == (HONEST.claims, HONEST.claims)


def test_calls_that_are_somewhat_unlike_are_timed_by_their_mean() -> None:
    """Seen on an H200: a twin that compiles in vain at each call."""
    late = replace(HONEST, claims=[1058.0] * 20, means=[1382.0] * 20, walls=[1732.0] * 20, bare=[])
    many = replace(HONEST, claims=[100.0] * 20, means=[100.0] * 20, walls=[450.0] * 20, bare=[])
    assert not doubts(late, many) and shares(many, late) == (many.means, late.means)


def test_a_doubt_that_stays_is_a_remark_if_most_of_the_blocks_show_it() -> None:
    def sides(against: int) -> tuple[Clocks, Clocks]:
        walls = [450.0 + (100.0 if number < against else 0.0) for number in range(60)]
        clocks = [Clocks([100.0] * 60, [100.0] * 60, each, calls=8) for each in (walls, [450.0] * 60)]
        return clocks[0], clocks[1]

    for against, said, proved in ((32, False, False), (41, True, False), (50, True, True)):
        (found,) = doubts(*sides(against))
        assert found.proved is proved and bool(remark([found])) is said


def test_work_that_events_leave_out_shows_without_flushes() -> None:
    hidden = _clocks(100.0, 450.0, [(5.0, 290.0), (5.0, 295.0), (5.0, 291.0)] * 5)
    told = _told(hidden, HONEST)
    assert told is not None and "saw 88.0 µs more" in told


def test_a_short_block_that_is_heard_of_late_is_no_lie() -> None:
    """What was seen on a busy machine: five calls, and 0.1 ms until the judge knew that they were over."""
    late = [(claim, unseen + 19.0) for claim, unseen in HONEST_BARE]
    for calls, told in ((5, None), (20, "saw 19.0 µs more")):
        said = _told(_clocks(100.0, 450.0, late, calls), HONEST)
        assert said is None if told is None else said is not None and told in said


def test_a_host_that_can_not_keep_up_is_no_lie() -> None:
    behind = _clocks(100.0, 450.0, [(160.0, 228.0), (165.0, 226.0), (162.0, 230.0)] * 5)
    assert not doubts(behind, HONEST)


def test_no_bare_blocks_no_complaint() -> None:
    alone = Clocks([100.0] * 3, [100.0] * 3, [450.0] * 3)
    assert unseen(alone, alone) is None
    assert not doubts(alone, alone)


def test_the_sign_test_is_scipys() -> None:
    for count, above in ((5, 5), (14, 14), (13, 13), (40, 33), (60, 41)):
        values = [1.0] * above + [-1.0] * (count - above)
        p = scipy.stats.binomtest(above, count, alternative="greater").pvalue
        for chance in (1e-4, 1e-2, 0.05):
            assert median_above(values, 0.0, chance) == (p <= chance)


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
