"""Sort the rows of a matrix: comparisons outweigh the bytes; rows from a few elements to more than a block holds."""

import torch

from harness.task import TOLERANCE, Cost, Task, case, grid

task = Task(
    entry_point="sort",
    signature="sort(x: torch.Tensor, descending: bool) -> torch.Tensor",
    outputs="torch.empty(x.shape, dtype=x.dtype, device=x.device)",
    level=3,
    category="sorting",
    origin="aotriton",
    aliases=("test_triton_sort",),
    # Values are only moved: each has to arrive unchanged.
    tolerance=TOLERANCE.by(fp16=(0.0, 0.0), bf16=(0.0, 0.0), fp32=(0.0, 0.0)),
    redrawn=("x",),
    waivers={
        "limit": "A comparison sort of 1024 elements in place takes 55 rounds of exchanges, whose minima, maxima and "
        "shuffles outweigh the bytes; rows longer than a block can hold are moved several times besides."
    },
    cases=[
        case(rows=1, cols=1, pad=0, fill="normal", descending=False, dtype="fp32"),
        *grid(rows=5, cols=781, pad=0, fill="normal", descending=[False, True], dtype=["fp32", "int32"]),
        case(rows=40, cols=64, pad=0, fill="normal", descending=True, dtype="fp16"),
        case(rows=37, cols=17, pad=3, fill="few", descending=False, dtype="bf16"),
        case(rows=400, cols=3, pad=5, fill="normal", descending=True, dtype="int32"),
        case(rows=2, cols=512, pad=8, fill="few", descending=True, dtype="int32"),
        case(rows=4, cols=100, pad=0, fill="infinite", descending=False, dtype="fp16"),
        case(rows=3, cols=1000, pad=0, fill="large", descending=True, dtype="fp32"),
        case(rows=3, cols=257, pad=0, fill="tiny", descending=False, dtype="fp16"),
        case(rows=2, cols=300, pad=0, fill="equal", descending=False, dtype="fp32"),
        case(rows=1, cols=5000, pad=0, fill="normal", descending=True, dtype="bf16"),
        case(rows=2, cols=2500, pad=5, fill="falling", descending=False, dtype="fp32"),
    ],
    workloads=[
        case(rows=1, cols=1024, pad=0, fill="normal", descending=False, dtype="fp16"),
        case(rows=1, cols=16384, pad=0, fill="normal", descending=True, dtype="fp32"),
        case(rows=8, cols=2048, pad=0, fill="normal", descending=False, dtype="int32"),
        case(rows=256, cols=128, pad=0, fill="normal", descending=True, dtype="bf16"),
        case(rows=65536, cols=1024, pad=0, fill="normal", descending=False, dtype="fp32"),
        case(rows=131072, cols=1000, pad=0, fill="normal", descending=True, dtype="bf16"),
        case(rows=4096, cols=16384, pad=0, fill="normal", descending=False, dtype="int32"),
        case(rows=1 << 20, cols=64, pad=0, fill="normal", descending=True, dtype="fp16"),
    ],
    interpreted=[
        case(rows=8, cols=512, pad=0, fill="normal", descending=False, dtype="fp32"),
        case(rows=64, cols=64, pad=0, fill="normal", descending=True, dtype="fp16"),
    ],
)


@task.inputs
def inputs(case, rng):
    shape = (case.rows, case.cols + case.pad)
    if case.dtype == torch.int32:
        greatest = 2**31 - 1
        x = rng.integers(-greatest - 1, greatest + 1, *shape, dtype=torch.int32)
        if case.fill == "few":  # with the extremes, and neighbours that float32 can't tell apart
            pool = [-greatest - 1, -greatest, -1, 0, 1, 2**30, 2**30 + 1, greatest - 1, greatest]
            x = torch.tensor(pool, dtype=torch.int32, device=x.device)[rng.integers(0, len(pool), *shape)]
    else:
        greatest = 6e4
        x = rng.normal(*shape, std={"large": 1e4, "tiny": 1e-3}.get(case.fill, 1.0))
        if case.fill == "few":
            x = x.round()  # zeros of both signs among them
        elif case.fill == "infinite":
            x[x.abs() > 1.5] *= torch.inf
        elif case.fill == "falling":
            x = x.sort(dim=-1, descending=True).values
        elif case.fill == "equal":
            x.fill_(1.5)
    # What stands between rows would come first.
    x[:, case.cols :] = greatest if case.descending else -greatest
    return {"x": x.to(case.dtype)[:, : case.cols], "descending": case.descending}


@task.oracle
def oracle(x: torch.Tensor, descending: bool) -> torch.Tensor:
    return torch.sort(x, dim=-1, descending=descending).values


@task.cost
def cost(case):
    return Cost(bytes=2 * case.rows * case.cols * case.dtype.itemsize)
