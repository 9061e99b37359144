"""What all tests of the harness share: one judge on the interpreter, and the toy suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.device import find_device
from harness.judge.judge import Judge, JudgeLimits
from harness.sandbox.isolation import Limits
from harness.suite import Suite, load_suite
from harness.task import Task
from tests.harness.commands import Warm

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def toy() -> Suite:
    """The suite with one task that costs next to nothing."""
    return load_suite(ROOT / "tests" / "toy_suite")


@pytest.fixture(scope="session")
def doubled(toy: Suite) -> Task:
    """Its task: twice a vector."""
    return toy.task("doubled")


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Runs pytest commands without the seconds of imports."""
    server = Warm()
    yield server
    server.close()


def _judge(request: pytest.FixtureRequest, seconds: float) -> Judge:
    """A judge on the interpreter, unless --device names a GPU."""
    device = find_device(request.config.getoption("--device") or "interpreter")
    sandbox = Limits(memory=2 << 30, processes=64) if device.interpreted else Limits()
    return Judge(device, JudgeLimits(stage_seconds=seconds, sandbox=sandbox))


@pytest.fixture(scope="session")
def judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    """A judge with time enough for a busy machine."""
    with _judge(request, 60.0) as judge:
        yield judge


@pytest.fixture(scope="session")
def hasty_judge(request: pytest.FixtureRequest) -> Iterator[Judge]:
    """A judge that soon gives up on a candidate that hangs; a GPU's host compiles for many at once."""
    with _judge(request, 15.0 if request.config.getoption("--device") else 5.0) as judge:
        yield judge
