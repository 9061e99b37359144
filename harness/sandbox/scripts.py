"""What the candidate's process does with a script task: runs its published test half, and its timed half.

The timed half is run in names of its own, a copy of the candidate's. It leaves `describe_workloads`, a function that
gives a list with (label, bytes of inputs) for each workload, and `make_workload`, which takes a workload's number and
gives a function without arguments, the call that is timed, and its inputs. Before each call the inputs get fresh
values, in place.
"""

from __future__ import annotations

import linecache
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import torch

from harness.sandbox import tree
from harness.sandbox.refresh import redrawn
from harness.sandbox.wire import room, span
from harness.sandbox.witness import Filled, Witness, plain

_SOIL = [sign | byte for sign in (0, 0x80) for byte in range(0x41, 0x7F)]
"""Bytes of which numbers of any format are made that are not near zero: where nobody wrote, values differ by far."""
MOST_LABELS = 1000


class Scripts:
    """A part of the session with the judge, which has all that is named here."""

    device: str
    folder: str
    module: dict[str, Any]
    seed: tuple[Callable[[int], Any], ...]
    witness: Witness
    function: Any
    sets: list[list[Any]]
    results: list[Any]
    pairs: list[tuple[Any, Any]]
    event: Any
    flush: torch.Tensor | None
    kept: int
    _synchronize: Callable[[], None]
    _look: Callable[[], None]
    _claim: Callable[[torch.Tensor, int, list[tuple[int, torch.Tensor]]], tuple[dict[str, Any], int]]
    _put: Callable[[list[tuple[int, torch.Tensor]]], None]

    def __init__(self) -> None:
        super().__init__()
        self.values_kept: Any = None
        """By a script, or by a timed call."""
        self.left: set[str] = set()
        """Names of the module that a script made."""
        self.timed_names: dict[str, Any] = {}
        self.workload_inputs: Any = None
        self.fresh: list[tuple[torch.Tensor, torch.Tensor]] = []
        """Tensors of the workload's inputs, and what they are made of."""

    def script(self, text: str, variable: str, seed: int, main: bool, soil: bool) -> dict[str, Any]:
        """Run a published test half in the candidate's module, all random numbers seeded, and keep what it leaves."""
        self.values_kept = None
        for name in self.left:  # by an earlier run
            self.module.pop(name, None)
        self._seed(seed)
        self.module.pop(variable, None)
        self.witness.launches = 0
        self.module["__name__"] = "__main__" if main else "candidate"
        before = set(self.module)
        with Filled(secrets.choice(_SOIL) if soil else 0), tree.Printed() as printed:
            self._execute(text, "test_half.py", self.module)
        self.left = {name for name in set(self.module) - before if not name.startswith("__")}
        self._synchronize()
        self._look()
        self.values_kept = self.module.get(variable)
        need = tree.bytes_needed(self.values_kept, room)
        return {"launches": self.witness.launches, "bytes": need, "printed": printed.digest}

    def values(self, results_at: int) -> dict[str, Any]:
        """What was kept last, its tensors from byte `results_at` of the shared memory on."""
        at = results_at

        def put(tensor: torch.Tensor) -> dict[str, Any]:
            nonlocal at
            written: list[tuple[int, torch.Tensor]] = []
            claim, at = self._claim(tensor, at, written)
            self._put(written)
            return claim

        told = tree.encode(self.values_kept, put)
        self._synchronize()  # the judge reads at once
        self._give_back()
        return {"tree": told}

    def workloads(self, text: str, seed: int) -> dict[str, Any]:
        """Run a timed half, and say which workloads it has."""
        self._seed(seed)
        self.timed_names = {**self.module, "__name__": "candidate"}
        self._execute(text, "timed_half.py", self.timed_names)
        told = self.timed_names["describe_workloads"]()
        return {"workloads": [[str(label)[:200], int(size)] for label, size in told[:MOST_LABELS]]}

    def ready(self, number: int, seed: int, flush: int) -> dict[str, Any]:
        """Make one workload's inputs and the call."""
        self.unready(False)
        self._seed(seed)
        self.function, self.workload_inputs = self.timed_names["make_workload"](number)
        self.fresh = [(tensor, tensor.detach().clone()) for tensor in _own(self.workload_inputs)]
        if flush and self.flush is None:
            self.flush = torch.empty(flush, dtype=torch.uint8, device=self.device)
        self.pairs = self.pairs or [(self.event(enable_timing=True), self.event(enable_timing=True))]
        self._synchronize()
        return {}

    def unready(self, all_of_them: bool) -> dict[str, Any]:
        """Give the workload's memory back, or that of all."""
        if all_of_them:
            self.timed_names = {}
        self.function, self.workload_inputs, self.values_kept = None, None, None
        self.fresh, self.sets, self.results = [], [], []
        self._give_back()
        return {}

    def renew(self, shift: int) -> dict[str, Any]:
        """Fresh values for the next call; what it changed is put back."""
        self.sets, self.results, self.values_kept = [[]], [], None
        with torch.no_grad():
            for tensor, base in self.fresh:
                value = redrawn(base, shift) if tensor.is_floating_point() and tensor.numel() > 1 else base
                assert isinstance(value, torch.Tensor)
                tensor.copy_(value)
                tensor.grad = None
        self._synchronize()
        return {}

    def keep(self, offset: int, most: int) -> dict[str, Any]:
        """Keep what the last call gave, or, if that is nothing, its inputs as they are now. Of a tensor of more than
        `most` values every n-th is kept, from one of the first n on, by `offset`."""
        gave = self.results[0] if self.results else None
        kept = gave if any(True for _ in _tensors(gave)) else self.workload_inputs
        self.values_kept = _thinned(kept, offset, most)
        self._synchronize()
        return {"bytes": tree.bytes_needed(self.values_kept, room)}

    def _seed(self, seed: int) -> None:
        for each in self.seed:
            each(seed % (1 << 32))  # numpy's takes no more

    def _execute(self, text: str, name: str, names: dict[str, Any]) -> None:
        """Triton reads the source of kernels from the file in which they stand."""
        file = f"{self.folder}/{name}"
        with open(file, "w", encoding="utf-8", errors="surrogatepass") as kept:
            kept.write(text)
        linecache.checkcache(file)
        exec(compile(text, file, "exec", dont_inherit=True), names)  # not our own `from __future__`

    def _give_back(self) -> None:
        """Others work on the device, too."""
        if self.device != "cpu" and torch.cuda.memory_reserved() > self.kept:
            torch.cuda.empty_cache()


def _tensors(value: Any, depth: int = 0) -> Iterator[torch.Tensor]:
    """All tensors in containers, and in the parameters of modules."""
    if isinstance(value, torch.nn.Module):
        yield from value.parameters()
        yield from value.buffers()
    elif plain(value):
        yield value
    elif depth < tree.DEEPEST and isinstance(value, (list, tuple, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors(each, depth + 1)


def _own(inputs: Any) -> list[torch.Tensor]:
    """Those that can be written in place, each once."""
    found = {id(each): each for each in _tensors(inputs) if each.numel() and span(each) >= each.numel()}
    return list(found.values())


def _thinned(value: Any, offset: int, most: int, depth: int = 0) -> Any:
    if isinstance(value, torch.nn.Module):
        value = list(_tensors(value))
    if plain(value):
        step = -(-value.numel() // most)
        return value.detach().reshape(-1)[offset % step :: step].contiguous() if step > 1 else value
    if depth < tree.DEEPEST and isinstance(value, (list, tuple)):
        return [_thinned(each, offset, most, depth + 1) for each in value]
    if depth < tree.DEEPEST and isinstance(value, dict):
        return {key: _thinned(each, offset, most, depth + 1) for key, each in value.items()}
    return value
