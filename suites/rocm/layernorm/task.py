"""Layer normalisation over the last axis, with the statistics that a backward pass needs."""

import torch

from harness.task import Cost, Task, case, grid

task = Task(
    entry_point="layernorm",
    signature=(
        "layernorm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float)"
        " -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]"
    ),
    outputs=(
        "torch.empty(x.shape, dtype=x.dtype, device=x.device),"
        " torch.empty((x.shape[0],), dtype=torch.float32, device=x.device),"
        " torch.empty((x.shape[0],), dtype=torch.float32, device=x.device)"
    ),
    level=3,
    category="normalisation",
    origin="ROCm/triton",
    cases=[
        case(rows=1, cols=1, pad=0, fill="normal", eps=1e-5, dtype="fp32"),
        *grid(rows=33, cols=781, pad=0, fill="normal", eps=1e-5, dtype=["fp32", "fp16", "bf16"]),
        case(rows=41, cols=100, pad=0, fill="normal", eps=1e-3, dtype="fp16"),
        case(rows=12, cols=2048, pad=16, fill="normal", eps=1e-5, dtype="bf16"),
        case(rows=9, cols=1000, pad=5, fill="tiny", eps=1e-5, dtype="fp32"),
        case(rows=9, cols=1000, pad=0, fill="tiny", eps=1e-6, dtype="fp32"),
        case(rows=5, cols=3000, pad=0, fill="offset", eps=1e-5, dtype="fp32"),
        case(rows=5, cols=513, pad=0, fill="large", eps=1e-5, dtype="bf16"),
        case(rows=3, cols=257, pad=0, fill="zero", eps=1e-5, dtype="fp16"),
        case(rows=19, cols=259, pad=0, fill="equal", eps=1e-5, dtype="bf16"),
        case(rows=2, cols=10240, pad=0, fill="normal", eps=1e-5, dtype="fp16"),
        case(rows=1, cols=70001, pad=0, fill="drift", eps=1e-5, dtype="fp32"),
        case(rows=3, cols=33001, pad=7, fill="faint", eps=3e-5, dtype="fp16"),
    ],
    workloads=[
        case(rows=1823, cols=781, pad=0, fill="normal", eps=1e-5, dtype="fp32"),
        case(rows=512, cols=4096, pad=0, fill="normal", eps=1e-5, dtype="bf16"),
        case(rows=2048, cols=2048, pad=0, fill="normal", eps=1e-5, dtype="fp16"),
        *grid(rows=8192, cols=8192, pad=0, fill="normal", eps=1e-5, dtype=["fp32", "bf16"]),
        case(rows=4096, cols=10240, pad=0, fill="normal", eps=1e-5, dtype="fp16"),
        case(rows=1, cols=131072, pad=0, fill="normal", eps=1e-5, dtype="fp32"),
        case(rows=65536, cols=1024, pad=0, fill="normal", eps=1e-5, dtype="bf16"),
    ],
    interpreted=[
        case(rows=17, cols=781, pad=0, fill="normal", eps=1e-5, dtype="fp32"),
        case(rows=8, cols=4096, pad=0, fill="normal", eps=1e-5, dtype="fp16"),
    ],
)

OUTSIDE = 1e4
"""What stands between rows: large, so that a kernel that reads it is found out."""


@task.inputs
def inputs(case, rng):
    # tiny: eps outweighs or matches the variance. offset: a variance taken as E[x^2] - E[x]^2 loses its digits.
    mean = {"offset": 40.0, "large": 100.0, "equal": 3.0}.get(case.fill, 0.3)
    std = {"large": 1e3, "tiny": 2e-3, "zero": 0.0, "equal": 0.0}.get(case.fill, 1.0)
    if case.fill in ("tiny", "zero"):
        mean = 0.0
    x = rng.normal(case.rows, case.cols + case.pad, mean=mean, std=std)
    if case.fill in ("drift", "faint"):
        x += torch.linspace(-3, 3, x.shape[1], device=x.device)  # no two parts of a row have the same mean
    if case.fill == "faint":
        # A long row in which eps counts, no two rows the same, and the last element far from all others.
        x += torch.arange(case.rows, device=x.device)[:, None] * 0.5
        x[:, case.cols - 1] = 50.0
        x *= 2e-3
    x[:, case.cols :] = OUTSIDE
    return {
        "x": x.to(case.dtype)[:, : case.cols],
        "weight": rng.normal(case.cols, mean=1.0, std=0.5, dtype=case.dtype),
        "bias": rng.normal(case.cols, dtype=case.dtype),
        "eps": case.eps,
    }


@task.oracle
def oracle(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> tuple[torch.Tensor, ...]:
    mean = x.mean(dim=-1)
    centred = x - mean[:, None]
    rstd = torch.rsqrt((centred * centred).mean(dim=-1) + eps)
    return centred * rstd[:, None] * weight + bias, mean, rstd


@task.eager
def eager(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
    # Its kernel keeps the statistics too, for the backward pass; they are not handed out.
    return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)


@task.cost
def cost(case):
    elements = case.rows * case.cols
    size = case.dtype.itemsize
    return Cost(bytes=2 * elements * size + 2 * case.cols * size + 8 * case.rows, flops=8 * elements)
