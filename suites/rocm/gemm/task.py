"""Matrix product of many kinds of operands, with scales and an activation: what everything else waits for."""

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Case, Cost, Task, case

GROUP = 128
"""Products that share one block scale."""


def product(m: int, n: int, k: int, dtypes: str, layout: str = "rr", **more) -> Case:
    """A case: dtypes of a, b and c; layouts of a and b (row- or column-major)."""
    a_dtype, b_dtype, out_dtype = dtypes.split()
    parameters = {"pad": 0, "scales": "none", "activation": None, "fill": "normal", **more}
    return case(m=m, n=n, k=k, a_dtype=a_dtype, b_dtype=b_dtype, out_dtype=out_dtype, layout=layout, **parameters)


task = Task(
    entry_point="gemm",
    signature=(
        "gemm(a: torch.Tensor, b: torch.Tensor, a_scale: torch.Tensor | None, b_scale: torch.Tensor | None,"
        " activation: str | None, out_dtype: str) -> torch.Tensor"
    ),
    outputs="torch.empty((a.shape[0], b.shape[1]), dtype=getattr(torch, out_dtype), device=a.device)",
    level=4,
    category="matrix product",
    origin="ROCm/triton",
    waivers={
        "eager": (
            "The vendor's library keeps more of tf32 and fp8 operands in flight than Triton's pipeline has shared"
            " memory for; fp8 sums that go over to float32 cost registers besides."
        ),
    },
    # fp32: operands may be cut to tf32, as Triton's dot does unless told otherwise: 10 bits of mantissa, twice.
    # fp16: comes from fp16 or int8 operands, whose sums are all but exact: one rounding, and no more.
    # bf16: may come from fp8, whose products Hopper sums with 14 bits; 1024 of these add up to 0.0012 of a row's
    # magnitude, and six times as much in one of a hundred million values. Without that limit it is twice that, or more.
    tolerance=TOLERANCE.by(fp32=(4e-3, 4e-3), fp16=(1e-3, 3e-4), bf16=(2e-2, 8.5e-3)),
    cases=[
        product(1, 1, 1, "fp32 fp32 fp32"),
        product(301, 70, 300, "fp16 fp16 fp16", fill="large"),
        product(128, 128, 64, "bf16 bf16 bf16", layout="rc"),
        product(65, 40, 129, "fp32 fp32 fp32", layout="cr", activation="leaky_relu"),
        product(100, 90, 96, "bf16 bf16 bf16", layout="cc", pad=3, activation="leaky_relu"),
        product(40, 40, 2000, "fp16 fp16 fp16", fill="equal"),
        product(16, 257, 31, "fp16 fp16 fp16", pad=8),
        product(72, 88, 104, "fp16 fp16 fp16", layout="cr", fill="tiny"),
        product(50, 66, 2200, "fp8e4m3 fp8e4m3 bf16", layout="rc", scales="tensor"),
        product(48, 32, 160, "fp8e5m2 fp8e5m2 fp32"),
        product(48, 32, 90, "fp8e5m2 fp8e4m3 bf16", scales="tensor", activation="leaky_relu"),
        product(70, 200, 330, "fp8e4m3 fp8e4m3 fp32", layout="rc", scales="block"),
        product(64, 130, 200, "int8 int8 int32", layout="rc"),
        product(37, 64, 100, "int8 int8 fp16", scales="tensor", activation="leaky_relu"),
        product(33, 140, 260, "int8 int8 bf16", layout="rc", scales="block"),
    ],
    redrawn=("a", "b"),
    workloads=[
        product(1024, 1024, 1024, "fp16 fp16 fp16"),
        product(2048, 2048, 2048, "bf16 bf16 bf16", activation="leaky_relu"),
        product(4096, 4096, 4096, "fp32 fp32 fp32"),
        product(8192, 8192, 8192, "fp16 fp16 fp16"),
        product(4864, 4096, 8192, "bf16 bf16 bf16"),
        product(4864, 8192, 4160, "fp16 fp16 fp16", layout="rc"),
        product(8192, 8192, 8192, "fp8e4m3 fp8e4m3 bf16", layout="rc", scales="tensor"),
        product(4096, 7168, 2048, "fp8e4m3 fp8e4m3 bf16", layout="rc", scales="block"),
        product(6144, 6144, 6144, "int8 int8 bf16", layout="rc", scales="tensor"),
    ],
    interpreted=[
        product(128, 128, 256, "fp16 fp16 fp16"),
        product(64, 128, 256, "fp8e4m3 fp8e4m3 bf16", layout="rc", scales="block"),
    ],
)

OUTSIDE = 100.0
"""What stands between rows (or columns): a kernel that reads it is found out."""


def _matrix(rng, rows, cols, dtype, layout, pad, fill):
    if layout == "c":
        return _matrix(rng, cols, rows, dtype, "r", pad, fill).t()
    if dtype == torch.int8:
        values = rng.integers(-128, 128, rows, cols + pad, dtype=torch.float32)
    elif fill == "positive":
        values = rng.uniform(rows, cols + pad)
    else:
        mean = {"equal": 0.75}.get(fill, 0.0)
        std = {"large": 100.0, "tiny": 3e-3, "equal": 0.0}.get(fill, 1.0)
        values = rng.normal(rows, cols + pad, mean=mean, std=std)
    values[:, cols:] = OUTSIDE
    return values.to(dtype)[:, :cols]


@task.inputs
def inputs(case, rng):
    m, n, k = case.m, case.n, case.k
    groups = -(-k // GROUP)
    # equal: long sums of positive terms, so that one kept in fp16 shows.
    b_fill = {"equal": "positive"}.get(case.fill, "normal")
    shapes = {
        "none": None,
        "tensor": ((1,), (1,)),
        "block": ((m, groups), (groups, -(-n // GROUP))),
    }[case.scales]
    return {
        "a": _matrix(rng, m, k, case.a_dtype, case.layout[0], case.pad, case.fill),
        "b": _matrix(rng, k, n, case.b_dtype, case.layout[1], case.pad, b_fill),
        "a_scale": rng.uniform(*shapes[0], low=0.01, high=0.1) if shapes else None,
        "b_scale": rng.uniform(*shapes[1], low=0.01, high=0.1) if shapes else None,
        "activation": case.activation,
        "out_dtype": str(case.out_dtype).removeprefix("torch."),
    }


@task.oracle
def oracle(
    a: torch.Tensor,
    b: torch.Tensor,
    a_scale: torch.Tensor | None,
    b_scale: torch.Tensor | None,
    activation: str | None,
    out_dtype: str,
) -> torch.Tensor:
    a, b = a.to(torch.float64), b.to(torch.float64)  # exact for integers too
    k, n = b.shape
    if a_scale is not None and a_scale.ndim == 2:
        a = a * a_scale.repeat_interleave(GROUP, dim=1)[:, :k]
        b = b * b_scale.repeat_interleave(GROUP, dim=0)[:k].repeat_interleave(GROUP, dim=1)[:, :n]
    c = a @ b
    if a_scale is not None and a_scale.ndim == 1:
        c = c * (a_scale * b_scale)
    if activation == "leaky_relu":
        c = torch.where(c >= 0, c, 0.01 * c)
    return c.to(torch.int32) if out_dtype == "int32" else c


@task.eager
def eager(
    a: torch.Tensor,
    b: torch.Tensor,
    a_scale: torch.Tensor | None,
    b_scale: torch.Tensor | None,
    activation: str | None,
    out_dtype: str,
) -> torch.Tensor:
    dtype = getattr(torch, out_dtype)
    if a_scale is not None and a_scale.ndim == 2:
        # There is no such product for all devices: the scales go into the operands.
        k, n = b.shape
        b_scale = b_scale.repeat_interleave(GROUP, dim=0)[:k].repeat_interleave(GROUP, dim=1)[:, :n]
        a = (a.to(torch.float32) * a_scale.repeat_interleave(GROUP, dim=1)[:, :k]).to(torch.bfloat16)
        c = a @ (b.to(torch.float32) * b_scale).to(torch.bfloat16)
    elif a.dtype == torch.int8:
        c = torch._int_mm(a, b)
        c = c if a_scale is None else c * (a_scale * b_scale)
    elif a.element_size() == 1:
        one = torch.ones(1, device=a.device)
        scales = (one, one) if a_scale is None else (a_scale, b_scale)
        c = torch._scaled_mm(a, b, *scales, out_dtype=dtype)
    elif a.dtype == torch.float32:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")  # tf32, as the page allows
        c = a @ b
        torch.set_float32_matmul_precision(before)
    else:
        c = a @ b
    if activation == "leaky_relu":
        c = torch.nn.functional.leaky_relu(c, 0.01)
    return c.to(dtype)


@task.cost
def cost(case):
    m, n, k = case.m, case.n, case.k
    groups = -(-k // GROUP)
    scales = {"none": 0, "tensor": 2, "block": m * groups + groups * -(-n // GROUP)}[case.scales]
    size = m * k * case.a_dtype.itemsize + k * n * case.b_dtype.itemsize + m * n * case.out_dtype.itemsize
    rate = {"fp32": "tf32", "fp8e5m2": "fp8e4m3"}.get(dtype_name(case.a_dtype), dtype_name(case.a_dtype))
    return Cost(bytes=size + 4 * scales, flops=2 * m * n * k, rate=rate)
