"""Each check: the sound task is proven, and one break in it is found by the check that it concerns, in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.doctor.doctor import Doctor
from harness.doctor.finding import Check, Result
from harness.doctor.limits import WorkloadFigures, faults
from harness.errors import SuiteError
from harness.suite import load_suite
from harness.task import Task

Broken = Callable[[str, str, str], Task]


@pytest.mark.parametrize("check", [Check.PAGE, Check.CASES, Check.NULLS, Check.REFERENCE, Check.MUTANTS])
def test_the_sound_task_is_proven(doctor: Doctor, sound: Path, check: Check) -> None:
    finding = doctor.examine(load_suite(sound).task("scaled"), check)
    assert finding.result is Result.PROVEN, finding.sentences
    if check is Check.MUTANTS:
        assert finding.figures["rate"] == 1.0 and len(finding.figures["killed"]) > 15
        assert len(finding.figures["equivalent"]) == 1
    if check is Check.REFERENCE:
        assert finding.figures["seeds"] == 25


PAGES = [
    ("## Edge cases\n", "## Corner cases\n", "headings are not"),
    ("def scaled(x: torch.Tensor, factor: float)", "def scaled(x, factor)", "not one Python block"),
    ("- `factor`: a number.\n", "", "no bullet for `factor`"),
    ("matrix of shape `(rows, cols)`, `float16` or `float32`", "`float16` or `float32`", "shape"),
    ("`float16` or ", "", "the data type float16 (fp16) is not on the page"),
    ("- `y`: a new contiguous matrix", "A matrix", "Returns describes 0 new outputs"),
    ("- Where the row stride exceeds `cols`, the elements between rows do not belong to `x`.\n", "", "fewer than two"),
    ("Tolerance class: rounding.", "Tolerance class: exact.", "does not end with `Tolerance class: rounding.`"),
    ("Multiply in `float32` and round once.", "Round once.", "in which data type sums are held"),
    ("defines `scaled` with", "has", "does not name the entry point"),
    (
        "A matrix times a number:",
        "A matrix times a number, " + "which is told at length, " * 5 + ":",
        "are longer than",
    ),
]


@pytest.mark.parametrize(("old", "new", "says"), PAGES, ids=[says for _, _, says in PAGES])
def test_an_incomplete_page(doctor: Doctor, broken: Broken, old: str, new: str, says: str) -> None:
    finding = doctor.examine(broken("instruction.md", old, new), Check.PAGE)
    assert finding.result is Result.FAILED
    assert says in "\n".join(finding.sentences)


CASES = [
    ("rows=3, cols=137", "rows=4, cols=128", "no multiple of any block"),
    ("rows=1, cols=1,", "rows=2, cols=2,", "a size of one"),
    ("pad=5", "pad=0", "not contiguous"),
    ("std=1000.0", "std=2.0", "values of 100 and more"),
    ("std=0.001", "std=0.2", "values of 0.02 and less"),
    ("std=0.0,", "std=0.1,", "a tensor of equal values"),
    ('dtype="fp16"', 'dtype="fp32"', "the same data types"),
    ("2 * case.rows * case.cols", "3 * case.rows * case.cols", "the cost names"),
    ('return {"x": x.to', 'return {"x": x.abs().to', "negative values"),
    ('"factor": case.factor', '"factor": 2.0', "the argument `factor` is the same in all cases"),
    ("rows=2, cols=70, pad=0, std=1000.0, factor=1.5", "rows=2, cols=64, pad=0, std=0.001, factor=2.0", "twice"),
]


@pytest.mark.parametrize(("old", "new", "says"), CASES, ids=[says for _, _, says in CASES])
def test_cases_that_do_not_vary(doctor: Doctor, broken: Broken, old: str, new: str, says: str) -> None:
    task = broken("task.py", old, new)
    if says == "twice":
        task.cases[3] = task.cases[2]
    finding = doctor.examine(task, Check.CASES)
    assert finding.result is Result.FAILED
    assert says in "\n".join(finding.sentences)


def test_a_waiver_is_shown_with_its_reason(doctor: Doctor, broken: Broken) -> None:
    broken("task.py", "pad=5", "pad=0")
    task = broken(
        "task.py", "level=1,", 'level=1, waivers={"strided": "rows stand close by contract", "large": "unused"},'
    )
    finding = doctor.examine(task, Check.CASES)
    assert finding.result is Result.WAIVED
    assert finding.sentences == ("strided: rows stand close by contract",)


@pytest.mark.parametrize(
    ("oracle", "null"),
    [
        ("x * 0", "zeros"),
        ("x * 0 + 1", "ones"),
        ("x", "an input"),
        ("x * 0 + 7", "the mean"),
        ("x * float('nan')", "NaN"),
    ],
)
def test_a_null_solution_that_is_right(doctor: Doctor, broken: Broken, oracle: str, null: str) -> None:
    finding = doctor.examine(broken("task.py", "return x * factor", f"return {oracle}"), Check.NULLS)
    assert finding.result is Result.FAILED
    assert f"{null} is right on all 5 cases" in "\n".join(finding.sentences)


def test_a_reference_that_is_wrong_with_some_seeds_only(doctor: Doctor, broken: Broken) -> None:
    """Wrong for one input in about eight: one judgement may miss it, many seeds do not."""
    rare = "(factor * x * tl.where((tl.max(x, axis=0) > 0) & (tl.min(x, axis=0) > 0) & (n_cols == 2), 0.5, 1.0))"
    broken("task.py", "rows=2, cols=64, pad=0", "rows=1, cols=2, pad=0")
    task = broken(
        "reference.py", "(factor * x)", rare.replace("tl.min(x, axis=0)", "tl.sum(x, axis=0) - tl.max(x, axis=0)")
    )
    finding = doctor.examine(task, Check.REFERENCE)
    assert finding.result is Result.FAILED
    assert "wrong values: on rows=1,cols=2" in finding.sentences[0]


def test_a_case_that_takes_too_long(doctor: Doctor, broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.doctor.doctor.SLOWEST_CASE_S", 0.2)  # each seed would take more than a second
    broken("reference.py", "import torch\n", "import time\n\nimport torch\n")
    task = broken(
        "reference.py", "    rows, cols = x.shape\n", "    rows, cols = x.shape\n    time.sleep(0.25 * (cols == 70))\n"
    )
    finding = replace(doctor.examine(_few_seeds(task), Check.REFERENCE))
    assert finding.result is Result.FAILED
    assert "rows=2,cols=70" in finding.sentences[0] and "s on the interpreter" in finding.sentences[0]


def _few_seeds(task: Task) -> Task:
    task.cases = task.cases[2:4]
    return task


def test_cases_too_weak_for_a_mistake(doctor: Doctor, broken: Broken) -> None:
    """Without padding between rows, a wrong stride of the tensor goes unseen; with one block, a skipped one."""
    task = broken("task.py", "cols=137, pad=5", "cols=61, pad=0")
    task.cases = task.cases[:3]
    finding = doctor.examine(task, Check.MUTANTS)
    assert finding.result is Result.FAILED
    survivors = "\n".join(finding.sentences)
    assert "skipped program: scaled: triton.cdiv(cols, 64)" in survivors
    assert finding.figures["rate"] < 1


def test_a_line_that_never_runs_is_no_survivor(doctor: Doctor, broken: Broken) -> None:
    task = broken(
        "reference.py",
        "    rows, cols = x.shape\n",
        "    rows, cols = x.shape\n    if rows < 0:\n        cols = x.stride(0)\n",
    )
    figures = doctor.examine(task, Check.MUTANTS).figures
    assert figures["unreached"] == ["wrong stride: scaled: x.stride(0) → x.stride(1)"]
    assert figures["how"]["wrong stride: scaled: x.stride(0) → x.stride(1)"] == "the line is never run here"


def test_an_equivalent_that_no_mutant_has(doctor: Doctor, broken: Broken) -> None:
    task = broken("equivalents.toml", "other=1)", "other=2)")
    with pytest.raises(SuiteError, match=r"equivalents\.toml: no mutant that is tried is named 'wrong fill: _scaled"):
        doctor.examine(task, Check.MUTANTS)


def test_a_malformed_list_of_equivalents(doctor: Doctor, broken: Broken) -> None:
    task = broken("equivalents.toml", "why = ", "because = ")
    with pytest.raises(SuiteError, match=r"needs `mutant` and `why`"):
        doctor.examine(task, Check.MUTANTS)


WORKLOAD = WorkloadFigures("n=1", 100.0, 80.0, 0.8, 1.0, 0.99, 1.01, 120.0, 110.0)


@pytest.mark.parametrize(
    ("figures", "names"),
    [
        ([WORKLOAD], []),
        ([replace(WORKLOAD, fraction=0.4)], ["limit"]),
        ([replace(WORKLOAD, fraction=None)], []),
        ([replace(WORKLOAD, eager_us=90.0)], ["eager"]),
        ([replace(WORKLOAD, eager_us=None)], []),
        ([replace(WORKLOAD, reference_us=30.0)], ["size"]),
        ([replace(WORKLOAD, reference_us=10.0, fraction=0.01)], ["size"]),
        ([replace(WORKLOAD, reference_us=10.0, fraction=0.01, eager_us=1.0), WORKLOAD], []),
    ],
)
def test_what_a_reference_has_to_reach(figures: list[WorkloadFigures], names: list[str]) -> None:
    assert [name for name, _ in faults(figures)] == names
