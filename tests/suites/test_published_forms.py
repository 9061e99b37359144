"""Tasks whose files are pytest modules (ROCm) or modules with a model (KernelBench) become scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.commands import NO_CACHE, ROOT, Warm

LINE = "#" * 146
KERNEL = """import torch
import triton
import triton.language as tl

@triton.jit
def _times(x_ptr, y_ptr, n, by, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + at, by * tl.load(x_ptr + at, mask=at < n), mask=at < n)

def times(x, by):
    y = torch.empty_like(x)
    _times[(triton.cdiv(x.numel(), 64),)](x, y, x.numel(), by, BLOCK=64)
    return y
"""
PYTEST = """
import pytest
import torch
from geak_eval.perf.ROCm.performance_utils_pytest import PytestBenchmarker, do_bench_config

result_gold = {}

def set_seed(seed=42):
    torch.manual_seed(seed)

@pytest.mark.parametrize("by", [2.0, pytest.param(3.0)])
@pytest.mark.parametrize("n, dtype", iter([(5, "float32"), (130, "float16")]))
def test_times(n, dtype, by, request, device="cuda"):
    set_seed()
    x = torch.randn(n, device=device, dtype=getattr(torch, dtype))
    y = times(x, by)
    result_gold["_CALL_SUCCESS_"] = torch.tensor([[1.0]])
    result_gold[request.node.name] = y.clone().cpu()
    assert n < 100, "its own check is not ours"

@pytest.mark.parametrize(["n"], [(1,), (2,)])
def test_skips(n):
    pytest.skip("not here")

@pytest.mark.skipif(True, reason="never")
def test_never():
    raise RuntimeError("it was called")

def test_performance(request):
    raise RuntimeError("it was called")

def test_save_results():
    raise RuntimeError("it was called")
"""
MODULE = """import torch

class Model(torch.nn.Module):
    def __init__(self, size, by):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(size))
        self.by = by

    def forward(self, x):
        return x * self.weight * self.by

def get_inputs():
    return [torch.randn(3, 40)]

def get_init_inputs():
    return [40, 2.0]
"""
NEW = (
    KERNEL
    + """
class ModelNew(torch.nn.Module):
    def __init__(self, size, by):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(size))
        self.by = by

    def forward(self, x):
        return times(x * self.weight, self.by)
"""
)


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("published")
    rocm = root / "one" / "geak_eval" / "data" / "ROCm" / "data" / "ROCm_v1"
    bench = root / "two" / "KernelBench" / "level1"
    for folder in (rocm, bench):
        folder.mkdir(parents=True)
    (rocm / "test_times.py").write_text(f"{KERNEL}\n{LINE}  \n{PYTEST}")
    (bench / "1_scaled.py").write_text(MODULE)
    return [f"--checkout={root / name}" for name in ("one", "two")]


def judged(warm: Warm, cwd: Path, checkouts: list[str], suite: str, **answers: str) -> dict[str, tuple[str, str]]:
    """Outcome and reason by the label of the answer: all are samples of one run."""
    name = {"rocm": "test_times", "kernelbench": "level1_1_scaled"}[suite]
    rows = [{"task": name, "sample": number, "source": source} for number, source in enumerate(answers.values(), 1)]
    file = cwd / "answers.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    more = ("--solver=replay", f"--predictions={file}", f"--samples={len(rows)}", "--run-dir=run")
    ran = warm.pytest(ROOT / "suites" / "published" / suite, *NO_CACHE, "-q", *checkouts, *more, cwd=cwd)
    records = [json.loads(line) for line in (cwd / "run" / "results.jsonl").read_text().splitlines()]
    assert len(records) == len(rows), ran.text
    labels = list(answers)
    return {
        labels[each["attempt"]["sample"] - 1]: (each["verdict"]["outcome"], each["verdict"]["reason"])
        for each in records
    }


def test_pytest_modules(warm: Warm, checkouts: list[str], tmp_path: Path) -> None:
    found = judged(
        warm,
        tmp_path,
        checkouts,
        "rocm",
        right=KERNEL,
        wrong=KERNEL.replace("by * tl", "(by + 0.1) * tl"),
        wrong_at_130=KERNEL.replace("empty_like", "zeros_like").replace("at < n)\n", "at < min(n, 128))\n"),
        broken=KERNEL.replace("def times", "def other"),
        one_size_fails=KERNEL.replace("    y = torch", "    assert len(x) < 100\n    y = torch"),
    )
    outcomes = {label: outcome for label, (outcome, _) in found.items()}
    assert outcomes == {
        "right": "right",
        "wrong": "wrong values",
        "wrong_at_130": "wrong values",
        "broken": "call error",
        "one_size_fails": "wrong structure",
    }, found
    assert "test_times[130-float16-2.0]" in found["wrong_at_130"][1], found


def test_modules_with_a_model(warm: Warm, checkouts: list[str], tmp_path: Path) -> None:
    found = judged(
        warm,
        tmp_path,
        checkouts,
        "kernelbench",
        right=NEW,
        wrong=NEW.replace("self.by)", "self.by + 1)"),
        no_model=KERNEL,
        its_own_model=MODULE.replace("Model", "ModelNew"),
        other_weights=NEW.replace("torch.randn(size)", "torch.zeros(size)"),
    )
    assert {label: outcome for label, (outcome, _) in found.items()} == {
        "right": "right",
        "wrong": "wrong values",
        "no_model": "call error",
        "its_own_model": "no Triton kernel",
        "other_weights": "wrong values",
    }, found


def test_the_page_of_a_module_says_what_to_write(checkouts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from suites.published.suites import tasks

    monkeypatch.setenv("KERNEL_ASSAY_CHECKOUTS", checkouts[1].partition("=")[2])
    _, (task,) = tasks("kernelbench")
    assert "class ModelNew(torch.nn.Module)" in task.instruction and "self.weight" in task.instruction
