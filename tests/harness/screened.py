"""Run by `test_screen` in a process of its own, with Triton's interpreter: the judge's kernels on the CPU."""

from __future__ import annotations

import math
import sys

import torch

from harness.judge import compare, screen
from harness.task import Bound

SHAPES = ((1, 5000), (7, 1), (3, 15), (40, 16), (33, 130), (5, 1100), (2, 20, 17), (1, 1), (9000,))


def _pairs(generator: torch.Generator) -> list[tuple[str, torch.Tensor, torch.Tensor]]:
    """What is returned, and what is wanted in fp64."""
    found = []
    for dtype in screen.FORMATS:
        for shape in SHAPES:
            for off in (0.0, 1e-3, 0.5) if math.prod(shape) < 1000 else (1e-3,):
                want = torch.randn(shape, generator=generator, dtype=torch.float64) * 100
                have = (want * (1 + off * torch.randn(shape, generator=generator, dtype=torch.float64))).to(dtype)
                found.append((f"{dtype} {shape} {off}", have, want))
        inf, nan = float("inf"), float("nan")
        for name, got, wanted in (
            ("nan in both", nan, nan),
            ("nan returned", nan, 1.0),
            ("nan wanted", 1.0, nan),
            ("infinity in both", -inf, -inf),
            ("another infinity", inf, -inf),
            ("beyond the format", inf, 1e300),
            ("not beyond the format", 1.0, 1e300),
        ):
            want = torch.ones(20, 30, dtype=torch.float64)
            have = want.to(dtype)
            want[3, 4], have[3, 4] = wanted, got
            if not (dtype is torch.float64 and wanted == 1e300):
                found.append((f"{dtype} {name}", have, want))
        found.append((f"{dtype} zeros", torch.zeros(50, 50, dtype=dtype), torch.zeros(50, 50, dtype=torch.float64)))
    return found


def differences(seed: int, device: str = "cpu") -> tuple[list[str], int]:
    """Where the kernels do not say the same as PyTorch, and how many pairs there were."""
    generator, found = torch.Generator().manual_seed(seed), list[str]()
    pairs = _pairs(generator)
    for number, (name, have, want) in enumerate(pairs):
        have, want = have.to(device), want.to(device)
        bound = Bound(*((1e-3, 1e-2), (0.0, 0.0), (0.0, 1e-5))[number % 3])
        wide = have.dim() >= 2 and have.shape[-1] >= compare._WIDE
        least = compare._smallest(have.dtype)
        mine = screen.worst_share(have, want, wide, compare._FLOOR, (bound.rtol, bound.atol, least))
        torchs = compare._worst_by_parts(have, want, bound)
        same = mine == torchs if mine is None or torchs is None else abs(mine - torchs) <= 1e-9 * max(1.0, torchs)
        if not same and mine != torchs:
            found.append(f"{name}: {mine}, PyTorch {torchs}")
    return found, len(pairs)


if __name__ == "__main__":
    differ, many = differences(int(sys.argv[1]))
    print(*differ, f"{len(differ)} of {many} differ", sep="\n")
