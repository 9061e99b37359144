"""Matrix product with a short inner size: bound by writing the result, by the launch when that is small."""

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Case, Cost, Task, case


def product(m: int, n: int, k: int, dtypes: str, layout: str = "rr", **more) -> Case:
    """A case: dtypes of the operands and of c; layouts of a and b (row- or column-major)."""
    dtype, out_dtype = dtypes.split()
    parameters = {"pad": 0, "fill": "normal", **more}
    return case(m=m, n=n, k=k, dtype=dtype, out_dtype=out_dtype, layout=layout, **parameters)


task = Task(
    entry_point="matmul_no_scf",
    signature="matmul_no_scf(a: torch.Tensor, b: torch.Tensor, out_dtype: str) -> torch.Tensor",
    outputs="torch.empty((a.shape[0], b.shape[1]), dtype=getattr(torch, out_dtype), device=a.device)",
    level=3,
    category="matrix product",
    origin="bitsandbytes",
    aliases=("test_gemm_no_scf",),
    # 16-bit: products of up to 128 terms, summed in fp32, are all but exact: one rounding, and no more.
    tolerance=TOLERANCE.by(fp16=(1e-3, 3e-4), bf16=(8e-3, 2e-3)),
    cases=[
        product(1, 1, 1, "fp16 fp16"),
        product(64, 64, 16, "fp16 fp32"),
        product(33, 70, 17, "fp16 fp16"),
        product(100, 90, 96, "bf16 fp32", layout="cc", pad=3),
        product(65, 140, 31, "bf16 bf16", layout="rc", pad=8),
        product(72, 88, 104, "fp16 fp16", layout="cr", pad=8),
        product(40, 50, 128, "fp16 fp32", fill="positive"),
        product(129, 257, 64, "fp16 fp16", layout="rr", pad=16),
        product(50, 66, 128, "fp16 fp16", layout="rc", fill="large"),
        product(48, 80, 50, "bf16 bf16", fill="tiny"),
        product(45, 67, 128, "fp16 fp16", fill="equal"),
        product(37, 1, 24, "bf16 fp32", fill="large"),
        product(1, 300, 5, "fp16 fp16", layout="cr", pad=1),
    ],
    workloads=[
        product(64, 64, 16, "fp16 fp16"),
        product(128, 64, 32, "fp16 fp32"),
        product(32, 32, 128, "fp16 fp16"),
        product(8192, 8192, 64, "fp16 fp16"),
        product(16384, 12288, 64, "fp16 fp16", layout="rc"),
        product(16384, 8192, 32, "fp16 fp32"),
        product(10000, 20008, 100, "bf16 bf16", layout="cr"),
        product(8192, 16384, 128, "bf16 fp32", layout="rc"),
    ],
    interpreted=[
        product(128, 128, 64, "fp16 fp16"),
        product(96, 160, 32, "bf16 fp32", layout="rc"),
    ],
)

OUTSIDE = 100.0
"""What stands between rows (or columns): a kernel that reads it is found out."""


def _matrix(rng, rows, cols, dtype, layout, pad, fill):
    if layout == "c":
        return _matrix(rng, cols, rows, dtype, "r", pad, fill).t()
    if fill == "positive":
        values = rng.uniform(rows, cols + pad)
    elif fill == "equal":
        values = torch.full((rows, cols + pad), 1.7, device=rng.device)
    else:
        values = rng.normal(rows, cols + pad, std={"large": 60.0, "tiny": 2e-3}.get(fill, 1.0))
    values[:, cols:] = OUTSIDE
    return values.to(dtype)[:, :cols]


@task.inputs
def inputs(case, rng):
    # large, equal: one operand alone, so that results fit, and still differ from row to row.
    fills = {"large": ("large", "normal"), "equal": ("normal", "equal")}.get(case.fill, (case.fill, case.fill))
    return {
        "a": _matrix(rng, case.m, case.k, case.dtype, case.layout[0], case.pad, fills[0]),
        "b": _matrix(rng, case.k, case.n, case.dtype, case.layout[1], case.pad, fills[1]),
        "out_dtype": str(case.out_dtype).removeprefix("torch."),
    }


@task.oracle
def oracle(a: torch.Tensor, b: torch.Tensor, out_dtype: str) -> torch.Tensor:
    return a @ b


@task.eager
def eager(a: torch.Tensor, b: torch.Tensor, out_dtype: str) -> torch.Tensor:
    if out_dtype == "float32" and a.is_cuda:
        return torch.mm(a, b, out_dtype=torch.float32)
    return (a @ b).to(getattr(torch, out_dtype))


@task.cost
def cost(case):
    m, n, k = case.m, case.n, case.k
    size = (m * k + k * n) * case.dtype.itemsize + m * n * case.out_dtype.itemsize
    return Cost(bytes=size, flops=2 * m * n * k, rate=dtype_name(case.dtype))
