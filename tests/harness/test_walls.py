"""The walls between the packages: imports point one way, and the untrusted side knows nothing of the trusted one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.commands import ROOT

FORBIDDEN = {
    "harness": {"suites", "agents", "reports", "tests"},
    "agents": {"suites", "reports", "tests"},
    "reports": {"suites", "agents", "tests"},
    "suites": {"agents", "reports", "tests"},
}
CHILD_SIDE = (
    *(
        "zygote",
        "warden",
        "child",
        "witness",
        "refresh",
        "failure",
        "wire",
        "tree",
        "interpreter",
        "rehearsal",
        "scratch",
    ),
    *("isolation", "levels", "mounts", "bubblewrap", "landlock", "seccomp"),
)
"""Modules of `harness.sandbox` that run in a candidate's process or its parents."""
CHILD_MAY = {"harness.dtypes", "harness.sandbox"}
"""What they may import of the harness."""


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            here = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            module = ".".join((*here, *([node.module] if node.module else [])))
            yield module
            yield from (f"{module}.{each.name}" for each in node.names)


def files(package: str) -> list[Path]:
    """All Python files of a package."""
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_point_one_way(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(package)
        for name in imported(path)
        if name.partition(".")[0] in FORBIDDEN[package]
    ]
    assert wrong == []


def test_the_candidates_side_knows_nothing_of_the_judge() -> None:
    wrong = []
    for path in files("harness/sandbox"):
        inside = path.relative_to(ROOT / "harness" / "sandbox").parts[0].removesuffix(".py")
        if inside in CHILD_SIDE:
            for name in imported(path):
                ours = name.startswith("harness.")
                if ours and not any(name == may or name.startswith(may + ".") for may in CHILD_MAY):
                    wrong.append(f"{path.relative_to(ROOT)} imports {name}")
                if ours and re.match(r"harness\.sandbox\.(parent|candidate)\b", name):
                    wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert wrong == []


def test_solvers_reach_the_core_through_its_solver_side_alone() -> None:
    allowed = re.compile(r"harness\.(solver|errors|verdict|dtypes|run|task|registry|suite|device|wording)\b")
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files("agents")
        for name in imported(path)
        if name.startswith("harness.") and not allowed.match(name)
    ]
    assert wrong == []


def test_no_pickle_and_no_evaluation_of_what_comes_over_the_wire() -> None:
    for path in files("harness/sandbox"):
        names = set(imported(path))
        assert not names & {"pickle", "marshal", "dill", "cloudpickle", "multiprocessing"}, path
    for path in files("harness/judge"):
        assert not {"pickle", "marshal", "subprocess"} & set(imported(path)), path
    for path in files("harness"):
        text = path.read_text()
        assert "weights_only=False" not in text and text.count("torch.load(") == text.count("weights_only=True"), path
