"""Pieces of lent memory; how both sides use it is tested on a GPU."""

from __future__ import annotations

from harness.sandbox.lent import Places


def test_pieces_follow_each_other_and_begin_again_when_all_are_back() -> None:
    places = Places(1 << 20, 4096)
    first, second = places.take(1000), places.take(512)
    assert (first, second) == (1 << 20, (1 << 20) + 1024)
    assert places.take(4096) is None, "it does not fit"
    assert first is not None and second is not None
    assert places.give(first) and places.take(512) == (1 << 20) + 1536, "what is free in between is not looked for"
    assert not places.give(first), "it was given back before"
    assert not places.give(7), "it never came from here"
    assert places.give(second) and places.give((1 << 20) + 1536)
    assert places.take(4096) == 1 << 20
