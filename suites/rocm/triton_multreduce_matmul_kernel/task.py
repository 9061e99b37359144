"""Matrix-vector product and its like, a few rows at a time, to float32 accuracy: reading the wide factor bounds it."""

import torch

from harness.task import TOLERANCE, Case, Cost, Task, case


def product(m: int, n: int, k: int, dtype: str, layout: str = "rc", **more) -> Case:
    """A case: layouts of a and b (row- or column-major), gaps, whether there is a bias, values."""
    return case(m=m, n=n, k=k, layout=layout, **{"pad": 0, "bias": True, "fill": "normal", **more}, dtype=dtype)


task = Task(
    entry_point="multreduce_matmul",
    signature="multreduce_matmul(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor",
    outputs="torch.empty((a.shape[0], b.shape[1]), dtype=a.dtype, device=a.device)",
    level=3,
    category="matrix product",
    origin="ROCm/triton",
    waivers={
        "limit": (
            "A product of 33 MB takes 20 µs: two launches, parts of the sum and their total, are a good share of that."
            " Weights of 470 MB come to 90 % of the bandwidth."
        ),
    },
    # Sums in fp32 of fp16 or bf16 products are all but exact before the one rounding. fp32: what tf32 loses shows.
    tolerance=TOLERANCE.by(fp16=(1e-3, 3e-4), bf16=(6e-3, 2e-3)),
    cases=[
        product(1, 1, 1, "fp32"),
        product(1, 300, 1100, "bf16", bias=False),
        product(1, 150, 2000, "fp16", layout="rr", fill="positive"),
        product(2, 130, 600, "bf16", layout="rr", pad=8),
        product(2, 200, 1031, "fp16", layout="cc", pad=3),
        product(3, 257, 129, "fp32", layout="rr"),
        product(4, 96, 1600, "fp32", fill="positive"),
        product(5, 70, 770, "fp32", layout="rc", pad=4),
        product(7, 300, 260, "fp32", layout="cr", bias=False),
        product(8, 200, 1030, "bf16", fill="equal"),
        product(17, 96, 1260, "bf16", layout="rr", fill="large"),
        product(4, 128, 512, "fp32", layout="cc", fill="tiny"),
        product(70, 141, 193, "bf16", layout="rr", pad=8, fill="large"),
        product(128, 128, 250, "fp16", layout="cc", bias=False),
        product(1, 11, 1536, "bf16", layout="cr", pad=1, bias=False),
    ],
    workloads=[
        product(512, 512, 512, "fp16", bias=False),
        product(1024, 1024, 512, "fp16", bias=False),
        product(2048, 1024, 256, "fp16", bias=False),
        product(1, 4096, 4096, "fp16"),
        product(1, 28672, 8192, "bf16", bias=False),
        product(2, 8192, 28672, "bf16", layout="rr"),
        product(4, 16384, 8192, "fp32"),
        product(8, 28672, 8192, "fp16"),
    ],
    interpreted=[
        product(1, 512, 1024, "fp16"),
        product(4, 128, 1024, "fp32", layout="rr", bias=False),
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
    return Cost(
        bytes=elements * case.dtype.itemsize,
        flops=2 * m * n * k,
        rate=None if case["dtype"] == "fp32" else case["dtype"],
    )
