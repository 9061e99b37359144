"""Matrix product of two dtypes: what mixed precision asks for, where weights and activations have formats of their own.

The oracle sees floating-point inputs in float64, so that the dtype in which they meet is an argument."""

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Case, Cost, Task, case


def product(m: int, n: int, k: int, dtypes: str, layout: str = "rr", **more) -> Case:
    """A case: sizes, dtypes of a, b, the multiplication and c, layouts of a and b (row- or column-major)."""
    a_dtype, b_dtype, dot_dtype, out_dtype = dtypes.split()
    named = {"a_dtype": a_dtype, "b_dtype": b_dtype, "dot_dtype": dot_dtype, "out_dtype": out_dtype}
    parameters = {"layout": layout, "pad": 0, "fill": "normal", **more}
    return case(m=m, n=n, k=k, **named, **parameters)


task = Task(
    entry_point="cast_matmul",
    signature="cast_matmul(a: torch.Tensor, b: torch.Tensor, dot_dtype: str, out_dtype: str) -> torch.Tensor",
    outputs="torch.empty((a.shape[0], b.shape[1]), dtype=getattr(torch, out_dtype), device=a.device)",
    level=4,
    category="matrix product",
    origin="TransformerEngine",
    aliases=("test_cast_matmul",),
    # 16-bit: sums are all but exact: one rounding, and no more.
    # fp32: tensor cores cut the running sum, 3e-5 over 4096 products; an operand rounded otherwise costs 2e-4 and more.
    tolerance=TOLERANCE.by(fp32=(1e-4, 1e-4), fp16=(1e-3, 3e-4), bf16=(8e-3, 2e-3)),
    cases=[
        product(1, 1, 1, "fp32 fp16 fp16 fp16"),
        product(64, 64, 64, "fp16 fp32 fp16 fp32"),
        product(300, 70, 50, "fp32 fp16 fp16 fp16"),
        product(65, 80, 300, "bf16 fp32 bf16 bf16", layout="cr"),
        product(40, 100, 190, "fp16 bf16 bf16 fp32", layout="rc", pad=7),
        product(37, 75, 141, "bf16 fp16 fp16 bf16", layout="rc", pad=3),
        product(40, 40, 2000, "fp16 fp32 fp16 fp16", fill="positive"),
        product(33, 48, 384, "int8 fp16 fp16 fp32", layout="cc", pad=5),
        product(48, 35, 200, "bf16 int8 bf16 fp16", layout="cr", fill="small"),
        product(50, 40, 77, "fp32 bf16 bf16 fp32", fill="huge"),
        product(44, 52, 100, "fp16 bf16 bf16 bf16", layout="rc", fill="large"),
        product(64, 96, 130, "fp16 fp32 fp16 bf16", fill="tiny"),
        product(41, 66, 520, "fp32 fp16 fp16 fp32", layout="cc", fill="equal"),
        product(33, 34, 160, "bf16 fp32 bf16 fp32", fill="equal"),
        product(1, 257, 129, "fp16 int8 fp16 bf16"),
    ],
    workloads=[
        product(128, 128, 128, "fp16 fp32 fp16 fp32"),
        product(1024, 1280, 768, "fp32 fp16 fp16 fp16"),
        product(1280, 768, 1024, "fp16 fp32 fp16 fp32"),
        product(4096, 4096, 4096, "fp16 fp32 fp16 fp16"),
        product(8192, 4096, 4112, "bf16 int8 bf16 bf16", layout="rc"),
        product(4096, 8192, 4096, "fp32 bf16 bf16 fp32"),
    ],
    interpreted=[
        product(128, 128, 128, "fp16 fp32 fp16 fp32"),
        product(64, 128, 256, "bf16 int8 bf16 bf16"),
    ],
)

OUTSIDE = float("nan")
"""What stands between rows (or columns): a kernel that reads it is found out."""
EQUAL = 1 + 2**-8 + 2**-11 + 2**-13
"""Both `bfloat16` and `float16` round it up; cut off, it becomes less."""
SPREAD = {"large": (100.0, 1e5), "huge": (1e6, 1e4), "small": (0.02, 1.0), "tiny": (1.0, 3e-3)}
"""Standard deviations of a and b, where they are not 1; those of int8 are what they are."""


def _matrix(rng, rows, cols, dtype, layout, pad, fill, std):
    if layout == "c":
        return _matrix(rng, cols, rows, dtype, "r", pad, fill, std).t()
    shape = (rows, cols + pad)
    if fill == "equal":
        values = torch.full(shape, EQUAL, device=rng.device)
    elif dtype == torch.int8:
        values = rng.integers(-128, 128, *shape, dtype=torch.float32)
    elif fill == "positive":
        values = rng.uniform(*shape)
    else:
        values = rng.normal(*shape, std=std)
    values[:, cols:] = 100.0 if dtype == torch.int8 else OUTSIDE
    return values.to(dtype)[:, :cols]


@task.inputs
def inputs(case, rng):
    std_a, std_b = SPREAD.get(case.fill, (1.0, 1.0))
    return {
        "a": _matrix(rng, case.m, case.k, case.a_dtype, case.layout[0], case.pad, case.fill, std_a),
        "b": _matrix(rng, case.k, case.n, case.b_dtype, case.layout[1], case.pad, case.fill, std_b),
        "dot_dtype": str(case.dot_dtype).removeprefix("torch."),
        "out_dtype": str(case.out_dtype).removeprefix("torch."),
    }


@task.oracle
def oracle(a: torch.Tensor, b: torch.Tensor, dot_dtype: str, out_dtype: str) -> torch.Tensor:
    a, b = (each.to(getattr(torch, dot_dtype)).to(torch.float64) for each in (a, b))
    return a @ b


@task.eager
def eager(a: torch.Tensor, b: torch.Tensor, dot_dtype: str, out_dtype: str) -> torch.Tensor:
    a, b = (each.to(getattr(torch, dot_dtype)) for each in (a, b))
    return (a @ b).to(getattr(torch, out_dtype))


@task.cost
def cost(case):
    m, n, k = case.m, case.n, case.k
    size = m * k * case.a_dtype.itemsize + k * n * case.b_dtype.itemsize + m * n * case.out_dtype.itemsize
    return Cost(bytes=size, flops=2 * m * n * k, rate=dtype_name(case.dot_dtype))
