"""Matrix product in layouts that tensor descriptors take, operands transposed or not, results of 16 or 32 bits."""

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Case, Cost, Task, case

ALIGNED = 8
"""Rows start at multiples of so many elements, 16 bytes."""


def product(m: int, n: int, k: int, form: str, dtypes: str, **more) -> Case:
    """A case: sizes, which operands are transposed (NN, NT, TN, TT), dtypes of operands and result."""
    dtype, out_dtype = dtypes.split()
    parameters = {"pad": 0, "fill": "normal", **more}
    return case(m=m, n=n, k=k, form=form, dtype=dtype, out_dtype=out_dtype, **parameters)


task = Task(
    entry_point="tma_store_gemm",
    signature=(
        "tma_store_gemm(a: torch.Tensor, b: torch.Tensor, trans_a: bool, trans_b: bool, out_dtype: str) -> torch.Tensor"
    ),
    outputs=(
        "torch.empty((a.shape[1 if trans_a else 0], b.shape[0 if trans_b else 1]),"
        " dtype=getattr(torch, out_dtype), device=a.device)"
    ),
    level=4,
    category="matrix product",
    origin="ROCm/triton",
    aliases=("test_tma_store_gemm",),
    # 16-bit: sums are all but exact: one rounding, and no more.
    # fp32: tensor cores cut the running sum, 3e-5 over 4096 products.
    tolerance=TOLERANCE.by(fp32=(1e-4, 1e-4), fp16=(1e-3, 3e-4), bf16=(8e-3, 2e-3)),
    cases=[
        product(1, 8, 1, "NT", "fp16 fp16"),
        product(64, 64, 16, "NT", "fp16 fp32"),
        product(300, 72, 50, "NN", "fp16 fp16"),
        product(65, 80, 301, "TN", "bf16 bf16"),
        product(40, 104, 190, "NT", "bf16 fp32", pad=8),
        product(37, 72, 141, "TT", "fp16 fp32", pad=16),
        product(75, 40, 133, "NN", "fp16 fp16", pad=8),
        product(40, 48, 2000, "NT", "fp16 fp16", fill="positive"),
        product(33, 56, 384, "TT", "fp16 fp16", fill="large"),
        product(50, 40, 77, "TN", "bf16 fp32", pad=8, fill="huge"),
        product(64, 96, 130, "NN", "bf16 bf16", fill="tiny"),
        product(41, 136, 520, "TN", "fp16 fp32", fill="equal"),
        product(1, 264, 129, "NN", "fp16 fp32"),
        product(32, 32, 256, "TT", "bf16 bf16"),
    ],
    workloads=[
        product(64, 64, 16, "NT", "fp16 fp32"),
        product(128, 128, 64, "NT", "fp16 fp16"),
        product(32, 32, 256, "NN", "fp16 fp16"),
        product(4096, 4096, 4096, "NT", "fp16 fp16"),
        product(8192, 8192, 2048, "NT", "fp16 fp32"),
        product(4096, 8192, 4096, "TN", "bf16 bf16"),
        product(8192, 4096, 2048, "NN", "bf16 fp32"),
    ],
    interpreted=[product(128, 128, 128, "NT", "fp16 fp16"), product(64, 128, 256, "TN", "bf16 fp32")],
)

OUTSIDE = float("nan")
"""What stands between rows: a kernel that reads it is found out."""
EQUAL = 1 + 2**-8
SPREAD = {"large": (1e3, 0.02), "huge": (1e6, 1e4), "tiny": (3e-3, 1.0)}
"""Standard deviations of a and b, where they are not 1."""


def _matrix(rng, rows, cols, transposed, case, std):
    """Row-major, rows at multiples of 16 bytes; held the other way round if transposed."""
    if transposed:
        rows, cols = cols, rows
    stride = -(-cols // ALIGNED) * ALIGNED + case.pad
    if case.fill == "positive":
        values = rng.uniform(rows, stride)
    elif case.fill == "equal":
        values = torch.full((rows, stride), EQUAL, device=rng.device)
    else:
        values = rng.normal(rows, stride, std=std)
    values[:, cols:] = OUTSIDE
    return values.to(case.dtype)[:, :cols]


@task.inputs
def inputs(case, rng):
    trans_a, trans_b = (letter == "T" for letter in case.form)
    std_a, std_b = SPREAD.get(case.fill, (1.0, 1.0))
    return {
        "a": _matrix(rng, case.m, case.k, trans_a, case, std_a),
        "b": _matrix(rng, case.k, case.n, trans_b, case, std_b),
        "trans_a": trans_a,
        "trans_b": trans_b,
        "out_dtype": str(case.out_dtype).removeprefix("torch."),
    }


def _product(a: torch.Tensor, b: torch.Tensor, trans_a: bool, trans_b: bool) -> torch.Tensor:
    return (a.t() if trans_a else a) @ (b.t() if trans_b else b)


@task.oracle
def oracle(a: torch.Tensor, b: torch.Tensor, trans_a: bool, trans_b: bool, out_dtype: str) -> torch.Tensor:
    return _product(a, b, trans_a, trans_b)


@task.eager
def eager(a: torch.Tensor, b: torch.Tensor, trans_a: bool, trans_b: bool, out_dtype: str) -> torch.Tensor:
    return _product(a, b, trans_a, trans_b).to(getattr(torch, out_dtype))


@task.cost
def cost(case):
    m, n, k = case.m, case.n, case.k
    size = (m * k + k * n) * case.dtype.itemsize + m * n * case.out_dtype.itemsize
    return Cost(bytes=size, flops=2 * m * n * k, rate=dtype_name(case.dtype))
