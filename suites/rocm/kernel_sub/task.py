"""Elementwise difference of two vectors, each with a stride of its own."""

import torch

from harness.task import TOLERANCE, Case, Cost, Task, case


def difference(n: int, dtype: str, steps: str = "1 1", fill: str = "normal") -> Case:
    """A case: size, dtype, strides of a and b."""
    a_step, b_step = map(int, steps.split())
    return case(n=n, a_step=a_step, b_step=b_step, fill=fill, dtype=dtype)


task = Task(
    entry_point="kernel_sub",
    signature="kernel_sub(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor",
    outputs="torch.empty(a.shape, dtype=a.dtype, device=a.device)",
    level=1,
    category="elementwise",
    origin="PyTorch",
    aliases=("test_kernel_sub",),
    # One rounding of the exact difference, however small it is beside its operands.
    tolerance=TOLERANCE.by(fp16=(1e-3, 0.0), bf16=(8e-3, 0.0), fp32=(1.2e-7, 0.0)),
    redrawn=("a", "b"),
    cases=[
        difference(1, "fp32"),
        difference(1024, "fp16"),
        difference(8191, "fp16"),
        difference(8191, "fp32"),
        difference(20011, "bf16"),
        difference(4097, "fp16", steps="2 1"),
        difference(2500, "fp32", steps="1 3"),
        difference(1777, "bf16", steps="5 2"),
        difference(5003, "int32"),
        difference(2049, "int32", steps="2 7"),
        difference(4999, "fp32", fill="large"),
        difference(4095, "fp16", fill="tiny"),
        difference(3001, "fp32", fill="cancelling"),
        difference(3001, "bf16", fill="cancelling"),
        difference(2050, "bf16", fill="equal"),
    ],
    workloads=[
        *(difference(n, dtype) for n in (1024, 65536) for dtype in ("fp16", "fp32")),
        difference(1 << 27, "fp16"),
        difference(1 << 27, "fp32"),
        difference(100_000_007, "bf16"),
        difference(1 << 26, "int32"),
        difference(1 << 25, "fp32", steps="2 1"),
    ],
    interpreted=[difference(65536, "fp16"), difference(32768, "fp32", steps="2 1")],
)

OUTSIDE = 1e3
"""What is added to the elements between: a kernel that reads them is found out."""


def _vector(rng, n, step, dtype, mean, std):
    if dtype == torch.int32:
        return rng.integers(-(2**31), 2**31, n, step, dtype=torch.int32)[:, 0]
    whole = rng.normal(n, step, mean=mean, std=std)
    whole[:, 1:] += OUTSIDE
    return whole.to(dtype)[:, 0]


@task.inputs
def inputs(case, rng):
    mean = {"equal": 1.75}.get(case.fill, 0.0)
    std = {"large": 1e4, "tiny": 1e-3, "equal": 0.0}.get(case.fill, 1.0)
    a = _vector(rng, case.n, case.a_step, case.dtype, mean, std)
    b = _vector(rng, case.n, case.b_step, case.dtype, -2 * mean, std)
    if case.fill == "cancelling":
        b = a - b * 1e-2
    return {"a": a, "b": b}


@task.oracle
def oracle(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a - b


@task.cost
def cost(case):
    return Cost(bytes=3 * case.n * case.dtype.itemsize, flops=case.n)
