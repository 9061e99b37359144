"""One candidate's process, as the judge drives it: every way to end is turned into an outcome with its evidence."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import torch

from harness.sandbox import binaries
from harness.sandbox.answers import Fired, Foreign, Placed, Profiled, Returned
from harness.sandbox.channel import MAX_MESSAGE, Channel, WireBroken, WireClosed, WireTimeout
from harness.sandbox.failed import CandidateFailed, ended, failed
from harness.sandbox.isolation import Limits
from harness.sandbox.parent import WarmParent
from harness.sandbox.scripted import ScriptCalls
from harness.sandbox.staging import DeviceArena, StagingUnavailable
from harness.sandbox.testimony import Testimony, heard
from harness.sandbox.wire import Arena, aligned, read_tensor, room, write_tensor
from harness.task import Inputs
from harness.verdict import Outcome

GRACE = 10.0
"""Seconds in which a warden reports the end of its candidate."""
_SPIN = 0.02
"""Seconds for which the judge keeps its processor busy with waiting for what is timed, or stands before that."""
_LEAST_SHARED, _KEPT_SHARED = 64 << 20, 256 << 20
"""Bytes of a GPU that one process shares with the judge: at least, and at most between workloads."""


@dataclass(frozen=True)
class Fresh:
    """How the inputs of timed calls are made from those that were sent, by position."""

    rolled: list[int]
    """Those that get fresh values."""
    copied: list[int]
    """Those that get memory of their own for each call: they are changed in place."""
    watched: list[int]
    """Those whose state after a call is wanted."""
    results: list[int]
    """Bytes of each output."""


@dataclass
class CandidateProcess(ScriptCalls):
    """A process forked for one candidate. Use as a context manager; everything in it is killed at the end."""

    parent: WarmParent
    limits: Limits
    device: str
    """`cpu` or `cuda:N`."""
    use: Callable[[], AbstractContextManager[object]] = nullcontext
    """Around all that it is asked to do, but for `ask_to_arm` and `ask_to_move`, which two are asked at once."""
    _channel: Channel = field(init=False, repr=False)
    _control: Channel = field(init=False, repr=False)
    _arena: Arena | DeviceArena | None = field(default=None, init=False, repr=False)
    _stages: bool = field(default=True, init=False)
    """Is the device's memory shared? Where that was tried in vain, the host's is."""
    _host: bool = field(init=False)
    """Do the inputs of the call lie in the host's memory, where its outputs are wanted, too?"""
    _results_at: int = field(default=0, init=False)
    _watch: list[int] = field(default_factory=list, init=False)
    _ended: bool = field(default=False, init=False)
    _evidence: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._host = self.device == "cpu"

    def __enter__(self) -> Self:
        self._channel, self._control = self.parent.spawn(self.limits)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill the process and all that it started."""
        self._end()
        self._channel.close()
        self._control.close()
        self._drop_arena()

    def give(self, compiled: int, timeout: float) -> None:
        """Before it is loaded: let Triton find what it compiled in another process, by `pack`; an open file."""
        self._ask({"op": "compiled"}, timeout, (compiled,))

    def pack(self, timeout: float) -> bytes:
        """What Triton compiled in this process, for one of the same source; empty where that is nothing or too much."""
        fd = os.memfd_create("kernel-assay-compiled", os.MFD_CLOEXEC)
        try:
            told = self._ask({"op": "pack"}, timeout, (fd,)).get("bytes")
            if type(told) is not int or not 0 < told <= binaries.MOST_BYTES:
                return b""
            return os.pread(fd, told, 0)
        finally:
            os.close(fd)

    def load(self, source: str, entry_point: str, timeout: float, before: str = "", compilers: int = 1) -> None:
        """Execute the candidate's module. A script has no entry point: then that is empty. `before` runs first.
        `compilers`: configurations of an autotuner that are compiled at once."""
        where = "cpu" if self.device == "cpu" else "cuda:0"  # it sees the judge's GPU alone
        message: dict[str, Any] = {"op": "load", "source": source, "entry_point": entry_point, "device": where}
        message |= {"before": before, "compilers": compilers}
        reply = self._ask(message, timeout)
        if entry_point and not reply.get("callable"):
            raise CandidateFailed(Outcome.NO_ENTRY_POINT, f"`{entry_point}` is not a function")

    def call(
        self,
        inputs: Inputs,
        results_room: int,
        watch: list[int],
        timeout: float,
        configuration: int | None = None,
        host: bool = False,
    ) -> Returned:
        """Call the entry point once. `watch` are the positions of inputs whose state afterwards is wanted. `host`: the
        inputs lie in the host's memory, and so do the outputs; the process copies them to its device and back."""
        args = self._place(inputs, results_room, watch, host)
        message = {
            "op": "call",
            "args": args,
            "results_at": self._results_at,
            "watch": watch,
            "configuration": configuration,
        }
        return self._unpack(self._ask(message, timeout))

    def base(self, inputs: Inputs, fresh: Fresh, flush: int, timeout: float) -> None:
        """Send the inputs from which `arm` makes fresh ones."""
        args = self._place(inputs, sum(fresh.results), fresh.watched)
        message = {"op": "base", "args": args, "rolled": fresh.rolled, "copied": fresh.copied, "flush": flush}
        self._ask(message, timeout)

    def arm(self, shifts: list[int], fresh: Fresh, timeout: float) -> None:
        """Have input sets made, one per timed call."""
        with self.use():
            self.ask_to_arm(shifts, fresh)
            self.answered(timeout)

    def ask_to_arm(self, shifts: list[int], fresh: Fresh, room: int = 0, spare: int = 0) -> None:
        """What `arm` does first; `answered` has to follow. `room`: bytes that this block and later ones will need, to
        be had in one piece; `spare`: bytes that are left empty before this block's."""
        self._send({"op": "arm", "shifts": shifts, "results": fresh.results, "room": room, "spare": spare})

    def ask_to_move(self, cores: Iterable[int]) -> None:
        """Have it work on these processor cores; `answered` has to follow."""
        self._send({"op": "move", "cores": sorted(cores)})

    def answered(self, timeout: float) -> None:
        """Wait for what was asked."""
        self._hear(timeout, spin=_SPIN)

    def fire(self, calls: int, ahead: float, timeout: float, flush: bool = True) -> Fired:
        """Run the armed calls; the device sleeps for `ahead` µs before them."""
        with self.use():
            return self._fire(calls, ahead, timeout, flush)

    def _fire(self, calls: int, ahead: float, timeout: float, flush: bool) -> Fired:
        spin = 0.0 if self.device == "cpu" else _SPIN
        start = time.perf_counter()
        self._send({"op": "fire", "flush": flush, "ahead": ahead})
        fired = self._hear(timeout, spin=spin)
        elapsed = (time.perf_counter() - start) * 1e6
        if self.device == "cpu":
            return Fired(None, elapsed, 0.0, 0.0, self._made((), {}, fired))
        reply = self._hear(timeout, spin=spin)
        samples: Any = reply.get("samples_us")
        launched: Any = fired.get("launched_us")
        first: Any = fired.get("first_us")
        told = isinstance(samples, list) and len(samples) == calls
        if not told or not all(_plausible(us) for us in (*samples, launched, first)) or min(samples) <= 0:
            raise CandidateFailed(Outcome.PROTOCOL, "the timed calls came back without their times")
        return Fired([float(us) for us in samples], elapsed, float(launched), float(first), None)

    def profile(self, timeout: float) -> Profiled:
        """Run the first of the armed calls under the profiler."""
        reply = self._ask({"op": "profile"}, timeout)
        try:
            return Profiled(
                ran=[(str(name)[:200], float(us)) for name, us in reply["ran"]],
                launched=[str(name)[:200] for name in reply["launched"]],
                compiled={
                    str(name)[:200]: {str(key)[:20]: int(value) for key, value in told.items()}
                    for name, told in reply["compiled"].items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CandidateFailed(Outcome.PROTOCOL, f"the answer makes no sense ({type(error).__name__})") from error

    def collect(self, number: int, timeout: float) -> Returned:
        """Outputs of one of the calls last fired."""
        message = {"op": "collect", "number": number, "results_at": self._results_at, "watch": self._watch}
        return self._unpack(self._ask(message, timeout))

    def trim(self, timeout: float) -> None:
        """Let the process drop what the last block left."""
        self._ask({"op": "trim"}, timeout)

    def release(self, timeout: float) -> None:
        """Let the process drop its inputs and outputs, and what it shares with the judge of a GPU's memory."""
        much = self._arena is not None and self._arena.on_device and self._arena.size > _KEPT_SHARED
        self._ask({"op": "release", "much": much}, timeout)
        if much:
            self._drop_arena()

    def testify(self) -> Testimony:
        """End the process, and say what it was seen doing."""
        number = secrets.token_hex(16)
        if self._ended:
            return heard(self._evidence)
        with contextlib.suppress(CandidateFailed):
            self._ask({"op": "seal", "number": number}, GRACE)
        if not self._ended:
            self._end()
        *lines, last = self._evidence or [""]
        if last != f"end {number}":
            lines = [
                *lines,
                last,
                "cheating it closed the pipe through which its acts are told, or did not answer any more",
            ]
        return heard(lines)

    def _place(self, inputs: Inputs, results_room: int, watch: list[int], host: bool = False) -> list[dict[str, Any]]:
        self._host = host or self.device == "cpu"
        values = list(inputs.values())
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        need = sum(room(tensor) for tensor in tensors) + results_room + sum(room(values[index]) for index in watch)
        arena = self._shared(need)
        args: list[dict[str, Any]] = []
        at = 0
        for value in values:
            if isinstance(value, torch.Tensor):
                claim = write_tensor(arena, at, value, on_gpu=not self._host)
                args.append({"t": claim})
                at += aligned(claim["nbytes"])
            else:
                args.append({"v": value})
        self._results_at, self._watch = at, watch
        self._wait()
        return args

    def _shared(self, need: int) -> Arena | DeviceArena:
        """The memory in which both sides put tensors: the device's where they lie there and that can be had, else the
        host's."""
        staged, before = self._stages and not self._host, 0
        if self._arena is not None and self._arena.on_device == staged:
            if self._arena.size >= need:
                return self._arena
            before = self._arena.size
        self._drop_arena()
        if staged:
            self._arena = self._staged(max(need, _LEAST_SHARED))
            self._stages = self._arena is not None
        if self._arena is None:
            # Pages cost nothing until they are used, and used ones are worth keeping: leave room to grow.
            self._arena = Arena.create(max(need, 2 * before, 1 << 28))
            self._ask({"op": "share", "size": self._arena.size}, 60.0, (self._arena.fd,))
        return self._arena

    def _staged(self, need: int) -> DeviceArena | None:
        """Memory of the device that the process has mapped, too; None where that can't be had."""
        try:
            arena = DeviceArena.create(need, torch.device(self.device).index or 0)
        except StagingUnavailable:
            return None
        try:
            if self._ask({"op": "stage", "size": arena.size}, 60.0, (arena.fd,)).get("mapped") is True:
                return arena
        except BaseException:
            arena.close()
            raise
        arena.close()
        return None

    def _drop_arena(self) -> None:
        if self._arena is not None:
            self._arena.close()
            self._arena = None

    def _wait(self) -> None:
        """Until what was copied on the device is there: the other side does not wait for it."""
        if self._arena is not None and self._arena.on_device:
            torch.cuda.synchronize(self.device)

    def _unpack(self, reply: dict[str, Any]) -> Returned:
        try:
            outputs = tuple(self._output(each) for each in reply["outputs"])
            after = dict(zip(self._watch, (self._read(each) for each in reply["after"]), strict=True))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CandidateFailed(Outcome.PROTOCOL, f"the answer makes no sense ({type(error).__name__})") from error
        except WireBroken as error:
            raise CandidateFailed(Outcome.PROTOCOL, f"the answer makes no sense: {error}") from error
        self._wait()
        return self._made(outputs, after, reply)

    def _made(
        self, outputs: tuple[Placed | Foreign, ...], after: dict[int, torch.Tensor], reply: dict[str, Any]
    ) -> Returned:
        try:
            evidence = reply.get("evidence", {})
            return Returned(
                outputs,
                after,
                launches=int(evidence.get("launches", 0)),
                operations=tuple(str(name) for name in evidence.get("operations", [])),
                configurations=tuple(str(name) for name in reply.get("configurations", [])),
                moved=tuple(str(name)[:80] for name in evidence.get("moved", [])),
                outside=tuple(str(name)[:200] for name in evidence.get("outside", [])),
            )
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise CandidateFailed(Outcome.PROTOCOL, f"the answer makes no sense ({type(error).__name__})") from error

    def _output(self, item: dict[str, Any]) -> Placed | Foreign:
        if "t" not in item:
            return Foreign(str(item["other"])[:80])
        claim = item["t"]
        if claim.get("too_large"):
            return Foreign("tensor", tuple(int(size) for size in claim["shape"]), str(claim["dtype"])[:40])
        return Placed(self._read(claim), str(claim["device"])[:20], bool(claim.get("aliased")))

    def _read(self, claim: dict[str, Any]) -> torch.Tensor:
        assert self._arena is not None
        return read_tensor(self._arena, claim, "cpu" if self._host else self.device)

    def _ask(self, message: dict[str, Any], timeout: float, fds: tuple[int, ...] = ()) -> dict[str, Any]:
        with self.use():
            self._send(message, fds)
            return self._hear(timeout, loading=message["op"] == "load")

    def _send(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        try:
            self._channel.send(message, fds)
        except WireClosed:
            raise ended(self._end()) from None

    def _hear(self, timeout: float, loading: bool = False, spin: float = 0.0) -> dict[str, Any]:
        try:
            reply, extra = self._channel.receive(timeout, MAX_MESSAGE, spin)
        except WireTimeout:
            said = self._end()
            raise CandidateFailed(
                Outcome.TIMEOUT, f"no answer within {timeout:.3g} s", str(said.get("output", ""))[-2000:]
            ) from None
        except WireClosed:
            raise ended(self._end()) from None
        except WireBroken as error:
            self._end()
            raise CandidateFailed(Outcome.PROTOCOL, f"the candidate's process sent {error}") from None
        for fd in extra:
            with contextlib.suppress(OSError):
                os.close(fd)
        if "error" in reply:
            raise failed(reply["error"], loading)
        return reply

    def _end(self) -> dict[str, Any]:
        """Have the warden kill everything; returns its report, empty if it was ended before."""
        self._ended = True
        with contextlib.suppress(WireClosed, WireTimeout, WireBroken):
            with contextlib.suppress(WireClosed):
                self._control.send({"op": "end"})
            report = self._control.receive(GRACE)[0]
            self._evidence = [str(line) for line in report.get("evidence", [])]
            return report
        return {}


def _plausible(us: object) -> bool:
    """Can it be a time?"""
    return isinstance(us, (int, float)) and 0 <= us < 1e12
