"""The run in pytest-benchmark's format: read by its real command, and by what CI actions read of it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.stats import Stats

from harness.verdict import Outcome
from reports.benchmark_json import benchmark_json
from reports.records import open_run
from reports.write import write_reports


def told(run: Any) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found: dict[str, Any] = json.loads(benchmark_json(open_run(run.folder)), parse_constant=refuse)
    return found


def compare(*arguments: object, cwd: Path) -> str:
    line = [sys.executable, "-m", "pytest_benchmark", f"--storage=file://{cwd}/none", "compare", *map(str, arguments)]
    done = subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Failed to load" not in done.stdout + done.stderr, done
    return done.stdout


@pytest.fixture
def run(build: Any, verdict: Callable[..., Any]) -> Any:
    results = [
        (build.attempt("softmax"), verdict(1.5, 2.0, digest="d" * 64)),
        (build.attempt("rope"), verdict(Outcome.VALUES)),
        (build.attempt("matmul"), verdict(0.5)),
        (build.attempt("gemm"), None),
    ]
    return build.run(results, plan=[attempt for attempt, _ in reversed(results)])


def test_a_benchmark_for_each_timed_workload(run: Any) -> None:
    data = told(run)
    assert data["machine_info"]["device"] == "NVIDIA H200" and data["machine_info"]["driver"] == "570.1"
    assert data["datetime"] == run.about["created"] and set(data["commit_info"]) >= {"id", "time", "branch", "dirty"}
    names = [bench["fullname"] for bench in data["benchmarks"]]
    assert names == [
        "rocm/matmul@NVIDIA H200[geak-m1-1-rows=1]",
        "rocm/softmax@NVIDIA H200[geak-m1-1-rows=1]",
        "rocm/softmax@NVIDIA H200[geak-m1-1-rows=2]",
    ]
    bench = data["benchmarks"][2]
    assert bench["group"] == "softmax on NVIDIA H200" and bench["param"] == bench["params"]["workload"] == "rows=2"
    about = bench["extra_info"]
    assert about["speedup"] == 2.0 and about["low"] < 2.0 < about["high"] and about["reference_us"] == 20.0
    assert about["device"] == "NVIDIA H200" and about["clock"] == "device" and about["solution_digest"] == "d" * 64
    assert about["suite_digest"] == "5" * 64 and about["task_digest"] == "digest of softmax"


def test_statistics_are_of_the_rounds_in_seconds(run: Any) -> None:
    stats = told(run)["benchmarks"][0]["stats"]
    assert set(stats) == {*Stats.fields, "data", "iterations"}
    rounds = [9.9e-6, 10.0e-6, 10.1e-6]
    assert stats["data"] == pytest.approx(rounds) and stats["rounds"] == 3 and stats["iterations"] == 1
    assert stats["median"] == pytest.approx(1e-5) and stats["stddev"] == pytest.approx(statistics.stdev(rounds))
    assert stats["ops"] == pytest.approx(1e5) and stats["total"] == pytest.approx(3e-5)


def test_the_real_command_compares_two_runs(build: Any, run: Any, verdict: Callable[..., Any], timing: Any) -> None:
    faster = timing(3.0, "rows=1", candidate_us=5.0, candidate_samples_us=(4.9, 5.0, 5.1))
    other = build.run([(build.attempt("softmax"), verdict(1.5, timings=(faster,)))])
    paths = [write_reports(each.folder).parent / "benchmark.json" for each in (run, other)]
    shown = compare(*paths, "--columns=median,rounds", "--csv=out", cwd=build.root)
    assert "benchmark 'softmax on NVIDIA H200': 3 tests" in shown
    assert " 5.0000 (1.0) " in shown and " 10.0000 (2.0" in shown
    shown = compare(*paths, "--group-by=fullname", "--columns=mean", cwd=build.root)
    assert "'rocm/softmax@NVIDIA H200[geak-m1-1-rows=1]': 2 tests" in shown
    assert (build.root / "out.csv").read_text().count("softmax@NVIDIA H200") == 3
    shown = compare(*paths, "--between=median", "-k", "softmax", cwd=build.root)
    assert "-50.0%" in shown


@pytest.mark.parametrize("by", ["group", "name", "fullname", "func", "fullfunc", "param:device"])
def test_times_of_two_devices_never_meet(by: str, build: Any, verdict: Any, interpreter: Any) -> None:
    here = [
        build.run([(build.attempt(), verdict(1.5))]),
        build.run([(build.attempt(), verdict(1.5, clock="interpreted"))], environment=interpreter),
    ]
    paths = [write_reports(each.folder).parent / "benchmark.json" for each in here]
    shown = compare(*paths, f"--group-by={by}", "--columns=median", cwd=build.root)
    assert shown.count(": 1 tests") == 2 and "NVIDIA H200" in shown and "interpreter" in shown


def test_names_are_stable_and_no_two_are_the_same(build: Any, verdict: Callable[..., Any]) -> None:
    attempts = [
        build.attempt(task, solver, model, sample)
        for task in ("a", "b")
        for solver, model in (("geak", "m1"), ("geak:n=2", "m1"), ("reference", ""))
        for sample in (1, 2)
    ]
    first, second = (build.run([(each, verdict(1.0, 2.0)) for each in attempts]) for _ in range(2))
    names = [bench["fullname"] for bench in told(first)["benchmarks"]]
    assert len(set(names)) == len(names) == 24
    assert names == [bench["fullname"] for bench in told(second)["benchmarks"]]


def test_what_a_ci_action_reads(run: Any) -> None:
    """github-action-benchmark's tool `pytest`: fullname, stats.ops, stats.stddev, stats.mean, stats.rounds."""
    for bench in told(run)["benchmarks"]:
        assert isinstance(bench["fullname"], str)
        assert all(bench["stats"][name] > 0 for name in ("ops", "stddev", "mean", "rounds"))


def test_damaged_and_hostile_records(build: Any, verdict: Callable[..., Any], timing: Any) -> None:
    hostile = "\x1b[2J\u202e\ud800<b>"
    attempts = [build.attempt(f"t{n}", hostile) for n in range(5)]
    bad = [
        [float("nan"), 1.0],
        [0.0, 1.0],
        ["x"],
        [],
        [7.0],
    ]
    results = [
        (each, verdict(1.0, timings=(timing(1.0, hostile, candidate_samples_us=tuple(samples)),)))
        for each, samples in zip(attempts, bad, strict=True)
    ]
    run = build.run(results, environment={"device": hostile})
    with (run.folder / "results.jsonl").open("a") as file:
        file.write('{"status": "judged", "torn')
    text = benchmark_json(open_run(run.folder))
    assert "\\u001b" not in text and "\\u202e" not in text and "\\ud800" not in text and text.isascii()
    (bench,) = told(run)["benchmarks"]
    assert bench["stats"]["rounds"] == 1 and bench["stats"]["stddev"] == 0
    assert bench["stats"]["median"] == pytest.approx(7e-6)


def test_a_run_with_nothing_timed(build: Any) -> None:
    data = told(build.run(plan=[build.attempt()]))
    assert data["benchmarks"] == [] and data["machine_info"]["device"] == "NVIDIA H200"
