"""Elementwise sum of two vectors: bound by bytes alone, by the launch when short."""

import torch

from harness.task import Cost, Task, case, grid

task = Task(
    entry_point="add",
    signature="add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty(x.shape, dtype=x.dtype, device=x.device)",
    level=1,
    category="elementwise",
    origin="ROCm/triton",
    aliases=("test_add_kernel",),
    waivers={"strided": "the vectors are contiguous by contract; vectors with strides are the task kernel_sub"},
    cases=[
        *grid(n=[1, 1025, 98432], fill="normal", dtype=["fp16", "bf16", "fp32"]),
        case(n=2, fill="normal", dtype="fp16"),
        case(n=1024, fill="normal", dtype="fp32"),
        case(n=4999, fill="large", dtype="fp32"),
        case(n=4095, fill="tiny", dtype="fp16"),
        case(n=3001, fill="cancelling", dtype="fp32"),
        case(n=2050, fill="equal", dtype="bf16"),
    ],
    workloads=[
        *grid(n=[98432, 1048576], fill="normal", dtype=["fp16", "fp32"]),
        *grid(n=[1 << 27], fill="normal", dtype=["fp16", "fp32"]),
        case(n=100_000_007, fill="normal", dtype="bf16"),
    ],
    interpreted=grid(n=98432, fill="normal", dtype=["fp16", "fp32"]),
)


@task.inputs
def inputs(case, rng):
    mean = {"equal": 1.75}.get(case.fill, 0.0)
    std = {"large": 1e4, "tiny": 1e-3, "equal": 0.0}.get(case.fill, 1.0)
    x = rng.normal(case.n, dtype=case.dtype, mean=mean, std=std)
    y = rng.normal(case.n, dtype=case.dtype, mean=-3 * mean, std=std)
    if case.fill == "cancelling":
        y = y * 1e-3 - x
    return {"x": x, "y": y}


@task.oracle
def oracle(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x + y


@task.cost
def cost(case):
    return Cost(bytes=3 * case.n * case.dtype.itemsize, flops=case.n)
