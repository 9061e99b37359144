"""Runs the attempts of a plan, many at once, ahead of whoever asks for their results one by one.

They begin when the first result is asked for, in the order of the plan. An attempt mostly waits for a language model;
what it shares with the others (model, judges, the run) may be used from any thread. One that fails fails alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import Generic, TypeVar

from harness.errors import Stopped
from harness.run import Attempt

Result = TypeVar("Result")
Notice = Callable[[str], None]

SETTLE = 1.0
"""Seconds that `settle` waits."""


class Ahead(Generic[Result]):
    """The attempts of a plan, `many` at once. `perform` gets an attempt, and a function that it has to call now and
    then with what it does: that raises Stopped when the command ends."""

    def __init__(self, plan: Sequence[Attempt], perform: Callable[[Attempt, Notice], Result], many: int) -> None:
        self.planned = len(plan)
        self._futures: dict[Attempt, Future[Result]] = {attempt: Future() for attempt in plan}
        self._perform, self._left = perform, deque(plan)
        # Daemons: who ends the command does not wait for a model's answer.
        self._threads = [
            threading.Thread(target=self._work, name=f"attempts-{number}", daemon=True)
            for number in range(min(many, len(plan)))
        ]
        self._stopped = threading.Event()

    def result(self, attempt: Attempt, notice: Callable[[int, int], None]) -> Result:
        """What the attempt came to, or what it raised. `notice` is told each second how many are done and running."""
        if not any(thread.ident for thread in self._threads):
            for thread in self._threads:
                thread.start()
        future = self._futures[attempt]
        while not future.done():
            done = sum(each.done() for each in self._futures.values())
            running = sum(each.running() for each in self._futures.values())
            notice(done, running)
            wait([future], timeout=1.0)
        return future.result()

    def stop(self) -> None:
        """Begin no more, and end those that run at the next thing that they do."""
        self._stopped.set()

    def settle(self) -> None:
        """Wait a moment for those that were stopped, so that what they write is written."""
        until = time.monotonic() + SETTLE
        for thread in self._threads:
            if thread.ident:
                thread.join(max(0.0, until - time.monotonic()))

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                attempt = self._left.popleft()
            except IndexError:
                return
            future = self._futures[attempt]
            future.set_running_or_notify_cancel()
            try:
                future.set_result(self._perform(attempt, self._notice))
            except BaseException as error:  # for whoever asks for this one
                future.set_exception(error)

    def _notice(self, text: str) -> None:
        if self._stopped.is_set():
            raise Stopped(text)
