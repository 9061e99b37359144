"""Backward of RMS normalisation: a reduction along rows for dx, and one across all rows for the weight's gradient."""

import torch

from harness.task import Cost, Task, case, grid

task = Task(
    entry_point="rmsnorm_bwd",
    signature=(
        "rmsnorm_bwd(grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, rsigma: torch.Tensor,"
        " zero_centered_gamma: bool) -> tuple[torch.Tensor, torch.Tensor]"
    ),
    outputs=(
        "torch.empty(x.shape, dtype=x.dtype, device=x.device),"
        " torch.empty(weight.shape, dtype=weight.dtype, device=x.device)"
    ),
    level=4,
    category="normalisation",
    origin="aiter",
    waivers={
        "limit": (
            "The weight's gradient takes a second kernel and sums that the first one leaves in memory: where the whole"
            " is done in 20 to 40 µs, that is half of it. Matrices of 8192 by 8192 come to 87 % and more."
        ),
    },
    cases=[
        case(rows=1, cols=1, pad=0, fill="normal", eps=1.0, centred=False, dtype="fp32"),
        *grid(rows=33, cols=781, pad=0, fill="normal", eps=1e-5, centred=[False, True], dtype=["fp32", "bf16"]),
        case(rows=300, cols=100, pad=0, fill="normal", eps=1e-3, centred=True, dtype="fp16"),
        case(rows=700, cols=17, pad=2, fill="normal", eps=1e-5, centred=False, dtype="fp32"),
        case(rows=12, cols=2048, pad=16, fill="normal", eps=1e-5, centred=False, dtype="fp16"),
        case(rows=9, cols=1000, pad=5, fill="tiny", eps=1e-5, centred=False, dtype="fp32"),
        case(rows=5, cols=513, pad=0, fill="large", eps=1e-5, centred=False, dtype="bf16"),
        case(rows=21, cols=257, pad=0, fill="aligned", eps=1e-5, centred=True, dtype="fp32"),
        case(rows=3, cols=300, pad=0, fill="equal", eps=1e-5, centred=True, dtype="fp16"),
        case(rows=2, cols=10240, pad=0, fill="normal", eps=1e-5, centred=True, dtype="fp16"),
        case(rows=1, cols=70001, pad=0, fill="aligned", eps=1e-6, centred=False, dtype="fp32"),
        case(rows=5, cols=20000, pad=8, fill="normal", eps=1e-5, centred=True, dtype="bf16"),
    ],
    workloads=[
        case(rows=256, cols=4096, pad=0, fill="normal", eps=1e-5, centred=True, dtype="bf16"),
        case(rows=2048, cols=2048, pad=0, fill="normal", eps=1e-5, centred=False, dtype="fp16"),
        case(rows=512, cols=10240, pad=0, fill="normal", eps=1e-5, centred=True, dtype="fp32"),
        case(rows=4096, cols=8192, pad=0, fill="normal", eps=1e-5, centred=False, dtype="fp16"),
        *grid(rows=8192, cols=8192, pad=0, fill="normal", eps=1e-5, centred=True, dtype=["fp32", "bf16"]),
        case(rows=1, cols=131072, pad=0, fill="normal", eps=1e-5, centred=False, dtype="fp32"),
        case(rows=262144, cols=256, pad=0, fill="normal", eps=1e-6, centred=False, dtype="bf16"),
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
    shape = (case.rows, case.cols + case.pad)
    std = {"large": 200.0, "tiny": 4e-3}.get(case.fill, 1.0)
    x, grad = rng.normal(*shape, std=std), rng.normal(case.rows, case.cols + 2 * case.pad)
    if case.fill == "tiny":
        x.clamp_(-0.02, 0.02)
    if case.fill == "aligned":
        grad[:, : case.cols] += 2 * x[:, : case.cols]  # the inner product is far from zero
        x[::4] *= 8  # no two rows have the same root mean square
    if case.fill == "equal":
        grad = torch.full_like(grad, 0.5)
    if case.rows > 8:
        grad[3] = 0.0
    x[:, case.cols :] = OUTSIDE
    grad[:, case.cols :] = OUTSIDE
    x, grad = x.to(case.dtype)[:, : case.cols], grad.to(case.dtype)[:, : case.cols]
    mean_square = x.to(torch.float64).square().mean(dim=-1)
    return {
        "grad": grad,
        "x": x,
        "weight": rng.normal(case.cols, mean=0.0 if case.centred else 1.0, std=0.5, dtype=case.dtype),
        "rsigma": torch.rsqrt(mean_square + case.eps).to(torch.float32),
        "zero_centered_gamma": case.centred,
    }


@task.oracle
def oracle(
    grad: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, rsigma: torch.Tensor, zero_centered_gamma: bool
) -> tuple[torch.Tensor, ...]:
    rsigma = rsigma[:, None]
    weighted = grad * (weight + 1 if zero_centered_gamma else weight)
    inner = (weighted * x).mean(dim=-1, keepdim=True)
    return rsigma * weighted - rsigma**3 * inner * x, (grad * x * rsigma).sum(dim=0)


@task.eager
def eager(grad, x, weight, rsigma, zero_centered_gamma):
    gain = weight.float() + 1 if zero_centered_gamma else weight.float()
    wide, rsigma = x.float(), rsigma[:, None]
    weighted = grad.float() * gain
    inner = (weighted * wide).mean(dim=-1, keepdim=True)
    dx = (rsigma * weighted - rsigma**3 * inner * wide).to(x.dtype)
    return dx, (grad.float() * wide * rsigma).sum(dim=0).to(weight.dtype)


@task.cost
def cost(case):
    elements = case.rows * case.cols
    size = case.dtype.itemsize
    return Cost(bytes=3 * elements * size + 2 * case.cols * size + 4 * case.rows, flops=9 * elements)
