"""A few judges for many attempts: each judgement takes the next one that is free, first come first served.

Every judge is a process of its own (`harness.engine.judging`). Of several that are free the one is taken that judged
the same task before: it may have the reference's process still. A judge that dies costs its judgement, which is trouble
of the machine, and is started again.
"""

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
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.device import Device
from harness.engine.judging import Setup
from harness.errors import InfrastructureError, Stopped
from harness.judge.judge import JudgeLimits
from harness.sandbox.parent import START_TIMEOUT
from harness.sandbox.wire import Channel, WireBroken, WireClosed, WireTimeout
from harness.task import Task
from harness.verdict import Verdict

MOST_INTERPRETED, MOST_ON_A_GPU, CORES_SHARE = 8, 16, 0.75
"""Judges of one device where nobody says how many. Those of a GPU take turns at timing; meanwhile others compile, which
takes a processor each: some are left for the one that times."""
MANY = 1000
"""Attempts: more than there are ever judges."""
KEPT = 8
"""References' processes that a judge keeps, at most: each takes some 20 MB, on a GPU a context beside."""
CONTEXT_BYTES, CONTEXT_SHARE = 600 << 20, 0.15
"""Device memory that one process takes, roughly, and the share that all references' together may take; likewise all
judges' and candidates'."""


def _cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def usual(devices: Sequence[Device], attempts: int) -> int:
    """How many judges on each device so many attempts at once get by default."""
    device, cores = devices[0], _cores() / len(devices)
    if device.interpreted:
        most = min(MOST_INTERPRETED, int(cores))
    else:
        fit = int(CONTEXT_SHARE * device.memory) // (2 * CONTEXT_BYTES)
        most = min(MOST_ON_A_GPU, int(CORES_SHARE * cores), fit)
    return max(1, min(-(-attempts // len(devices)), most))


def _references_kept(device: Device, judges: int) -> int:
    """For how many tasks each of so many judges may keep the reference's process."""
    if device.interpreted:
        return KEPT
    return max(1, min(KEPT, int(CONTEXT_SHARE * device.memory) // CONTEXT_BYTES // judges))


def shared(
    devices: Sequence[Device], limits: JudgeLimits, hidden: Iterable[Path], suites: Iterable[Path], number: int
) -> Judges:
    """So many judges of these suites' tasks on each of the devices, with the limits that one would have alone."""
    limits = replace(limits, references=_references_kept(devices[0], number))
    threads = max(1, _cores() // (number * len(devices)))
    setups = [Setup(device, limits, tuple(hidden), tuple(suites), threads) for device in devices]
    return Judges(setups * number)


class Judges:
    """To attempts they look like one `harness.judge.judge.Judge` that may be asked from any thread."""

    def __init__(self, setups: Sequence[Setup]) -> None:
        """One a setup; those that stand first are taken first, where nothing else speaks."""
        self.device, self.number = setups[0].device, len(setups)
        self._all = [_JudgeProcess(setup) for setup in setups]
        self._free: list[_JudgeProcess] = []
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()
        self._starting = threading.Lock()
        self._about: dict[str, Any] = {}
        self._closed = False
        self.held = 0.0
        """Seconds for which these judges held their devices alone, all together."""

    def start(self) -> None:
        """Start them; waits for the first alone. Raises InfrastructureError where it does not start."""
        with self._starting:
            if self._closed:
                raise Stopped
            if self._about:
                return
            with self._unless_closed():
                self._about = self._all[0].start()
            self._free.append(self._all[0])
            threading.Thread(target=self._start_others, daemon=True).start()

    def judge(self, task: Task, source: str, seed: int | None = None) -> Verdict:
        """As the judge's own, when its turn has come. Raises Stopped once they are closed."""
        self.start()
        with self._turn(task) as judge, self._unless_closed():
            verdict = judge.judge(task, source, seed, self.isolation)
        with self._changed:
            self.held += verdict.held_seconds
        return verdict

    def close(self) -> None:
        """End all processes; who waits for a verdict gets none."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for judge in self._all:
            judge.kill()

    @property
    def isolation(self) -> str:
        """The level that candidates get, once started."""
        return str(self._about["isolation"])

    def describe_peaks(self) -> dict[str, object] | None:
        """What the device was measured to do; None on the interpreter."""
        peaks: dict[str, object] | None = self._about["peaks"]
        return peaks

    def _start_others(self) -> None:
        """All at once on as many processors as there are."""
        with ThreadPoolExecutor(_cores()) as pool:
            for judge in self._all[1:]:
                pool.submit(self._start_one, judge)

    def _start_one(self, judge: _JudgeProcess) -> None:
        if self._closed:
            return
        with contextlib.suppress(InfrastructureError):  # whoever gets this one will try again, and tell
            judge.start()
        with self._changed:
            self._free.append(judge)
            self._changed.notify_all()

    @contextmanager
    def _unless_closed(self) -> Iterator[None]:
        """A judge that was ended on purpose is no trouble."""
        try:
            yield
        except InfrastructureError:
            if self._closed:
                raise Stopped from None
            raise

    @contextmanager
    def _turn(self, task: Task) -> Iterator[_JudgeProcess]:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._closed or (self._waiting[0] is ticket and self._free))
            self._waiting.remove(ticket)
            if self._closed:
                raise Stopped
            judge = next((each for each in self._free if task.digest in each.recent), self._free[0])
            self._free.remove(judge)
            self._changed.notify_all()
        try:
            yield judge
        finally:
            with self._changed:
                self._free.append(judge)
                self._changed.notify_all()


class _JudgeProcess:
    """One judge's process, as who asks it sees it: by one thread at a time."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
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
        ours, theirs = socket.socketpair()
        code = "from harness.engine.judging import main; main()"
        with theirs, self._killing:
            if self._killed:
                raise InfrastructureError("the judge was ended")
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
            )
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(pickle.dumps(self._setup))
        self._channel = Channel(ours)
        about = self._receive(3 * START_TIMEOUT)
        self._isolation = str(about["isolation"])
        return about

    def judge(self, task: Task, source: str, seed: int | None, isolation: str) -> Verdict:
        """One judgement, behind the walls of this level."""
        if self._channel is None:
            self.start()
        if self._isolation != isolation:
            raise InfrastructureError(f"a judge got isolation {self._isolation} where another got {isolation}")
        if task.digest in self.recent:
            self.recent.remove(task.digest)
        self.recent.append(task.digest)
        question = {"suite": task.suite, "task": task.name, "digest": task.digest, "source": source, "seed": seed}
        with contextlib.suppress(WireClosed):  # which the answer will tell
            assert self._channel is not None
            self._channel.send(question)
        return Verdict.from_json(self._receive(None)["verdict"])

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
