"""Two clocks: what a candidate's device events claim is bounded by the judge's own clock, and by the hardware.

Events are recorded and read in the candidate's process, on the stream that it is called on. They see no work on other
streams, and may be lied about. What the candidate can't reach is the judge's clock around a whole block. From the wall
time of a block the claims are subtracted; what is left, the time that the events do not account for, is the harness's
own part, which the same block costs the reference as well. More than that was worked unseen.

Two kinds of blocks are looked at. In the first the cache is flushed between calls, which takes time that unseen work
can hide behind. Bare blocks, of many calls, have no flush: nothing hides there. (One that found out which blocks are
bare, and were honest in those alone, could hide as much as does not slow down the flush, which the memory's whole
bandwidth is busy with.)

The judge hears late that a block is over where its host is busy, and a block lasts longer where others use the device:
by milliseconds, but either side's alike. So the blocks of both are looked at in pairs, as they were run. What half of
the pairs show is a doubt, which more pairs follow; a lie is what almost all of them show. A doubt that is neither gone
nor proved then is a warning, if most of the pairs show it.

Where others make the device take turns, many pairs in a row may be struck, and by chance one side's only (seen on an
H200: 13 blocks of 14 late by whole time slices). So what is proved has to be proved once more, a while later, by
pairs of its own, while nobody else works on the device, and a doubt that stayed has to stay then; and it is the later
pairs that the candidate is timed by.

The hardware's limit stands beside: no kernel moves its bytes faster than the memory does, or multiplies faster than the
matrix units do (`harness.device.Peaks.impossible_us`).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.judge.statistics import median_above

SLACK_US, SLACK = 20.0, 0.15
"""Of flushed blocks: a claim may be less than the judge's clock allows by the larger of these (µs a call; share)."""
BARE_SLACK_US, BARE_SLACK, BEHIND_SLACK = 10.0, 0.05, 0.5
"""Of bare blocks, likewise. The last is for calls that take the host longer than the device: a share of what they took
longer in bare blocks than in flushed ones, where the device has more to do meanwhile."""
BLOCK_SLACK_US = 100.0
"""Of a whole block of either kind: one of the two processes may be slower to say that it is over."""
CHANCE, CHANCE_OF_A_DOUBT = 1e-4, 0.01
"""That pairs of an honest candidate look like a lie, and like something to look at, at most, if each is as likely to
speak for it as against it."""
LEAST_UNEVEN, UNEVEN = 14, 2.0
"""Blocks, of which none has calls that are alike: none whose mean is less than so many times what half of the calls
took."""
MORE_PAIRS = 60
"""As long as a doubt is neither proved nor gone."""
PAUSE = 0.5
"""Seconds before all is timed once more because of a doubt, the device given to others meanwhile."""


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
    """Medians by device events, of flushed blocks, or of each part of one."""
    means: list[float] = field(default_factory=list)
    """Of all calls of a block."""
    walls: list[float] = field(default_factory=list)
    """Shares of the same blocks by the judge's clock."""
    bare: list[Bare] = field(default_factory=list)
    calls: int = 1
    """In a flushed block."""


@dataclass(frozen=True)
class Doubt:
    """What one kind of blocks shows against a candidate."""

    bare: bool
    pairs: int
    sentence: str
    proved: bool
    likely: bool
    """Would it be chance, for an honest candidate, in fewer than one of a hundred workloads?"""


def unseen(candidate: Clocks, reference: Clocks) -> float | None:
    """Time a call, µs, that the candidate worked in bare blocks beyond what its events claim, the harness's part taken
    off; may be negative. The median over pairs of blocks."""
    pairs = _bare_pairs(candidate, reference)
    return statistics.median(pairs) if pairs else None


def doubts(candidate: Clocks, reference: Clocks) -> list[Doubt]:
    """What the two clocks say against the candidate's claims; what is proved first."""
    found = (_flushed(candidate, reference), _without_flushes(candidate, reference), _uneven(candidate))
    return sorted((each for each in found if each is not None), key=lambda each: not each.proved)


def proved(found: list[Doubt]) -> Doubt | None:
    """The one that is, if any."""
    return next((each for each in found if each.proved), None)


def remark(found: list[Doubt]) -> str:
    """What somebody should look at, of doubts that no more blocks have dispelled or proved."""
    return "; ".join(each.sentence for each in found if each.likely)


def _flushed(candidate: Clocks, reference: Clocks) -> Doubt | None:
    pairs = [c - r for c, r in zip(_left(candidate), _left(reference), strict=True)]
    hidden, claimed = statistics.median(pairs), statistics.median(candidate.claims)
    allowed = max(SLACK_US, SLACK * (claimed + hidden), BLOCK_SLACK_US / candidate.calls)
    if hidden <= allowed:
        return None
    sentence = (
        f"its events claim {claimed:.1f} µs a call, the judge's clock saw {hidden:.1f} µs more of work that they leave "
        "out"
    )
    return _doubt(False, pairs, allowed, sentence)


def _left(side: Clocks) -> list[float]:
    """What the claims of flushed blocks do not account for, µs a call."""
    return [wall - mean for wall, mean in zip(side.walls, side.means, strict=True)]


def shares(reference: Clocks, candidate: Clocks) -> tuple[list[float], list[float]]:
    """What the two sides are compared by, in turn, µs a call: medians, or means where the candidate's calls are not
    alike, in its best block. Means say what a block took; where a host was late at one call, medians do not."""
    if _by_mean(candidate):
        return reference.means, candidate.means
    return reference.claims, candidate.claims


def _by_mean(side: Clocks) -> bool:
    claimed, least = statistics.median(side.claims), min(side.means)
    return least - claimed > max(SLACK_US, SLACK * least)


def _uneven(candidate: Clocks) -> Doubt | None:
    """One call of a block may do the work of all, its input sets found in its memory. Where a host was late it looks
    so, too, but not as much, and not in every block."""
    claimed, least = statistics.median(candidate.claims), min(candidate.means)
    if not _by_mean(candidate) or least <= UNEVEN * claimed:
        return None
    sentence = (
        f"its events claim {claimed:.1f} µs for half of the calls, and no block has less than {least:.1f} µs a call"
    )
    return Doubt(False, len(candidate.means), sentence, len(candidate.means) >= LEAST_UNEVEN, likely=True)


def _without_flushes(candidate: Clocks, reference: Clocks) -> Doubt | None:
    pairs = _bare_pairs(candidate, reference)
    if not pairs:
        return None
    hidden, claimed = statistics.median(pairs), statistics.median(each.claim for each in candidate.bare)
    behind = BEHIND_SLACK * (claimed - statistics.median(candidate.claims))
    calls = max(each.calls for each in candidate.bare)
    allowed = max(BARE_SLACK_US, BARE_SLACK * claimed, behind, BLOCK_SLACK_US / calls)
    if hidden <= allowed:
        return None
    sentence = (
        f"its events claim {claimed:.1f} µs a call in blocks without flushes, the judge's clock saw {hidden:.1f} µs "
        "more of work that they leave out"
    )
    return _doubt(True, pairs, allowed, sentence)


def _doubt(bare: bool, pairs: Sequence[float], allowed: float, sentence: str) -> Doubt:
    proved, likely = (median_above(pairs, allowed, chance) for chance in (CHANCE, CHANCE_OF_A_DOUBT))
    return Doubt(bare, len(pairs), sentence, proved, likely)


def _bare_pairs(candidate: Clocks, reference: Clocks) -> Sequence[float]:
    return [c.unseen - r.unseen for c, r in zip(candidate.bare, reference.bare, strict=True)]
