"""Forward of exact causal attention, with the statistics of its softmax that a backward pass needs."""

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Case, Cost, Task, case


def attention(z: int, h: int, n: int, d: int, dtype: str, **more) -> Case:
    """A case: batch, heads, positions, head dimension."""
    parameters = {"layout": "zhnd", "sm_scale": 0.2, "fill": "normal", **more}
    return case(z=z, h=h, n=n, d=d, dtype=dtype, **parameters)


task = Task(
    entry_point="flashattention_fwd",
    signature=(
        "flashattention_fwd(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, sm_scale: float)"
        " -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]"
    ),
    outputs=(
        "torch.empty(q.shape, dtype=q.dtype, device=q.device),"
        " torch.empty(q.shape[:3], dtype=torch.float32, device=q.device),"
        " torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)"
    ),
    level=5,
    category="attention",
    origin="xformers",
    aliases=("test_flashattention_fwd",),
    waivers={
        "limit": (
            "The matrix units wait for exponentials: at a head dimension of 64 a score costs 256 operations there and"
            " one of the few units for exponentials. Triton 3.6 can't let warps of a program take turns on Hopper."
        ),
        "eager": (
            "PyTorch calls kernels written for this chip by hand, whose warps take turns at products and exponentials"
            " (and which leave out the statistics that this task returns)."
        ),
    },
    # 16-bit: weights rounded to the dtype of v cost as much as the last rounding. fp32 is that of the statistics:
    # exp2 of the hardware, and scores scaled to its base, cost some digits.
    tolerance=TOLERANCE.by(fp16=(4e-3, 2e-3), bf16=(2e-2, 1.5e-2), fp32=(1e-4, 1e-4)),
    cases=[
        attention(1, 1, 1, 16, "fp16"),
        attention(2, 2, 17, 32, "fp16"),
        attention(2, 2, 128, 64, "fp16"),
        attention(1, 2, 200, 64, "bf16", sm_scale=0.125),
        attention(1, 1, 333, 16, "fp16", fill="rising", sm_scale=0.25),
        attention(1, 1, 333, 16, "fp16", fill="falling", sm_scale=0.25),
        attention(2, 3, 70, 32, "bf16", layout="znhd"),
        attention(1, 2, 129, 128, "fp16", layout="znhd", sm_scale=0.0883),
        attention(1, 2, 150, 64, "fp16", fill="large", sm_scale=0.5),
        attention(1, 1, 100, 64, "bf16", fill="equal"),
        attention(1, 2, 90, 32, "fp16", fill="offset"),
        attention(2, 1, 75, 64, "fp16", fill="tiny", sm_scale=0.125),
    ],
    workloads=[
        *(attention(4, 48, n, 64, "fp16") for n in (128, 512, 1024, 2048, 4096)),
        attention(4, 48, 1000, 64, "bf16", layout="znhd"),
        attention(2, 32, 4096, 128, "bf16", sm_scale=0.0884),
        attention(1, 16, 16384, 128, "fp16", sm_scale=0.0884),
    ],
    interpreted=[
        attention(1, 2, 192, 64, "fp16"),
        attention(1, 1, 300, 32, "bf16", layout="znhd"),
    ],
)


@task.inputs
def inputs(case, rng):
    z, h, n, d = case.z, case.h, case.n, case.d
    shape = (z, n, h, d) if case.layout == "znhd" else (z, h, n, d)
    std = {"large": 4.0, "tiny": 3e-3}.get(case.fill, 1.0)
    q, k, v = (rng.normal(*shape, std=std) for _ in range(3))
    if case.fill == "large":
        v = v * 50
    if case.layout == "znhd":
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
    if case.fill == "equal":
        # All scores equal: the output is the running mean of v.
        k = torch.full_like(k, 0.5)
    if case.fill == "offset":
        # Scores far below zero: their exponentials vanish unless the maximum is taken off.
        q, k = q.abs() + 3, -k.abs() - 3
    if case.fill in ("rising", "falling"):
        # The maximum grows with the position (or sits at the first): what was summed before has to be rescaled.
        ramp = torch.linspace(0, 4, n, device=k.device)
        q = q.abs()
        k = k + (ramp if case.fill == "rising" else ramp.flip(0))[:, None]
    return {"q": q.to(case.dtype), "k": k.to(case.dtype), "v": v.to(case.dtype), "sm_scale": case.sm_scale}


@task.oracle
def oracle(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, sm_scale: float) -> tuple[torch.Tensor, ...]:
    z, h, n, d = q.shape
    hidden = torch.ones((n, n), dtype=torch.bool, device=q.device).triu(1)
    out = torch.empty((z, h, n, d), dtype=q.dtype, device=q.device)
    m, total = (torch.empty((z, h, n), dtype=q.dtype, device=q.device) for _ in range(2))
    # As many heads at a time as keep the square of scores within 2 GiB.
    step = max(1, (1 << 28) // (n * n))
    for batch in range(z):
        for head in range(0, h, step):
            part = (batch, slice(head, head + step))
            scores = (q[part] @ k[part].transpose(-1, -2)).mul_(sm_scale).masked_fill_(hidden, float("-inf"))
            m[part] = scores.amax(dim=-1)
            weights = scores.sub_(m[part][..., None]).exp_()
            total[part] = weights.sum(dim=-1)
            out[part] = (weights @ v[part]) / total[part][..., None]
    return out, m, total


@task.eager
def eager(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, sm_scale: float) -> torch.Tensor:
    # Without the statistics: its kernels keep the logarithm of the sums, but do not hand it out.
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=sm_scale)


@task.cost
def cost(case):
    heads = case.z * case.h
    pairs = case.n * (case.n + 1) / 2  # each position attends to itself and all before it
    return Cost(
        bytes=heads * case.n * (4 * case.d * case.dtype.itemsize + 8),
        flops=4 * heads * pairs * case.d,
        rate=dtype_name(case.dtype),
    )
