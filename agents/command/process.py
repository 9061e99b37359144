"""The program while it runs, seen from the solver: its start, the last of its output, its end."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

SUPERVISE = Path(__file__).with_name("supervise.py")
KEPT_BYTES = 20_000
"""Of the output, the last so many."""
STOP_SECONDS = 20.0
"""More than the supervisor takes to give up killing."""


class Agent:
    """One run of the program; a context manager, at whose end nothing of it is left running."""

    def __init__(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str], ended: Callable[[], None]
    ) -> None:
        """Starts it in `folder`. `ended` is called, from another thread, when the program itself has ended."""
        self._tail = b""
        self._ended = ended
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISE), *words],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="command-output", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="command-end", daemon=True)
        self._reader.start()
        self._watcher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Kill what still runs of it; gives the exit code. May be called twice."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join(1.0)  # longer only where something could not be killed
        return code

    @property
    def output(self) -> str:
        """The last of what it printed, standard output and error together."""
        return self._tail.decode(errors="replace")

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            while data := stdout.read(65_536):
                self._tail = (self._tail + data)[-KEPT_BYTES:]

    def _watch(self) -> None:
        self._process.wait()
        self._ended()
