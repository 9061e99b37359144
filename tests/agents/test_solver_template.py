"""The page and the template for solvers from outside: installed and run for real, as their readers would."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from openai_server import OpenAIServer, answer

from harness import registry
from harness.solver import Solver, Workbench
from tests.harness.commands import NO_CACHE, TOY, Warm

AGENTS = Path(__file__).parents[2] / "agents"
PAGE = (AGENTS / "README.md").read_text()
RIGHT = (TOY / "doubled" / "reference.py").read_text()
WRONG = RIGHT.replace("2 *", "3 *")


def fenced(source):
    return f"```python\n{source}```"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A copy of the template as pip leaves it; nothing is downloaded."""
    folder = tmp_path_factory.mktemp("outside")
    shutil.copytree(AGENTS / "template", folder / "copy")
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder / "site"), str(folder / "copy")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def row_of(run):
    return json.loads((run / "results.jsonl").read_text())


def test_the_template_installed_is_found_by_its_name(installed, tmp_path):
    """It is wrong at first, is told so, and mends it."""
    warm = Warm({"PYTHONPATH": str(installed), "OPENAI_API_KEY": "sk-none", "NO_PROXY": "127.0.0.1"})
    try:
        with OpenAIServer([answer("Let me think."), answer(fenced(WRONG)), answer(fenced(RIGHT))]) as server:
            asked = ("--model=tiny", f"--base-url={server.url}", "--run-dir=run", "-v", *NO_CACHE)
            ran = warm.pytest(TOY, "--solver=mine:tries=3", *asked, cwd=tmp_path)
        refused = warm.pytest(TOY, "--solver=mine:tries=0", "--model=offline", *NO_CACHE, cwd=tmp_path)
        unknown = warm.pytest(TOY, "--solver=mine:depth=2", "--model=offline", *NO_CACHE, cwd=tmp_path)
    finally:
        warm.close()
    assert ran.code == 0 and "test_speedup[doubled-mine:tries=3] PASSED" in ran.text, ran.text
    row = row_of(tmp_path / "run")
    assert row["verdict"]["outcome"] == "right" and row["origin"] == "try 3"
    assert row["spent"]["evaluations"] == 2 and row["spent"]["calls"] == 3
    assert "holds no code" in server.prompts()[1] and "wrong values: " in server.prompts()[2]
    assert refused.code == 4 and "tries is 0" in refused.text
    assert unknown.code == 4 and "its options: tries" in unknown.text


def test_the_template_as_a_file(warm, tmp_path):
    """With no packaging, and a model that can't write a kernel: no code, counted."""
    file = AGENTS / "template" / "my_solver.py"
    asked = ("--model=offline", "--run-dir=run", *NO_CACHE)
    ran = warm.pytest(TOY, f"--solver={file}:MySolver:tries=1", *asked, cwd=tmp_path)
    assert ran.code == 1 and row_of(tmp_path / "run")["verdict"]["outcome"] == "no code", ran.text


def test_the_pages_example_does_what_the_page_says(warm, tmp_path):
    [example] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "mine.py").write_text(example)
    ran = warm.pytest(TOY, "--solver=mine.py:Mine:block=512", "--run-dir=run", *NO_CACHE, cwd=tmp_path)
    row = row_of(tmp_path / "run")
    assert ran.code == 0 and row["origin"] == "factor 2" and row["spent"]["evaluations"] == 2, ran.text
    assert "BLOCK=512" in next(tmp_path.glob("run/samples/*/solution.py")).read_text()


def test_the_page_names_all_that_there_is():
    members = {name for name in {*vars(Workbench), *Workbench.__annotations__} if not name.startswith("_")}
    # `shows_reference` is said in words.
    assert {name for name in members if f"bench.{name}" not in PAGE and f"`{name}`" not in PAGE} <= {"shows_reference"}
    assert set(vars(Solver)) >= {"name", "solve"}
    missing = [name for name in registry.names(registry.SOLVERS) if f"`{name}`" not in PAGE]
    assert missing == [], "a built-in solver that the page does not name"
