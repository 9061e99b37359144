"""Row softmax for rows of any length, with masked entries: the online form."""

import torch

from harness.task import Cost, Task, case, grid

task = Task(
    entry_point="softmax",
    signature="softmax(x: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty(x.shape, dtype=x.dtype, device=x.device)",
    level=3,
    category="softmax",
    origin="ROCm/triton",
    cases=[
        case(rows=1, cols=1, pad=0, fill="normal", dtype="fp16"),
        *grid(rows=33, cols=781, pad=0, fill="normal", dtype=["fp32", "fp16", "bf16"]),
        case(rows=65, cols=100, pad=0, fill="masked", dtype="fp32"),
        case(rows=3, cols=9000, pad=0, fill="rising", dtype="fp32"),
        case(rows=3, cols=9000, pad=0, fill="masked", dtype="bf16"),
        case(rows=51, cols=33, pad=0, fill="uneven", dtype="fp16"),
        case(rows=6, cols=4096, pad=8, fill="large", dtype="fp32"),
        case(rows=4, cols=5000, pad=1, fill="negative", dtype="fp16"),
        case(rows=2, cols=2050, pad=0, fill="equal", dtype="fp32"),
        case(rows=19, cols=500, pad=0, fill="tiny", dtype="fp32"),
        case(rows=3, cols=17001, pad=7, fill="deep", dtype="fp32"),
        case(rows=2, cols=70001, pad=0, fill="masked", dtype="fp32"),
        case(rows=1, cols=131072, pad=0, fill="spike", dtype="fp16"),
    ],
    workloads=[
        case(rows=4096, cols=4096, pad=0, fill="normal", dtype="bf16"),
        *grid(rows=8192, cols=8192, pad=0, fill="normal", dtype=["fp32", "fp16"]),
        case(rows=1024, cols=8192, pad=0, fill="normal", dtype="fp32"),
        case(rows=512, cols=32000, pad=0, fill="normal", dtype="bf16"),
        case(rows=1, cols=131072, pad=0, fill="normal", dtype="fp32"),
        case(rows=2048, cols=128256, pad=0, fill="normal", dtype="bf16"),
        case(rows=512, cols=100003, pad=0, fill="masked", dtype="fp32"),
    ],
    interpreted=[
        case(rows=17, cols=1000, pad=0, fill="normal", dtype="fp32"),
        case(rows=4, cols=20000, pad=0, fill="masked", dtype="fp16"),
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
        # A new maximum in every block: what was summed before has to be rescaled.
        x += torch.linspace(-80, -40, x.shape[1], device=x.device)
    if case.fill in ("uneven", "deep"):
        # One maximum for several rows is not enough: rows lie far apart.
        x += (torch.arange(case.rows, device=x.device) % 3 * 150.0)[:, None]
    if case.fill == "masked":
        # A run of masked entries from the front (whole blocks of them) and scattered ones; the last entry is finite.
        front = rng.integers(0, case.cols, case.rows, 1)
        place = torch.arange(x.shape[1], device=x.device)
        hidden = (place < front) | (rng.uniform(*x.shape) < 0.25)
        hidden[:, case.cols - 1] = False
        x.masked_fill_(hidden, float("-inf"))
    if case.fill == "spike":
        x[:, case.cols - 1] = 12.0
    x[:, case.cols :] = OUTSIDE
    return {"x": x.to(case.dtype)[:, : case.cols]}


@task.oracle
def oracle(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x, dim=-1)


@task.cost
def cost(case):
    elements = case.rows * case.cols
    return Cost(bytes=2 * elements * case.dtype.itemsize, flops=5 * elements)
