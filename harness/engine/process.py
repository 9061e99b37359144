"""A judge's process as who asks it sees it; see `harness.engine.judging` for the side that judges."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from typing import Any

from harness.device import queues
from harness.engine.cores import kept_for
from harness.engine.judging import Setup
from harness.errors import InfrastructureError
from harness.judge.judge import warm_parent
from harness.sandbox.channel import Channel, WireBroken, WireClosed, WireTimeout
from harness.sandbox.parent import START_TIMEOUT
from harness.task import Task
from harness.verdict import Verdict


class JudgeProcess:
    """One judge, asked by one thread at a time. One that has died is started again when it is asked next."""

    def __init__(self, setup: Setup, rehearsed: list[str] | None = None) -> None:
        """`rehearsed` is shared by all judges of this machine: the first puts there what it finds."""
        self._setup, self._rehearsed = setup, rehearsed if rehearsed is not None else []
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._killing = threading.Lock()
        self._killed = False
        self._isolation = ""
        self.recent: deque[str] = deque(maxlen=setup.limits.references)
        """Digests of the tasks judged last."""

    def start(self) -> dict[str, Any]:
        """Start it, and give what it says of itself once it is ready."""
        setup = self._setup
        parent = warm_parent(setup.device, setup.limits, setup.hidden, next(iter(self._rehearsed), ""))
        told = pickle.dumps((parent, kept_for(setup.device).others)) + pickle.dumps(setup)
        ours, theirs = socket.socketpair()
        with theirs, self._killing:
            if self._killed:
                raise InfrastructureError("the judge was ended")
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from harness.engine.warming import main; main()", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **queues(1), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(told)
        self._channel = Channel(ours)
        about = self._receive(3 * START_TIMEOUT)
        self._isolation = str(about["isolation"])
        self._rehearsed.append(str(about["rehearsed"]))
        return about

    def judge(self, task: Task, source: str, seed: int | None, isolation: str) -> Verdict:
        """One judgement, behind the walls of this level."""
        return Verdict.from_json(self.answer(question(task, source, seed), isolation)["verdict"])

    def answer(self, question: dict[str, Any], isolation: str) -> dict[str, Any]:
        """What the process says to a question. Raises InfrastructureError for trouble of any kind."""
        if self._channel is None:
            self.start()
        if self._isolation != isolation:
            raise InfrastructureError(f"a judge got isolation {self._isolation} where another got {isolation}")
        with contextlib.suppress(WireClosed):  # which the answer will tell
            assert self._channel is not None
            self._channel.send(question)
        return self._receive(None)

    def kill(self) -> None:
        """End it, whatever it does; from any thread. It can't be started again."""
        with self._killing:
            self._killed = True
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def _receive(self, timeout: float | None) -> dict[str, Any]:
        assert self._channel is not None and self._process is not None
        try:
            answer, _ = self._channel.receive(timeout)
        except (WireClosed, WireTimeout, WireBroken):
            self._process.kill()
            self._process.wait()
            self._end()
            raise InfrastructureError(f"a judge's process ended: {self._last_words()}") from None
        if "trouble" in answer:
            if not self._isolation:  # it could not start
                self._end()
            raise InfrastructureError(answer["trouble"])
        return answer

    def _end(self) -> None:
        assert self._channel is not None
        self._channel.close()
        self._channel, self._isolation = None, ""
        self.recent.clear()

    def _last_words(self) -> str:
        assert self._process is not None
        self._said.seek(0)
        lines = self._said.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"it said nothing (exit {self._process.returncode})"


def question(task: Task, source: str, seed: int | None) -> dict[str, Any]:
    """What a judge is asked."""
    return {"suite": task.suite, "task": task.name, "digest": task.digest, "source": source, "seed": seed}


def remember(recent: deque[str], task: Task) -> None:
    """This task was judged last."""
    if task.digest in recent:
        recent.remove(task.digest)
    recent.append(task.digest)
