"""A judge in a process of its own: the side that judges. `harness.engine.process` starts it and asks it.

    python -c "from harness.engine.warming import main; main()" SOCKET_FD

with a pickled pair for `harness.engine.warming` on its input, which begins the warm parent, and a pickled `Setup`.

The judge's clock must not wait for threads that read models' answers, and nothing in the judge has to bear a second
judgement beside it. It ends with who started it, in the middle of a judgement if need be.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import select
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness.device import Device
from harness.errors import KernelAssayError
from harness.judge.judge import Judge, JudgeLimits
from harness.sandbox.channel import Channel, WireClosed
from harness.sandbox.parent import WarmParent
from harness.suite import load_suite
from harness.task import Task


@dataclass(frozen=True)
class Setup:
    """What one judge's process is told once."""

    device: Device
    limits: JudgeLimits
    hidden: tuple[Path, ...]
    """What candidates never see."""
    suites: tuple[Path, ...]
    """Folders of the suites whose tasks it may be asked about."""
    threads: int
    """PyTorch's threads on the host."""


def main(parent: WarmParent) -> None:
    """Serve until the other side is gone, with a warm parent that was begun."""
    faulthandler.register(signal.SIGUSR1)  # tells on its stderr what each thread does
    sock = socket.socket(fileno=int(sys.argv[1]))
    threading.Thread(target=_end_with, args=(sock.fileno(),), daemon=True).start()
    setup: Setup = pickle.load(sys.stdin.buffer)
    torch.set_num_threads(setup.threads)
    channel = Channel(sock)
    judge = Judge(setup.device, setup.limits, setup.hidden, parent)
    try:
        tasks = {(task.suite, task.name): task for folder in setup.suites for task in load_suite(folder).tasks}
        judge.start()
    except KernelAssayError as error:
        channel.send({"trouble": str(error)})
        return
    about = {"isolation": judge.isolation, "peaks": judge.describe_peaks(), "rehearsed": judge.parent.isolation}
    channel.send(about)
    while True:
        try:
            question, _ = channel.receive()
            channel.send(_answer(judge, tasks, question))
        except WireClosed:
            return


def _answer(judge: Judge, tasks: dict[tuple[str, str], Task], question: dict[str, Any]) -> dict[str, Any]:
    task = tasks.get((question["suite"], question["task"]))
    if task is None or task.digest != question["digest"]:
        return {"trouble": f"the task {question['task']} has changed since the run was started: start a new run"}
    try:
        return {"verdict": judge.judge(task, question["source"], seed=question["seed"]).to_json()}
    except KernelAssayError as error:
        return {"trouble": str(error)}


def _end_with(fd: int) -> None:
    """End this process, and with it the warm parent and all candidates, as soon as the other side hangs up."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    poll.poll()
    os._exit(0)
