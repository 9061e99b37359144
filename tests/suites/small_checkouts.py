"""Tiny checkouts of our own, laid out as the published repositories are."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from suites.published.layouts import Checkout, Collection, Published

LINE = "#" * 146
KERNEL = """import triton
import triton.language as tl


@triton.jit
def scaled(x, out, n, factor: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, tl.load(x + at, mask=at < n) * factor, mask=at < n)
"""
SCRIPT_TEST = """
def test_scaled():
    return {"one": 1}


result_gold = test_scaled()
"""
PYTEST_TEST = """
import pytest

result_gold = {}
SIZES = {"small": 8}


@pytest.mark.parametrize("n", [1, 8])
def test_scaled(n, request):
    result_gold[request.node.nodeid] = n
"""
MODULE = """import torch.nn as nn


class Model(nn.Module):
    def forward(self, x):
        return x * 3


def get_inputs():
    return [1.0]


def get_init_inputs():
    return []
"""


def script(solution: str = KERNEL, test: str = SCRIPT_TEST, line: str = LINE) -> str:
    return f"{solution}\n{line}\n{test}"


def write(root: Path, file: str, content: str | bytes | Sequence[object]) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def collection(checkout: Checkout, name: str) -> Collection:
    return next(each for each in checkout.collections if each.name == name)


def task(checkout: Checkout, name: str, among: str) -> Published:
    return next(each for each in collection(checkout, among).tasks if each.name == name)


def noted(checkout: Checkout, *words: str) -> bool:
    """One note has all the words; every note is one line."""
    assert all(note and "\n" not in note for note in checkout.notes)
    return any(all(word in note for word in words) for note in checkout.notes)


def original(root: Path) -> Path:
    """TritonBench: three tasks in G, two in T. The solution of `late` is not the one that its instructions give."""
    g = {"double": (2, "3"), "late": (5, "4"), "half": (0.5, "1")}
    for name, (factor, _) in g.items():
        write(root, f"data/TritonBench_G_v1/{name}.py", script(f"# {factor}\n{KERNEL}"))
    about = [
        {
            "file": f"{name}.py",
            "repo": f"someone/{name}",
            "simp_instru": f"\n  Multiply by {factor}.\n",
            "comp_instru": f"Write scaled(x) that multiplies by {factor}.",
            "output": f"\n# {factor}\n{KERNEL}",
            "difficulty": level,
        }
        for name, (factor, level) in g.items()
    ]
    write(root, "data/TritonBench_G_v1.json", about)
    for kind, key in (("simp", "simp_instru"), ("comp", "comp_instru")):
        rows = [
            {
                "instruction": f"You write kernels.\n{row[key]}",
                "input": "",
                "output": row["output"] if row["file"] != "late.py" else "# an older one\n",
            }
            for row in about
        ]
        write(root, f"data/TritonBench_G_{kind}_alpac_v1.json", rows)
    t = {"gelu_add": (2, "GELU, then a sum."), "gelu": (1, "GELU.")}
    for name, (_, description) in t.items():
        write(
            root,
            f"data/TritonBench_T_v1/{name}.py",
            script(f"# {description}\n", f"\ndef test_{name}():\n    return {{}}\n\ntest_results = test_{name}()\n"),
        )
    described = [
        {"name": name, "file": f"{name}.py", "func_inputs": f"{name}(x)", "description": text, "difficulty": level}
        for name, (level, text) in t.items()
    ]
    write(root, "data/TritonBench_T_v1.jsonl", described)
    for kind in ("simp", "comp"):
        rows = [
            {"instruction": f"{kind}: {row['description']} Entry: {row['func_inputs']}", "output": ""}
            for row in described
        ]
        write(root, f"data/TritonBench_T_{kind}_alpac_v1.json", rows)
    return root


def revised(root: Path) -> Path:
    """GEAK-eval: two tasks of each kind; `own` is not in TritonBench."""
    for name in ("double", "own"):
        write(root, f"geak_eval/data/TritonBench/data/TritonBench_G_v1/{name}.py", script(f"# revised {name}\n"))
    write(root, "geak_eval/data/TritonBench/data/TritonBench_G_v1/__init__.py", "")
    for folder in ("ROCm_v1", "ROCm_v1_autotune"):
        for name, line in (("softmax", LINE), ("gemm", LINE + " \t ")):
            solution = f"{'#' * 60}\n# {folder}\n{'#' * 145}\n"
            write(root, f"geak_eval/data/ROCm/data/{folder}/{name}.py", script(solution, PYTEST_TEST, line))
    return root


def modules(root: Path) -> Path:
    """KernelBench: levels 1 and 3."""
    for file in ("level1/7_Scale.py", "level1/10_Scale.py", "level3/7_Scale.py"):
        write(root, f"KernelBench/{file}", MODULE)
    write(root, "KernelBench/changelog/v0.1", "first\n")
    return root


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(folder: Path) -> str:
    """Makes the folder a repository with one commit; gives the commit."""
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    return git(folder, "rev-parse", "HEAD")
