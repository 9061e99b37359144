"""The judge's handle on the warm parent and on the processes that it forks."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import harness
from harness.errors import InfrastructureError
from harness.sandbox.channel import Channel, WireClosed, WireTimeout
from harness.sandbox.isolation import Limits, Plan
from harness.sandbox.levels import STRONGEST, Level

START_TIMEOUT = 180.0
"""Seconds that importing PyTorch and Triton may take on a cold and busy machine."""

_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "CUDA_HOME", "CUDA_PATH", "ROCM_PATH", "HIP_PATH", "CC")
_PASSED_PREFIXES = ("CUDA_DEVICE_ORDER", "CUDA_VISIBLE", "HIP_VISIBLE", "ROCR_VISIBLE", "NVIDIA_")


def project_root() -> Path:
    """The folder from which the packages of this project are imported."""
    return Path(harness.__file__).resolve().parent.parent


_SYSTEM = frozenset(
    "bin boot dev etc gnu lib lib32 lib64 libx32 nix opt proc run sbin snap sys tmp usr var".split()  # noqa: SIM905
)
"""Folders below the root that programs need; all others hold people's data."""


def default_hidden() -> list[Path]:
    """What a candidate must not see: people's data, wherever it lies, this project among it (judge, suites, solvers,
    reports, tests). What Python and the libraries need below it stays visible."""
    root = project_root()
    names = ("suites", "agents", "reports", "tests", "harness", ".git", "conftest.py")
    data = [
        each for each in Path("/").iterdir() if each.is_dir() and not each.is_symlink() and each.name not in _SYSTEM
    ]
    home = [] if Path.home() == Path("/") else [Path.home()]  # that of some users of services
    return [*(root / name for name in names), *home, *data]


class WarmParent:
    """A process that has imported PyTorch and Triton and forks one process per candidate; one for each device kind."""

    def __init__(
        self,
        *,
        interpreted: bool,
        hidden: Iterable[Path] = (),
        variables: Mapping[str, str] | None = None,
        at_most: str = str(STRONGEST),
        rehearsed: str = "",
        capability: int = 0,
    ) -> None:
        self.interpreted = interpreted
        self.capability = capability
        """Of the GPU that candidates see, if it is one of NVIDIA's: 90 for 9.0."""
        self.variables = dict(variables or {})
        """Environment variables of its own, such as the one GPU that it and its candidates may see."""
        self.hidden = sorted({str(path.resolve()) for path in (*default_hidden(), *hidden)})
        self.at_most = Level.parse(rehearsed or at_most)
        """Level of isolation that is not gone beyond: tests look at the lower ones on a machine that allows more."""
        self.rehearsed = bool(rehearsed)
        """Another one has found that candidates work behind this level here: that takes a second, and a context."""
        self.isolation = ""
        """Level of isolation that the machine allowed; known once started."""
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._ready = False

    def start(self) -> None:
        """Start it if it doesn't run; waits until it has imported everything."""
        self.begin()
        if not self._ready:
            self._wait()

    def begin(self) -> None:
        """Start it if it doesn't run; `start` waits for it. From the thread that stays: it ends with that."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        ours, theirs = socket.socketpair()
        environment = self._environment()
        keep = {sys.prefix, sys.base_prefix, sysconfig.get_paths()["purelib"], *_library_folders(environment)}
        plan = Plan(
            hidden=tuple(self.hidden),
            keep=tuple(sorted({str(Path(path).resolve()) for path in keep})),
            at_most=str(self.at_most),
        )
        configuration = {"plan": asdict(plan), "interpreted": self.interpreted, "rehearsed": self.rehearsed}
        configuration["capability"] = self.capability
        code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from harness.sandbox.zygote import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code, str(project_root()), str(theirs.fileno()), json.dumps(configuration)],
            pass_fds=[theirs.fileno()],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        theirs.close()
        self._channel = Channel(ours)

    def _wait(self) -> None:
        assert self._process is not None and self._channel is not None
        try:
            hello, _ = self._channel.receive(START_TIMEOUT)
        except (WireClosed, WireTimeout):
            self._process.kill()
            said = (self._process.communicate()[1] or b"").decode("utf-8", "replace").strip()
            last = said.splitlines()[-1] if said else "it said nothing"
            self.close()
            raise InfrastructureError(f"the warm parent of candidates did not start: {last}") from None
        self.isolation, self._ready = hello["isolation"], True

    def spawn(self, limits: Limits) -> tuple[Channel, Channel]:
        """Fork a process for one candidate: (the candidate's channel, its warden's channel)."""
        for attempt in (1, 2):
            self.start()
            assert self._channel is not None
            candidate, candidate_end = socket.socketpair()
            control, control_end = socket.socketpair()
            try:
                self._channel.send({"limits": asdict(limits)}, (candidate_end.fileno(), control_end.fileno()))
                self._channel.receive(60.0)
                return Channel(candidate), Channel(control)
            except (WireClosed, WireTimeout):
                candidate.close()
                control.close()
                self.close()
                if attempt == 2:
                    raise InfrastructureError(
                        "the warm parent of candidates died twice: see the machine's log"
                    ) from None
            finally:
                candidate_end.close()
                control_end.close()
        raise AssertionError

    def close(self) -> None:
        """End it, and with it every candidate that is left."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
            if self._process.stderr is not None:
                self._process.stderr.close()
        self._process = self._channel = None
        self._ready = False

    def _environment(self) -> dict[str, str]:
        passed = {
            name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith(_PASSED_PREFIXES)
        }
        single = dict.fromkeys(
            ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
        )
        mode = {"TRITON_INTERPRET": "1"} if self.interpreted else {}
        same = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONDONTWRITEBYTECODE": "1"}
        same |= {"USER": "candidate", "LOGNAME": "candidate", "KINETO_LOG_LEVEL": "5"}  # it may have no entry in passwd
        return {**passed, **single, **mode, **same, **self.variables, "HOME": "/tmp"}


def _library_folders(environment: Mapping[str, str]) -> list[str]:
    """What lies outside the Python installation: PyTorch and Triton, the vendor's libraries, the C compiler that Triton
    calls."""
    specs = (importlib.util.find_spec(name) for name in ("torch", "triton", "numpy", "ml_dtypes"))
    found = [str(Path(spec.origin).parent.parent) for spec in specs if spec is not None and spec.origin]
    named = [
        environment.get(name, "") for name in ("LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "ROCM_PATH", "HIP_PATH")
    ]
    compilers = (shutil.which(each) for each in (environment.get("CC", "cc"), "gcc", "clang"))
    named += [str(Path(each).resolve().parent.parent) for each in compilers if each is not None]
    return found + [path for each in named for path in each.split(os.pathsep) if os.path.isabs(path) and path != "/"]
