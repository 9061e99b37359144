"""The rocm suite is whole: the published tasks are there, every task's parts agree, and the proof is of these tasks."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from harness.doctor import coverage, equivalents, mutation, page
from harness.suite import load_suite
from harness.task import Case, Rng, Task
from reports.proof import Proof, tables
from reports.render import markdown

FOLDER = Path(__file__).parents[2] / "suites" / "rocm"
SUITE = load_suite(FOLDER)
PROOF = Proof.read(sorted((FOLDER / "proof").iterdir()))
_PUBLISHED = """
gemm layernorm moe_gemm multreduce_matmul_dot_kernel naive_softmax rmsnorm_bwd rmsnorm_fwd softmax test_add_kernel
test_batched_vecmat test_block_copy test_block_pointer_matmul test_cast_matmul test_chained_dot_fp8 test_chained_matmul
test_flashattention_fwd test_gemm_fusion test_gemm_no_scf test_iv_dependent_matmul test_kernel_dot test_kernel_sub
test_load_reduce test_matmul_MXFP test_randn test_random_int test_reverse_range test_tma_store_gemm test_triton_flip
test_triton_sort test_triton_swizzle2d triton_multreduce_matmul_kernel
"""
PUBLISHED = tuple(_PUBLISHED.split())
H200_BYTES = 4.3e12
H200_FLOPS = {"fp16": 790e12, "bf16": 790e12, "fp8e4m3": 1580e12, "int8": 1580e12, "tf32": 395e12}

tasks = pytest.mark.parametrize("task", SUITE.tasks, ids=lambda task: task.name)
cases = pytest.mark.parametrize(
    ("task", "case"),
    [pytest.param(task, case, id=f"{task.name}-{case.id}") for task in SUITE.tasks for case in task.cases],
)


def limit_seconds(task: Task, case: Case) -> float:
    cost = task.least_cost(case)
    return max(cost.bytes / H200_BYTES, cost.flops / H200_FLOPS[cost.rate] if cost.rate else 0.0)


def test_the_suite_holds_the_published_tasks():
    assert len(PUBLISHED) == 31
    assert {SUITE.task(name).name for name in PUBLISHED} == {task.name for task in SUITE.tasks}
    assert len(SUITE.tasks) == 31


@tasks
def test_the_page_is_complete(task):
    assert list(page.faults(task)) == []


@tasks
def test_cases_vary_what_must_vary(task):
    faults = dict(coverage.faults(task))
    assert {name: text for name, text in faults.items() if name not in task.waivers} == {}
    idle = set(task.waivers) - set(faults) - {"limit", "eager", "size"}
    assert not idle, f"nothing has to be waived by {idle}"


@tasks
def test_numbers_of_cases(task):
    assert 6 <= len(task.cases) <= 18 and 3 <= len(task.workloads) <= 10 and task.interpreted


@tasks
def test_equivalents_name_mutants_that_are_tried(task):
    tried = {mutant.id for mutant in mutation.chosen(task.reference)}
    reasons = equivalents.read(task.folder, tried)
    assert len(reasons) <= len(tried) // 2, "more equivalents than mistakes: is the reference full of idle code?"


def test_the_committed_proof_is_of_these_tasks():
    """PROOF.md is made from the findings kept in `proof/`, and these are of the tasks as they stand."""
    text = (FOLDER / "PROOF.md").read_text()
    assert text == markdown(tables(PROOF)), (
        "make it again: kernel-assay proof suites/rocm/proof/* -o suites/rocm/PROOF.md"
    )
    proven = {each.task: each.task_digest for each in PROOF.findings.values()}
    stale = [task.name for task in SUITE.tasks if proven.get(task.name) != task.digest]
    assert not stale, f"changed since they were proven: {stale}: run the doctor on both devices, then make the table"


@tasks
def test_the_reference_is_a_solution(task):
    tree = ast.parse(task.reference)
    imported = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert imported - {"triton.tools.tensor_descriptor"} == {"torch", "triton", "triton.language"}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))
    entry = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == task.entry_point)
    assert [each.arg for each in entry.args.args] == page.parameters(task)
    assert "make_block_ptr" not in task.reference and "autotune" not in task.reference


@cases
def test_inputs_outputs_and_oracle_agree(task, case):
    inputs = task.make_inputs(case, Rng(0))
    assert list(inputs) == page.parameters(task)
    allocated = task.allocate(inputs)
    expected, changed = task.expected(inputs)
    assert set(changed) == set(task.mutates)
    assert len(allocated) == len(expected)
    assert allocated or task.mutates
    for ours, right in zip(allocated, expected, strict=True):
        assert ours.shape == right.shape
        assert ours.is_contiguous() and ours.device == right.device
        assert right.dtype == torch.float64 if ours.dtype.is_floating_point else right.dtype == ours.dtype
    for name, right in changed.items():
        assert inputs[name].shape == right.shape


@cases
def test_inputs_follow_the_seed(task, case):
    def flat(seed):
        values = task.make_inputs(case, Rng(seed)).values()
        return [
            each.double().nan_to_num(0.0, 1e3, -1e3).sum().item() if torch.is_tensor(each) else each for each in values
        ]

    assert flat(1) == flat(1)
    if getattr(case, "fill", "") == "normal":
        assert flat(1) != flat(2)


@tasks
def test_costs_are_sane(task):
    for case in (*task.cases, *task.workloads, *task.interpreted):
        cost = task.least_cost(case)
        assert cost.bytes > 0 and cost.flops >= 0
        assert cost.rate is None or cost.rate in H200_FLOPS


@tasks
def test_workloads_span_from_short_to_long_but_end(task):
    seconds = [limit_seconds(task, case) for case in task.workloads]
    assert max(seconds) >= 30e-6 or "size" in task.waivers, "at least one workload must not be bound by its launch"
    assert max(seconds) <= 5e-3


@tasks
def test_interpreted_workloads_are_small(task):
    assert all(task.least_cost(case).bytes <= 1 << 21 for case in task.interpreted)
