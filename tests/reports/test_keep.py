"""Findings kept beside a suite: they make the same table, hold nothing of one machine, and only what is current."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.doctor.finding import Check, Result
from harness.doctor.record import DoctorRun
from reports.cli import main
from reports.keep import keep
from reports.proof import Proof, tables
from reports.render import markdown
from tests.reports.conftest import ENVIRONMENT, INTERPRETER
from tests.reports.test_proof import FIGURES, everything, finding, run


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        run(tmp_path / "cpu", INTERPRETER, *everything(INTERPRETER)),
        run(tmp_path / "gpu", {**ENVIRONMENT, "uuid": "GPU-1234"}, *everything(ENVIRONMENT)),
    ]


def test_the_same_table_is_made_of_what_is_kept(runs: list[Path], tmp_path: Path) -> None:
    kept = keep(runs, tmp_path / "proof")
    assert [path.name.rpartition("-")[0] for path in kept] == ["interpreter", "nvidia-h200"]
    assert markdown(tables(Proof.read(kept))) == markdown(tables(Proof.read(runs)))
    text = "".join(path.read_text() for folder in kept for path in folder.iterdir())
    assert "GPU-1234" not in text and "command" not in text


def test_it_is_added_to(runs: list[Path], tmp_path: Path) -> None:
    keep(runs, tmp_path / "proof")
    later = finding(Check.REFERENCE, ENVIRONMENT, finished="2026-12-01T10:00:00", figures={"seeds": 99})
    more = run(tmp_path / "more", ENVIRONMENT, later)
    folders = sorted((tmp_path / "proof").iterdir())
    out = tmp_path / "PROOF.md"
    assert main(["proof", *map(str, folders), str(more), "--keep", str(tmp_path / "proof"), "-o", str(out)]) == 0
    assert sorted((tmp_path / "proof").iterdir()) == folders
    assert "99 seeds" in out.read_text()
    found = DoctorRun.open(folders[1]).findings()
    assert len(found) == len(Check) and sum(each.figures == {"seeds": 99} for each in found) == 1


def test_what_is_stale_is_dropped(runs: list[Path], tmp_path: Path) -> None:
    new = finding(Check.PAGE, INTERPRETER, task_digest="d2" * 32, finished="2026-12-01T10:00:00")
    kept = keep([*runs, run(tmp_path / "new", INTERPRETER, new)], tmp_path / "proof")
    assert [DoctorRun.open(folder).findings() for folder in kept] == [[new], []]


def test_fates_are_kept_while_they_are_owed(tmp_path: Path) -> None:
    figures = {**FIGURES[Check.MUTANTS], "survived": ["s"]}
    failed = finding(Check.MUTANTS, ENVIRONMENT, figures=figures, result=Result.FAILED, sentences=("survived: s",))
    folder = run(tmp_path / "gpu", ENVIRONMENT, failed, finding(Check.MUTANTS, ENVIRONMENT, "gemm"))
    line = '{"task": "%s", "task_digest": "' + "d1" * 32 + '", "environment": "e", "mutant": "a", "fate": "killed"}\n'
    (folder / "fates.jsonl").write_text(line % "softmax" * 2 + line % "gemm")
    (kept,) = keep([folder], tmp_path / "proof")
    assert (kept / "fates.jsonl").read_text().count("killed") == 1 and "softmax" in (kept / "fates.jsonl").read_text()
    done = run(tmp_path / "done", ENVIRONMENT, finding(Check.MUTANTS, ENVIRONMENT, finished="2026-12-01T10:00:00"))
    keep([kept, done], tmp_path / "proof")
    assert not (kept / "fates.jsonl").exists()


def test_a_folder_that_cannot_be_written(runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["proof", str(runs[0]), "--keep", str(tmp_path / "file")]) == 2
    assert "name another folder with --keep" in capsys.readouterr().err
