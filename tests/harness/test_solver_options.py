"""Options of solvers from a TOML file and from the command: what counts more, what is recorded, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.registry import configured
from tests.harness.commands import NO_CACHE, TOY, Warm


def options_used(run: Path) -> dict[str, Any]:
    """The options that the loop was run with."""
    (transcript,) = run.glob("samples/*/transcript.jsonl")
    first = json.loads(transcript.read_text().splitlines()[0])
    assert first["event"] == "geak"
    found: dict[str, Any] = first["options"]
    return found


def test_a_file_the_command_and_the_solvers_own_options(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text("iterations = 9\nancestors = 2\npatience = 4\nreflector = false\n")
    asked = (TOY, "--solver=geak:config=quick.toml,patience=1", "--iterations=1", "--early-stop-threshold=50")
    ran = warm.pytest(*asked, "--run-dir=run", *NO_CACHE, cwd=tmp_path)
    assert ran.code == 0, ran.text
    used = options_used(tmp_path / "run")
    assert (used["iterations"], used["early_stop_threshold"]) == (1, 50.0), "the command counts more than the file"
    assert (used["ancestors"], used["patience"], used["reflector"]) == (2, 1, False)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["solvers"][0]["label"] == "geak:config=quick,patience=1"
    assert about["solvers"][0]["options"] == {"ancestors": "2", "reflector": "false", "patience": "1"}
    (tmp_path / "quick.toml").write_text("ancestors = 3\n")
    ran = warm.pytest(TOY, "--resume=run", *NO_CACHE, cwd=tmp_path)
    assert ran.code == 4 and "has other options now than when" in ran.text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--solver=geak:config=gone.toml"], "gone.toml can't be read as TOML"),
        (["--solver=geak:config=broken.toml"], "broken.toml can't be read as TOML"),
        (["--solver=geak:config=table.toml"], "table.toml: limits is a dict; options are text, numbers, true or false"),
        (["--solver=geak:config=strange.toml"], "has no option 'iteratons'"),
        (["--solver=nop", "--early-stop-threshold=2"], "none of the solvers has early stop threshold"),
        (["--solver=geak", "--early-stop-threshold=0"], "a number above zero is needed"),
    ],
)
def test_what_is_refused(arguments: list[str], says: str, warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("iterations = \n")
    (tmp_path / "table.toml").write_text("[limits]\na = 1\n")
    (tmp_path / "strange.toml").write_text("iteratons = 3\n")
    ran = warm.pytest(TOY, *arguments, *NO_CACHE, cwd=tmp_path)
    assert ran.code == 4 and says in ran.text, ran.text
    assert not (tmp_path / "runs").exists()


def test_a_factory_with_an_option_config_of_its_own_gets_it() -> None:
    def factory(config: str) -> None:
        raise AssertionError

    assert configured({"config": "gone.toml"}, factory, {}, "solver 'x'") == {"config": "gone.toml"}
    with pytest.raises(UsageError):
        configured({"config": "gone.toml"}, lambda turns: None, {}, "solver 'x'")


def test_of_a_path_the_last_part_names_the_solver(warm: Warm, tmp_path: Path) -> None:
    files = [tmp_path / folder / "answers.jsonl" for folder in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        file.write_text(json.dumps({"task": "doubled", "source": "def doubled(x): return x"}))
    solvers = [f"--solver=replay:predictions={file}" for file in files]
    ran = warm.pytest(TOY, *solvers, "--run-dir=run", *NO_CACHE, cwd=tmp_path)
    assert f"solvers: replay:predictions=answers.jsonl, replay:predictions={files[1]}" in ran.text, ran.text
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [each["options"] for each in about["solvers"]] == [{"predictions": str(file)} for file in files]
    again = warm.pytest(TOY, "--resume=run", *NO_CACHE, cwd=tmp_path)
    assert again.code == 1, again.text
    assert len((tmp_path / "run" / "results.jsonl").read_text().splitlines()) == 2, "nothing is judged again"
    twice = warm.pytest(TOY, solvers[0], solvers[0], *NO_CACHE, cwd=tmp_path)
    assert twice.code == 4 and "is given twice" in twice.text
