"""Skinny matrix product with a bias for each row: reading the wide factor once is most of the work."""

import torch

from harness.task import TOLERANCE, Case, Cost, Task, case


def product(m: int, n: int, k: int, dtype: str, layout: str = "rc", **more) -> Case:
    """A case: layouts of a and b (row- or column-major), gaps, whether there is a bias, values."""
    return case(m=m, n=n, k=k, layout=layout, **{"pad": 0, "bias": True, "fill": "normal", **more}, dtype=dtype)


task = Task(
    entry_point="matmul_bias",
    signature="matmul_bias(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor",
    outputs="torch.empty((a.shape[0], b.shape[1]), dtype=a.dtype, device=a.device)",
    level=4,
    category="matrix product",
    origin="ROCm/triton",
    waivers={
        "limit": (
            "The published shapes take 20 to 40 µs: two launches, parts of the sum and their total, are a good share of"
            " that. Weights of 470 MB come to 90 % of the bandwidth."
        ),
        "eager": "At 20 µs the second launch, which adds the parts of the sum, is what PyTorch is ahead by.",
    },
    # Sums in fp32 of fp16 or bf16 products are all but exact before the one rounding.
    tolerance=TOLERANCE.by(fp16=(1e-3, 3e-4), bf16=(6e-3, 2e-3)),
    cases=[
        product(1, 1, 1, "fp16"),
        product(1, 300, 1000, "bf16"),
        product(3, 257, 129, "fp16", layout="rr"),
        product(16, 200, 2000, "fp16", fill="positive"),
        product(29, 150, 1100, "bf16", layout="rr", pad=2),
        product(33, 70, 300, "bf16", layout="cr"),
        product(100, 90, 96, "bf16", layout="cc", pad=3, fill="large"),
        product(150, 141, 200, "fp16", layout="rr", pad=8),
        product(70, 130, 67, "fp16", layout="rc", pad=5),
        product(128, 192, 330, "fp16", layout="cc"),
        product(40, 64, 512, "fp16", layout="cr", fill="tiny"),
        product(17, 96, 1280, "bf16", layout="rr", fill="large"),
        product(80, 72, 1030, "bf16", fill="equal"),
        product(1, 37, 1536, "fp16", layout="cr", pad=1, bias=False),
    ],
    workloads=[
        product(128, 8192, 4096, "fp16"),
        product(512, 4096, 4096, "bf16"),
        product(4096, 512, 2048, "fp16", layout="rr", bias=False),
        product(1, 4096, 3078, "fp16"),
        product(16, 2048, 2048, "bf16"),
        product(1, 28672, 8192, "bf16", bias=False),
        product(16, 8192, 28672, "bf16"),
        product(64, 28672, 8192, "fp16", layout="rr"),
    ],
    interpreted=[
        product(16, 256, 1024, "fp16"),
        product(128, 128, 256, "bf16", layout="rr", bias=False),
    ],
)

OUTSIDE = float("nan")
"""What stands between rows, columns and elements of the bias: a kernel that reads it is found out."""


def _matrix(rng, rows, cols, layout, pad, std):
    if layout == "c":
        return _matrix(rng, cols, rows, "r", pad, std).t()
    values = rng.normal(rows, cols + pad, std=std)
    values[:, cols:] = OUTSIDE
    return values


@task.inputs
def inputs(case, rng):
    m, n, k, pad = case.m, case.n, case.k, case.pad
    a_std, b_std = {"tiny": (2e-3, 0.5), "large": (60.0, 40.0)}.get(case.fill, (1.0, 1.0))
    a = _matrix(rng, m, k, case.layout[0], pad, a_std)
    b = _matrix(rng, k, n, case.layout[1], pad, b_std)
    if case.fill == "positive":
        # Sums grow with every product: in half precision they lose digits.
        a, b = a.abs_(), b.abs_()
    if case.fill == "equal":
        a.fill_(0.75)
    bias = rng.normal(m, 1 + pad, std=2.0 * a_std * b_std * k**0.5)
    bias[:, 1:] = OUTSIDE
    return {
        "a": a.to(case.dtype)[:m, :k],
        "b": b.to(case.dtype)[:k, :n],
        "bias": bias.to(case.dtype)[:, 0] if case.bias else None,
    }


@task.oracle
def oracle(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    c = a @ b
    return c if bias is None else c + bias[:, None]


@task.eager
def eager(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return a @ b if bias is None else torch.addmm(bias[:, None], a, b)


@task.cost
def cost(case):
    m, n, k = case.m, case.n, case.k
    elements = m * k + k * n + m * n + m * case.bias
    return Cost(bytes=elements * case.dtype.itemsize, flops=2 * m * n * k, rate=case["dtype"])
