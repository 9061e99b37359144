"""Judges in a Ray cluster: each is an actor that holds a share of a GPU, and asks a judge's process on its node.

    judges = on_cluster(options, [suite.folder for suite in suites], hidden, options.many)

The harness, and the suites, are installed on every node; versions are held against each other. All judges of a command
are of one environment (device, driver, software, level of isolation): the first one's. Others stay out of it, and are
named in `left_out`. Only the driver writes the record; what a lost node had begun to judge is judged again elsewhere.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness import registry
from harness.device import Device, find_device
from harness.engine.judges import Judges, SeatLost, SeatUnfit, cores, references_kept
from harness.engine.judging import Setup
from harness.engine.process import JudgeProcess, question
from harness.errors import InfrastructureError, KernelAssayError, UsageError
from harness.named import make_judge
from harness.options import Options
from harness.task import Task
from harness.verdict import Verdict

MOST_ON_A_GPU = 12
"""Judges that share a GPU where nobody says how many; their node has to have a processor for each."""
FIRST_SECONDS = 300.0
"""For the first judge to start."""


@dataclass(frozen=True)
class Wanted:
    """What a judge's actor is told."""

    options: Options
    suites: tuple[str, ...]
    """Names of suites that are installed, folders of others."""
    hidden: tuple[Path, ...]
    on_device: int
    """Judges that share its device."""


class JudgeActor:
    """Runs in a Ray worker; stands before the judge's process there."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._process: JudgeProcess | None = None
        self._isolation = ""

    def start(self) -> dict[str, Any]:
        """Start the judge's process: `isolation`, `peaks`, `device`, `environment`, `node`; or `trouble`."""
        try:
            return self._start()
        except KernelAssayError as error:
            return {"trouble": str(error)}

    def judge(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to one question: `verdict`, or `trouble`."""
        assert self._process is not None
        try:
            return self._process.answer(question, self._isolation)
        except InfrastructureError as error:
            return {"trouble": str(error)}

    def _start(self) -> dict[str, Any]:
        wanted, options = self._wanted, self._wanted.options
        device = find_device(options.device or "auto")
        folders = [registry.suite_folder(each) if "/" not in each else Path(each) for each in wanted.suites]
        limits = make_judge(options, device, ()).limits
        limits = replace(limits, references=references_kept(device, wanted.on_device))
        threads = max(1, cores() // wanted.on_device)
        setup = Setup(device, limits, (*wanted.hidden, *folders), tuple(folders), threads)
        self._process = JudgeProcess(setup)
        about = self._process.start()
        self._isolation = str(about["isolation"])
        environment = device.environment(self._isolation)
        return {**about, "device": asdict(device), "environment": environment, "node": os.uname().nodename}


class RaySeat:
    """A judge's actor, as the driver sees it."""

    def __init__(self, wanted: Wanted, resources: dict[str, Any], left_out: list[str], first: list[str]) -> None:
        """`left_out` gets a sentence where the judge is of another environment than the one in `first`, which is shared
        by all seats of a command."""
        self.recent: deque[str] = deque(maxlen=1)
        self._wanted, self._resources, self._left_out, self._first = wanted, resources, left_out, first
        self._actor: Any = None
        self._killed = False

    def start(self) -> dict[str, Any]:
        """Have Ray find a place for it, and start it; waits as long as there is none."""
        import ray

        if self._killed:
            raise InfrastructureError("the judge was ended")
        self.recent.clear()
        self._actor = ray.remote(JudgeActor).options(max_restarts=0, **self._resources).remote(self._wanted)
        try:
            about = self._get(self._actor.start.remote(), None if self._first else FIRST_SECONDS)
        except InfrastructureError:
            self._let_go()
            raise
        environment = about["environment"]
        if not self._first:
            self._first.append(environment["digest"])
        if environment["digest"] != self._first[0]:
            self._leave_out(about)
        return about

    def judge(self, task: Task, source: str, seed: int | None, isolation: str) -> Verdict:
        """One judgement. Raises InfrastructureError, and SeatLost where the node is gone."""
        if self._actor is None:
            self.start()
        return Verdict.from_json(self._get(self._actor.judge.remote(question(task, source, seed)), None)["verdict"])

    def kill(self) -> None:
        """End the actor, and with it the judge's process."""
        self._killed = True
        self._let_go()

    def _let_go(self) -> None:
        import ray

        actor, self._actor = self._actor, None
        if actor is not None and ray.is_initialized():
            ray.kill(actor)

    def _leave_out(self, about: dict[str, Any]) -> None:
        environment = about["environment"]
        told = ", ".join(f"{environment[key]}" for key in ("device", "driver", "isolation") if environment[key])
        sentence = (
            f"{about['node']} is left out ({told}, torch {environment['torch']}, triton {environment['triton']}): "
            "it is not like the first judge's, and a run is of one kind"
        )
        if sentence not in self._left_out:
            self._left_out.append(sentence)
        self._let_go()
        raise SeatUnfit(sentence)

    def _get(self, reference: Any, seconds: float | None) -> dict[str, Any]:
        import ray

        try:
            answer: dict[str, Any] = ray.get(reference, timeout=seconds)
        except ray.exceptions.GetTimeoutError:
            room = _room(self._resources)
            raise InfrastructureError(
                f"no judge started in {seconds:.0f} s: the cluster has no free {room}; see `ray status`"
            ) from None
        except ray.exceptions.RayTaskError as error:
            last = str(error).strip().splitlines()[-1]
            raise InfrastructureError(f"a judge failed on its node: {last}") from None
        except ray.exceptions.RayError as error:
            raise SeatLost(f"a judge's node was lost: {type(error).__name__}") from None
        if "trouble" in answer:
            raise InfrastructureError(answer["trouble"])
        return answer


def connect(address: str | None) -> None:
    """Connect to a running cluster. Raises UsageError where that can't be."""
    try:
        import ray
    except ImportError:
        raise UsageError("--engine=ray: Ray is not installed: pip install 'kernel-assay[ray]'") from None
    if ray.is_initialized():
        now = ray.get_runtime_context().gcs_address
        if address not in (None, "auto", now):
            raise UsageError(f"--ray-address {address}: this process is connected to the cluster at {now} already")
        return
    try:
        _knock(address)
        ray.init(address=address or "auto", log_to_driver=False, logging_level="error")
    except (RuntimeError, ValueError, OSError) as error:
        where = f"at {address}" if address else "on this machine"
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"--engine=ray: no cluster answers {where} ({first}): start one with `ray start --head`, "
            "or name its address with --ray-address"
        ) from None


def _knock(address: str | None) -> None:
    """Raises OSError where nobody listens: Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10.0).close()


def on_cluster(options: Options, suites: Iterable[Path], hidden: Iterable[Path], attempts: int) -> ClusterJudges:
    """Judges on all GPUs of the cluster, or, where it has none or `--device=interpreter` says so, on its processors."""
    import ray

    connect(options.ray_address)
    there = ray.cluster_resources()
    gpus, processors = int(there.get("GPU", 0)), int(there.get("CPU", 0))
    base = (options.device or "auto").partition(":")[0]
    interpreted = base in ("interpreter", "cpu") or (base == "auto" and not gpus)
    if not interpreted and not gpus:
        raise UsageError(f"--device {options.device}: the cluster has no GPU; use --device interpreter, or add nodes")
    if processors < 1:
        raise UsageError("--engine=ray: the cluster has no processor for a judge: see `ray status`")
    resources: dict[str, Any]
    if interpreted:
        on_device = options.judges or processors
        number, resources = min(on_device, attempts), {"num_cpus": 1}
        options = replace(options, device="interpreter")
    else:
        on_device = options.judges or max(1, min(MOST_ON_A_GPU, int(0.75 * processors) // gpus, -(-attempts // gpus)))
        number, resources = on_device * gpus, {"num_cpus": 1, "num_gpus": int(1e4 / on_device) / 1e4}
        options = replace(options, device="cuda" if base == "auto" else base)
    if options.ray_accelerator:
        resources = {**resources, "accelerator_type": options.ray_accelerator}
    known = {registry.suite_folder(name): name for name in registry.names(registry.SUITES)}
    names = tuple(known.get(folder.resolve(), str(folder.resolve())) for folder in suites)
    wanted = Wanted(options, names, tuple(hidden), on_device)
    return ClusterJudges(wanted, resources, number, max(1, gpus))


class ClusterJudges(Judges):
    """Judges in the cluster; `left_out` tells of nodes that are unlike the first one."""

    def __init__(self, wanted: Wanted, resources: dict[str, Any], number: int, devices: int) -> None:
        self.left_out: list[str] = []
        first: list[str] = []
        super().__init__([RaySeat(wanted, resources, self.left_out, first) for _ in range(number)], devices)
        self.starting_at_once = max(1, number)  # some may wait for room while others find it

    @property
    def device(self) -> Device:
        """The first one's, once started."""
        return Device(**self.about["device"])

    @property
    def environment(self) -> dict[str, Any]:
        """What results depend on besides task and solution, once started."""
        environment: dict[str, Any] = self.about["environment"]
        return environment


def _room(resources: dict[str, Any]) -> str:
    share = resources.get("num_gpus")
    kind = f" on an {resources['accelerator_type']}" if "accelerator_type" in resources else ""
    return (f"{share} of a GPU and a processor" if share else "processor") + kind
