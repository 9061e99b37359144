"""RMS normalisation over the last axis, optionally with a zero-centred gain."""

import torch

from harness.task import Cost, Task, case, grid

task = Task(
    entry_point="rmsnorm_fwd",
    signature=(
        "rmsnorm_fwd(x: torch.Tensor, weight: torch.Tensor, eps: float, zero_centered_gamma: bool)"
        " -> tuple[torch.Tensor, torch.Tensor]"
    ),
    outputs=(
        "torch.empty(x.shape, dtype=x.dtype, device=x.device),"
        " torch.empty((x.shape[0],), dtype=torch.float32, device=x.device)"
    ),
    level=3,
    category="normalisation",
    origin="aiter",
    cases=[
        case(rows=1, cols=1, pad=0, fill="normal", eps=1e-5, centred=False, dtype="fp32"),
        *grid(rows=33, cols=781, pad=0, fill="normal", eps=1e-5, centred=[False, True], dtype=["fp32", "bf16"]),
        case(rows=41, cols=100, pad=0, fill="normal", eps=1e-3, centred=True, dtype="fp16"),
        case(rows=12, cols=2048, pad=16, fill="normal", eps=1e-5, centred=False, dtype="fp16"),
        case(rows=9, cols=1000, pad=5, fill="tiny", eps=1e-5, centred=False, dtype="fp32"),
        case(rows=9, cols=1000, pad=0, fill="tiny", eps=1e-6, centred=True, dtype="fp32"),
        case(rows=5, cols=513, pad=0, fill="large", eps=1e-5, centred=False, dtype="fp16"),
        case(rows=3, cols=257, pad=0, fill="zero", eps=1e-5, centred=True, dtype="bf16"),
        case(rows=19, cols=259, pad=0, fill="equal", eps=1e-5, centred=False, dtype="fp16"),
        case(rows=2, cols=10240, pad=0, fill="normal", eps=1e-5, centred=True, dtype="fp16"),
        case(rows=1, cols=70001, pad=0, fill="uneven", eps=1e-6, centred=False, dtype="fp32"),
        case(rows=3, cols=33001, pad=7, fill="faint", eps=3e-5, centred=True, dtype="fp16"),
    ],
    workloads=[
        case(rows=256, cols=4096, pad=0, fill="normal", eps=1e-5, centred=True, dtype="bf16"),
        case(rows=2048, cols=2048, pad=0, fill="normal", eps=1e-5, centred=False, dtype="fp16"),
        case(rows=512, cols=10240, pad=0, fill="normal", eps=1e-5, centred=True, dtype="fp32"),
        case(rows=4096, cols=8192, pad=0, fill="normal", eps=1e-5, centred=False, dtype="fp16"),
        *grid(rows=8192, cols=8192, pad=0, fill="normal", eps=1e-5, centred=True, dtype=["fp32", "bf16"]),
        case(rows=1, cols=31744, pad=0, fill="normal", eps=1e-5, centred=False, dtype="fp16"),
        case(rows=1, cols=131072, pad=0, fill="normal", eps=1e-5, centred=True, dtype="fp32"),
        case(rows=131072, cols=128, pad=0, fill="normal", eps=1e-6, centred=False, dtype="bf16"),
    ],
    interpreted=[
        case(rows=17, cols=781, pad=0, fill="normal", eps=1e-5, centred=True, dtype="fp32"),
        case(rows=8, cols=4096, pad=0, fill="normal", eps=1e-5, centred=False, dtype="fp16"),
    ],
)

OUTSIDE = 1e4
"""What stands between rows: large, so that a kernel that reads it is found out."""


@task.inputs
def inputs(case, rng):
    # tiny: eps outweighs or matches the mean square. large: squares overflow fp16. uneven: the row ends high.
    mean = {"equal": -3.0}.get(case.fill, 0.0)
    std = {"large": 1e3, "tiny": 2e-3, "zero": 0.0, "equal": 0.0}.get(case.fill, 1.0)
    x = rng.normal(case.rows, case.cols + case.pad, mean=mean, std=std)
    if case.fill == "uneven":
        x[:, -(case.cols // 7) :] *= 8
    if case.fill == "faint":
        # A long row in which eps counts, no two rows the same, and the last element far from all others.
        x *= torch.arange(1, case.rows + 1, device=x.device)[:, None]
        x[:, case.cols - 1] = 50.0
        x *= 2e-3
    x[:, case.cols :] = OUTSIDE
    gain = 0.0 if case.centred else 1.0
    return {
        "x": x.to(case.dtype)[:, : case.cols],
        "weight": rng.normal(case.cols, mean=gain, std=0.5, dtype=case.dtype),
        "eps": case.eps,
        "zero_centered_gamma": case.centred,
    }


@task.oracle
def oracle(x: torch.Tensor, weight: torch.Tensor, eps: float, zero_centered_gamma: bool) -> tuple[torch.Tensor, ...]:
    rsigma = torch.rsqrt((x * x).mean(dim=-1) + eps)
    gain = weight + 1 if zero_centered_gamma else weight
    return x * rsigma[:, None] * gain, rsigma


@task.eager
def eager(x: torch.Tensor, weight: torch.Tensor, eps: float, zero_centered_gamma: bool) -> torch.Tensor:
    # The reciprocal root mean square is not handed out.
    return torch.nn.functional.rms_norm(x, x.shape[-1:], weight + 1 if zero_centered_gamma else weight, eps)


@task.cost
def cost(case):
    elements = case.rows * case.cols
    size = case.dtype.itemsize
    return Cost(bytes=2 * elements * size + case.cols * size + 4 * case.rows, flops=4 * elements)
