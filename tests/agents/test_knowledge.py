"""The pages: every kind of task gets its own, devices never mix, sizes hold, what a page calls runnable is right."""

from __future__ import annotations

import ast
import itertools
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from scripted import TASK

from agents.knowledge import BY_DEVICE, LIMIT, RULES, page, pages
from agents.retrieval import Corpus
from harness.judge.trial import Scope
from harness.suite import load_task
from harness.task import Case, Cost, Rng, Task, grid
from harness.verdict import Outcome

ALL = sorted(each.name.removesuffix(".md") for each in files("agents.knowledge").iterdir() if each.name.endswith(".md"))
RANDOM = Path(__file__).parents[2] / "suites" / "rocm" / "randn"
DEVICES = ("cuda", "hip", "interpreter")
OF_TRITONBENCH = {
    "attention": "attention",
    "elementwise / activation": "elementwise",
    "linear-attn/ssm/rnn": "order",
    "lora (bgmv/sgmv)": "matmul",
    "loss": "rows",
    "matmul/gemm/conv": "matmul",
    "memory / kv-cache / index": "order",
    "normalization": "rows",
    "optimizer": "elementwise",
    "quantization / low-precision gemm / dtype conv": "lowbit",
    "reduction / scan / argmax": "rows",
    "rng / sampling / dropout": "random",
    "rope / embedding": "elementwise",
    "softmax": "rows",
}
"""Categories of TritonBench-G, each with a page that it has to get."""
OF_ROCM = {
    "attention": "attention",
    "data movement": "elementwise",
    "elementwise": "elementwise",
    "matrix product": "matmul",
    "mixture of experts": "matmul",
    "normalisation": "rows",
    "random numbers": "random",
    "reduction": "rows",
    "softmax": "rows",
    "sorting": "order",
}
FOREIGN = {
    "cuda": r"waves_per_eu|matrix_instr|kpack|fnuz|float8e4b8|MI\d00|LDS|wavefront|AMD|XCD|interpreter",
    "hip": r"wgmma|Hopper|Ampere|H100|H200|A100|TMA|maxnreg|NVIDIA|set_allocator|max_num_imprecise_acc|interpreter",
    "interpreter": r"waves_per_eu|matrix_instr|kpack|fnuz|MI\d00|wgmma|Hopper|H100|A100|TMA|maxnreg|NVIDIA|AMD",
}
"""What no page for a device may say."""


def shown(category: str, kind: str = "cuda", name: str = "some_task", instruction: str = "") -> list[str]:
    view = replace(TASK, category=category, device_kind=kind, name=name, instruction=instruction)
    return [each.name for each in pages(view)]


def snippets(name: str) -> list[tuple[str, str]]:
    """(mark, code) of the fences of a page."""
    return re.findall(r"^```([^\n]+)\n(.*?)^```$", page(name).text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("kind", DEVICES)
@pytest.mark.parametrize(("category", "wanted"), [*OF_TRITONBENCH.items(), *OF_ROCM.items()])
def test_every_category_gets_its_page(category, wanted, kind):
    assert wanted in shown(category, kind)


def test_the_categories_of_the_installed_suites_are_all_here():
    there = {entry.category for entry in Corpus.default().entries} - {""}
    assert there and there <= {*OF_ROCM, *OF_TRITONBENCH}


def test_every_page_is_reachable_and_every_rule_has_a_page():
    assert {"basics", *BY_DEVICE.values(), *(rule.page for rule in RULES)} == set(ALL)


def test_low_precision_is_found_by_name_and_by_instruction():
    assert shown("matrix product", "hip", name="chained_dot_fp8") == ["basics", "amd", "matmul", "lowbit"]
    assert "lowbit" in shown("matrix product", instruction="`a`: `float8_e4m3fn`")
    assert "lowbit" not in shown("matrix product", instruction="`a`: `float16`")


def test_an_unknown_category_gets_what_always_holds():
    assert shown("juggling") == ["basics", "nvidia"]


@pytest.mark.parametrize("kind", DEVICES)
def test_the_first_two_are_the_same_whatever_the_task(kind):
    assert all(shown(category, kind)[:2] == ["basics", BY_DEVICE[kind]] for category in (*OF_TRITONBENCH, *OF_ROCM))


@pytest.mark.parametrize("kind", DEVICES)
def test_no_task_gets_too_much(kind):
    categories = (*OF_TRITONBENCH, *OF_ROCM, *map(" ".join, itertools.combinations(OF_TRITONBENCH, 2)))
    for category in categories:
        for instruction in ("", "float8 int8"):
            given = pages(replace(TASK, category=category, device_kind=kind, instruction=instruction))
            assert sum(len(each.title) + len(each.text) for each in given) <= LIMIT, category


@pytest.mark.parametrize("name", ALL)
def test_a_page_has_a_title_and_a_fair_size(name):
    one = page(name)
    assert one.title and not one.title.startswith("#")
    assert 800 <= one.size <= 2600
    assert all(len(line) <= 120 for line in one.text.splitlines())


@pytest.mark.parametrize("kind", DEVICES)
def test_devices_are_never_mixed(kind):
    for name in {"basics", BY_DEVICE[kind], *(rule.page for rule in RULES)}:
        found = re.search(rf"\b({FOREIGN[kind]})\b", page(name).text)
        assert found is None or (name == "interpreter" and kind == "interpreter"), (name, found)


def test_digests_tell_pages_apart_and_stay_the_same():
    assert len({page(name).digest for name in ALL}) == len(ALL)
    cuda, hip = (pages(replace(TASK, device_kind=kind)) for kind in ("cuda", "hip"))
    digests = [tuple(each.digest for each in shown) for shown in (cuda, pages(replace(TASK, device_kind="cuda")), hip)]
    assert digests[0] == digests[1] != digests[2]
    assert replace(cuda[0], text=cuda[0].text + ".").digest != cuda[0].digest


@pytest.mark.parametrize("name", ALL)
def test_every_snippet_is_python(name):
    for mark, code in snippets(name):
        assert mark == "python runnable"
        ast.parse(code)


@dataclass(frozen=True)
class Run:
    """What a runnable snippet is called with, and what is right."""

    entry_point: str
    cases: list[Case]
    inputs: Callable[[Case, Rng], Mapping[str, object]]
    oracle: Callable[..., object]
    outputs: str = "torch.empty_like(x)"


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.softmax(q @ k.T / q.shape[1] ** 0.5, dim=-1) @ v


def _to_int8(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x = x.float()
    scale = x.abs().amax(dim=1) / 127.0
    q = torch.round(x / torch.where(scale > 0, scale, 1.0)[:, None])
    return q.to(torch.int8), scale


def _kept(x: torch.Tensor, p: float, seed: int) -> torch.Tensor:
    """By the oracle of a task that spells Philox out."""
    load_task(RANDOM, "rocm")
    word = sys.modules[f"_kernel_assay_tasks.rocm.{RANDOM.name}"].philox(torch.arange(len(x)), seed)[0]
    signed = torch.where(word >= 1 << 31, word - (1 << 32), word)
    uniform = torch.where(signed < 0, -signed - 1, signed).float() * 4.6566127342e-10
    return torch.where(uniform > p, x / (1 - p), 0.0)


RUNS = {
    "elementwise": Run(
        "gated",
        grid(n=[1, 1000, 2049], dtype=["fp32", "bf16"]),
        lambda case, rng: {"x": rng.normal(case.n, dtype=case.dtype), "g": rng.normal(case.n, dtype=case.dtype)},
        lambda x, g: x * torch.sigmoid(g),
    ),
    "rows": Run(
        "row_rms",
        grid(rows=[1, 5], cols=[1, 1500], dtype=["fp32", "fp16"]),
        lambda case, rng: {"x": rng.normal(case.rows, case.cols, mean=3.0, dtype=case.dtype)},
        lambda x: x.square().mean(dim=1).sqrt(),
        "torch.empty(x.shape[0], device=x.device)",
    ),
    "matmul": Run(
        "rows_by_rows",
        grid(m=[1, 65], k=[1, 100], dtype=["fp32", "fp16"]),
        lambda case, rng: {"a": rng.normal(case.m, case.k, dtype=case.dtype)},
        lambda a: a @ a.T,
        "torch.empty(a.shape[0], a.shape[0], dtype=a.dtype, device=a.device)",
    ),
    "attention": Run(
        "attend",
        grid(m=[1, 70], n=[1, 50], d=[16, 64], dtype=["fp32", "fp16"]),
        lambda case, rng: {
            "q": rng.normal(case.m, case.d, dtype=case.dtype),
            "k": rng.normal(case.n, case.d, dtype=case.dtype),
            "v": rng.normal(case.n, case.d, dtype=case.dtype),
        },
        _attention,
        "torch.empty_like(q)",
    ),
    "lowbit": Run(
        "rows_to_int8",
        grid(rows=[1, 5], cols=[1, 130], dtype=["fp32"]),
        lambda case, rng: {"x": rng.normal(case.rows, case.cols).mul_(torch.arange(case.rows)[:, None])},
        _to_int8,
        "(torch.empty_like(x, dtype=torch.int8), torch.empty(x.shape[0], device=x.device))",
    ),
    "order": Run(
        "running_sum",
        grid(rows=[1, 3], cols=[1, 2100], dtype=["fp32", "fp16"]),
        lambda case, rng: {"x": rng.normal(case.rows, case.cols, mean=1.0, dtype=case.dtype)},
        lambda x: torch.cumsum(x, dim=1),
        "torch.empty(x.shape, dtype=torch.float32, device=x.device)",
    ),
    "random": Run(
        "kept",
        grid(n=[1, 1500], p=[0.3], seed=[7, 1 << 40]),
        lambda case, rng: {"x": rng.normal(case.n, mean=5.0), "p": case.p, "seed": case.seed},
        _kept,
    ),
}


def task_of(name: str, run: Run) -> Task:
    """A task that the runnable snippet of a page has to solve."""
    task = Task(
        entry_point=run.entry_point,
        signature=f"{run.entry_point}(…)",
        outputs=run.outputs,
        level=1,
        category="example",
        origin="this project",
        cases=run.cases,
        workloads=run.cases[:1],
    )
    task.inputs(run.inputs)
    task.oracle(run.oracle)
    task.cost(lambda case: Cost(bytes=1.0))
    task.name, task.suite = f"page_{name}", "pages"
    return task


def test_every_runnable_snippet_is_run():
    assert {name for name in ALL if snippets(name)} == set(RUNS)


@pytest.mark.parametrize("name", sorted(RUNS))
def test_runnable_snippets_are_right(judge, name):
    ((_, code),) = snippets(name)
    verdict = judge.judge(task_of(name, RUNS[name]), code, scope=Scope(timed=False))
    assert verdict.outcome is Outcome.RIGHT, f"{verdict.reason} {verdict.detail}"


def test_a_wrong_snippet_would_be_found(judge):
    ((_, code),) = snippets("rows")
    assert "x * x" in code
    verdict = judge.judge(task_of("rows", RUNS["rows"]), code.replace("x * x", "x"), scope=Scope(timed=False))
    assert verdict.outcome is Outcome.VALUES
