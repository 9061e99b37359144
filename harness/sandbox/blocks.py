"""What the candidate's process does for timing: input sets for a block of calls, the block itself, a profile, and what
is left of all that.

Messages: `base` sends the inputs from which `arm` makes a set for each call; `fire` runs the armed calls, `collect`
gives the outputs of one of them, `profile` runs one more under the device's profiler; `trim` and `release` give memory
back; `move` changes the processor's cores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from types import ModuleType
from typing import Any

import torch

from harness.sandbox.profiler import Profiler
from harness.sandbox.refresh import Base
from harness.sandbox.witness import Witness

_PAIRS = 20
"""Pairs of events that are made before anything is timed: as many as the calls of the longest block, which the judge
has without flushes."""


class Blocks:
    """A part of the session with the judge, which has all that is named here."""

    device: str
    function: Any
    watched: bool
    witness: Witness
    interpreter: ModuleType | None
    empty: Any
    synchronize: Any
    _synchronize: Callable[[], None]
    _look: Callable[[], None]
    _give_back: Callable[[], None]
    _drop_arena: Callable[[], None]
    _values: Callable[[list[Any]], list[Any]]
    _evidence: Callable[[int, set[str], set[str]], dict[str, Any]]
    _pack: Callable[[Any, list[Any], int, list[int]], dict[str, Any]]

    def __init__(self) -> None:
        self.event: Any = torch.cuda.Event
        self.stream: Any = torch.cuda.current_stream
        self.hold: Any = None
        """A `harness.sandbox.hold.Hold`, on a GPU."""
        self.clock, self.move_to = time.perf_counter, os.sched_setaffinity
        self.profiler, self.profiler_used = Profiler(of_device=True), False
        self.base_inputs: Base | None = None
        self.sets: list[list[Any]] = []
        self.results: list[Any] = []
        self.pairs: list[tuple[Any, Any]] = []
        """Events around each armed call, and more that were needed before."""
        self.flush: torch.Tensor | None = None
        self.spare: torch.Tensor | None = None

    def base(self, args: list[Any], rolled: list[int], copied: list[int], flush: int) -> dict[str, Any]:
        self.release()
        if self.watched and self.device != "cpu" and not self.profiler_used:
            # Launches take longer from its first use on: let both sides have that behind them before they are timed.
            self.profiler.start()
            self.profiler.stop()
            self.profiler_used = True
        self.base_inputs = Base(self._values(args), rolled, copied, at_once=self.interpreter is None)
        if flush and self.flush is None:
            self.flush = torch.empty(flush, dtype=torch.uint8, device=self.device)
        self._make_pairs(_PAIRS)
        self._synchronize()
        return {}

    def move(self, cores: list[int]) -> dict[str, Any]:
        with suppress(OSError):  # the machine may not let it
            self.move_to(0, cores)
        return {}

    def arm(self, shifts: list[int], results: list[int], room: int, spare: int) -> dict[str, Any]:
        """`results`: bytes of each output. Memory for them is there before the calls: the driver takes its time to give
        some, and that must not stand between them. `room` bytes are asked of the driver at once, from which the
        allocator takes what follows. `spare` bytes are left empty: it would give the same places in every block."""
        self.results, self.sets, self.spare = [], [], None
        assert self.base_inputs is not None
        if self.device != "cpu":
            if room:
                self._bytes(room)
            self.spare = self._bytes(spare)
        self.sets = self.base_inputs.sets(shifts)
        if self.device != "cpu":
            there = [self._bytes(size) for size in results for _ in shifts]
            del there
        self._make_pairs(len(shifts))
        self._synchronize()
        return {}

    def _make_pairs(self, number: int) -> None:
        """Until there are so many, on a GPU."""
        while self.device != "cpu" and len(self.pairs) < number:
            self.pairs.append((self.event(enable_timing=True), self.event(enable_timing=True)))
            for each in self.pairs[-1]:
                each.record()  # the first record makes the event

    def _bytes(self, size: int) -> Any:
        return self.empty(size, dtype=torch.uint8, device=self.device)

    def fire(self, flush: bool, ahead: float) -> dict[str, Any]:
        """The judge's clock runs: nothing is done here but the calls, and waiting for them. The device waits for
        `ahead` µs first, in which the host gets ahead of it, so that launches don't stand between events. On the
        interpreter, where times say little, each call is watched as the checked ones are: a candidate can't tell them
        apart."""
        function, results, ground = self.function, self.results, self.flush if flush else None
        if self.device == "cpu":
            seen: dict[str, Any] = {"launches": 1 << 30, "operations": set(), "moved": set()}
            for values in self.sets:
                with self.witness.watching(None) if self.watched else nullcontext():
                    results.append(function(*values))
                seen["launches"] = min(seen["launches"], self.witness.launches)
                seen["operations"] |= self.witness.operations
                seen["moved"] |= self.witness.moved
            return {"evidence": self._evidence(seen["launches"], seen["operations"], seen["moved"])}
        stream, clock, first = self.stream(), self.clock, 0.0
        self.hold(ahead)
        begin = clock()
        for values, (start, end) in zip(self.sets, self.pairs, strict=False):
            if ground is not None:
                ground.zero_()
            start.record(stream)
            result = function(*values)
            end.record(stream)
            results.append(result)
            first = first or clock()
        launched = clock()
        self.synchronize()
        return {"launched_us": (launched - begin) * 1e6, "first_us": (first - begin) * 1e6}

    def times(self) -> dict[str, Any]:
        pairs = self.pairs[: len(self.sets)]
        return {"samples_us": [start.elapsed_time(end) * 1e3 for start, end in pairs]}

    def profile(self) -> dict[str, Any]:
        self.witness.kernels.clear()
        self.witness.compiled.clear()  # a kernel of the same name was compiled otherwise for other workloads
        self.profiler.start()
        try:
            self.results = [self.function(*self.sets[0])]
            self.synchronize()
        finally:
            events = self.profiler.stop()
        self._look()
        launched = self.witness.kernels[:10_000]
        compiled = {name: self.witness.compiled.get(name, {}) for name in list(dict.fromkeys(launched))[:100]}
        return {"ran": self.profiler.ran(events)[:10_000], "launched": launched, "compiled": compiled}

    def collect(self, number: int, results_at: int, watch: list[int]) -> dict[str, Any]:
        if self.device == "cpu":
            self._look()  # on a GPU `profile` does, once for all calls of a workload
        return self._pack(self.results[number], self.sets[number], results_at, watch)

    def trim(self) -> dict[str, Any]:
        """Others work on the device, too; but what is given back has to be asked for again, and both take time."""
        self.sets, self.results, self.spare = [], [], None
        self._give_back()
        return {}

    def release(self, much: bool = False) -> dict[str, Any]:
        self.base_inputs = None
        self.trim()
        if much:
            self._synchronize()
            self._drop_arena()
        return {}
