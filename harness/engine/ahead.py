"""Runs the attempts of a plan, many at once, ahead of whoever asks for their results one by one.

They begin when the first result is asked for, in the order of the plan. An attempt mostly waits for a language model;
what it shares with the others (model, judges, the run) may be used from any thread. One that fails fails alone.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from functools import partial
from typing import Generic, TypeVar

from harness.engine.progress import stage
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
        self._said: dict[Attempt, str] = {}
        """The last notices of those that run."""
        self._begun: float | None = None

    def result(self, attempt: Attempt, notice: Callable[[], None]) -> Result:
        """What the attempt came to, or what it raised. `notice` is called each second."""
        if self._begun is None:
            self._begun = time.monotonic()
            for thread in self._threads:
                thread.start()
        future = self._futures[attempt]
        while not future.done():
            notice()
            wait([future], timeout=1.0)
        return future.result()

    @property
    def seconds(self) -> float:
        """Since the first began."""
        return time.monotonic() - self._begun if self._begun is not None else 0.0

    def done(self) -> list[Result]:
        """What those came to that have ended well."""
        ended = [each for each in self._futures.values() if each.done()]
        return [each.result() for each in ended if each.exception() is None]

    def doing(self) -> Counter[str]:
        """What those do that run, and how many."""
        return Counter(stage(text) for text in list(self._said.values()))

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
            self._said[attempt] = ""
            try:
                future.set_result(self._perform(attempt, partial(self._notice, attempt)))
            except BaseException as error:  # for whoever asks for this one
                future.set_exception(error)
            finally:
                del self._said[attempt]

    def _notice(self, attempt: Attempt, text: str) -> None:
        if self._stopped.is_set():
            raise Stopped(text)
        self._said[attempt] = text
