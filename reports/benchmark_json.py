"""A run in pytest-benchmark's JSON format: `RUN/report/benchmark.json`, for `pytest-benchmark compare` and CI actions.

    pytest-benchmark compare RUN/report/benchmark.json RUN/report/benchmark.json

One benchmark for each workload of each attempt that was right and timed: the candidate's rounds, in seconds a call, and
pytest-benchmark's own statistics of them. It differs from what `--benchmark-json` saves, which has a benchmark for each
attempt. `extra_info` has the speedup with its interval, the reference's time, the digests.

Times of different devices must not be compared, and most tools that read the format look at names alone. So the device
is part of each group and name, besides `machine_info`: such times never meet in a table or a chart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest_benchmark
from pytest_benchmark.stats import Stats

from harness.benchmarks import about_device
from harness.run import Run
from harness.verdict import Outcome
from reports.records import Key, is_judged, lines, planned
from reports.table import clean

_NO_COMMIT = {
    **{"id": "unversioned", "time": None, "author_time": None, "dirty": False},
    **{"project": "kernel-assay", "branch": "(unknown)"},
}
"""What pytest-benchmark itself writes where there is no repository."""
_FIGURES = ("speedup", "low", "high", "candidate_us", "reference_us", "fraction", "limit_us")
"""Of a timing, in `extra_info`."""


def benchmark_json(run: Run) -> str:
    """The file's text: a pure function of the record. Attempts stand in the order of the plan."""
    environment, suites = _dict(run.about.get("environment")), run.about.get("suites")
    named = map(_dict, suites) if isinstance(suites, list) else ()
    digests = {str(each.get("name")): each.get("digest") for each in named}
    found: dict[Key, list[dict[str, Any]]] = {}
    for key, line in lines(run, rounds=True):
        found[key] = list(_benchmarks(key, line, environment, digests.get(key[0]))) if is_judged(line) else []
    plan = planned(run)
    keys = [*plan, *(key for key in found if key not in plan)]
    machine = {"python_version": environment.get("python"), **about_device(environment)}
    whole = {
        "machine_info": {name: _text(value) for name, value in machine.items()},
        "commit_info": _NO_COMMIT,
        "benchmarks": [each for key in keys for each in found.get(key, ())],
        "datetime": _text(run.about.get("created")),
        "version": pytest_benchmark.__version__,
    }
    return json.dumps(whole, indent=1) + "\n"


def _benchmarks(
    key: Key, line: Mapping[str, Any], environment: Mapping[str, Any], suite_digest: object
) -> Iterator[dict[str, Any]]:
    """Of one attempt: a benchmark for each workload with rounds; none where it is not right."""
    verdict = line["verdict"]
    timings = verdict.get("timings")
    if verdict.get("outcome") != Outcome.RIGHT.value or not isinstance(timings, list):
        return
    suite, task, solver, model, sample = key
    device = clean(environment.get("device") or "unknown device")
    for timing in filter(None, map(_dict, timings)):
        seconds = _seconds(timing.get("candidate_samples_us"))
        if not seconds:
            continue
        workload = clean(timing.get("workload"))
        who = "-".join(clean(each) for each in (solver, model, sample) if each)
        name = f"{clean(task)}@{device}[{who}-{workload}]"
        yield {
            "group": f"{clean(task)} on {device}",
            "name": name,
            "fullname": f"{clean(suite)}/{name}",
            "params": {
                **{"suite": clean(suite), "task": clean(task), "solver": clean(solver), "model": clean(model)},
                **{"sample": sample, "workload": workload, "device": device},
            },
            "param": workload,
            "extra_info": {
                **{name: _number(timing.get(name)) for name in _FIGURES},
                "clock": _text(timing.get("clock")),
                "device": device,
                "suite_digest": _text(suite_digest),
                "task_digest": _text(line.get("task_digest")),
                "solution_digest": _text(verdict.get("digest")),
                "environment": _text(line.get("environment")),
            },
            "options": {"timer": _text(timing.get("clock"))},
            "stats": _statistics(seconds),
        }


def _statistics(seconds: list[float]) -> dict[str, Any]:
    """As pytest-benchmark makes them: of the rounds of one call each."""
    stats: Any = Stats
    made = stats()
    for each in seconds:
        made.update(each)
    return {**made.as_dict(), "data": seconds, "iterations": 1}


def _seconds(samples: object) -> list[float]:
    """Rounds in seconds; none where one of them can't be a time."""
    numbers = [_number(each) for each in samples] if isinstance(samples, list) else []
    return [] if any(each is None or each <= 0 for each in numbers) else [each / 1e6 for each in numbers if each]


def _number(value: object) -> float | None:
    """A finite number; None for all else."""
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None  # type: ignore[arg-type]


def _text(value: object) -> str | None:
    return clean(value) if isinstance(value, str) and value else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
