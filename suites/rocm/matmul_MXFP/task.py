"""Matrix product of operands in microscaling formats: fp8 or fp4 elements, 32 of which share a power of two."""

import functools

import torch

from harness.task import TOLERANCE, Case, Cost, Task, case

GROUP = 32
"""Elements along K that share one scale."""


def product(m: int, n: int, k: int, dtypes: str, **more) -> Case:
    """A case: dtypes of a, b (uint8: two fp4 elements; bf16: no scales) and c; `spread` of the scales' exponents."""
    a_dtype, b_dtype, out_dtype = dtypes.split()
    parameters = {"pad": 0, "spread": 3, "fill": "codes", **more}
    return case(m=m, n=n, k=k, a_dtype=a_dtype, b_dtype=b_dtype, out_dtype=out_dtype, **parameters)


task = Task(
    entry_point="matmul_mxfp",
    signature=(
        "matmul_mxfp(a: torch.Tensor, a_scale: torch.Tensor | None, b: torch.Tensor, b_scale: torch.Tensor | None,"
        " out_dtype: str) -> torch.Tensor"
    ),
    outputs="torch.empty((a.shape[0], b.shape[0]), dtype=getattr(torch, out_dtype), device=a.device)",
    level=5,
    category="matrix product",
    origin="aiter",
    aliases=("test_matmul_MXFP",),
    # Values times scales are exact in bf16, their products exact in fp32: bf16 and fp16 results are rounded once.
    # fp32: the sums of tensor cores drop bits below their largest term, thousands of times one after the other.
    tolerance=TOLERANCE.by(fp32=(1e-4, 1e-4), bf16=(6e-3, 1e-3), fp16=(1e-3, 3e-4)),
    redrawn=("a", "b"),
    waivers={
        "limit": (
            "A few rows times many of four bits: numbers are unpacked and scaled by more instructions than their bytes"
            " cost, and take as long on an H200 as on an H100, whose memory is slower."
        ),
    },
    cases=[
        product(1, 1, 32, "fp8e4m3 fp8e4m3 bf16"),
        product(33, 70, 96, "fp8e4m3 fp8e4m3 fp32"),
        product(100, 65, 160, "uint8 uint8 bf16"),
        product(70, 90, 192, "fp8e5m2 uint8 fp32", pad=16),
        product(37, 130, 64, "uint8 bf16 bf16", pad=48),
        product(130, 45, 224, "bf16 fp8e5m2 bf16", pad=32),
        product(515, 65, 32, "uint8 fp8e4m3 fp16", fill="normal"),
        product(50, 66, 1056, "fp8e4m3 fp8e4m3 fp32", fill="positive"),
        product(40, 72, 128, "fp8e5m2 uint8 fp32", spread=40),
        product(3, 35, 4352, "uint8 uint8 bf16", pad=16),
        product(150, 20, 896, "uint8 fp8e5m2 fp32", spread=40),
        product(17, 101, 1408, "bf16 fp8e4m3 fp16", fill="positive", pad=32),
        product(70, 36, 96, "bf16 uint8 bf16", fill="large"),
        product(41, 24, 64, "fp8e5m2 bf16 fp32", fill="tiny"),
        product(19, 120, 1152, "bf16 fp8e5m2 fp16", fill="equal"),
    ],
    workloads=[
        product(512, 512, 128, "fp8e5m2 fp8e5m2 fp32", fill="normal"),
        product(1024, 1024, 64, "fp8e4m3 bf16 fp16", fill="normal"),
        product(2048, 1024, 32, "uint8 uint8 fp32", fill="normal"),
        product(4096, 4096, 4096, "fp8e4m3 fp8e4m3 bf16", fill="normal"),
        product(4096, 8192, 4096, "fp8e4m3 uint8 bf16", fill="normal"),
        product(16, 53248, 16384, "fp8e4m3 uint8 bf16", fill="normal"),
        product(32, 28672, 8192, "bf16 fp8e4m3 bf16", fill="normal"),
    ],
    interpreted=[
        product(128, 128, 256, "fp8e4m3 uint8 bf16", fill="normal"),
        product(8, 512, 1024, "bf16 uint8 bf16", fill="normal"),
    ],
)

OUTSIDE = 100.0
"""What stands between rows: a kernel that reads it is found out."""


def _operand(rng, rows, k, dtype, pad, fill):
    if dtype == torch.uint8:
        x = rng.integers(0, 256, rows, k // 2 + pad, dtype=torch.uint8)
        if fill == "positive":
            x &= 0x77
        x[:, k // 2 :] = 0x75
        return x[:, : k // 2]
    if fill == "codes" and dtype.itemsize == 1:
        x = rng.integers(0, 256, rows, k + pad, dtype=torch.uint8).view(dtype).float()  # subnormal and largest ones too
        x = torch.where(x.isfinite(), x, 0.0)
    elif fill == "equal":
        x = torch.full((rows, k + pad), 1.5, device=rng.device)
    else:
        x = rng.normal(rows, k + pad, std={"large": 80.0, "tiny": 3e-3}.get(fill, 2.0)).clamp(-240, 240)
        x = x.abs() if fill == "positive" else x
    x[:, k:] = OUTSIDE
    return x.to(dtype)[:, :k]


def _exponents(rng, rows, k, dtype, spread):
    if dtype == torch.bfloat16:
        return None
    return rng.integers(127 - spread, 128 + spread, rows, k // GROUP, dtype=torch.uint8)


@task.inputs
def inputs(case, rng):
    m, n, k = case.m, case.n, case.k
    return {
        "a": _operand(rng, m, k, case.a_dtype, case.pad, case.fill),
        "a_scale": _exponents(rng, m, k, case.a_dtype, case.spread),
        "b": _operand(rng, n, k, case.b_dtype, case.pad, case.fill),
        "b_scale": _exponents(rng, n, k, case.b_dtype, case.spread),
        "out_dtype": str(case.out_dtype).removeprefix("torch."),
    }


E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)
"""Values of the fp4 codes."""


@functools.lru_cache
def _pairs(dtype, device):
    """The two elements of each byte, that of the low half first."""
    return torch.tensor([(E2M1[byte & 15], E2M1[byte >> 4]) for byte in range(256)], dtype=dtype, device=device)


def _decode(x, exponent, dtype):
    """Elements of an operand times their scales."""
    if exponent is None:
        return x.to(dtype)
    if x.dtype == torch.uint8:
        x = _pairs(dtype, x.device)[x.int()].flatten(1)
    groups = x.to(dtype).unflatten(1, (-1, GROUP))
    return (groups * torch.exp2(exponent.to(dtype) - 127)[:, :, None]).flatten(1)


ROWS = 4096
"""Of b, that the oracle decodes at a time: all of a large one would not fit in fp64."""


@task.oracle
def oracle(
    a: torch.Tensor, a_scale: torch.Tensor | None, b: torch.Tensor, b_scale: torch.Tensor | None, out_dtype: str
) -> torch.Tensor:
    left = _decode(a, a_scale, torch.float64)
    parts = b.split(ROWS)
    scales = [None] * len(parts) if b_scale is None else b_scale.split(ROWS)
    return torch.cat(
        [left @ _decode(part, scale, torch.float64).T for part, scale in zip(parts, scales, strict=True)], dim=1
    )


@task.eager
def eager(
    a: torch.Tensor, a_scale: torch.Tensor | None, b: torch.Tensor, b_scale: torch.Tensor | None, out_dtype: str
) -> torch.Tensor:
    c = torch.matmul(_decode(a, a_scale, torch.bfloat16), _decode(b, b_scale, torch.bfloat16).T)
    return c.to(getattr(torch, out_dtype))


@task.cost
def cost(case):
    m, n, k = case.m, case.n, case.k

    def size(rows, dtype):
        if dtype == torch.bfloat16:
            return rows * k * 2
        return rows * k // (2 if dtype == torch.uint8 else 1) + rows * k // GROUP

    moved = size(m, case.a_dtype) + size(n, case.b_dtype) + m * n * case.out_dtype.itemsize
    # Hopper and CDNA 3 have no matrix unit that takes scales: bf16 is the fastest in which nothing is lost.
    return Cost(bytes=moved, flops=2 * m * n * k, rate="bf16")
