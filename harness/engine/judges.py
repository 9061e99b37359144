"""A few judges for many attempts.

A judge sits in a process of its own on this machine (`harness.engine.process`), or anywhere in a Ray cluster
(`harness.engine.cluster`). One that is free takes a judgement of a task that it judged lately, since it may have the
reference's process still; where nobody waits for such a one, of a task that no judge has judged lately; else of the
first who waits. Nobody is overtaken for ever. A judge that dies costs its judgement, which is trouble of the machine,
and is started again. One whose machine is lost costs nothing: another judges what it had begun, and a new one takes its
place as soon as there is room for it.

Of a script task something has to be found out once: can its reference judge, and what does it keep. Meanwhile other
judgements of that task wait without a judge, and those of other tasks go before them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from harness.device import Device
from harness.engine.judging import Setup
from harness.engine.process import JudgeProcess, remember
from harness.errors import InfrastructureError, Stopped
from harness.judge.judge import JudgeLimits
from harness.script import ScriptTask
from harness.task import Task
from harness.verdict import Outcome, Verdict

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


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def usual(devices: Sequence[Device], attempts: int) -> int:
    """How many judges on each device so many attempts at once get by default."""
    device, share = devices[0], cores() / len(devices)
    if device.interpreted:
        most = min(MOST_INTERPRETED, int(share))
    else:
        fit = int(CONTEXT_SHARE * device.memory) // (2 * CONTEXT_BYTES)
        most = min(MOST_ON_A_GPU, int(CORES_SHARE * share), fit)
    return max(1, min(-(-attempts // len(devices)), most))


def references_kept(device: Device, judges: int) -> int:
    """For how many tasks each of so many judges may keep the reference's process."""
    if device.interpreted:
        return KEPT
    return max(1, min(KEPT, int(CONTEXT_SHARE * device.memory) // CONTEXT_BYTES // judges))


def shared(
    devices: Sequence[Device], limits: JudgeLimits, hidden: Iterable[Path], suites: Iterable[Path], number: int
) -> Judges:
    """So many judges of these suites' tasks on each of the devices, with the limits that one would have alone."""
    limits = replace(limits, references=references_kept(devices[0], number))
    threads = max(1, cores() // (number * len(devices)))
    setups = [Setup(device, limits, tuple(hidden), tuple(suites), threads) for device in devices]
    rehearsed: list[str] = []
    return Judges([JudgeProcess(each, rehearsed) for each in setups * number], len(devices))


class SeatLost(InfrastructureError):
    """A judge's machine is gone, or its place was taken away: nothing is known of what it judged."""


class SeatUnfit(InfrastructureError):
    """A judge is not like the first one: it must not judge for the same command."""


class Seat(Protocol):
    """One judge, wherever it sits; asked by one thread at a time."""

    recent: deque[str]
    """Digests of the tasks judged last."""

    def start(self) -> dict[str, Any]:
        """Start it, and give what it says of itself once it is ready: `isolation` and `peaks`. Raises
        InfrastructureError where it does not start, and SeatUnfit."""
        ...

    def judge(self, task: Task, source: str, seed: int | None, isolation: str) -> Verdict:
        """One judgement, behind the walls of this level. Raises InfrastructureError, and SeatLost."""
        ...

    def kill(self) -> None:
        """End it, whatever it does; from any thread. It can't be started again."""
        ...


class _Unfit(Exception):
    """The seat was given up."""


OVERTAKEN = 2
"""A judgement lets so many others go first for each judge that there is; then it is its turn."""
PATIENCE = 300.0
"""Seconds for which a judgement waits while there is no judge at all, all of them lost."""


class Judges:
    """To attempts they look like one `harness.judge.judge.Judge` that may be asked from any thread."""

    def __init__(self, seats: Sequence[Seat], devices: int) -> None:
        """Those that stand first are taken first, where nothing else speaks. `devices`: how many they share."""
        self.number, self.devices, self.starting_at_once = len(seats), devices, cores()
        self._all = list(seats)
        self._free: list[Seat] = []
        self._lost: list[Seat] = []
        self._waiting: dict[object, Task] = {}
        """By ticket, first come first."""
        self._overtaken = Counter[object]()
        """How many went before a ticket that was there first."""
        self._given: dict[object, Seat] = {}
        """To tickets whose turn it is."""
        self._asking: set[str] = set()
        """Digests of script tasks whose reference is being asked for the first time."""
        self._known: set[str] = set()
        """Digests of tasks whose reference was asked."""
        self._changed = threading.Condition()
        self._starting = threading.Lock()
        self._about: dict[str, Any] = {}
        self._closed = False
        self.held = 0.0
        """Seconds for which these judges held their devices alone, all together."""
        self.again = 0
        """Judgements that were made again because a judge was lost."""

    def start(self) -> None:
        """Start them; waits for the first alone. Raises InfrastructureError where it does not start."""
        with self._starting:
            if self._closed:
                raise Stopped
            if self._about:
                return
            with self._unless_closed():
                self._about = self._all[0].start()
            self._seat_is_free(self._all[0])
            threading.Thread(target=self._start_others, daemon=True).start()

    def judge(self, task: Task, source: str, seed: int | None = None) -> Verdict:
        """As the judge's own, when its turn has come. Raises Stopped once they are closed."""
        self.start()
        while True:
            try:
                with self._turn(task) as seat, self._unless_closed():
                    verdict = seat.judge(task, source, seed, self.isolation)
                    if "reference" in verdict.phases or verdict.outcome is Outcome.UNSUPPORTED:
                        self._known.add(task.digest)
            except SeatLost:
                with self._changed:
                    self.again += 1
                continue
            with self._changed:
                self.held += verdict.held_seconds
            return verdict

    def close(self) -> None:
        """End all judges; who waits for a verdict gets none."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for seat in self._all:
            seat.kill()

    @property
    def isolation(self) -> str:
        """The level that candidates get, once started."""
        return str(self._about["isolation"])

    def describe_peaks(self) -> dict[str, object] | None:
        """What the device was measured to do; None on the interpreter."""
        peaks: dict[str, object] | None = self._about["peaks"]
        return peaks

    @property
    def about(self) -> dict[str, Any]:
        """What the first one said of itself, once started."""
        return self._about

    def _start_others(self) -> None:
        """So many at once as can: here that is a matter of processors."""
        with ThreadPoolExecutor(self.starting_at_once) as pool:
            for seat in self._all[1:]:
                pool.submit(self._start_one, seat)

    def _start_one(self, seat: Seat) -> None:
        if self._closed:
            return
        try:
            with contextlib.suppress(InfrastructureError):  # whoever gets this one will try again, and tell
                self._start_fit(seat)
        except _Unfit:
            return
        self._seat_is_free(seat)

    def _start_fit(self, seat: Seat) -> None:
        try:
            seat.start()
        except SeatUnfit:
            with self._changed:
                self.number -= 1
            raise _Unfit from None

    def _seat_is_free(self, seat: Seat) -> None:
        with self._changed:
            self._free.append(seat)
            self._give_seats()

    def _take_again(self, seat: Seat) -> None:
        """A judge that was lost sits down again, as soon as there is room for it."""
        while not self._closed:
            try:
                self._start_fit(seat)
            except InfrastructureError:
                time.sleep(1.0)
                continue
            except _Unfit:
                self._lost.remove(seat)
                return
            self._lost.remove(seat)
            self._seat_is_free(seat)
            return

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
    def _turn(self, task: Task) -> Iterator[Seat]:
        seat = self._seat_for(task)
        first = task.digest in self._asking  # else nobody would have got a seat for it
        try:
            yield seat
        except SeatLost:
            with self._changed:
                self._lost.append(seat)
                self._changed.notify_all()
            threading.Thread(target=self._take_again, args=(seat,), daemon=True).start()
            raise
        except BaseException:
            self._seat_is_free(seat)
            raise
        else:
            self._seat_is_free(seat)
        finally:
            if first:
                with self._changed:
                    self._asking.discard(task.digest)
                    self._give_seats()

    def _seat_for(self, task: Task) -> Seat:
        """Wait for one. Raises Stopped once they are closed, InfrastructureError where all have been lost for long."""
        ticket = object()
        with self._changed:
            self._waiting[ticket] = task
            self._give_seats()
            try:
                while not self._changed.wait_for(lambda: self._closed or ticket in self._given, PATIENCE):
                    if len(self._lost) >= self.number:
                        raise InfrastructureError(
                            "all judges are lost: see that the cluster's nodes are up, then continue with --resume"
                        )
            except BaseException:  # Ctrl-C, too: it had got a seat, maybe
                given = self._forget(ticket)
                if given is not None:
                    self._asking.discard(task.digest)
                    self._free.append(given)
                    self._give_seats()
                raise
            seat = self._forget(ticket)
            if seat is None:
                raise Stopped
            return seat

    def _forget(self, ticket: object) -> Seat | None:
        """Who held this ticket waits no more; gives the seat that it got, if any. The lock is held."""
        self._waiting.pop(ticket, None)
        self._overtaken.pop(ticket, None)
        return self._given.pop(ticket, None)

    def _give_seats(self) -> None:
        """To those whose turn it is, as long as any is free; the lock is held."""
        while (turn := self._next()) is not None:
            ticket, seat = turn
            there = list(self._waiting)
            self._overtaken.update(there[: there.index(ticket)])
            task = self._waiting.pop(ticket)
            self._free.remove(seat)
            self._given[ticket] = seat
            remember(seat.recent, task)
            if isinstance(task, ScriptTask) and task.digest not in self._known:
                self._asking.add(task.digest)
        self._changed.notify_all()

    def _next(self) -> tuple[object, Seat] | None:
        """Whose turn it is, and with which judge; None where all have to wait."""
        turns = [(ticket, task.digest) for ticket, task in self._waiting.items() if task.digest not in self._asking]
        if self._closed or not turns or not self._free:
            return None
        emptiest = min(self._free, key=lambda seat: len(seat.recent))
        mine = {digest: seat for seat in reversed(self._free) for digest in seat.recent}
        first, digest = turns[0]
        if self._overtaken[first] >= OVERTAKEN * self.number:
            return first, mine.get(digest, emptiest)
        for ticket, digest in turns:
            if digest in mine:
                return ticket, mine[digest]
        taken = {digest for seat in self._all for digest in tuple(seat.recent)}
        return next((ticket for ticket, digest in turns if digest not in taken), first), emptiest
