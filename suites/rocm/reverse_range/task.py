"""Reverse a vector: a copy whose reads or writes run backwards."""

import torch

from harness.task import TOLERANCE, Cost, Task, case, grid

task = Task(
    entry_point="reverse_range",
    signature="reverse_range(x: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty(x.shape, dtype=x.dtype, device=x.device)",
    level=2,
    category="data movement",
    origin="aotriton",
    aliases=("test_reverse_range",),
    # Values are only moved: each has to arrive unchanged.
    tolerance=TOLERANCE.by(fp16=(0.0, 0.0), bf16=(0.0, 0.0), fp32=(0.0, 0.0)),
    redrawn=("x",),
    waivers={"strided": "the vector is contiguous by contract; rows with a stride are the task triton_flip"},
    cases=[
        *grid(n=512, fill="normal", dtype=["fp16", "bf16", "fp32", "int32"]),
        case(n=1, fill="normal", dtype="fp32"),
        case(n=2, fill="normal", dtype="bf16"),
        # Many blocks, the last of them cut off: by sizes that are multiples of 16 bytes and by others.
        case(n=20008, fill="normal", dtype="fp16"),
        case(n=5004, fill="normal", dtype="int32"),
        case(n=20001, fill="normal", dtype="fp16"),
        case(n=13001, fill="normal", dtype="fp32"),
        case(n=4098, fill="normal", dtype="int32"),
        case(n=8192, fill="large", dtype="fp32"),
        case(n=9999, fill="tiny", dtype="bf16"),
        case(n=700, fill="equal", dtype="fp16"),
    ],
    workloads=[
        *grid(n=512, fill="normal", dtype=["fp16", "bf16", "fp32"]),
        case(n=1 << 20, fill="normal", dtype="fp32"),
        case(n=1 << 28, fill="normal", dtype="fp16"),
        case(n=1 << 27, fill="normal", dtype="fp32"),
        case(n=100_000_007, fill="normal", dtype="int32"),
        case(n=200_000_003, fill="normal", dtype="bf16"),
    ],
    interpreted=[case(n=65536, fill="normal", dtype="fp16"), case(n=32771, fill="normal", dtype="fp32")],
)


@task.inputs
def inputs(case, rng):
    if case.dtype == torch.int32:
        return {"x": rng.integers(-(2**31), 2**31, case.n, dtype=torch.int32)}
    mean = {"equal": 3.5}.get(case.fill, 0.0)
    std = {"large": 1e4, "tiny": 1e-3, "equal": 0.0}.get(case.fill, 1.0)
    return {"x": rng.normal(case.n, dtype=case.dtype, mean=mean, std=std)}


@task.oracle
def oracle(x: torch.Tensor) -> torch.Tensor:
    return torch.flip(x, dims=(0,))


@task.cost
def cost(case):
    return Cost(bytes=2 * case.n * case.dtype.itemsize)
