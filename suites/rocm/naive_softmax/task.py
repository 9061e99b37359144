"""Row softmax, each row small enough for one block: the first fused kernel that people write."""

import torch

from harness.task import Cost, Task, case, grid

task = Task(
    entry_point="naive_softmax",
    signature="naive_softmax(x: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty(x.shape, dtype=x.dtype, device=x.device)",
    level=2,
    category="softmax",
    origin="ROCm blog",
    cases=[
        case(rows=1, cols=1, pad=0, fill="normal", dtype="fp32"),
        *grid(rows=33, cols=781, pad=0, fill="normal", dtype=["fp32", "fp16", "bf16"]),
        case(rows=50, cols=64, pad=0, fill="normal", dtype="fp16"),
        case(rows=51, cols=33, pad=0, fill="uneven", dtype="fp16"),
        case(rows=17, cols=1000, pad=24, fill="normal", dtype="bf16"),
        case(rows=5, cols=2049, pad=3, fill="large", dtype="fp32"),
        case(rows=9, cols=300, pad=0, fill="negative", dtype="fp16"),
        case(rows=7, cols=129, pad=0, fill="equal", dtype="bf16"),
        case(rows=19, cols=500, pad=0, fill="tiny", dtype="fp32"),
        case(rows=2, cols=8192, pad=0, fill="normal", dtype="fp16"),
        case(rows=1, cols=40000, pad=0, fill="rising", dtype="fp32"),
        case(rows=3, cols=17001, pad=7, fill="deep", dtype="fp32"),
    ],
    workloads=[
        *grid(rows=2048, cols=2048, pad=0, fill="normal", dtype=["fp32", "fp16"]),
        *grid(rows=8192, cols=8192, pad=0, fill="normal", dtype=["fp32", "bf16"]),
        case(rows=512, cols=32000, pad=0, fill="normal", dtype="fp16"),
        case(rows=1, cols=32000, pad=0, fill="normal", dtype="fp32"),
        case(rows=1, cols=131072, pad=0, fill="normal", dtype="bf16"),
        case(rows=65536, cols=1000, pad=0, fill="normal", dtype="fp16"),
    ],
    interpreted=[
        case(rows=17, cols=781, pad=0, fill="normal", dtype="fp32"),
        case(rows=8, cols=4096, pad=0, fill="normal", dtype="fp16"),
    ],
)

OUTSIDE = 300.0
"""What stands between rows: large, so that a kernel that reads it is found out."""


@task.inputs
def inputs(case, rng):
    mean = {"large": 200.0, "negative": -200.0, "deep": -500.0, "equal": 2.5}.get(case.fill, 0.0)
    std = {"large": 10.0, "equal": 0.0, "tiny": 3e-3}.get(case.fill, 1.0)
    x = rng.normal(case.rows, case.cols + case.pad, mean=mean, std=std)
    if case.fill == "rising":
        x += torch.linspace(-60, -40, x.shape[1], device=x.device)
    if case.fill in ("uneven", "deep"):
        # One maximum for several rows is not enough: rows lie far apart.
        x += (torch.arange(case.rows, device=x.device) % 3 * 150.0)[:, None]
    x[:, case.cols :] = OUTSIDE
    return {"x": x.to(case.dtype)[:, : case.cols]}


@task.oracle
def oracle(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x, dim=-1)


@task.cost
def cost(case):
    elements = case.rows * case.cols
    return Cost(bytes=2 * elements * case.dtype.itemsize, flops=5 * elements)
