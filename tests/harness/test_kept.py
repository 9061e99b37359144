"""What references of script tasks kept is shared by the judges of a command: none runs twice, none is another's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from harness.judge import kept
from harness.judge.judge import Judge, JudgeLimits
from harness.judge.kept import Kept, new_folder
from harness.judge.script_trial import ScriptTrial
from harness.sandbox.answers import Foreign, Placed, Scripted
from harness.verdict import Outcome
from tests.harness.commands import NO_CACHE, Warm
from tests.harness.test_script import KERNEL, TEST, script
from tests.suites.test_published_suites import HEAD, SUITES, tiny

RAN = Scripted({"a": Placed(torch.arange(5.0), "cuda:0"), "b": [1.5, Foreign("object")]}, 3, "x")


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    Kept(tmp_path, "cpu").put("d", 7, True, RAN)
    found = Kept(tmp_path, "cpu").get("d", 7, True)
    assert found is not None and found.launches == 3 and found.value["b"] == [1.5, Foreign("object")]
    assert torch.equal(found.value["a"].tensor, torch.arange(5.0)) and found.value["a"].device == "cuda:0"
    assert Kept(tmp_path, "cpu").get("d", 8, True) is None and Kept(tmp_path, "cpu").get("d", 7, False) is None


def test_what_is_broken_large_or_nowhere_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = Kept(tmp_path, "cpu")
    values.put("d", 7, True, RAN)
    (file,) = tmp_path.iterdir()
    for broken in (b"", b"nonsense", file.read_bytes()[:100]):
        file.write_bytes(broken)
        assert values.get("d", 7, True) is None
    for most in ("MOST_BYTES", "BUDGET_BYTES"):
        monkeypatch.setattr(kept, most, -1)
        values.put("d", 9, True, RAN)
        monkeypatch.undo()
        assert values.get("d", 9, True) is None
    for nowhere in (Kept(None, "cpu"), Kept(tmp_path / "gone", "cpu")):
        nowhere.put("d", 7, True, RAN)
        nowhere.confirm("d", 7)
        assert nowhere.get("d", 7, True) is None and not nowhere.confirmed("d", 7)
    assert new_folder(file) is None, "where no folder can be made there is none"


class _Acts:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("made",)


def test_no_file_makes_a_judge_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where walls are weak a candidate may write one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "values").mkdir()
    values = Kept(tmp_path / "values", "cpu")
    values.put("d", 7, True, RAN)
    (file,) = (tmp_path / "values").iterdir()
    torch.save(Scripted(_Acts(), 3, "x"), file)
    assert values.get("d", 7, True) is None and not (tmp_path / "made").exists()
    torch.load(file, weights_only=False)
    assert (tmp_path / "made").exists(), "it would have"


def test_folders_of_killed_commands_do_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_folder(tmp_path)
    assert first is not None and new_folder(tmp_path) is not None and first.exists()
    monkeypatch.setattr(kept, "_STALE", -1.0)
    assert new_folder(tmp_path) is not None and not first.exists()


@pytest.fixture
def judges(judge: Judge, tmp_path: Path) -> Iterator[tuple[Judge, Judge]]:
    """Two of one command."""
    (tmp_path / "values").mkdir()
    limits = JudgeLimits(stage_seconds=60.0, values=tmp_path / "values")
    with Judge(judge.device, limits) as one, Judge(judge.device, limits) as other:
        yield one, other


def test_another_judge_does_not_run_the_reference(judges: tuple[Judge, Judge], monkeypatch: pytest.MonkeyPatch) -> None:
    task, wrong = script(), KERNEL.replace("by * tl", "2 * by * tl")
    one, other = judges
    assert one.judge(task, KERNEL, seed=5).outcome is Outcome.RIGHT
    standing = one.standings.get(task.digest)
    assert standing is not None
    other.standings.put(task.digest, standing)
    runs: list[int] = []
    as_it_is = ScriptTrial._expected
    monkeypatch.setattr(
        ScriptTrial, "_expected", lambda self, seed, *more: runs.append(seed) or as_it_is(self, seed, *more)
    )
    assert other.judge(task, KERNEL.replace("64", "32"), seed=5).outcome is Outcome.RIGHT and not runs
    assert other.judge(task, wrong, seed=5).outcome is Outcome.VALUES
    assert len(runs) == len(set(runs)) == 3, "doubted once for each seed"
    assert one.judge(task, wrong, seed=5).outcome is Outcome.VALUES and len(runs) == 3
    assert other.judge(task, KERNEL, seed=6).outcome is Outcome.RIGHT and len(runs) == 6, "other seeds, other values"


def test_a_test_half_may_start_a_process_and_a_solution_may_not(judge: Judge) -> None:
    forks = f"import os\n_child = os.fork()\nif _child == 0:\n    os._exit(0)\nos.waitpid(_child, 0)\n{TEST}"
    verdict = judge.judge(script(test=forks), KERNEL)
    assert verdict.outcome is Outcome.RIGHT, (verdict.outcome, verdict.reason)
    forking = KERNEL.replace("    y = torch", "    import os\n    os.fork() or os._exit(0)\n    y = torch")
    assert judge.judge(script(), forking).outcome is Outcome.CHEATING


def test_answers_of_one_command_share_seeds_and_those_of_another_do_not(warm: Warm, tmp_path: Path) -> None:
    checkout = tiny(tmp_path / "checkout")
    rows = [
        {"task": name, "sample": number, "source": HEAD.format(name=name, by=by)}
        for name in ("double", "triple")
        for number, by in enumerate((2, 3), start=1)
    ]
    (tmp_path / "answers.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    cache = tmp_path / "cache"
    where = (SUITES / "tritonbench_g", *NO_CACHE, "-q", f"--checkout={checkout}", "--concurrency=2", "--judges=2")
    seeds: list[dict[str, set[int]]] = []
    for run in ("one", "two"):
        more = ("--solver=replay", "--predictions=answers.jsonl", "--samples=2", "--no-timing")
        ran = warm.pytest(
            *where,
            *more,
            "-k",
            "double or triple",
            f"--run-dir={run}",
            cwd=tmp_path,
            env={"XDG_CACHE_HOME": str(cache)},
        )
        found: dict[str, set[int]] = {}
        for line in (tmp_path / run / "results.jsonl").read_text().splitlines():
            record = json.loads(line)
            found.setdefault(record["attempt"]["task"], set()).add(record["verdict"]["seed"])
        assert set(found) == {"double", "triple"}, ran.text
        assert len((tmp_path / run / "results.jsonl").read_text().splitlines()) == 4
        assert all(len(each) == 1 for each in found.values()), found
        assert found["double"] != found["triple"]
        seeds.append(found)
    assert seeds[0] != seeds[1], "fresh for each command"
    assert cache.exists() and not list(cache.rglob("values-*")), "nothing stays"
