"""Maximum of each row of a matrix: bound by reading it, whatever the shape of the rows."""

import torch

from harness.task import TOLERANCE, Cost, Task, case, grid

task = Task(
    entry_point="load_reduce",
    signature="load_reduce(x: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty((x.shape[0],), dtype=x.dtype, device=x.device)",
    level=2,
    category="reduction",
    origin="vLLM",
    aliases=("test_load_reduce",),
    # Every output is one of the inputs.
    tolerance=TOLERANCE.by(fp16=(0.0, 0.0), bf16=(0.0, 0.0), fp32=(0.0, 0.0)),
    cases=[
        case(rows=1, cols=1, pad=0, fill="negative", dtype="fp32"),
        *grid(rows=33, cols=781, pad=0, fill="normal", dtype=["fp16", "bf16", "fp32"]),
        case(rows=128, cols=64, pad=0, fill="negative", dtype="bf16"),
        case(rows=41, cols=100, pad=5, fill="negative", dtype="fp32"),
        case(rows=1101, cols=3, pad=2, fill="negative", dtype="fp16"),
        case(rows=37, cols=1, pad=0, fill="normal", dtype="fp16"),
        case(rows=5, cols=1024, pad=16, fill="large", dtype="fp16"),
        case(rows=9, cols=513, pad=0, fill="tiny", dtype="fp32"),
        case(rows=7, cols=260, pad=0, fill="equal", dtype="bf16"),
        case(rows=24, cols=130, pad=0, fill="infinite", dtype="bf16"),
        case(rows=133, cols=24600, pad=0, fill="rising", dtype="fp32"),
        case(rows=3, cols=70001, pad=0, fill="negative", dtype="fp32"),
        case(rows=1, cols=30000, pad=0, fill="rising", dtype="bf16"),
    ],
    workloads=[
        case(rows=128, cols=1024, pad=0, fill="normal", dtype="fp16"),
        case(rows=256, cols=512, pad=0, fill="normal", dtype="bf16"),
        case(rows=1024, cols=128, pad=0, fill="normal", dtype="fp32"),
        *grid(rows=16384, cols=8192, pad=0, fill="normal", dtype=["bf16", "fp32"]),
        case(rows=1, cols=1 << 26, pad=0, fill="normal", dtype="fp32"),
        case(rows=1 << 22, cols=32, pad=0, fill="normal", dtype="bf16"),
        case(rows=1_000_003, cols=99, pad=0, fill="normal", dtype="fp32"),
    ],
    interpreted=[
        case(rows=128, cols=1024, pad=0, fill="normal", dtype="fp16"),
        case(rows=17, cols=781, pad=0, fill="normal", dtype="fp32"),
    ],
)

OUTSIDE = 6e4
"""What stands between rows: greater than all else."""


@task.inputs
def inputs(case, rng):
    x = rng.normal(case.rows, case.cols + case.pad, std={"large": 1e4, "tiny": 2e-3}.get(case.fill, 1.0))
    if case.fill == "negative":
        x = -0.1 - x.abs()
    elif case.fill == "rising":  # the greatest of a row stands near its end
        x += torch.linspace(-4, 4, x.shape[1], device=x.device)
    elif case.fill == "infinite":  # rows of -inf alone, rows with -inf among others, rows with both infinities
        x[x < 0] = -torch.inf
        x[::3] = -torch.inf
        x[1::3][x[1::3] > 2] = torch.inf
    elif case.fill == "equal":
        x.fill_(-0.75)
    x[:, case.cols :] = OUTSIDE
    return {"x": x.to(case.dtype)[:, : case.cols]}


@task.oracle
def oracle(x: torch.Tensor) -> torch.Tensor:
    return torch.amax(x, dim=-1)


@task.cost
def cost(case):
    return Cost(bytes=(case.rows * case.cols + case.rows) * case.dtype.itemsize, flops=case.rows * case.cols)
