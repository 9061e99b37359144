"""Standard normal numbers, the stream of `tl.randn`: bound by integer multiplications."""

import torch

from harness.task import TOLERANCE, Cost, Task, case, grid

task = Task(
    entry_point="randn",
    signature="randn(x: torch.Tensor, seed: int) -> None",
    outputs="()",
    mutates=("x",),
    redrawn=("seed",),
    level=3,
    category="random numbers",
    origin="PyTorch",
    aliases=("test_randn",),
    # Half precision is rounded once: by half a unit, where a whole one is allowed.
    tolerance=TOLERANCE.by(fp16=(1e-3, 1e-5), bf16=(8e-3, 1e-5)),
    waivers={
        "strided": "the vector is contiguous by contract",
        "large": "no input holds floating-point data: what `x` holds before the call is only overwritten",
        "tiny": "no input holds floating-point data: what `x` holds before the call is only overwritten",
        "negative": "no input holds floating-point data: what `x` holds before the call is only overwritten",
        "equal": "no input holds floating-point data: what `x` holds before the call is only overwritten",
        "cost": "`x` is only written: its bytes count once",
        "limit": (
            "Ten rounds of Philox for a single number are 17 products of 32 by 32 bits and as many exclusive-ors:"
            " multipliers are busy longer than memory is. The stream has one counter an element, so nothing is shared."
        ),
        "eager": "PyTorch's own stream takes four numbers from every counter; this one has a counter for each number",
    },
    cases=[
        case(n=1, seed=42, dtype="fp32"),
        *grid(n=1025, seed="drawn", dtype=["fp32", "fp16", "bf16"]),
        case(n=4096, seed=42, dtype="fp32"),
        case(n=999, seed=1, dtype="bf16"),
        case(n=2047, seed=3_000_000_000, dtype="fp32"),
        case(n=5003, seed=(1 << 62) + (3 << 31) + 7, dtype="fp32"),
        case(n=3001, seed=1 << 40, dtype="fp16"),
        # Element 690 has a word of 0 and needs the smallest u; element 720 has the largest u; element 1005 a large
        # one, from a word that -x would fold to another float32 than -x - 1.
        case(n=1999, seed=2_360_573, dtype="fp32"),
        case(n=1999, seed=394_086, dtype="fp32"),
        case(n=1999, seed=984_547, dtype="fp32"),
        case(n=10_007, seed="drawn", dtype="fp32"),
    ],
    workloads=[
        case(n=65_536, seed=42, dtype="fp32"),
        *grid(n=[1 << 20, 1 << 22], seed=0, dtype="fp32"),
        *grid(n=1 << 27, seed=42, dtype=["fp32", "fp16"]),
        case(n=100_000_007, seed=0, dtype="bf16"),
    ],
    interpreted=[case(n=16_384, seed=0, dtype="fp32"), case(n=8192, seed=42, dtype="fp16")],
)

MASK = (1 << 32) - 1
CHUNK = 1 << 24
"""Elements that the oracle makes at a time."""


@task.inputs
def inputs(case, rng):
    seed = int(rng.integers(0, 1 << 31, 1)) if case.seed == "drawn" else case.seed
    # Far from any normal number: an element that was not written, or added to, is found out.
    return {"x": rng.uniform(case.n, low=50.0, high=99.0, dtype=case.dtype), "seed": seed}


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


def uniform(word: torch.Tensor) -> torch.Tensor:
    """A number in [0, 1) from a word: two roundings to fp32."""
    return torch.where(word >> 31 == 1, MASK - word, word).to(torch.float32) * ((1 - 2.0**-24) * 2.0**-31)


@task.oracle
def oracle(x: torch.Tensor, seed: int) -> None:
    for start in range(0, x.numel(), CHUNK):
        i = torch.arange(start, min(start + CHUNK, x.numel()), device=x.device)
        first, second, _, _ = philox(i, seed)
        u = uniform(first).clamp(min=1e-7).to(torch.float64)
        turns = uniform(second).to(torch.float64)
        x[start : start + CHUNK] = torch.sqrt(-2 * torch.log(u)) * torch.cos(2 * torch.pi * turns)


@task.eager
def eager(x: torch.Tensor, seed: int) -> None:
    # PyTorch's own stream, which is another: four numbers of each counter are used.
    x.normal_(generator=torch.Generator(x.device).manual_seed(seed))


@task.cost
def cost(case):
    return Cost(bytes=case.n * case.dtype.itemsize, flops=70 * case.n)
