"""Reverse the rows of a matrix: a copy whose reads or writes run backwards."""

import torch

from harness.task import TOLERANCE, Cost, Task, case, grid

task = Task(
    entry_point="flip",
    signature="flip(x: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty(x.shape, dtype=x.dtype, device=x.device)",
    level=2,
    category="data movement",
    origin="aotriton",
    aliases=("test_triton_flip",),
    # Values are only moved: each has to arrive unchanged.
    tolerance=TOLERANCE.by(fp16=(0.0, 0.0), bf16=(0.0, 0.0), fp32=(0.0, 0.0)),
    cases=[
        *grid(rows=24, cols=512, pad=0, dtype=["fp16", "bf16", "fp32", "int32"]),
        case(rows=200, cols=64, pad=0, dtype="fp16"),
        case(rows=1, cols=1, pad=0, dtype="fp32"),
        case(rows=37, cols=1, pad=3, dtype="int32"),
        case(rows=1, cols=8191, pad=0, dtype="bf16"),
        case(rows=13, cols=781, pad=0, dtype="fp32"),
        case(rows=13, cols=781, pad=5, dtype="fp16"),
        case(rows=7, cols=256, pad=64, dtype="bf16"),
        case(rows=3, cols=4100, pad=0, dtype="int32"),
        case(rows=5, cols=2064, pad=32, fill="large", dtype="fp32"),
        case(rows=70, cols=33, pad=0, fill="tiny", dtype="bf16"),
        case(rows=6, cols=80, pad=0, fill="equal", dtype="fp16"),
    ],
    redrawn=("x",),
    workloads=[
        *grid(rows=128, cols=512, pad=0, dtype=["fp16", "fp32"]),
        *grid(rows=1024, cols=64, pad=0, dtype=["bf16", "int32"]),
        *grid(rows=8192, cols=8192, pad=0, dtype=["fp16", "fp32"]),
        case(rows=1 << 20, cols=64, pad=0, dtype="bf16"),
        case(rows=16384, cols=4099, pad=0, dtype="int32"),
    ],
    interpreted=[case(rows=32, cols=512, pad=0, dtype="fp16"), case(rows=64, cols=64, pad=0, dtype="fp32")],
)


@task.inputs
def inputs(case, rng):
    shape = (case.rows, case.cols + case.pad)
    if case.dtype == torch.int32:
        x = rng.integers(-(2**31), 2**31, *shape, dtype=torch.int32)
    else:
        fill = case.get("fill")
        mean = {"equal": 3.5}.get(fill, 0.0)
        std = {"large": 1e4, "tiny": 1e-3, "equal": 0.0}.get(fill, 1.0)
        x = rng.normal(*shape, dtype=case.dtype, mean=mean, std=std)
    return {"x": x[:, : case.cols]}


@task.oracle
def oracle(x: torch.Tensor) -> torch.Tensor:
    return torch.flip(x, dims=(-1,))


@task.cost
def cost(case):
    return Cost(bytes=2 * case.rows * case.cols * case.dtype.itemsize)
