"""`python -m tests.gpu`: what it would run, where, and what it makes of records."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import gpu


def test_parts_are_commands_of_their_own_lane(tmp_path: Path) -> None:
    names = ["tests", "exploits", "mutants", "checks", "limits", "cost1/2", "reference", "geak2/2", "soak:500"]
    found = gpu.parts([*names, "throughput"], "cuda:1", tmp_path, "softmax")
    assert all({"--device=cuda:1", "--devices=cuda:1"} & set(each.command) for each in found)
    assert found.pop().command[1:] == ["-m", "tests.throughput", "--device=cuda:1"]
    assert found[-1].command[2:] == ["tests.soak", "--device=cuda:1", "--candidates=500"]
    (together,) = gpu.parts(["throughput-all:368"], "cuda:1", tmp_path, "")
    assert together.command[2:] == ["tests.throughput", "--devices=all", "--candidates=368"]
    folders = [each.folder.name for each in found]
    assert len(set(folders)) == len(folders) == len(names) + 1, "cost is two runs"
    assert "(not mutants and not limit) and (softmax)" in found[3].command
    assert [each.name for each in found if "--unguarded" in each.command] == ["cost1/2-unguarded"]


def test_published_suites_come_from_the_checkouts_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "CHECKOUTS", tmp_path)
    file = tmp_path / "TritonBench" / "LLM_generated" / "Bench_T_general_purpose" / "some-model.jsonl"
    file.parent.mkdir(parents=True)
    file.touch()
    references, answers = gpu.parts(["published", "answers:some-model"], "cuda:1", tmp_path, "")
    for each in (references, answers):
        assert f"--checkout={tmp_path / 'TritonBench'}" in each.command and "--devices=cuda:1" in each.command
    assert references.command[3:5] == ["suites/published", "--solver=reference"]
    assert answers.command[3:6] == ["suites/published/tritonbench_t", "--solver=replay", f"--predictions={file}"]
    with pytest.raises(SystemExit, match="0 files of that name"):
        gpu.parts(["answers:other"], "cuda:1", tmp_path, "")


def test_halves_are_all_tasks_and_no_other(tmp_path: Path) -> None:
    halves = [set(gpu._tests(half, "geak")) for half in ("1/2", "2/2")]
    assert not halves[0] & halves[1] and len(halves[0] | halves[1]) == 3 * 31
    assert abs(len(halves[0]) - len(halves[1])) == 3
    orders = [[each.name for each in gpu.parts([name], "cuda:0", tmp_path, "")] for name in ("cost1/2", "cost2/2")]
    assert orders == [
        ["cost1/2-guarded", "cost1/2-unguarded"],
        ["cost2/2-unguarded", "cost2/2-guarded"],
    ], "what the first one warms up must not count for one side alone"


def test_what_is_recorded_is_continued(tmp_path: Path) -> None:
    (part,) = gpu.parts(["nop"], "cuda:0", tmp_path, "")
    assert part.command[-1] == f"--run-dir={tmp_path}/run-nop"
    part.folder.mkdir()
    (part.folder / "run.json").touch()
    assert part.command[-1] == f"--resume={tmp_path}/run-nop"
