"""Each row of a matrix times a matrix of its own: every element is used once, so that memory is what bounds it."""

import torch

from harness.task import TOLERANCE, Case, Cost, Task, case


def product(m: int, n: int, k: int, dtype: str, **more) -> Case:
    """A case: gaps between rows and whether `b` lies with its first two axes exchanged, besides shape and values."""
    return case(m=m, n=n, k=k, **{"pad": 0, "n_pad": 0, "turned": False, "fill": "normal", **more}, dtype=dtype)


task = Task(
    entry_point="batched_vecmat",
    signature="batched_vecmat(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty((b.shape[0], b.shape[1]), dtype=a.dtype, device=a.device)",
    level=2,
    category="matrix product",
    origin="PyTorch",
    aliases=("test_batched_vecmat",),
    # Sums in fp32 of fp16 or bf16 products are all but exact before the one rounding.
    tolerance=TOLERANCE.by(fp16=(1e-3, 3e-4), bf16=(6e-3, 2e-3)),
    cases=[
        product(1, 1, 1, "fp32"),
        product(16, 24, 128, "fp16"),
        product(7, 33, 257, "fp16"),
        product(7, 33, 257, "bf16"),
        product(7, 33, 257, "fp32"),
        product(1, 19, 2500, "fp16", fill="positive"),
        product(37, 1, 96, "bf16"),
        product(9, 48, 200, "fp16", pad=8, n_pad=3),
        product(10, 23, 72, "fp32", pad=3, n_pad=1),
        product(11, 18, 144, "bf16", pad=1, turned=True),
        product(3, 80, 640, "fp32", turned=True),
        product(5, 12, 1100, "fp32", fill="tiny"),
        product(6, 21, 300, "bf16", fill="large"),
        product(13, 17, 64, "fp32", fill="equal"),
        product(2, 5, 3000, "fp32", fill="positive"),
    ],
    workloads=[
        product(128, 128, 128, "fp16"),
        product(256, 256, 256, "fp32"),
        product(512, 64, 1024, "fp16"),
        product(1024, 32, 512, "fp32"),
        product(1024, 2048, 128, "bf16"),
        product(4096, 64, 1024, "fp16"),
        product(2048, 96, 640, "fp32"),
    ],
    interpreted=[product(32, 64, 128, "fp16"), product(16, 32, 512, "fp32")],
)

OUTSIDE = float("nan")
"""What stands between rows: a kernel that reads it is found out."""


@task.inputs
def inputs(case, rng):
    m, n, k = case.m, case.n, case.k
    std = {"tiny": 2e-3, "large": 100.0}.get(case.fill, 1.0)
    rows, matrices = (n, m + case.n_pad) if case.turned else (m, n + case.n_pad)
    a = rng.normal(m, k + case.pad, std=std)
    b = rng.normal(rows, matrices, k + case.pad, std=std)
    if case.fill == "positive":
        # Sums grow with every product: in half precision they lose digits.
        a, b = a.abs_(), b.abs_()
    if case.fill == "equal":
        a.fill_(1.5)
    a[:, k:] = OUTSIDE
    b[:, :, k:] = OUTSIDE
    b[:, matrices - case.n_pad :] = OUTSIDE
    a, b = a.to(case.dtype), b.to(case.dtype)
    if case.turned:
        b = b.transpose(0, 1)
    return {"a": a[:, :k], "b": b[:m, :n, :k]}


@task.oracle
def oracle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.matmul(b, a[:, :, None])[:, :, 0]


@task.cost
def cost(case):
    m, n, k = case.m, case.n, case.k
    return Cost(bytes=(m * k + m * n * k + m * n) * case.dtype.itemsize, flops=2 * m * n * k)
