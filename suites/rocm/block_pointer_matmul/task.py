"""Matrix product of float16 or float32 matrices in any layout: small ones bound by the launch, large ones by rate."""

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Case, Cost, Task, case


def product(m: int, n: int, k: int, dtype: str, layout: str = "rr", **more) -> Case:
    """A case: sizes, dtype, layouts of a and b (row- or column-major)."""
    parameters = {"pad": 0, "fill": "normal", **more}
    return case(m=m, n=n, k=k, dtype=dtype, layout=layout, **parameters)


task = Task(
    entry_point="block_pointer_matmul",
    signature="block_pointer_matmul(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty((a.shape[0], b.shape[1]), dtype=a.dtype, device=a.device)",
    level=3,
    category="matrix product",
    origin="ROCm/triton",
    aliases=("test_block_pointer_matmul",),
    # fp32: operands may be cut to tf32, 10 bits of mantissa, twice; fewer bits show on the equal values.
    # fp16: sums are all but exact: one rounding, and no more.
    tolerance=TOLERANCE.by(fp32=(2e-3, 3e-3), fp16=(1e-3, 3e-4)),
    cases=[
        product(1, 1, 1, "fp32"),
        product(64, 64, 64, "fp16"),
        product(300, 70, 50, "fp16"),
        product(65, 80, 300, "fp32", layout="cr"),
        product(40, 100, 90, "fp16", layout="rc", pad=7),
        product(37, 75, 141, "fp32", layout="cc", pad=3),
        product(40, 40, 2000, "fp16", fill="positive"),
        product(33, 48, 384, "fp16", layout="rc", fill="large"),
        product(48, 35, 200, "fp32", layout="rc", pad=8, fill="huge"),
        product(64, 96, 130, "fp16", layout="cr", fill="tiny"),
        product(50, 40, 77, "fp32", fill="minute"),
        product(41, 66, 520, "fp16", layout="cc", fill="equal"),
        product(33, 34, 160, "fp32", fill="equal"),
        product(1, 257, 129, "fp16"),
    ],
    workloads=[
        product(64, 64, 64, "fp16"),
        product(64, 128, 256, "fp16"),
        product(256, 64, 128, "fp32"),
        product(128, 256, 64, "fp32"),
        product(4096, 4096, 4096, "fp16"),
        product(8192, 4096, 4096, "fp16", layout="rc"),
        product(4096, 4096, 2048, "fp32"),
    ],
    interpreted=[product(128, 128, 128, "fp16"), product(64, 128, 256, "fp32")],
)

OUTSIDE = float("nan")
"""What stands between rows (or columns): a kernel that reads it is found out."""
EQUAL = 1 + 2**-8
"""Has one bit more than bfloat16 keeps."""
SPREAD = {"large": (1e3, 0.02), "huge": (1e6, 1e4), "tiny": (3e-3, 1.0), "minute": (1e-6, 1e-3)}
"""Standard deviations of a and b, where they are not 1."""


def _matrix(rng, rows, cols, dtype, layout, pad, fill, std):
    if layout == "c":
        return _matrix(rng, cols, rows, dtype, "r", pad, fill, std).t()
    if fill == "positive":
        values = rng.uniform(rows, cols + pad)
    elif fill == "equal":
        values = torch.full((rows, cols + pad), EQUAL, device=rng.device)
    else:
        values = rng.normal(rows, cols + pad, std=std)
    values[:, cols:] = OUTSIDE
    return values.to(dtype)[:, :cols]


@task.inputs
def inputs(case, rng):
    std_a, std_b = SPREAD.get(case.fill, (1.0, 1.0))
    return {
        "a": _matrix(rng, case.m, case.k, case.dtype, case.layout[0], case.pad, case.fill, std_a),
        "b": _matrix(rng, case.k, case.n, case.dtype, case.layout[1], case.pad, case.fill, std_b),
    }


@task.oracle
def oracle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a @ b


@task.cost
def cost(case):
    m, n, k = case.m, case.n, case.k
    rate = "tf32" if case.dtype == torch.float32 else dtype_name(case.dtype)
    return Cost(bytes=(m * k + k * n + m * n) * case.dtype.itemsize, flops=2 * m * n * k, rate=rate)
