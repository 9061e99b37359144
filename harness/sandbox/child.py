"""The candidate's process: loads the source, runs its entry point on what the judge sends, gives back raw tensors.

Everything here shares an interpreter with untrusted code and may be lied about; the judge believes nothing it can't
check. What this side needs is bound before the candidate is loaded, and the harness's modules are taken out of
`sys.modules` then. Messages, each answered by one: `share`, `stage`, `compiled`, `load`, `call`, `pack`, `seal`, and
those of `harness.sandbox.blocks` and `harness.sandbox.scripts`. On a GPU the times follow `fire`'s answer.
"""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import numpy
import torch

from harness.sandbox import binaries, ledger, staging, tripwire, tuning
from harness.sandbox.blocks import Blocks
from harness.sandbox.channel import Channel, WireClosed
from harness.sandbox.failure import describe_failure
from harness.sandbox.guards import Guards
from harness.sandbox.hold import Hold
from harness.sandbox.originals import Originals
from harness.sandbox.scripts import Scripts
from harness.sandbox.wire import Arena, aligned, claim_of, read_tensor, room, write_together
from harness.sandbox.witness import Witness, items, left_on, plain

_MESSAGES = frozenset(
    {
        "share",
        "stage",
        "compiled",
        "load",
        "call",
        "base",
        "arm",
        "move",
        "fire",
        "profile",
        "collect",
        "trim",
        "release",
        "pack",
        "seal",
        "script",
        "values",
        "workloads",
        "ready",
        "unready",
        "renew",
        "keep",
    }
)
_SIGNALS = sorted(signal.Signals)
SCRATCH = "/tmp/candidate"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MOST_DEVICE_MEMORY = 0.16
"""Share of a GPU's memory that PyTorch gives a candidate: the reference, and others that are checked, need some too."""
_KEPT = 128
"""Up to one in so many bytes of a GPU's memory is kept between workloads, what the flush takes included."""
_COPY_THREADS = 4
"""On a GPU's host: for copies of outputs into shared memory."""
_SPIN = 0.01
"""Seconds. On a GPU, between messages that follow each other fast."""


def serve(channel: Channel, evidence: int, watched: bool = True) -> None:
    """Answer the judge until it closes the channel; `evidence` is the open file that the tripwire writes to. What is
    not watched is only run."""
    session, spin = _Session(evidence, watched), 0.0
    while True:
        try:
            message, fds = channel.receive(spin=spin)
        except WireClosed:
            return
        name = message.pop("op")
        assert name in _MESSAGES, name
        handler = getattr(session, name)
        spin = _SPIN if name in ("arm", "fire", "renew") and session.device != "cpu" else 0.0
        try:
            reply = handler(*fds, **message)
            if name == "fire" and session.device != "cpu":
                channel.send(reply)  # the judge's clock stops
                reply = session.times()
        except BaseException as error:
            if isinstance(error, WireClosed):
                return
            unsupported = getattr(session.interpreter, "unsupported_feature", None)
            reply = {"error": describe_failure(error, session.path, unsupported)}
        channel.send(reply)


class _Session(Scripts, Blocks):
    def __init__(self, evidence: int, watched: bool) -> None:
        super().__init__()
        self.watched = watched
        self.evidence = tripwire.evidence(evidence)
        self.originals: Originals | None = None
        self.handlers: list[object] = []
        self.interpreter: ModuleType | None = sys.modules.get("harness.sandbox.interpreter")
        self.synchronize: Any = torch.cuda.synchronize
        self.empty: Any = torch.empty
        self.path = ""
        self.folder = f"{SCRATCH}-{os.getpid()}"
        self.cache = f"{self.folder}/triton"
        """Where Triton keeps what it compiles."""
        self.arena: Arena | staging.DeviceArena | None = None
        self.device = "cpu"
        self.function: Any = None
        self.module: dict[str, Any] = {}
        """Names of the candidate's module."""
        self.seed = (random.seed, numpy.random.seed, torch.manual_seed)
        self.witness = Witness()
        self.kept = 0
        """Bytes of the device's memory that need not be given back."""

    def share(self, fd: int, size: int) -> dict[str, Any]:
        self._drop_arena()
        self.arena = Arena(fd, size)
        return {}

    def stage(self, fd: int, size: int) -> dict[str, Any]:
        self._drop_arena()
        try:
            self.arena = staging.DeviceArena.open(fd, size, torch.device(self.device).index or 0)
        except staging.StagingUnavailable:
            return {"mapped": False}
        return {"mapped": True}

    def _drop_arena(self) -> None:
        if self.arena is not None:
            self.arena.close()
        self.arena = None

    def compiled(self, fd: int) -> dict[str, Any]:
        """Before the candidate is loaded: what Triton compiled for others that may have it."""
        binaries.unpack(fd, self.cache)
        os.close(fd)
        return {}

    def pack(self, fd: int) -> dict[str, Any]:
        try:
            return {"bytes": binaries.pack(self.cache, fd)}
        finally:
            os.close(fd)

    def load(self, source: str, entry_point: str, device: str, before: str, compilers: int) -> dict[str, Any]:
        folder = self.folder
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        os.environ.update(HOME=folder, TMPDIR=folder, TRITON_CACHE_DIR=self.cache, TRITON_HOME=folder)
        self.path = f"{folder}/candidate.py"
        with open(self.path, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(source)
        self.device = device
        if self.watched:
            self.witness.attach(tripwire.owners(_PACKAGE))
            if self.interpreter is not None:
                self.interpreter.host.listen(self.witness.move)
        if device != "cpu":
            torch.set_num_threads(_COPY_THREADS)
            torch.cuda.init()  # type: ignore[no-untyped-call]
            torch.cuda.set_per_process_memory_fraction(_MOST_DEVICE_MEMORY)
            self.kept = torch.cuda.get_device_properties(0).total_memory // _KEPT
            staging.prepare()
            self.hold = Hold()
            if compilers > 1:
                tuning.compile_side_by_side(compilers)
        if before:
            exec(compile(before, "stand-ins", "exec", dont_inherit=True), {"__name__": "stand_ins"})
        spec = importlib.util.spec_from_file_location("candidate", self.path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["candidate"] = module
        self._shut(folder)
        spec.loader.exec_module(module)
        self.module, self.function = vars(module), getattr(module, entry_point, None)
        self._look()
        return {"callable": callable(self.function)}

    def _shut(self, folder: str) -> None:
        """The last thing before the candidate's code: from here on its acts are told, and what it replaces is known."""
        for name in [each for each in sys.modules if each.partition(".")[0] in ("harness", "cuda")]:
            del sys.modules[name]  # whoever imports them is seen
        if not self.watched:
            return
        ledger.lock(lambda sentence: self.evidence.report(tripwire.CHEATING, sentence))
        self.originals, self.handlers = Originals(), _handlers()
        tripwire.arm(self.evidence, folder, _PACKAGE, compiled=self.cache)

    def _look(self) -> None:
        if not self.watched:
            return
        for name in self.originals.replaced() if self.originals is not None else ():
            self.evidence.report(tripwire.CHEATING, f"it replaced `{name}`")
        self._look_around()
        if any(now is not before for now, before in zip(_handlers(), self.handlers, strict=True)):
            self.evidence.report(tripwire.CHEATING, "it put up a handler of signals: work beside the call is not timed")

    def _look_around(self) -> None:
        """Before anything of the candidate's is looked at."""
        if self.watched and left_on():
            self.evidence.report(tripwire.CHEATING, "it left a mode of PyTorch on: work beside the call is not timed")

    def seal(self, number: str) -> dict[str, Any]:
        """The judge asks no more: whatever was seen is told by now."""
        self._look()
        self.evidence.seal(number)
        return {}

    def call(
        self, args: list[Any], results_at: int, watch: list[int], configuration: int | None = None
    ) -> dict[str, Any]:
        guards = Guards() if self.interpreter is None and self.watched else None
        values = self._values(args, guards)
        autotune = self.interpreter.autotune if self.interpreter is not None else None
        if configuration is not None and autotune is not None:
            autotune.choose(configuration)
        with self.witness.watching(guards) if self.watched else nullcontext():
            result = self.function(*values)
        self._synchronize()
        self._look()
        reply = self._pack(result, values, results_at, watch)
        reply["evidence"] = {
            **self._evidence(self.witness.launches, self.witness.operations, self.witness.moved),
            "outside": guards.broken() if guards is not None else [],
        }
        if autotune is not None:
            count = autotune.configurations()
            reply["configurations"] = [autotune.describe(index) for index in range(min(count, 64))]
        return reply

    def _evidence(self, launches: int, operations: set[str], moved: set[str]) -> dict[str, Any]:
        return {"launches": launches, "operations": sorted(operations)[:200], "moved": sorted(moved)[:20]}

    def _values(self, args: list[Any], guards: Guards | None = None) -> list[Any]:
        values = [self._tensor(arg["t"]) if "t" in arg else arg["v"] for arg in args]
        if guards is None:
            return values
        return [
            guards.banded(value, f"argument {number}") if isinstance(value, torch.Tensor) and value.numel() else value
            for number, value in enumerate(values)
        ]

    def _tensor(self, claim: dict[str, Any]) -> torch.Tensor:
        assert self.arena is not None
        tensor = read_tensor(self.arena, claim, self.device)
        if self.interpreter is None:
            return tensor
        moved: torch.Tensor = self.interpreter.on_device(tensor)
        return moved

    def _synchronize(self) -> None:
        if self.device != "cpu":
            self.synchronize()

    def _pack(self, result: Any, values: list[Any], at: int, watch: list[int]) -> dict[str, Any]:
        self._look_around()
        if not all(plain(value) for value in values if issubclass(type(value), torch.Tensor)):
            self.evidence.report(tripwire.CHEATING, "it changed what an input's own methods do")
        inputs = {v.untyped_storage().data_ptr() for v in values if isinstance(v, torch.Tensor) and v.numel()}
        outputs: list[dict[str, Any]] = []
        written: list[tuple[int, torch.Tensor]] = []
        for item in items(result)[:64]:
            if plain(item):
                claim, at = self._claim(item, at, written)
                claim["aliased"] = item.numel() > 0 and item.untyped_storage().data_ptr() in inputs
                outputs.append({"t": claim})
            else:
                outputs.append({"other": type(item).__name__[:80]})
        after = []
        for index in watch:
            claim, at = self._claim(values[index], at, written)
            after.append(claim)
        self._put(written)
        self._synchronize()  # the judge reads at once
        return {"outputs": outputs, "after": after}

    def _claim(
        self, tensor: torch.Tensor, at: int, written: list[tuple[int, torch.Tensor]]
    ) -> tuple[dict[str, Any], int]:
        """What describes a tensor at byte `at`, and where the next one begins; it is added to those that are written,
        if there is room for it."""
        assert self.arena is not None
        device = self.interpreter.true_device(tensor) if self.interpreter is not None else tensor.device
        about = {"device": device.type, "dtype": str(tensor.dtype).removeprefix("torch.")}
        if at + room(tensor) > self.arena.size:
            return {**about, "shape": list(tensor.shape)[:16], "too_large": True}, at
        claim = claim_of(tensor, at)
        written.append((at, tensor))
        return {**claim, "device": about["device"]}, at + aligned(claim["nbytes"])

    def _put(self, written: list[tuple[int, torch.Tensor]]) -> None:
        """Tensors where they were claimed to lie."""
        if self.arena is not None:
            write_together(self.arena, written, self.device != "cpu")


def _handlers(ask: Callable[[signal.Signals], object] = signal.getsignal) -> list[object]:
    """What is done on each signal, as this process sees it."""
    return [ask(number) for number in _SIGNALS]
