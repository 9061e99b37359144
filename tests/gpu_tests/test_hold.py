"""On a real GPU, nothing runs while the device is kept waiting, on whichever stream."""

from __future__ import annotations

import time

import pytest
import torch

from harness.sandbox.hold import _PTX, Hold, assemble
from harness.sandbox.staging import available

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available() or not available(),
        reason="no GPU and cuda-bindings here: run python -m tests.gpu on a machine with them",
    ),
]


@pytest.fixture(params=["compiled by the driver", "assembled before", "assembled for another GPU"])
def loaded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    major, minor = torch.cuda.get_device_capability()
    monkeypatch.setattr("harness.sandbox.hold._code", [_PTX])
    if request.param.startswith("assembled"):
        assemble(10 * major + minor if request.param.endswith("before") else 75)


@pytest.mark.parametrize("us", [100.0, 1000.0, 10_000.0])
def test_it_lasts_as_long_as_it_should(us: float, loaded: None) -> None:
    hold = Hold()
    assert hold.whole
    hold(10.0)
    torch.cuda.synchronize()
    seen = []
    for _ in range(5):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in "ab")
        start.record()
        hold(us)
        end.record()
        torch.cuda.synchronize()
        seen.append(start.elapsed_time(end) * 1e3)
    assert us <= min(seen) < us + 30.0, seen


def test_another_stream_waits_too() -> None:
    hold, x = Hold(), torch.ones(1_000_000, device="cuda")
    for stream in (torch.cuda.Stream(), torch.cuda.Stream(priority=-1)):
        with torch.cuda.stream(stream):
            x.add_(1)  # what is loaded only now would wait for everything
        torch.cuda.synchronize()
        done = torch.cuda.Event()
        hold(20_000.0)
        time.sleep(0.002)
        with torch.cuda.stream(stream):
            x.add_(1)
            done.record()
        time.sleep(0.008)
        assert not done.query(), "it ran while the device was kept waiting"
        torch.cuda.synchronize()
        assert done.query()
