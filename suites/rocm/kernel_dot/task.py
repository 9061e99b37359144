"""Squares of many 16 by 16 matrices, in place: one tile of a matrix unit each, so that memory is what bounds them."""

import torch

from harness.task import TOLERANCE, Cost, Task, case, grid

SIDE = 16

task = Task(
    entry_point="kernel_dot",
    signature="kernel_dot(z: torch.Tensor) -> None",
    outputs="()",
    level=2,
    category="matrix product",
    origin="PyTorch",
    aliases=("test_kernel_dot",),
    mutates=("z",),
    # 16 products summed in fp32: all but exact before the one rounding. fp32: what tf32 loses shows.
    tolerance=TOLERANCE.by(fp16=(1e-3, 3e-4), bf16=(6e-3, 2e-3)),
    cases=[
        *grid(n=1, row_pad=0, pad=0, fill="normal", dtype=["fp16", "fp32"]),
        *grid(n=67, row_pad=0, pad=0, fill="normal", dtype=["fp16", "bf16", "fp32"]),
        case(n=64, row_pad=0, pad=0, fill="positive", dtype="fp16"),
        case(n=35, row_pad=3, pad=0, fill="normal", dtype="fp16"),
        case(n=41, row_pad=16, pad=7, fill="normal", dtype="bf16"),
        case(n=70, row_pad=0, pad=4, fill="normal", dtype="fp32"),
        case(n=33, row_pad=0, pad=0, fill="large", dtype="fp32"),
        case(n=33, row_pad=8, pad=0, fill="large", dtype="bf16"),
        case(n=19, row_pad=0, pad=0, fill="tiny", dtype="fp32"),
        case(n=5, row_pad=0, pad=0, fill="equal", dtype="bf16"),
        case(n=96, row_pad=16, pad=32, fill="normal", dtype="fp32"),
    ],
    workloads=[
        *grid(n=1, row_pad=0, pad=0, fill="normal", dtype=["fp16", "fp32"]),
        case(n=4096, row_pad=0, pad=0, fill="normal", dtype="bf16"),
        case(n=65_537, row_pad=0, pad=0, fill="normal", dtype="fp16"),
        case(n=1 << 18, row_pad=0, pad=0, fill="normal", dtype="fp32"),
        case(n=1 << 19, row_pad=0, pad=0, fill="normal", dtype="fp16"),
        case(n=1_000_003, row_pad=0, pad=0, fill="normal", dtype="bf16"),
    ],
    interpreted=grid(n=512, row_pad=0, pad=0, fill="normal", dtype=["fp16", "fp32"]),
)

OUTSIDE = float("nan")
"""What stands between rows and matrices: a kernel that reads it is found out."""


@task.inputs
def inputs(case, rng):
    std = {"large": 150.0, "tiny": 2e-3}.get(case.fill, 1.0)
    row = SIDE + case.row_pad
    whole = rng.normal(case.n, SIDE * row + case.pad, std=std)
    z = whole[:, : SIDE * row].view(case.n, SIDE, row)
    if case.fill == "positive":
        z.abs_().add_(0.5)  # sums grow with every product: in half precision they lose digits
    if case.fill == "equal":
        z.fill_(0.75)
    z[:, :, SIDE:] = OUTSIDE
    whole[:, SIDE * row :] = OUTSIDE
    whole = whole.to(case.dtype)
    return {"z": whole.as_strided((case.n, SIDE, SIDE), (SIDE * row + case.pad, row, 1))}


@task.oracle
def oracle(z: torch.Tensor) -> None:
    z.copy_(z @ z)


@task.cost
def cost(case):
    return Cost(bytes=2 * case.n * SIDE * SIDE * case.dtype.itemsize, flops=2 * case.n * SIDE**3)
