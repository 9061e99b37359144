"""Two chained products per batch in one kernel, in 16 or 8 bits, attention without its softmax: bound by the matrix
rate when large."""

import math

import torch

from harness.dtypes import DTYPES
from harness.task import TOLERANCE, Case, Cost, Task, case


def chain(z: int, m: int, n: int, d: int, dtype: str, **more) -> Case:
    """A case: batches, rows of q, rows of k, columns of both."""
    parameters = {"layout": "batch", "pad": 0, "fill": "normal", **more}
    return case(z=z, m=m, n=n, d=d, dtype=dtype, **parameters)


task = Task(
    entry_point="chained_dot",
    signature=(
        "chained_dot(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, q_desc: float | None, k_desc: float | None,"
        " v_desc: float | None, s_sc: float | None, s_desc: float | None, o_sc: float | None) -> torch.Tensor"
    ),
    outputs="torch.empty(q.shape, dtype=q.dtype, device=q.device)",
    level=4,
    category="matrix product",
    origin="aiter",
    aliases=("test_chained_dot_fp8",),
    # fp16: one rounding of the result, and n of s, which add up to 0.4 units of a row's magnitude, and to five times as
    # much where millions of values are compared. fp8: half a unit of the result is 1/16 of it. Sums of 14 bits, as
    # Hopper's, send one p in some hundreds to its other neighbour, up to 1/8 away: where p and v are three times the
    # usual, among 64 random terms, that is 9 / 8 / sqrt(64) of a row's magnitude.
    tolerance=TOLERANCE.by(fp16=(1e-3, 2e-3), fp8e4m3=(1e-1, 1.5e-1), fp8e4m3fnuz=(1e-1, 1.5e-1)),
    cases=[
        chain(1, 1, 1, 32, "fp16"),
        chain(2, 128, 64, 32, "fp8e4m3"),
        chain(2, 70, 100, 64, "fp16", layout="rows"),
        chain(3, 33, 129, 32, "fp16", pad=8),
        chain(2, 65, 77, 128, "fp16", fill="large"),
        chain(1, 45, 50, 64, "fp16", fill="tiny"),
        chain(2, 35, 90, 32, "fp16", fill="equal"),
        chain(2, 1, 130, 64, "fp8e4m3"),
        chain(3, 50, 205, 64, "fp8e4m3", layout="rows"),
        chain(2, 37, 333, 32, "fp8e4m3", pad=3),
        chain(1, 75, 150, 128, "fp8e4m3", fill="positive"),
        chain(2, 40, 192, 64, "fp8e4m3", fill="saturated"),
        chain(2, 37, 190, 128, "fp8e4m3", layout="rows", pad=1),
    ],
    workloads=[
        chain(2, 128, 64, 32, "fp8e4m3"),
        chain(2, 512, 128, 128, "fp16"),
        chain(2, 2048, 512, 64, "fp8e4m3"),
        chain(2, 2048, 512, 64, "fp16"),
        chain(8, 8192, 4096, 64, "fp16"),
        chain(16, 4096, 4096, 128, "fp16"),
        chain(16, 4096, 4096, 128, "fp8e4m3"),
        chain(16, 4000, 6000, 128, "fp8e4m3"),
    ],
    interpreted=[
        chain(2, 128, 128, 64, "fp16"),
        chain(2, 64, 256, 64, "fp8e4m3"),
    ],
)

OUTSIDE = 100.0
"""What stands between rows: a kernel that reads it is found out."""
UNIT = 30.0
"""Root mean square of 8-bit operands, and of what is rounded to 8 bits: five times that is in range."""


def _tensor(rng, case, rows, cols, std, fill):
    """Shape (z, rows, cols); in memory, batches or rows come first."""
    first, second = (rows, case.z) if case.layout == "rows" else (case.z, rows)
    values = rng.normal(first, second, cols + case.pad, std=std)
    if fill == "positive":
        values = values.abs()
    elif fill == "equal":
        values = torch.full_like(values, 0.7 * std)
    values[..., cols:] = OUTSIDE
    values = values.to(case.dtype)[..., :cols]
    return values.transpose(0, 1) if case.layout == "rows" else values


@task.inputs
def inputs(case, rng):
    fp8 = case.dtype.itemsize == 1
    unit = UNIT if fp8 else 1.0
    stds = [unit * each for each in {"large": (40.0, 1.0, 1.0), "tiny": (3e-3, 0.1, 1.0)}.get(case.fill, (1.0,) * 3)]
    fills = ["normal", "equal", "normal"] if case.fill == "equal" else [case.fill] * 3
    q = _tensor(rng, case, case.m, case.d, stds[0], fills[0])
    k = _tensor(rng, case, case.n, case.d, stds[1], fills[1])
    v = _tensor(rng, case, case.d, case.n, stds[2], fills[2])
    scales = dict.fromkeys(("q_desc", "k_desc", "v_desc", "s_sc", "s_desc", "o_sc"))
    if fp8:
        # Positive values: sums grow with the number of terms, of which each is 2/3 of the product of two units.
        terms = (0.65 * case.d, 0.65 * case.n) if case.fill == "positive" else (math.sqrt(case.d), math.sqrt(case.n))
        q_desc, k_desc, v_desc = (rng.scalar(0.01, 0.1) for _ in range(3))
        wanted = (10 if case.fill == "saturated" else 1) * UNIT
        s_sc = rng.scalar(0.8, 1.2) * wanted / (UNIT * UNIT * terms[0] * q_desc * k_desc)
        s_desc = rng.scalar(0.5, 2.0) / s_sc
        o_sc = rng.scalar(0.8, 1.2) * UNIT / (wanted * UNIT * terms[1] * s_desc * v_desc)
        scales.update(q_desc=q_desc, k_desc=k_desc, v_desc=v_desc, s_sc=s_sc, s_desc=s_desc, o_sc=o_sc)
    return {"q": q, "k": k, "v": v, **scales}


def _rounded(x: torch.Tensor) -> torch.Tensor:
    """To the device's 8-bit format and back; what is out of range becomes the largest finite value."""
    fp8 = DTYPES["fp8e4m3"]
    largest = torch.finfo(fp8).max
    return x.clamp(-largest, largest).to(torch.float32).to(fp8).to(x.dtype)


@task.oracle
def oracle(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    q_desc: float | None,
    k_desc: float | None,
    v_desc: float | None,
    s_sc: float | None,
    s_desc: float | None,
    o_sc: float | None,
) -> torch.Tensor:
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    # As many batches at a time as keep their part of s within 1 GiB.
    step = max(1, (1 << 27) // (q.shape[1] * k.shape[1]))
    for first in range(0, q.shape[0], step):
        part = slice(first, first + step)
        p = q[part] @ k[part].transpose(1, 2)
        if q_desc is not None:
            p = _rounded(p * (q_desc * k_desc * s_sc))
        out[part] = p @ v[part].transpose(1, 2)
    return out if q_desc is None else out * (s_desc * v_desc * o_sc)


@task.eager
def eager(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    q_desc: float | None,
    k_desc: float | None,
    v_desc: float | None,
    s_sc: float | None,
    s_desc: float | None,
    o_sc: float | None,
) -> torch.Tensor:
    if q_desc is None:
        return (q @ k.transpose(1, 2)) @ v.transpose(1, 2)
    # PyTorch has no batched product of 8-bit operands: 16 bits hold them exactly.
    largest = torch.finfo(q.dtype).max
    s = (q.to(torch.bfloat16) @ k.to(torch.bfloat16).transpose(1, 2)) * (q_desc * k_desc * s_sc)
    p = s.clamp(-largest, largest).to(q.dtype).to(torch.bfloat16)
    return ((p @ v.to(torch.bfloat16).transpose(1, 2)) * (s_desc * v_desc * o_sc)).to(q.dtype)


@task.cost
def cost(case):
    z, m, n, d = case.z, case.m, case.n, case.d
    return Cost(bytes=2 * z * (m + n) * d * case.dtype.itemsize, flops=4 * z * m * n * d, rate=case["dtype"])
