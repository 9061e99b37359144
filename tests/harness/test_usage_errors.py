"""Bad input is a usage error in one line, before anything is spent."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.commands import NO_CACHE, SOLVERS, Ran, Warm
from tests.harness.suites import write_suite

COMMANDS: list[tuple[str, list[str], str]] = [
    ("no solver", [], "name a solver"),
    ("unknown solver", ["--solver=nobody"], "unknown solver 'nobody': there are"),
    ("unknown option of a solver", ["--solver=nop:depth=3"], "has no option 'depth'"),
    ("malformed option of a solver", ["--solver=nop:depth=3,x"], "malformed at 'x'"),
    ("malformed specification", ["--solver=a:b:c"], "is malformed"),
    ("empty specification", ["--solver="], "is malformed"),
    ("missing plug-in file", ["--solver=gone.py:Name"], "gone.py does not exist"),
    ("missing name in a plug-in file", [f"--solver={SOLVERS}:Nobody"], "defines no 'Nobody'"),
    ("missing module", ["--solver=no.such.module:Name"], "can't be loaded: ModuleNotFoundError"),
    ("no factory", ["--solver=json:__doc__"], "is no class or function"),
    ("a type without signature", ["--solver=builtins:dict"], "is no class or function"),
    ("no solver object", ["--solver=fractions:Fraction"], "is no solver"),
    ("plug-in file that is broken", ["--solver=broken.py:Name"], "can't be loaded: SyntaxError"),
    ("plug-in that can't be made", ["--solver=unmakeable.py:Name"], "can't be made: RuntimeError: no licence"),
    ("wrong type of an option", [f"--solver={SOLVERS}:Versions:versions=many"], "a value of type int is needed"),
    ("required option left out", [f"--solver={SOLVERS}:Troubled"], "can't be made"),
    ("a solver twice", ["--solver=nop", "--solver=nop"], "given twice"),
    ("unknown model", ["--solver=direct", "--model=no.py:Nobody"], "no.py does not exist"),
    (
        "unknown option of a model",
        ["--solver=direct", "--model=offline", "--model-option=heat=1"],
        "has no option 'heat'",
    ),
    ("malformed model option", ["--solver=direct", "--model=offline", "--model-option=heat"], "write KEY=VALUE"),
    ("address without meaning", ["--solver=direct", "--model=offline", "--base-url=http://x/v1"], "has no meaning"),
    ("no samples", ["--solver=nop", "--samples=0"], "--samples 0"),
    ("negative budget", ["--solver=nop", "--max-dollars=-1"], "--max-dollars -1"),
    ("budget that is no number", ["--solver=nop", "--max-seconds=nan"], "--max-seconds nan"),
    ("no time for a stage", ["--solver=nop", "--stage-timeout=0"], "--stage-timeout 0"),
    ("no memory", ["--solver=nop", "--memory-limit=0"], "--memory-limit 0"),
    ("no width", ["--solver=nop", "--timing-width=-0.1"], "--timing-width -0.1"),
    ("unknown isolation", ["--solver=nop", "--isolation=vault"], "'vault' is no level of isolation: there are strict"),
    ("wall without its base", ["--solver=nop", "--isolation=process+landlock"], "is no level of isolation"),
    (
        "walls, and none",
        ["--solver=nop", "--isolation=process", "--unguarded"],
        "--unguarded gives no isolation at all",
    ),
    ("a sanitizer without a GPU", ["--solver=nop", "--sanitizer"], "the interpreter finds every access outside"),
    ("a doctor without guard", ["--doctor", "--unguarded"], "leave --unguarded out"),
    ("iterations of nobody", ["--solver=nop", "--iterations=3"], "none of the solvers has iterations"),
    ("unknown device", ["--solver=nop", "--device=abacus"], "--device 'abacus' is unknown"),
    ("device that is not there", ["--solver=nop", "--device=cuda:99"], "--device cuda:99"),
    ("predictions of nobody", ["--solver=nop", "--predictions=good.jsonl"], "only the solver replay takes it"),
    ("no predictions", ["--solver=replay"], "--predictions"),
    ("missing predictions", ["--solver=replay", "--predictions=gone.jsonl"], "gone.jsonl do not exist"),
    ("torn predictions", ["--solver=replay", "--predictions=torn.jsonl"], "is not JSON"),
    ("prediction for an unknown task", ["--solver=replay", "--predictions=strange.jsonl"], "no task 'quadrupled'"),
    ("surplus prediction", ["--solver=replay", "--predictions=surplus.jsonl"], "sample 2"),
    ("unwritable run folder", ["--solver=nop", "--run-dir=/proc/runs"], "the run folder /proc/runs can't be written"),
    ("run folder below a file", ["--solver=nop", "--run-dir=good.jsonl/run"], "can't be written"),
    ("resume and run folder", ["--solver=nop", "--run-dir=a", "--resume=b"], "leave --run-dir out"),
    ("resume of no run", ["--resume=suite"], "is no run folder: it has no run.json"),
    ("resume of nothing", ["--resume=gone"], "is no run folder"),
]

SPENT = """
import pathlib
from harness.solver import Reply
class Counting:
    name = "counting"
    language_model = True
    def complete(self, messages, *, sample=0):
        pathlib.Path("model-was-called").touch()
        return Reply("")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a suite and good and bad files."""
    folder = tmp_path_factory.mktemp("usage")
    write_suite(folder / "suite", {"doubled": 2})
    row = {"task": "doubled", "source": "def doubled(x): return x"}
    (folder / "good.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "torn.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row)[:20] + "\n")
    (folder / "strange.jsonl").write_text(json.dumps({**row, "task": "quadrupled"}) + "\n")
    (folder / "surplus.jsonl").write_text((json.dumps(row) + "\n") * 2)
    (folder / "broken.py").write_text("class Name(:\n")
    (folder / "unmakeable.py").write_text("def Name():\n    raise RuntimeError('no licence')\n")
    (folder / "counting.py").write_text(SPENT)
    return folder


def assert_usage_error(ran: Ran, words: str) -> None:
    """Exit code 4, one line that starts with ERROR, and nothing else."""
    assert ran.code == 4, ran.text
    errors = [line for line in ran.lines if line.startswith("ERROR:")]
    assert len(errors) == 1 and words in errors[0], ran.text
    assert "Traceback" not in ran.text
    assert len(ran.lines) == 1, ran.text


@pytest.mark.parametrize(("arguments", "words"), [c[1:] for c in COMMANDS], ids=[c[0] for c in COMMANDS])
def test_options(arguments: list[str], words: str, place: Path, warm: Warm) -> None:
    before = sorted(place.iterdir())
    ran = warm.pytest("suite", *arguments, *NO_CACHE, cwd=place, env={"OPENAI_API_KEY": ""})
    assert_usage_error(ran, words)
    left = [path for path in place.iterdir() if path not in before and path.name not in ("__pycache__", ".benchmarks")]
    assert left == [], "nothing was made before the error"


def test_no_model_call_is_made(place: Path, warm: Warm) -> None:
    arguments = ["suite", f"--solver={SOLVERS}:Asking", "--model=counting.py:Counting", "--samples=0"]
    assert_usage_error(warm.pytest(*arguments, *NO_CACHE, cwd=place), "--samples 0")
    assert not (place / "model-was-called").exists()
    ran = warm.pytest(*arguments[:-1], "--run-dir=counted", *NO_CACHE, cwd=place)
    assert (place / "model-was-called").exists(), "without the mistake it is called:\n" + ran.text
    shutil.rmtree(place / "counted")


SUITES: list[tuple[str, Callable[[Path], object], str]] = [
    ("no reference", lambda s: (s / "doubled/reference.py").unlink(), "task 'doubled' has no reference.py: write"),
    ("no instruction", lambda s: (s / "doubled/instruction.md").unlink(), "has no instruction.md"),
    ("no task file", lambda s: (s / "doubled/task.py").unlink(), "has no task.py"),
    ("broken task", lambda s: (s / "doubled/task.py").write_text("1 / 0"), "task.py can't be loaded: ZeroDivision"),
    ("task without Task", lambda s: (s / "doubled/task.py").write_text("x = 1"), "makes no Task named `task`"),
    (
        "task without oracle",
        lambda s: _edit(s / "doubled/task.py", "@task.oracle", ""),
        "no oracle: mark a function with @task.oracle",
    ),
    (
        "task whose outputs are no expression",
        lambda s: _edit(s / "doubled/task.py", '"torch.empty_like(x)"', '"torch.empty_like(x"'),
        "outputs",
    ),
    ("task without cases", lambda s: _edit(s / "doubled/task.py", "[1, 257, 1000]", "[]"), "at least one case"),
    ("level out of range", lambda s: _edit(s / "doubled/task.py", "level=1", "level=9"), "level is 9"),
    ("other signature", lambda s: _edit(s / "doubled/task.py", '"doubled(x:', '"twice(x:'), "is not that of"),
    ("reference without entry", lambda s: (s / "doubled/reference.py").write_text("x = 1"), "does not define"),
    ("broken reference", lambda s: (s / "doubled/reference.py").write_text("def f(:"), "reference.py"),
    ("reference that is no text", lambda s: (s / "doubled/reference.py").write_bytes(b"\xff\xfe\x00"), "reference.py"),
    ("no version", lambda s: _edit(s / "suite.toml", 'version = "1"', ""), "suite.toml: give version as text"),
    ("number for version", lambda s: _edit(s / "suite.toml", '"1"', "1"), "suite.toml: give version as text"),
    ("torn suite.toml", lambda s: (s / "suite.toml").write_text('name = "to'), "suite.toml"),
    ("suite.toml that is no text", lambda s: (s / "suite.toml").write_bytes(b"\xff\xfe"), "suite.toml"),
    ("no tasks", lambda s: shutil.rmtree(s / "doubled"), "holds no task"),
]


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(("spoil", "words"), [s[1:] for s in SUITES], ids=[s[0] for s in SUITES])
def test_suites(spoil: Callable[[Path], object], words: str, one: Path, warm: Warm) -> None:
    spoil(one)
    ran = warm.pytest(one, "--solver=nop", "--run-dir=run", *NO_CACHE, cwd=one.parent)
    assert_usage_error(ran, words)
    assert not (one.parent / "run").exists()


@pytest.fixture(scope="module")
def finished(place: Path, warm: Warm) -> Path:
    """A finished run of the solver nop."""
    ran = warm.pytest("suite", "--solver=nop", "--seed=3", "--run-dir=finished", *NO_CACHE, cwd=place)
    assert ran.code == 1, ran.text
    return place / "finished"


def _about(run: Path, **changes: object) -> None:
    path = run / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _other_device(run: Path) -> None:
    _about(run, environment={"device": "NVIDIA H200", "digest": "0" * 16})


RESUMED: list[tuple[str, list[str], Callable[[Path], object], str]] = [
    ("other solver", ["--solver=reference"], lambda run: None, "was run with --solver nop, not reference"),
    ("other samples", ["--samples=2"], lambda run: None, "was run with --samples unset, not 2"),
    ("other seed", ["--seed=4"], lambda run: None, "was run with --seed 3, not 4"),
    ("other budget", ["--max-evaluations=4"], lambda run: None, "--max-evaluations unset, not 4"),
    ("torn run.json", [], lambda run: os.truncate(run / "run.json", 100), "run.json can't be read"),
    ("run.json that is no object", [], lambda run: (run / "run.json").write_text("[]"), "another version"),
    ("newer schema", [], lambda run: _about(run, schema=99), "schema 99"),
    ("other suite", [], lambda run: _about(run, suites=[{"name": "toy", "digest": "0"}]), "suite toy has changed"),
    ("other device", [], _other_device, "was started on another device"),
    ("other plan", [], lambda run: _about(run, plan=[]), "was started without toy--doubled--nop--1"),
    ("run folder taken", ["--run-dir"], lambda run: None, "holds a run already"),
]


@pytest.mark.parametrize(("arguments", "spoil", "words"), [r[1:] for r in RESUMED], ids=[r[0] for r in RESUMED])
def test_resume(
    arguments: list[str], spoil: Callable[[Path], object], words: str, finished: Path, tmp_path: Path, warm: Warm
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    spoil(run)
    before = (run / "results.jsonl").read_bytes()
    asked = [f"--run-dir={run}", "--solver=nop"] if arguments == ["--run-dir"] else [f"--resume={run}", *arguments]
    ran = warm.pytest("suite", *asked, "-q", "--no-header", *NO_CACHE, cwd=finished.parent)
    assert ran.code == 4, ran.text
    errors = [line for line in ran.lines if line.startswith("ERROR:")]
    assert len(errors) == 1 and words in errors[0], ran.text
    assert "Traceback" not in ran.text and "INTERNALERROR" not in ran.text
    assert (run / "results.jsonl").read_bytes() == before
