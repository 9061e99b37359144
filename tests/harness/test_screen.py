"""The judge's own kernels compare as PyTorch does: NaN, infinity, magnitudes of rows, what a format can't hold."""

from __future__ import annotations

import os
import subprocess
import sys

import torch

from harness.judge import screen


def test_the_kernels_say_what_pytorch_says() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.harness.screened", "1"]
    ran = subprocess.run(command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert ran.stdout == "0 of 106 differ\n", ran.stdout + ran.stderr


def test_without_a_gpu_pytorch_compares() -> None:
    large = torch.zeros(2 * screen.LEAST)
    assert not screen.compares(large, large.double())
    screen.prepare("cpu")
    assert not screen.compares(large, large.double())
