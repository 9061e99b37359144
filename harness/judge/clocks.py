"""Two clocks: what a candidate's device events claim is bounded by the judge's own clock, and by the hardware.

Events are recorded and read in the candidate's process, on the stream that it is called on. They see no work on other
streams, and may be lied about. What the candidate can't reach is the judge's clock around a whole block. From the wall
time of a block the claims are subtracted; what is left, the time that the events do not account for, is the harness's
own part, which the same block costs the reference as well. More than that was worked unseen.

Two kinds of blocks are looked at. In the first the cache is flushed between calls, which takes time that unseen work
can hide behind. Bare blocks, of many calls and of lengths that the judge draws, have no flush: nothing hides there.
(One that found out which blocks are bare, and were honest in those alone, could hide as much as does not slow down the
flush, which the memory's whole bandwidth is busy with.)

The hardware's limit stands beside: no kernel moves its bytes faster than the memory does, or multiplies faster than the
matrix units do (`harness.device.Peaks.impossible_us`).
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

SLACK_US, SLACK = 20.0, 0.15
"""Of flushed blocks: a claim may be less than the judge's clock allows by the larger of these (µs a call; share)."""
BARE_SLACK_US, BARE_SLACK, BEHIND_SLACK = 10.0, 0.05, 0.5
"""Of bare blocks, likewise. The last is for calls that take the host longer than the device: a share of what they took
longer in bare blocks than in flushed ones, where the device has more to do meanwhile."""
BARE_BLOCK_SLACK_US = 150.0
"""Of a whole bare block: a busy host hears so much later that it is over. Not needed where blocks of two lengths were
heard: what is late by block does not grow with the calls."""
BARE_ROUNDS = 6
"""So many bare blocks have to speak against a candidate, half of them of half the length: where the first one does,
others follow."""


@dataclass(frozen=True)
class Bare:
    """One block without flushes."""

    claim: float
    """Median of its calls by device events, µs."""
    unseen: float
    """What the judge's clock saw beyond all claims, µs a call."""
    calls: int


@dataclass
class Clocks:
    """What both clocks said of one side, block by block, µs a call."""

    claims: list[float] = field(default_factory=list)
    """Medians by device events, of flushed blocks."""
    walls: list[float] = field(default_factory=list)
    """Shares of the same blocks by the judge's clock."""
    bare: list[Bare] = field(default_factory=list)


def unseen(candidate: Clocks, reference: Clocks) -> float | None:
    """Time a call, µs, that the candidate worked in bare blocks beyond what its events claim, the harness's part taken
    off; may be negative. Of all blocks the least: what slows one down from outside must not look like a lie."""
    if not candidate.bare or not reference.bare:
        return None
    return min(each.unseen for each in candidate.bare) - statistics.median(each.unseen for each in reference.bare)


def suspicious(candidate: Clocks, reference: Clocks) -> bool:
    """Does the bare block show more than the claims, be it that the host heard late? Then others have to follow."""
    hidden = unseen(candidate, reference)
    return hidden is not None and hidden > _allowed(candidate)


def _allowed(candidate: Clocks) -> float:
    """What may be unseen, µs a call, besides what is heard late."""
    claimed = statistics.median(candidate.claims)
    bare = statistics.median(each.claim for each in candidate.bare)
    return max(BARE_SLACK_US, BARE_SLACK * bare, BEHIND_SLACK * (bare - claimed))


def _growth(side: Clocks) -> float | None:
    """What a call adds to the unseen time of a bare block, µs; None where all are of about one length."""
    least: dict[int, float] = {}
    for each in side.bare:
        least[each.calls] = min(each.unseen * each.calls, least.get(each.calls, float("inf")))
    short, long = min(least), max(least)
    return (least[long] - least[short]) / (long - short) if 2 * (long - short) >= long > 2 else None


def lie(candidate: Clocks, reference: Clocks) -> str | None:
    """What the two clocks say against the candidate's claims, or None."""
    claimed = statistics.median(candidate.claims)
    overhead = statistics.median(w - c for w, c in zip(reference.walls, reference.claims, strict=True))
    least = min(candidate.walls) - overhead
    if claimed < least - max(SLACK_US, SLACK * least):
        return f"its events claim {claimed:.1f} µs a call, the judge's clock allows no less than {least:.1f} µs"
    hidden = unseen(candidate, reference)
    if hidden is None:
        return None
    growth = _growth(candidate), _growth(reference)
    if growth[0] is None or growth[1] is None:
        late = BARE_BLOCK_SLACK_US / max(each.calls for each in candidate.bare)
    else:
        late, hidden = 0.0, min(hidden, growth[0] - growth[1])
    if hidden > max(_allowed(candidate), late):
        bare = statistics.median(each.claim for each in candidate.bare)
        return (
            f"its events claim {bare:.1f} µs a call in blocks without flushes, the judge's clock saw {hidden:.1f} µs "
            "more of work that they leave out"
        )
    return None
