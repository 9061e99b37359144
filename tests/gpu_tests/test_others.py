"""On a real GPU, a process that is not the project's own is seen."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from harness.engine.others import _running, others
from harness.judge.judge import Judge

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="no GPU here: run python -m tests.gpu on a machine with one"
    ),
]
STRANGER = """
import os, time
os.fork() and os._exit(0)
os.setsid()
import torch
torch.zeros(1 << 28, device="{device}").sum().item()
print(os.getpid(), flush=True)
time.sleep(120)
"""


def test_a_stranger_is_seen(judge: Judge) -> None:
    before = others(judge.device)
    code = STRANGER.format(device=judge.device.torch)
    starter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    stranger = int(starter.stdout.readline())
    try:
        if stranger not in dict(_running(judge.device)):
            pytest.skip("NVML does not tell this container's process numbers")
        (told,) = set(others(judge.device)) - set(before)
        assert f"(process {stranger})" in told
    finally:
        os.kill(stranger, 9)
