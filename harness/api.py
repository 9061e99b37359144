"""Judging without pytest: for training loops, scripts and notebooks.

    from harness.api import Judge

    with Judge("rocm", device="cuda:0") as judge:
        verdict = judge.evaluate("softmax", source)
        for judged in judge.evaluate_many((task, source) for task, source in batch):
            rewards[judged.number] = reward(judged)

Judges are processes of their own, several on each device; candidates run behind the same walls as in a run, and nothing
is recorded. Any thread may ask.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeAlias

from harness import registry
from harness.attempt import TRIES, view
from harness.device import Device, find_device, find_devices
from harness.engine.cluster import ClusterJudges, on_cluster
from harness.engine.judges import MANY, Judges, shared, usual
from harness.engine.once import Once
from harness.errors import InfrastructureError, Stopped
from harness.judge import sanitizer as checker
from harness.named import make_judge
from harness.options import Options
from harness.solver import Solution, TaskView
from harness.suite import Suite, load_suite
from harness.task import Task
from harness.verdict import Verdict

WAITING = 4
"""Candidates that `evaluate_many` takes from its input, for each judge: one that is judged, the others ahead of their
turn."""
Candidate: TypeAlias = tuple[str, str] | tuple[str, str, int | None]
"""Task and source; a seed besides repeats the inputs of the judgement that names it."""


@dataclass(frozen=True)
class Judged:
    """One of the candidates that `evaluate_many` was given."""

    number: int
    """Its place in the input, from 0."""
    task: str
    verdict: Verdict | None
    """None where the machine or the harness failed, several times: never because of a wrong kernel."""
    trouble: str = ""
    """Then, what happened."""


class Judge:
    """Judges sources for the tasks of one suite. Use as a context manager, or `close` it."""

    def __init__(
        self,
        suite: str | Path,
        *,
        device: str = "auto",
        devices: str | None = None,
        judges: int | None = None,
        timing_width: float | None = None,
        timing_processes: int | None = None,
        timed_workloads: int | None = None,
        stage_timeout: float | None = None,
        call_timeout: float | None = None,
        timing_timeout: float | None = None,
        memory_limit: float | None = None,
        isolation: str | None = None,
        compile_cache: str | None = None,
        sanitizer: bool = False,
        no_timing: bool = False,
        engine: str | None = None,
        ray_address: str | None = None,
        ray_accelerator: str | None = None,
        hidden: Iterable[Path] = (),
    ) -> None:
        """`suite` is a name (`rocm`) or a folder. The others are pytest's options of the same names; `judges` is the
        number on each device. Candidates never see what is `hidden`, nor the suite's folder. Raises UsageError for what
        can't be; starts nothing yet."""
        known = suite in registry.names(registry.SUITES)
        self.suite: Suite = load_suite(registry.suite_folder(str(suite)) if known else Path(suite))
        options = Options(
            device=None if devices else device,
            devices=devices,
            judges=judges,
            timing_width=timing_width,
            timing_processes=timing_processes,
            timed_workloads=timed_workloads,
            stage_timeout=stage_timeout,
            call_timeout=call_timeout,
            timing_timeout=timing_timeout,
            memory_limit=memory_limit,
            isolation=isolation,
            compile_cache=compile_cache,
            sanitizer=sanitizer or None,
            no_timing=no_timing or None,
            engine=engine,
            ray_address=ray_address,
            ray_accelerator=ray_accelerator,
        ).checked(alone=False)
        self._options, self.sanitizer = options, sanitizer
        hidden = [self.suite.folder, *hidden]
        if engine == "ray":
            self._judges: Judges = on_cluster(options, [self.suite.folder], (), MANY)
            self._devices: tuple[Device, ...] = ()
        else:
            self._devices = find_devices(devices) if devices else (find_device(device),)
            if sanitizer:
                checker.check_there(self._devices[0])
            limits = make_judge(options, self._devices[0], hidden).limits
            each = judges or usual(self._devices, MANY)
            self._judges = shared(self._devices, limits, hidden, [self.suite.folder], each)
        waiting = WAITING * self._judges.number  # they see each other, and who suits a free judge goes first
        self._asking = ThreadPoolExecutor(waiting, thread_name_prefix="evaluate")
        self._lock = threading.Lock()
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tasks(self) -> list[TaskView]:
        """What a model may see of each task: name, instruction, signature, …"""
        return [view(task, self._device) for task in self.suite.tasks]

    @property
    def environment(self) -> dict[str, Any]:
        """What verdicts depend on besides task and source, as `run.json` has it: device, versions, isolation. Starts
        the judges, since the level of isolation is known for sure only then."""
        self._start()
        if isinstance(self._judges, ClusterJudges):
            return self._judges.environment
        return self._devices[0].environment(self._judges.isolation)

    def evaluate(self, task: str, source: str, seed: int | None = None) -> Verdict:
        """The verdict on one candidate: how far it came, why it stopped, its speedup. `seed` repeats the inputs of the
        judgement that names it; by default it is fresh and secret.

        Raises UsageError for a task that the suite does not have, InfrastructureError for trouble that is not the
        candidate's.
        """
        return self._judge(self.suite.task(task), source, seed)

    def evaluate_many(self, candidates: Iterable[Candidate]) -> Iterator[Judged]:
        """Verdicts on (task, source) or (task, source, seed), in the order in which they are ready. The input may have
        no end: it is taken in this thread, as judges get free. Identical candidates are judged once. Raises UsageError
        for an unknown task when it comes."""
        once, owed = Once(), set[Future[Judged]]()
        numbered = enumerate(candidates)
        try:
            while True:
                for number, (name, source, *seed) in islice(numbered, WAITING * self._judges.number - len(owed)):
                    task = self.suite.task(name)
                    owed.add(self._asking.submit(self._judged, number, task, source, once, *seed))
                if not owed:
                    return
                done, owed = wait(owed, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in owed:
                future.cancel()

    def close(self) -> None:
        """End all processes."""
        self._judges.close()
        self._asking.shutdown(cancel_futures=True)

    def _judged(self, number: int, task: Task, source: str, once: Once, seed: int | None = None) -> Judged:
        key = (f"evaluation {seed}", task.digest, Solution(source).digest)
        try:
            verdict, _ = once.judge(key, str(number), lambda: self._judge(task, source, seed))
        except InfrastructureError as error:
            return Judged(number, task.name, None, str(error))
        return Judged(number, task.name, verdict)

    @property
    def _device(self) -> Device:
        """The first one; in a cluster it is known once its judge has started."""
        if not isinstance(self._judges, ClusterJudges):
            return self._devices[0]
        self._start()
        return self._judges.device

    def _judge(self, task: Task, source: str, seed: int | None) -> Verdict:
        self._start()
        for number in range(1, TRIES + 1):
            try:
                return self._judges.judge(task, source, seed)
            except Stopped:
                raise InfrastructureError("the judge was closed") from None
            except InfrastructureError:
                if number == TRIES:
                    raise
                time.sleep(number)
        raise AssertionError

    def _start(self) -> None:
        with self._lock:
            if not self._started:
                try:
                    self._judges.start()
                except Stopped:
                    raise InfrastructureError("the judge was closed") from None
                self._options.check_isolation(self._judges.isolation)
                self._started = True
