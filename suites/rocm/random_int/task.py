"""Random integers, the stream of `tl.randint`: bound by integer multiplications."""

import torch

from harness.task import Cost, Task, case, grid

task = Task(
    entry_point="randint",
    signature="randint(x: torch.Tensor, seed: int) -> None",
    outputs="()",
    mutates=("x",),
    redrawn=("seed",),
    level=2,
    category="random numbers",
    origin="PyTorch",
    aliases=("test_random_int",),
    waivers={
        "strided": "the vector is contiguous by contract",
        "large": "no input is floating-point",
        "tiny": "no input is floating-point",
        "negative": "no input is floating-point",
        "equal": "no input holds data: what `x` holds before the call is only overwritten",
        "cost": "`x` is only written: its bytes count once",
        "limit": (
            "Ten rounds of Philox for a single number are 17 products of 32 by 32 bits and as many exclusive-ors:"
            " multipliers are busy longer than memory is. The stream has one counter an element, so nothing is shared."
        ),
    },
    cases=[
        case(n=1, seed=42, dtype="int32"),
        *grid(n=1025, seed="drawn", dtype=["int32", "int64"]),
        case(n=4096, seed=0, dtype="int32"),
        case(n=4096, seed=42, dtype="int64"),
        case(n=999, seed=1, dtype="int32"),
        case(n=2047, seed=3_000_000_000, dtype="int64"),
        case(n=5003, seed=(1 << 62) + (3 << 31) + 7, dtype="int32"),
        case(n=3001, seed=1 << 40, dtype="int64"),
        case(n=10_007, seed="drawn", dtype="int32"),
    ],
    workloads=[
        case(n=65_536, seed=42, dtype="int32"),
        case(n=1 << 20, seed=0, dtype="int64"),
        case(n=1 << 22, seed=42, dtype="int32"),
        *grid(n=1 << 27, seed=42, dtype=["int32", "int64"]),
        case(n=100_000_007, seed=0, dtype="int32"),
    ],
    interpreted=[case(n=16_384, seed=0, dtype="int32"), case(n=8192, seed=42, dtype="int64")],
)

MASK = (1 << 32) - 1
CHUNK = 1 << 24
"""Elements that the oracle makes at a time."""


@task.inputs
def inputs(case, rng):
    seed = int(rng.integers(0, 1 << 31, 1)) if case.seed == "drawn" else case.seed
    return {"x": rng.integers(-(1 << 31), 1 << 31, case.n, dtype=case.dtype), "seed": seed}


def product(factor: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """High and low word of the product of two 32-bit numbers, in int64 that never overflows."""
    upper, lower = factor * (x >> 16), factor * (x & 0xFFFF)
    upper += lower >> 16
    return upper >> 16, ((upper & 0xFFFF) << 16) | (lower & 0xFFFF)


def philox(i: torch.Tensor, seed: int) -> list[torch.Tensor]:
    """The four words of Philox 4x32-10 at counter (i mod 2^32, i / 2^32, 0, 0) with the seed as the key."""
    c = [i & MASK, i >> 32, torch.zeros_like(i), torch.zeros_like(i)]
    k0, k1 = seed & MASK, seed >> 32
    for _ in range(10):
        (p_high, p_low), (q_high, q_low) = product(0xD2511F53, c[0]), product(0xCD9E8D57, c[2])
        c = [q_high ^ c[1] ^ k0, q_low, p_high ^ c[3] ^ k1, p_low]
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c


@task.oracle
def oracle(x: torch.Tensor, seed: int) -> None:
    for start in range(0, x.numel(), CHUNK):
        i = torch.arange(start, min(start + CHUNK, x.numel()), device=x.device)
        word = philox(i, seed)[0]
        # int32 has the word's bits, int64 its value.
        x[start : start + CHUNK] = word if x.dtype == torch.int64 else word - ((word >> 31) << 32)


@task.eager
def eager(x: torch.Tensor, seed: int) -> None:
    # PyTorch's own stream, which is another: four numbers of each counter are used.
    low = 0 if x.dtype == torch.int64 else -(1 << 31)
    x.random_(low, low + (1 << 32), generator=torch.Generator(x.device).manual_seed(seed))


@task.cost
def cost(case):
    return Cost(bytes=case.n * case.dtype.itemsize, flops=60 * case.n)
