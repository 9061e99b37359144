"""Runs pytest commands on suites as a person would: cold, or forked from a process that has PyTorch already."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOLVERS = Path(__file__).resolve().parent / "solvers.py"
NO_CACHE = ("-p", "no:cacheprovider")
TOY = ROOT / "tests" / "toy_suite"


def _plain() -> dict[str, str]:
    """The environment without what an xdist worker adds: commands are not workers, though the tests may run in one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    text: str
    """Standard output and error together."""

    @property
    def lines(self) -> list[str]:
        """Lines that are not empty."""
        return [line for line in self.text.splitlines() if line.strip()]


def started(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """A pytest command in a process group of its own, running; Ctrl-C reaches it even where these tests were started by
    a shell in the background, which has it ignored."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *map(str, arguments)],
        cwd=cwd,
        env={**_plain(), **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


class Warm:
    """A process with everything imported, which forks one process for each command: seconds less for each."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.commands"],
            cwd=ROOT,
            env={**_plain(), **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def pytest(self, *arguments: object, cwd: Path, env: Mapping[str, str] | None = None, timeout: int = 120) -> Ran:
        """Run `pytest ARGUMENTS` in a folder."""
        assert self._server.stdin is not None and self._server.stdout is not None
        with tempfile.TemporaryFile("w+") as output:
            request = {
                "arguments": [str(each) for each in arguments],
                "cwd": str(cwd),
                "env": dict(env or {}),
                "output": f"/proc/{os.getpid()}/fd/{output.fileno()}",
                "timeout": timeout,
            }
            self._server.stdin.write(json.dumps(request) + "\n")
            self._server.stdin.flush()
            code = int(self._server.stdout.readline())
            output.seek(0)
            return Ran(code, output.read())

    def close(self) -> None:
        """End the process."""
        self._server.communicate()


def _serve() -> None:
    for point in entry_points(group="pytest11"):
        point.load()
    import hypothesis  # noqa: F401

    import harness.session  # noqa: F401
    import reports.write  # noqa: F401

    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(request)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(request: dict[str, Any]) -> None:
    code = 70
    try:
        output = os.open(request["output"], os.O_WRONLY)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        signal.alarm(request["timeout"])
        os.chdir(request["cwd"])
        os.environ.update(request["env"])
        sys.argv = ["pytest", *request["arguments"]]
        import pytest

        code = int(pytest.main(request["arguments"]))
        sys.stdout.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve()
