"""What published files time becomes the timed half of a task, whatever the form of its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.harness.commands import NO_CACHE, ROOT, Warm
from tests.suites.test_published_forms import KERNEL, LINE, MODULE, NEW, PYTEST

METRICS = """import sys
import os
import json
sys.path.append(os.path.abspath(os.path.join(os.path.dirname(__file__), '..')))
from {solution} import times
from {utils} import Performance_Metrics, do_bench_config
import torch
import triton

class performance_metrics(Performance_Metrics):
    def __init__(self, dtype=None, is_backward=False, **kwargs):
        super().__init__("times", dtype=dtype, is_backward=is_backward, **kwargs)

    def get_input_tensors(self):
        for n in (300, 70, 1 << 40):  # the last one fits into no memory
            self.input_tensors.append((torch.rand(n), 2.0))

    def to_cuda(self, input_tensor):
        x, by = input_tensor
        return x.cuda(), by

    def call_op(self, input_tensor):
        return times(*input_tensor)
"""
TIMED_PYTEST = PYTEST.replace(
    """def test_performance(request):
    raise RuntimeError("it was called")
""",
    """
@pytest.mark.parametrize("n", [90, 40])
@pytest.mark.parametrize(("by", "dtype"), [(2.0, "float32")])
def test_performance(n, by, dtype, request):
    set_seed()
    x = torch.randn(n, device="cuda", dtype=getattr(torch, dtype))
    op_lambda = lambda: times(x, by)
    bench = PytestBenchmarker(op_callable=op_lambda, op_name="times", config=do_bench_config(warm_up=25))
    bench.run_benchmark(current_params_dict={"n": n}, gbps_calculator=None, tflops_calculator=None)
""",
)
TEST = """
from times import times
result_gold = None

def test_times():
    return {"one": times(torch.randn(100, device="cuda"), 2.0)}

result_gold = test_times()
"""


@pytest.fixture(scope="module")
def checkouts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("published")
    geak = root / "geak" / "geak_eval" / "data"
    rocm, revised = geak / "ROCm" / "data" / "ROCm_v1", geak / "TritonBench" / "data" / "TritonBench_G_v1"
    metrics = geak / "TritonBench" / "performance_metrics" / "perf_G" / "golden_metrics"
    bench = root / "kernelbench" / "KernelBench" / "level1"
    for folder in (rocm, revised, metrics, bench):
        folder.mkdir(parents=True)
    (rocm / "test_times.py").write_text(f"{KERNEL}\n{LINE}\n{TIMED_PYTEST}")
    (revised / "times.py").write_text(f"{KERNEL}\n{LINE}\n{TEST}")
    (metrics / "times_perf.py").write_text(METRICS.format(solution="times", utils="geak_eval.perf.performance_utils"))
    (bench / "1_scaled.py").write_text(MODULE)
    return [f"--checkout={root / name}" for name in ("geak", "kernelbench")]


def timings(warm: Warm, cwd: Path, checkouts: list[str], suite: str, task: str, source: str) -> list[dict[str, Any]]:
    file = cwd / "answers.jsonl"
    file.write_text(json.dumps({"task": task, "source": source}))
    more = ("--solver=replay", f"--predictions={file}", "--run-dir=run")
    ran = warm.pytest(ROOT / "suites" / "published" / suite, *NO_CACHE, "-q", *checkouts, *more, cwd=cwd)
    (line,) = (cwd / "run" / "results.jsonl").read_text().splitlines()
    verdict = json.loads(line)["verdict"]
    assert verdict["outcome"] == "right", (verdict["reason"], ran.text)
    found: list[dict[str, Any]] = verdict["timings"]
    assert all(each["worst_error"] < 1 and len(each["candidate_samples_us"]) >= 3 for each in found)
    return found


@pytest.mark.parametrize(
    ("suite", "task", "source", "label"),
    [
        ("tritonbench_g_revised", "times", KERNEL.replace("64", "32"), "input 2 of 3, float32 (70,)"),
        ("rocm", "test_times", KERNEL.replace("64", "32"), "by=2.0, dtype=float32, n=90"),
        ("kernelbench", "level1_1_scaled", NEW, "the module's own inputs, float32 (3, 40)"),
    ],
)
def test_published_workloads_are_timed(
    warm: Warm, checkouts: list[str], tmp_path: Path, suite: str, task: str, source: str, label: str
) -> None:
    (timing,) = timings(warm, tmp_path, checkouts, suite, task, source)
    assert timing["workload"] == label and timing["speedup"] > 0
