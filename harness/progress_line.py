"""Says in one line how far attempts are, past pytest's capturing."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime

import pytest

from harness.run import Attempt

_PLAIN_SECONDS = 60.0
"""Between the lines that say how far many attempts are, where there is no terminal to write one line again on."""


class ProgressLine:
    """One line on a terminal that says what the attempt is doing, or how far all are. Elsewhere a plain line now and
    then where many run at once, else nothing."""

    last_plain = time.monotonic()

    def __init__(self, config: pytest.Config, attempt: Attempt | None) -> None:
        reporter = config.pluginmanager.getplugin("terminalreporter")
        there = reporter is not None and getattr(reporter, "isatty", False)
        self._reporter = reporter if there else None
        self._plain = reporter if not there and attempt is None else None
        self._capture = config.pluginmanager.getplugin("capturemanager")
        self._what = f"{attempt.task}-{attempt.solver}: " if attempt is not None else ""
        self._start = time.monotonic()
        self._shown = False

    def __call__(self, text: str) -> None:
        """Say what is being done."""
        if self._plain is not None and time.monotonic() - ProgressLine.last_plain > _PLAIN_SECONDS:
            ProgressLine.last_plain = time.monotonic()
            with self._capture.global_and_fixture_disabled() if self._capture else contextlib.nullcontext():
                self._plain.ensure_newline()
                self._plain.write_line(f"{datetime.now():%H:%M:%S} {text}")
        if self._reporter is None:
            return
        line = f"  {self._what}{text} ({time.monotonic() - self._start:.0f} s)"
        self._write(line[: self._reporter._tw.fullwidth - 1])

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._write("")

    def _write(self, line: str) -> None:
        """Past pytest's capturing, which holds what a test's fixtures write."""
        assert self._reporter is not None
        with self._capture.global_and_fixture_disabled() if self._capture else contextlib.nullcontext():
            if not self._shown:
                self._reporter.ensure_newline()
                self._shown = True
            self._reporter.rewrite(line, erase=True)
            self._reporter.flush()
