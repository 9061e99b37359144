"""Matrix product whose loads depend on the loop's step: tables say which blocks of the inner axis meet.

The published kernel advances its pointers before, after or several steps ahead of the loads, and five variants compute
one plain product. Here the step decides what is loaded, so that a kernel can't do without it."""

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Case, Cost, Task, case

BLOCK = 64
"""Columns of a and rows of b in one block."""


def product(m: int, n: int, ka: int, kb: int, terms: int, dtype: str, layout: str = "rr", **more) -> Case:
    """A case: sizes, number of terms, dtype, layouts of a and b (row- or column-major)."""
    parameters = {"pad": 0, "order": "drawn", "fill": "normal", **more}
    return case(m=m, n=n, ka=ka, kb=kb, terms=terms, dtype=dtype, layout=layout, **parameters)


task = Task(
    entry_point="iv_dependent_matmul",
    signature=(
        "iv_dependent_matmul(a: torch.Tensor, b: torch.Tensor, a_blocks: torch.Tensor, b_blocks: torch.Tensor)"
        " -> torch.Tensor"
    ),
    outputs="torch.empty((a.shape[0], b.shape[1]), dtype=a.dtype, device=a.device)",
    level=4,
    category="matrix product",
    origin="xformers",
    aliases=("test_iv_dependent_matmul",),
    # fp32: operands may be cut to tf32, 10 bits of mantissa, twice; fewer bits show on the equal values.
    # 16-bit: sums are all but exact: one rounding, and no more.
    tolerance=TOLERANCE.by(fp32=(2e-3, 3e-3), fp16=(1e-3, 3e-4), bf16=(8e-3, 2e-3)),
    cases=[
        product(1, 1, 1, 1, 1, "fp32"),
        product(64, 64, 256, 256, 4, "fp16", order="shuffled"),
        product(300, 70, 128, 192, 3, "fp16"),
        product(65, 80, 300, 200, 7, "fp32", layout="cr"),
        product(40, 100, 190, 330, 6, "bf16", layout="rc", pad=7),
        product(37, 75, 141, 90, 5, "fp32", layout="rc", pad=3),
        product(48, 40, 704, 640, 24, "fp16", fill="positive"),
        product(33, 48, 384, 448, 6, "fp16", layout="cc", pad=5, fill="large"),
        product(50, 35, 200, 100, 3, "fp32", layout="rc", pad=8, fill="huge"),
        product(64, 96, 130, 500, 4, "bf16", layout="cr", fill="tiny"),
        product(41, 66, 128, 90, 8, "fp16", layout="cc", fill="equal"),
        product(33, 34, 100, 256, 5, "fp32", fill="equal"),
        product(1, 257, 640, 320, 9, "fp16"),
    ],
    workloads=[
        product(256, 256, 256, 256, 4, "fp16", order="shuffled"),
        product(1024, 1024, 64, 64, 1, "fp32", order="shuffled"),
        product(2048, 512, 128, 128, 2, "bf16", order="shuffled"),
        product(512, 2048, 512, 256, 1, "fp16", order="shuffled"),
        product(4096, 4096, 4096, 4096, 64, "fp16", order="shuffled"),
        product(8192, 4096, 4096, 4096, 64, "bf16", layout="rc", order="shuffled"),
        product(4096, 8192, 2048, 4096, 64, "fp16"),
    ],
    interpreted=[
        product(128, 128, 256, 256, 4, "fp16", order="shuffled"),
        product(64, 128, 192, 320, 6, "fp32"),
    ],
)

OUTSIDE = float("nan")
"""What stands between rows (or columns): a kernel that reads it is found out."""
EQUAL = 1 + 2**-8
"""Has one bit more than bfloat16 keeps."""
SPREAD = {"large": (1e3, 0.02), "huge": (1e6, 1e4), "tiny": (3e-3, 1.0)}
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


def _table(rng, terms, k, order):
    """Blocks of an axis of k elements: each at most once, or drawn freely; then the last, cut off, is among them."""
    blocks = -(-k // BLOCK)
    if order == "shuffled":
        return rng.permutation(blocks)[:terms].to(torch.int32)
    table = rng.integers(0, blocks, terms, dtype=torch.int32)
    table[int(rng.integers(0, terms, 1))] = blocks - 1
    return table


@task.inputs
def inputs(case, rng):
    std_a, std_b = SPREAD.get(case.fill, (1.0, 1.0))
    return {
        "a": _matrix(rng, case.m, case.ka, case.dtype, case.layout[0], case.pad, case.fill, std_a),
        "b": _matrix(rng, case.kb, case.n, case.dtype, case.layout[1], case.pad, case.fill, std_b),
        "a_blocks": _table(rng, case.terms, case.ka, case.order),
        "b_blocks": _table(rng, case.terms, case.kb, case.order),
    }


def _gathered(x: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
    """The blocks of columns that a table names, side by side; zeros where the last is cut off."""
    rows, k = x.shape
    whole = torch.nn.functional.pad(x, (0, -k % BLOCK)).reshape(rows, -1, BLOCK)
    return whole[:, blocks.long()].reshape(rows, -1)


@task.oracle
def oracle(a: torch.Tensor, b: torch.Tensor, a_blocks: torch.Tensor, b_blocks: torch.Tensor) -> torch.Tensor:
    return _gathered(a, a_blocks) @ _gathered(b.t(), b_blocks).t()


@task.eager
def eager(a: torch.Tensor, b: torch.Tensor, a_blocks: torch.Tensor, b_blocks: torch.Tensor) -> torch.Tensor:
    if a.shape[1] % BLOCK or b.shape[0] % BLOCK:
        return oracle(a, b, a_blocks, b_blocks)
    a_chosen = a.unflatten(1, (-1, BLOCK)).index_select(1, a_blocks).flatten(1)
    return a_chosen @ b.unflatten(0, (-1, BLOCK)).index_select(0, b_blocks).flatten(0, 1)


@task.cost
def cost(case):
    m, n = case.m, case.n
    size = (m * case.ka + case.kb * n + m * n) * case.dtype.itemsize + 8 * case.terms
    rate = "tf32" if case.dtype == torch.float32 else dtype_name(case.dtype)
    return Cost(bytes=size, flops=2 * m * n * BLOCK * case.terms, rate=rate)
