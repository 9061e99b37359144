"""What is known of published references is kept, and nothing that can't be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.judge.standing import Standing, Standings


@pytest.mark.parametrize("standing", [Standing("it fails"), Standing(runs=True), Standing("", True, ("it imports",))])
def test_another_judge_knows_it(tmp_path: Path, standing: Standing) -> None:
    assert Standings(tmp_path).get("a") is None
    assert Standings(tmp_path).put("a", standing) == standing
    later = Standings(tmp_path)
    assert later.get("a") == standing and later.get("b") is None
    assert [path.name for path in tmp_path.iterdir()] == ["a.standing"]


def test_without_a_folder_it_is_known_to_one_judge(tmp_path: Path) -> None:
    known = Standings(None)
    known.put("a", Standing("so"))
    assert known.get("a") == Standing("so") and not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"reason": 1}', '{"reason": "", "runs": true, "acts": 3}', "\xff"])
def test_what_is_broken_is_found_out_again(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.standing").write_bytes(text.encode("latin-1"))
    known = Standings(tmp_path)
    assert known.get("a") is None
    known.put("a", Standing("new"))
    assert Standings(tmp_path).get("a") == Standing("new")


def test_a_folder_that_is_gone_is_no_trouble(tmp_path: Path) -> None:
    known = Standings(tmp_path / "gone")
    assert known.get("a") is None
    known.put("a", Standing("so"))
    assert known.get("a") == Standing("so")


def test_a_lack_of_memory_may_pass(tmp_path: Path) -> None:
    Standings(tmp_path).put("a", Standing("the published reference fails here: out of memory: CUDA"))
    assert Standings(tmp_path).get("a") is None


def test_who_was_not_done_in_time_gets_more_where_there_is_more(tmp_path: Path) -> None:
    late = Standing("the published reference fails here: timeout: no answer within 480 s")
    Standings(tmp_path, 120.0).put("a", late)
    assert Standings(tmp_path, 120.0).get("a") == late and Standings(tmp_path, 60.0).get("a") == late
    assert Standings(tmp_path, 240.0).get("a") is None
    assert Standings(tmp_path, 240.0).put("a", Standing(runs=True)) == Standings(tmp_path, 480.0).get("a")
