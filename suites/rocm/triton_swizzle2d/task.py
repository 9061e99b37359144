"""The index map of grouped tiles: a permutation that is best written from its inverse, bound by the bytes written."""

import torch

from harness.task import Cost, Task, case, grid

task = Task(
    entry_point="swizzle2d",
    signature="swizzle2d(out: torch.Tensor, size_g: int) -> None",
    outputs="()",
    mutates=("out",),
    level=2,
    category="data movement",
    origin="aotriton",
    aliases=("test_triton_swizzle2d",),
    waivers={
        "large": "no input is floating-point",
        "tiny": "no input is floating-point",
        "negative": "no input is floating-point",
        "equal": "no input holds data: what `out` holds before the call is only overwritten",
        "cost": "`out` is only written: its bytes count once",
    },
    cases=[
        case(size_i=1, size_j=1, size_g=1, pad=0, dtype="int32"),
        case(size_i=4, size_j=4, size_g=2, pad=0, dtype="int64"),
        case(size_i=64, size_j=64, size_g=8, pad=0, dtype="int32"),
        case(size_i=64, size_j=512, size_g=8, pad=0, dtype="int64"),
        *grid(size_i=37, size_j=29, size_g=5, pad=[0, 7], dtype=["int32", "int64"]),
        case(size_i=1, size_j=5001, size_g=4, pad=0, dtype="int32"),
        case(size_i=4099, size_j=1, size_g=7, pad=3, dtype="int64"),
        case(size_i=10, size_j=3000, size_g=64, pad=0, dtype="int32"),
        case(size_i=131, size_j=400, size_g=100, pad=8, dtype="int32"),
        case(size_i=101, size_j=131, size_g=1, pad=0, dtype="int64"),
        case(size_i=19, size_j=2100, size_g=16, pad=5, dtype="int64"),
    ],
    workloads=[
        case(size_i=64, size_j=64, size_g=8, pad=0, dtype="int32"),
        case(size_i=512, size_j=64, size_g=8, pad=0, dtype="int64"),
        case(size_i=512, size_j=512, size_g=32, pad=0, dtype="int32"),
        *grid(size_i=16384, size_j=8192, size_g=32, pad=0, dtype=["int32", "int64"]),
        case(size_i=16383, size_j=8191, size_g=48, pad=0, dtype="int32"),
    ],
    interpreted=[
        case(size_i=64, size_j=64, size_g=8, pad=0, dtype="int32"),
        case(size_i=128, size_j=128, size_g=16, pad=0, dtype="int64"),
    ],
)


@task.inputs
def inputs(case, rng):
    # No index is negative: an element that was not written is found out.
    out = rng.integers(-(1 << 31), 0, case.size_i, case.size_j + case.pad, dtype=case.dtype)
    return {"out": out[:, : case.size_j], "size_g": case.size_g}


@task.oracle
def oracle(out: torch.Tensor, size_g: int) -> None:
    size_i, size_j = out.shape
    index = torch.arange(size_i * size_j, device=out.device)
    first = index // (size_g * size_j) * size_g
    height = (size_i - first).clamp(max=size_g)
    place = index % (size_g * size_j)
    out[first + place % height, place // height] = index.to(out.dtype)


@task.eager
def eager(out: torch.Tensor, size_g: int) -> None:
    # From the inverse: what stands in row r and column c is the r-th row's first index, and c heights of its group.
    size_i, size_j = out.shape
    row = torch.arange(size_i, dtype=out.dtype, device=out.device)[:, None]
    first = row // size_g * size_g
    height = (size_i - first).clamp(max=size_g)
    column = torch.arange(size_j, dtype=out.dtype, device=out.device)
    torch.addcmul(first * size_j + row - first, height, column, out=out)


@task.cost
def cost(case):
    return Cost(bytes=case.size_i * case.size_j * case.dtype.itemsize)
