"""Who else is on a GPU: told apart from the project's own processes by command line and ancestors."""

from __future__ import annotations

import os
import subprocess
import sys

from harness.device import Device
from harness.engine.others import foreign, others
from harness.judge.judge import Judge


def test_a_stranger_is_told_from_our_own(judge: Judge) -> None:
    judge.start()
    assert judge.parent._process is not None
    code = "import os, time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True); time.sleep(60)"
    starter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    stranger = int(starter.stdout.readline())
    starter.wait()
    try:
        child = subprocess.Popen(["sleep", "60"])
        running = [(each, 1 << 30) for each in (os.getpid(), judge.parent._process.pid, child.pid, stranger, 1 << 22)]
        assert foreign(running) == [(stranger, 1 << 30)], "only what has another ancestor, and is there"
    finally:
        os.kill(stranger, 9)
        child.kill()
        child.wait()


def test_where_nobody_can_tell_nothing_is_told() -> None:
    assert others(Device("interpreter", 0, "interpreter", "cpu")) == []
    assert others(Device("hip", 0, "an AMD GPU", "uuid")) == []
    assert others(Device("cuda", 0, "no GPU is here", "GPU-0")) == []
