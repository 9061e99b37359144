"""Two chained matrix products in one kernel, attention without its softmax: bound by the matrix rate when large."""

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Case, Cost, Task, case


def chain(m: int, n: int, k: int, dtype: str, fill: str = "normal") -> Case:
    """A case: rows of a, rows of b and c, columns of all three."""
    return case(m=m, n=n, k=k, dtype=dtype, fill=fill)


task = Task(
    entry_point="chained_matmul",
    signature="chained_matmul(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty(a.shape, dtype=a.dtype, device=a.device)",
    level=4,
    category="matrix product",
    origin="vLLM",
    aliases=("test_chained_matmul",),
    # rtol: one rounding, and no more. atol: that of s; n independent roundings of relative size u, each up to half a
    # unit, add up to some 0.4 u of a row's magnitude, and to five times as much where millions of values are compared.
    tolerance=TOLERANCE.by(fp16=(1e-3, 2e-3), bf16=(8e-3, 1.5e-2)),
    cases=[
        chain(1, 1, 1, "fp16"),
        chain(64, 64, 64, "fp16"),
        chain(33, 70, 31, "fp16"),
        chain(50, 129, 96, "bf16"),
        chain(45, 200, 100, "fp16", fill="positive"),
        chain(40, 75, 128, "bf16", fill="large"),
        chain(70, 33, 80, "fp16", fill="tiny"),
        chain(23, 100, 256, "fp16"),
        chain(35, 50, 300, "bf16"),
        chain(32, 64, 512, "fp16"),
        chain(1, 300, 17, "fp16", fill="equal"),
        chain(77, 1, 48, "bf16"),
        chain(1100, 128, 24, "fp16"),
    ],
    workloads=[
        chain(64, 64, 64, "fp16"),
        chain(256, 256, 64, "fp16"),
        chain(128, 128, 128, "fp16"),
        chain(32, 32, 512, "fp16"),
        chain(32768, 8192, 64, "fp16"),
        chain(32768, 4096, 128, "fp16"),
        chain(32768, 8192, 128, "bf16"),
        chain(16384, 8192, 256, "fp16"),
    ],
    interpreted=[
        chain(128, 128, 64, "fp16"),
        chain(64, 200, 128, "bf16"),
    ],
    waivers={"strided": "the matrices are contiguous by contract; gemm_fusion is this operation with strides"},
)


@task.inputs
def inputs(case, rng):
    def matrix(rows: int, std: float = 1.0) -> torch.Tensor:
        values = rng.normal(rows, case.k, std=std)
        return (values.abs() if case.fill == "positive" else values).to(case.dtype)

    # The first product has to fit the dtype, and not vanish in it.
    a = matrix(case.m, {"large": 40.0, "tiny": 3e-3}.get(case.fill, 1.0))
    b = matrix(case.n, {"tiny": 0.1, "positive": 0.2}.get(case.fill, 1.0))
    c = matrix(case.n, {"positive": 0.2}.get(case.fill, 1.0))
    return {"a": a, "b": torch.full_like(b, 0.7) if case.fill == "equal" else b, "c": c}


@task.oracle
def oracle(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    # As many rows at a time as keep their part of s within 1 GiB.
    rows = max(1, (1 << 27) // b.shape[0])
    return torch.cat([(part @ b.t()) @ c for part in a.split(rows)])


@task.eager
def eager(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    return (a @ b.t()) @ c


@task.cost
def cost(case):
    m, n, k = case.m, case.n, case.k
    return Cost(bytes=2 * (m + n) * k * case.dtype.itemsize, flops=4 * m * n * k, rate=dtype_name(case.dtype))
