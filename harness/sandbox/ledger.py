"""PyTorch's own profiler over a checked call: every ATen operation, those too that were led past the witness.

The witness (`harness.sandbox.witness`) is a mode of PyTorch's dispatcher, and the dispatcher can be told to leave modes
out. The profiler hangs on another hook, and keeps its list where Python doesn't reach. What the witness sees it marks
by a range whose name no one knows: of a marked operation the list has the name, whatever becomes of the witness's own,
and those of the operations within, since code of one that is allowed may have been exchanged for other; an operation
that neither lies in such a range nor has one in it was hidden. A profiler that was stopped meanwhile lacks
the range from which it was started, or gives an error.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch._C import _autograd, _profiler

from harness.sandbox.profiler import Profiler

TAMPERED = "kernel_assay::profiler_stopped"
"""Stands among the operations when the profiler did not run to the end."""


_SWITCHES = {
    **dict.fromkeys(("_enable_record_function", "_enable_profiler", "_enable_profiler_legacy", "_prepare_profiler")),
    **dict.fromkeys(("_disable_profiler", "_disable_profiler_legacy", "_toggle_collection_dynamic")),
    **dict.fromkeys(("_add_metadata_json", "_is_kineto_stopped"), False),
    "_profiler_enabled": False,
    "_profiler_type": _profiler.ActiveProfilerType.NONE,
}
"""What rules the profiler, or tells whether it runs, and what it says from then on."""


def lock(report: Callable[[str], None]) -> None:
    """Take these away: PyTorch can be told to call no profiler at all, and one that knows when it runs can behave
    then. `report` is told of who reaches for them."""
    torchs = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] == "torch"]
    for name, answer in _SWITCHES.items():
        original = getattr(_autograd, name, None)
        if original is None:
            continue
        locked = _locked(name, answer, report)
        for module in (_autograd, *torchs):
            if vars(module).get(name) is original:
                setattr(module, name, locked)


def _locked(name: str, answer: Any, report: Callable[[str], None]) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        report("it switched PyTorch's profiler on or off, or asked whether it runs")
        return answer

    call.__name__ = call.__qualname__ = name
    return call


class Ledger:
    """Opened once a call."""

    def __init__(self) -> None:
        self._mark, self._tuning = secrets.token_hex(16), secrets.token_hex(16)
        self._range: Any = _profiler._RecordFunctionFast
        self._profiler = Profiler()

    def accounted(self) -> AbstractContextManager[object]:
        """Around what the witness has seen."""
        found: AbstractContextManager[object] = self._range(self._mark)
        return found

    def tuning(self) -> AbstractContextManager[object]:
        """Around an autotuner's run: what it does between launches is its own; the witness tells them apart."""
        found: AbstractContextManager[object] = self._range(self._tuning)
        return found

    @contextmanager
    def nobodys(self) -> Iterator[None]:
        """Around what the witness itself does."""
        with self.tuning(), self.accounted():
            yield

    @contextmanager
    def open(self, operations: set[str]) -> Iterator[None]:
        """Add what was done during the call to `operations`."""
        self._profiler.start()
        with self.accounted():
            pass
        try:
            yield
        finally:
            with self.accounted():
                pass
            try:
                events = self._profiler.stop()
            except RuntimeError:
                events = []
            operations.update(self._done(events))

    def _done(self, events: list[Any]) -> set[str]:
        spans = sorted(
            ((event.start_ns(), -event.duration_ns(), event.name(), event.start_thread_id()) for event in events),
            key=lambda span: span[:2],
        )
        marks = [span for span in spans if span[2] == self._mark]
        if len(marks) < 2 or spans[0] != marks[0] or spans[-1] != marks[-1]:
            return {TAMPERED}
        done: set[str] = set()
        for thread in {span[3] for span in spans}:
            done |= self._of_thread([span[:3] for span in spans if span[3] == thread])
        return done

    def _of_thread(self, spans: list[tuple[int, int, str]]) -> set[str]:
        """Names of all operations outside of tuning, of unmarked ones within. A span: start, minus duration, name."""
        done: set[str] = set()
        around: list[tuple[int, str, list[bool]]] = []
        """What encloses the present one, outermost first: end, name, is there a mark in it?"""

        def close(until: int) -> None:
            while around and around[-1][0] < until:
                _, name, marked = around.pop()
                outer = [each for _, each, _ in around]
                if name == self._mark and self._tuning not in outer:
                    done.update([each for each in outer if _is_operation(each)][-1:])
                if marked[0]:
                    for each in around[-1:]:
                        each[2][0] = True
                elif _is_operation(name) and (self._mark not in outer or self._tuning not in outer):
                    done.add(name)  # hidden; or done by one that was seen, whose own code may have been exchanged

        for start, negative, name in spans:
            close(start - negative)
            around.append((start - negative, name, [name == self._mark]))
        close(1 << 63)
        return done


def _is_operation(name: str) -> bool:
    """Is it one of the dispatcher's, not a range of autograd's or of the profiler's?"""
    return "::" in name and not name.startswith(("torch::", "autograd::", "profiler::"))
