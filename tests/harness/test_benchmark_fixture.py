"""The measured samples go through pytest-benchmark: its --benchmark-autosave, --benchmark-compare and `compare`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.commands import NO_CACHE, Warm


def test_saved_compared_and_read_by_its_own_command(one: Path, warm: Warm) -> None:
    here = one.parent
    storage = f"--benchmark-storage=file://{here}/saved"
    common = ("suite", "--solver=reference", "--seed=1", storage, *NO_CACHE)
    first = warm.pytest(*common, "--run-dir=a", "--benchmark-autosave", "--benchmark-save-data", cwd=here)
    assert first.code == 0, first.text
    (saved,) = (here / "saved").rglob("*.json")
    (bench,) = json.loads(saved.read_text())["benchmarks"]
    row = json.loads((here / "a" / "results.jsonl").read_text())
    (timing,) = row["verdict"]["timings"]
    assert bench["stats"]["data"] == pytest.approx([us / 1e6 for us in timing["candidate_samples_us"]])
    assert bench["stats"]["rounds"] == len(timing["candidate_samples_us"])
    assert bench["name"] == "test_speedup[doubled-reference]" and bench["group"] == "toy on interpreter"
    assert bench["extra_info"]["speedup"] == row["verdict"]["speedup"]
    assert bench["extra_info"]["clock"] == "interpreted"
    assert bench["extra_info"]["workloads"][timing["workload"]]["us"] == timing["candidate_us"]

    second = warm.pytest(*common, "--run-dir=b", "--benchmark-autosave", "--benchmark-compare", cwd=here)
    assert second.code == 0, second.text
    assert "NOW" in second.text and "0001_" in second.text
    assert len(list((here / "saved").rglob("*.json"))) == 2

    command = [
        sys.executable,
        "-m",
        "pytest_benchmark",
        f"--storage=file://{here}/saved",
        "compare",
        "--columns=median",
    ]
    told = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout
    assert told.count("test_speedup[doubled-reference]") == 2


def test_without_pytest_benchmark_measuring(one: Path, warm: Warm) -> None:
    ran = warm.pytest(one, "--solver=reference", "--run-dir=a", "--benchmark-disable", *NO_CACHE, cwd=one.parent)
    assert ran.code == 0, ran.text
    assert "3 passed" in ran.text


def test_times_of_another_device_are_not_compared(one: Path, warm: Warm) -> None:
    here = one.parent
    common = ("suite", "--solver=reference", f"--benchmark-storage=file://{here}/saved", *NO_CACHE)
    first = warm.pytest(*common, "--run-dir=a", "--benchmark-autosave", cwd=here)
    assert first.code == 0, first.text
    (saved,) = (here / "saved").rglob("*.json")
    data = json.loads(saved.read_text())
    environment = json.loads((here / "a" / "run.json").read_text())["environment"]
    for name in ("device", "device_kind", "driver", "torch", "triton", "isolation"):
        assert data["machine_info"][name] == environment[name]
    assert data["machine_info"]["environment"] == environment["digest"]

    data["machine_info"]["device"] = "NVIDIA H200"
    saved.write_text(json.dumps(data))
    second = warm.pytest(*common, "--run-dir=b", "--benchmark-compare", cwd=here)
    assert second.code == pytest.ExitCode.USAGE_ERROR, second.text
    assert len(second.lines) == 1 and "has times of NVIDIA H200, this run is on interpreter" in second.text
    assert not (here / "b" / "run.json").exists(), "nothing was judged"

    data["machine_info"] |= {"device": "interpreter", "driver": "another"}
    saved.write_text(json.dumps(data))
    third = warm.pytest(*common, "--run-dir=c", "--benchmark-compare", cwd=here)
    assert third.code == 0 and "machine_info is different" in third.text, third.text


def test_other_peoples_benchmarks_are_left_alone(tmp_path: Path, warm: Warm) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(benchmark): benchmark(len, 'abc')\n")
    common = ("test_it.py", f"--benchmark-storage=file://{tmp_path}/saved", *NO_CACHE)
    assert warm.pytest(*common, "--benchmark-autosave", cwd=tmp_path).code == 0
    (saved,) = (tmp_path / "saved").rglob("*.json")
    data = json.loads(saved.read_text())
    assert "device" not in data["machine_info"]
    saved.write_text(json.dumps({**data, "machine_info": {**data["machine_info"], "device": "NVIDIA H200"}}))
    assert warm.pytest(*common, "--benchmark-compare", cwd=tmp_path).code == 0
