"""Two chained matrix products with few columns, in one kernel, over operands of any layout: bound by the matrix rate
when large."""

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Case, Cost, Task, case


def fusion(m: int, n: int, k: int, dtype: str, layout: str = "rrr", **more) -> Case:
    """A case: rows of a, rows of b and c, columns of all three; layouts of a, b and c (row- or column-major)."""
    parameters = {"pad": 0, "fill": "normal", **more}
    return case(m=m, n=n, k=k, dtype=dtype, layout=layout, **parameters)


task = Task(
    entry_point="gemm_fusion",
    signature="gemm_fusion(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty(a.shape, dtype=a.dtype, device=a.device)",
    level=4,
    category="matrix product",
    origin="aiter",
    aliases=("test_gemm_fusion",),
    # rtol: one rounding, and no more. atol: that of s; n independent roundings of relative size u, each up to half a
    # unit, add up to some 0.4 u of a row's magnitude, and to five times as much where millions of values are compared.
    tolerance=TOLERANCE.by(fp16=(1e-3, 2e-3), bf16=(8e-3, 1.5e-2)),
    cases=[
        fusion(1, 1, 1, "fp16"),
        fusion(128, 128, 32, "fp16"),
        fusion(33, 150, 31, "fp16", pad=8),
        fusion(45, 260, 64, "bf16", layout="ccc"),
        fusion(50, 129, 100, "fp16", layout="rcr", pad=3),
        fusion(70, 70, 48, "bf16", layout="crc", pad=16),
        fusion(40, 384, 24, "fp16", layout="rrc", fill="positive"),
        fusion(35, 75, 128, "bf16", layout="crr", fill="large"),
        fusion(65, 90, 80, "fp16", layout="rcc", fill="tiny"),
        fusion(20, 200, 64, "fp16", fill="equal"),
        fusion(1, 300, 17, "bf16", layout="ccr"),
        fusion(77, 1, 40, "fp16", layout="rcr", pad=1),
        fusion(1100, 100, 16, "fp16"),
    ],
    workloads=[
        fusion(128, 128, 32, "fp16"),
        fusion(512, 1024, 64, "fp16"),
        fusion(4096, 1024, 32, "fp16"),
        fusion(4096, 1024, 64, "fp16"),
        fusion(32768, 8192, 64, "fp16"),
        fusion(32768, 8192, 64, "bf16", layout="crc"),
        fusion(32768, 8192, 128, "fp16", layout="rcr"),
        fusion(32768, 4096, 128, "bf16", pad=8),
    ],
    interpreted=[
        fusion(128, 256, 32, "fp16"),
        fusion(64, 200, 64, "bf16", layout="rcr"),
    ],
)

OUTSIDE = 100.0
"""What stands between rows (or columns): a kernel that reads it is found out."""


def _matrix(rng, rows, cols, dtype, layout, pad, std, fill):
    if layout == "c":
        return _matrix(rng, cols, rows, dtype, "r", pad, std, fill).t()
    values = rng.normal(rows, cols + pad, std=std)
    if fill == "positive":
        values = values.abs()
    elif fill == "equal":
        values = torch.full_like(values, 0.7)
    values[:, cols:] = OUTSIDE
    return values.to(dtype)[:, :cols]


@task.inputs
def inputs(case, rng):
    # Magnitudes of a, b and c: the first product has to fit the dtype.
    stds = {"positive": (1.0, 0.2, 0.2), "large": (40.0, 1.0, 1.0), "tiny": (3e-3, 0.1, 1.0)}
    shapes = ((case.m, case.k), (case.n, case.k), (case.n, case.k))
    matrices = {}
    for name, shape, layout, std in zip("abc", shapes, case.layout, stds.get(case.fill, (1.0, 1.0, 1.0)), strict=True):
        # equal: b alone, so that the result still tells rows from columns.
        fill = "normal" if case.fill == "equal" and name != "b" else case.fill
        matrices[name] = _matrix(rng, *shape, case.dtype, layout, case.pad, std, fill)
    return matrices


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
