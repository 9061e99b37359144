"""Two runs over the same answers: what is compared, what differs, what is not compared, and how it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.verdict import Outcome, Verdict
from reports.agree import Agreement, read, table
from reports.cli import main
from tests.reports.conftest import INTERPRETER

HERE = {
    "alike": Outcome.RIGHT,
    "wrong there": Outcome.RIGHT,
    "runs here alone": Outcome.VALUES,
    "fails otherwise": Outcome.CALL_ERROR,
    "not here": Outcome.UNSUPPORTED,
    "not there": Outcome.VALUES,
    "nowhere": Outcome.UNSUPPORTED,
    "other source": Outcome.RIGHT,
    "no answer": Outcome.NO_CODE,
}
THERE = {
    "alike": Outcome.RIGHT,
    "wrong there": Outcome.VALUES,
    "runs here alone": Outcome.CALL_ERROR,
    "fails otherwise": Outcome.IMPORT_ERROR,
    "not here": Outcome.RIGHT,
    "not there": Outcome.UNSUPPORTED,
    "nowhere": Outcome.UNSUPPORTED,
    "other source": Outcome.VALUES,
    "no answer": Outcome.NO_CODE,
}


@pytest.fixture
def found(build: Any) -> Agreement:
    def run(outcomes: dict[str, Outcome], mark: str, **more: Any) -> Path:
        attempts = []
        for task, outcome in outcomes.items():
            digest = "" if outcome is Outcome.NO_CODE else f"{task} {mark if task == 'other source' else ''}"
            attempts.append((build.attempt(task), Verdict(outcome, f"so {mark}", digest=digest)))
        owed = (build.attempt("owed in one"), None if mark == "here" else Verdict(Outcome.RIGHT, "so"))
        folder: Path = build.run([*attempts, owed], **more).folder
        return folder

    return read(run(HERE, "here", environment=INTERPRETER), run(THERE, "there"))


def test_each_attempt_is_counted_where_it_belongs(found: Agreement) -> None:
    assert [each.key[1] for each in found.pairs if not each.differs] == ["alike", "no answer"]
    named = [(each.key[1], each.differs) for each in found.differing]
    assert named == [("wrong there", "execution"), ("runs here alone", "call"), ("fails otherwise", "outcome")]
    assert found.unjudged == {"the first can't judge": 1, "the second can't judge": 1, "neither can judge": 1}
    assert [key[1] for key in found.other_source] == ["other source"]


def test_a_row_for_each_difference_and_one_sentence(found: Agreement) -> None:
    made = table(found)
    told = {column.header: column.cells for column in made.columns}
    assert told["first\noutcome"] == ("right", "wrong values", "call error")
    assert told["second reason"] == ("so there",) * 3
    assert "interpreter" in made.facts[0] and "NVIDIA H200" in made.facts[1]
    assert made.legend[-1].startswith("of 5 attempts that both judge they agree on execution 4 (80.0 [")
    assert ", on call as well 3 (60.0" in made.legend[-1] and ", on the outcome as well 2 (40.0" in made.legend[-1]
    assert made.legend[-1].endswith("; 1 are right in both")
    assert made.notes[:3] == (
        "Not compared, the first can't judge: 1.",
        "Not compared, the second can't judge: 1.",
        "Not compared, neither can judge: 1.",
    )
    assert made.notes[3].startswith("Not compared, of another source: 1: rocm") and "other" in made.notes[3]


def test_a_run_and_itself_agree(build: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = build.run([(build.attempt("softmax"), Verdict(Outcome.RIGHT, "so", digest="d"))])
    assert main(["agree", str(run.folder), str(run.folder), "--format=markdown"]) == 0
    told = capsys.readouterr().out
    assert "agree on execution 1 (100.0" in told and "so" not in told.split()


def test_runs_without_a_common_attempt_are_refused(build: Any, tmp_path: Path) -> None:
    runs = [
        build.run([(build.attempt(task), Verdict(Outcome.RIGHT, "so", digest="d"))]).folder
        for task in ("gemm", "softmax")
    ]
    with pytest.raises(UsageError, match="have no judged attempt in common"):
        read(*runs)
    with pytest.raises(UsageError, match="is no folder"):
        read(runs[0], tmp_path / "none")
