"""The oracle of rmsnorm_bwd is the derivative of the forward pass: against autograd in fp64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.suite import load_suite
from harness.task import Case, Rng

SUITE = load_suite(Path(__file__).parents[2] / "suites" / "rocm")
BACKWARD, FORWARD = SUITE.task("rmsnorm_bwd"), SUITE.task("rmsnorm_fwd")


@pytest.mark.parametrize("case", BACKWARD.cases, ids=lambda case: case.id)
def test_the_oracle_is_what_autograd_finds(case: Case) -> None:
    inputs = BACKWARD.make_inputs(case, Rng(5))
    x, weight = (inputs[name].to(torch.float64).contiguous().requires_grad_() for name in ("x", "weight"))
    assert FORWARD._oracle is not None
    y, rsigma = FORWARD._oracle(x, weight, case.eps, case.centred)
    y.backward(inputs["grad"].to(torch.float64))
    # The task is given rsigma in fp32; with the exact one, the closed form and autograd agree to fp64's last digits.
    exact = {**inputs, "rsigma": rsigma.detach()}
    (dx, dweight), _ = BACKWARD.expected(exact)
    assert x.grad is not None and weight.grad is not None
    torch.testing.assert_close(dx, x.grad, rtol=1e-9, atol=1e-9 * float(x.grad.abs().max()))
    torch.testing.assert_close(dweight, weight.grad, rtol=1e-9, atol=1e-9 * float(weight.grad.abs().max()))
    torch.testing.assert_close(inputs["rsigma"].to(torch.float64), rsigma.detach(), rtol=1e-6, atol=0.0)
