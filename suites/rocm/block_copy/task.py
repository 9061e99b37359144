"""Copy the first half of a vector, with padding beyond the bound: what block loads with a bound do."""

import torch

from harness.task import TOLERANCE, Cost, Task, case, grid

task = Task(
    entry_point="block_copy",
    signature="block_copy(a: torch.Tensor, padding: str | None) -> torch.Tensor",
    outputs="torch.empty((a.shape[0] // (1 if padding else 2),), dtype=a.dtype, device=a.device)",
    level=2,
    category="data movement",
    origin="ROCm/triton",
    aliases=("test_block_copy",),
    # Values are only moved: each has to arrive unchanged.
    tolerance=TOLERANCE.by(fp16=(0.0, 0.0), bf16=(0.0, 0.0), fp32=(0.0, 0.0)),
    redrawn=("a",),
    waivers={
        "strided": "the vector is contiguous by contract: the task is about the bound of its blocks",
        "cost": "what lies beyond the bound is not read, so the least work leaves half of the input out",
    },
    cases=[
        case(n=1, padding="zero", fill="normal", dtype="fp32"),
        case(n=1, padding="nan", fill="normal", dtype="bf16"),
        case(n=2, padding=None, fill="normal", dtype="fp16"),
        case(n=1024, padding="zero", fill="normal", dtype="fp16"),
        # Bounds at the edges of blocks: only whole blocks, copied or padded.
        case(n=8192, padding=None, fill="normal", dtype="bf16"),
        case(n=8192, padding="nan", fill="normal", dtype="fp32"),
        # Bounds and ends inside of blocks, many blocks on both sides.
        case(n=20001, padding="zero", fill="normal", dtype="int32"),
        case(n=20001, padding="nan", fill="normal", dtype="fp16"),
        case(n=20011, padding="zero", fill="normal", dtype="bf16"),
        case(n=30011, padding=None, fill="normal", dtype="int32"),
        case(n=12291, padding=None, fill="normal", dtype="fp32"),
        case(n=4999, padding="zero", fill="large", dtype="fp32"),
        case(n=6001, padding="nan", fill="tiny", dtype="fp16"),
        case(n=3000, padding="zero", fill="equal", dtype="bf16"),
    ],
    workloads=[
        *grid(n=[1024, 1048576], padding=[None, "zero"], fill="normal", dtype="fp16"),
        case(n=1 << 28, padding="zero", fill="normal", dtype="fp16"),
        case(n=1 << 27, padding="nan", fill="normal", dtype="fp32"),
        case(n=1 << 27, padding=None, fill="normal", dtype="int32"),
        case(n=200_000_003, padding="zero", fill="normal", dtype="bf16"),
    ],
    interpreted=[
        case(n=65536, padding="zero", fill="normal", dtype="fp16"),
        case(n=65536, padding=None, fill="normal", dtype="fp32"),
    ],
)


@task.inputs
def inputs(case, rng):
    if case.dtype == torch.int32:
        a = rng.integers(-(2**31), 2**31, case.n, dtype=torch.int32)
    else:
        mean = {"equal": -1.25}.get(case.fill, 0.0)
        std = {"large": 1e4, "tiny": 1e-3, "equal": 0.0}.get(case.fill, 1.0)
        a = rng.normal(case.n, dtype=case.dtype, mean=mean, std=std)
    return {"a": a, "padding": case.padding}


@task.oracle
def oracle(a: torch.Tensor, padding: str | None) -> torch.Tensor:
    half = a.shape[0] // 2
    if padding is None:
        return a[:half]
    beyond = torch.full_like(a[half:], float("nan") if padding == "nan" else 0)
    return torch.cat([a[:half], beyond])


@task.eager
def eager(a: torch.Tensor, padding: str | None) -> torch.Tensor:
    half = a.shape[0] // 2
    if padding is None:
        return a[:half].clone()
    # Faster than torch.nn.functional.pad, which fills all of the result before it copies.
    b = torch.empty_like(a)
    b[:half] = a[:half]
    b[half:] = float("nan") if padding == "nan" else 0
    return b


@task.cost
def cost(case):
    half = case.n // 2
    written = half if case.padding is None else case.n
    return Cost(bytes=(half + written) * case.dtype.itemsize)
