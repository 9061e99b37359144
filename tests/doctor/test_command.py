"""`pytest SUITE --doctor` as a person runs it: items, failures, errors, the record, going on, and the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.task import Task
from reports.cli import main
from tests.harness.commands import NO_CACHE, Ran, Warm

Broken = Callable[[str, str, str], Task]


@pytest.fixture
def doctor_says(warm: Warm, sound: Path, tmp_path: Path) -> Callable[..., Ran]:
    """Runs the doctor on the suite, recorded in `run` below the test's folder."""

    def run(*arguments: str) -> Ran:
        where = () if any("--resume" in each for each in arguments) else (f"--run-dir={tmp_path / 'run'}",)
        return warm.pytest(sound, "--doctor", *where, *NO_CACHE, *arguments, cwd=tmp_path)

    return run


def findings(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "findings.jsonl").read_text().splitlines()]


def test_a_sound_suite(doctor_says: Callable[..., Ran], tmp_path: Path) -> None:
    ran = doctor_says("-v")
    assert ran.code == 0, ran.text
    for check in ("page", "cases", "nulls", "reference", "mutants"):
        assert f"sound/suite.toml::{check}[scaled] PASSED" in ran.text
    assert "test_sound.py" not in ran.text
    assert "1 of 1 tasks are proven on interpreter" in ran.text
    assert "limit" not in {str(each["check"]) for each in findings(tmp_path / "run")}
    page = (tmp_path / "run" / "report" / "proof.md").read_text()
    assert "| scaled" in page and "lanes outside of the mask are not stored" in page


def test_a_fault_fails_and_says_what(doctor_says: Callable[..., Ran], broken: Broken, tmp_path: Path) -> None:
    broken("task.py", "pad=5", "pad=0")
    ran = doctor_says("-k", "cases or page")
    assert ran.code == 1
    assert "no case has a tensor that is not contiguous" in ran.text
    assert "1 failed, 1 passed" in ran.text
    assert "0 of 1 tasks are proven" in ran.text


def test_it_goes_on_where_it_stopped(doctor_says: Callable[..., Ran], broken: Broken, tmp_path: Path) -> None:
    broken("task.py", "pad=5", "pad=0")
    assert doctor_says("-k", "cases or page").code == 1
    before = findings(tmp_path / "run")
    assert doctor_says("-k", "cases or page or nulls", f"--resume={tmp_path / 'run'}").code == 1
    added = [str(each["check"]) for each in findings(tmp_path / "run")[len(before) :]]
    assert added == ["cases", "nulls"], "what was proven is not examined again, what failed is"


def test_a_check_that_was_killed_tries_the_other_mutants_alone(doctor_says: Callable[..., Ran], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert doctor_says("-k", "mutants").code == 0
    (whole,) = findings(run)
    fates = (run / "fates.jsonl").read_text().splitlines(keepends=True)
    assert len(fates) == len(whole["figures"]["how"]) > 3  # type: ignore[index]
    (run / "findings.jsonl").write_text("")
    (run / "fates.jsonl").write_text("".join(fates[:-2]) + fates[-2][:20])  # killed while it wrote
    assert doctor_says("-k", "mutants", f"--resume={run}").code == 0
    (again,) = findings(run)
    assert again["figures"] == whole["figures"]
    survivors = sum('"survived"' in each for each in fates[:-2])
    kept = [line for line in (run / "fates.jsonl").read_text().splitlines() if line.endswith("}")]
    assert len(kept) == len(fates) + survivors, "survivors and the two that were lost are tried again, no other"


def test_several_processes_write_one_record(doctor_says: Callable[..., Ran], tmp_path: Path) -> None:
    ran = doctor_says("-n", "2", "-k", "cases or page or nulls")
    assert ran.code == 0, ran.text
    assert sorted(str(each["check"]) for each in findings(tmp_path / "run")) == ["cases", "nulls", "page"]
    assert "report:" in ran.text


def test_a_name_in_the_equivalents_that_is_gone(doctor_says: Callable[..., Ran], broken: Broken) -> None:
    broken("equivalents.toml", "other=1)", "other=2)")
    ran = doctor_says("-k", "mutants")
    assert ran.code == 1
    assert "no mutant that is tried is named" in ran.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--solver=nop"], "ask for one of them at a time"),
        (["--device=cuda:99"], "--device cuda:99"),
        (["--resume=nowhere"], "is no doctor's run: it has no doctor.json"),
    ],
)
def test_usage_errors(doctor_says: Callable[..., Ran], arguments: list[str], says: str) -> None:
    ran = doctor_says(*arguments)
    assert ran.code == 4 and says in ran.text and "Traceback" not in ran.text


def test_no_suite(warm: Warm, tmp_path: Path) -> None:
    ran = warm.pytest("--doctor", *NO_CACHE, cwd=tmp_path)
    assert ran.code == 4 and "name a suite's folder" in ran.text


def test_a_run_that_is_there_already(doctor_says: Callable[..., Ran]) -> None:
    assert doctor_says("-k", "page").code == 0
    ran = doctor_says("-k", "page")
    assert ran.code == 4 and "continue it with --resume" in ran.text


def test_the_proof_command(doctor_says: Callable[..., Ran], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor_says("-k", "page or nulls").code == 0
    out = tmp_path / "PROOF.md"
    assert main(["proof", str(tmp_path / "run"), "-o", str(out)]) == 0
    assert out.read_text().startswith("## Proof")
    assert main(["proof", str(tmp_path)]) == 2
    assert "is no doctor's run" in capsys.readouterr().err
