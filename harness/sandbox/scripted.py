"""A script task's messages to the candidate's process, as the judge sends them; see `harness.sandbox.scripts`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.sandbox.answers import Foreign, Placed, Scripted, Workload
from harness.sandbox.channel import WireBroken
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.tree import DEEPEST
from harness.verdict import Outcome

MOST_KEPT = 8 << 30
"""Bytes of tensors that a script may keep."""


class ScriptCalls:
    """A part of `CandidateProcess`."""

    _ask: Callable[..., dict[str, Any]]
    _shared: Callable[[int], Any]
    _wait: Callable[[], None]
    _read: Callable[[dict[str, Any]], torch.Tensor]

    def script(
        self, text: str, variable: str, seed: int, timeout: float, main: bool = True, soil: bool = True
    ) -> Scripted:
        """Run a test half in the candidate's module, as a program if it is `main`, and read what it left in the
        variable. Memory that is given out holds zeros or, with `soil`, another byte, drawn anew."""
        message = {"op": "script", "text": text, "variable": variable, "seed": seed, "main": main, "soil": soil}
        ran = self._ask(message, timeout)
        launches, printed = ran.get("launches"), str(ran.get("printed"))[:64]
        if type(launches) is not int:
            raise CandidateFailed(Outcome.PROTOCOL, "the script came back without what it needs")
        return Scripted(self._kept(ran, timeout), launches, printed)

    def workloads(self, text: str, seed: int, timeout: float) -> list[Workload]:
        """Run a timed half in the candidate's process: what it times."""
        reply = self._ask({"op": "workloads", "text": text, "seed": seed}, timeout)
        try:
            return [Workload(str(label), max(0, int(size))) for label, size in reply["workloads"]]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _nonsense(error) from error

    def ready(self, number: int, seed: int, flush: int, timeout: float) -> None:
        """Make one of these workloads."""
        self._ask({"op": "ready", "number": number, "seed": seed, "flush": flush}, timeout)

    def unready(self, all_of_them: bool, timeout: float) -> None:
        """Drop it, or all that there are."""
        self._ask({"op": "unready", "all_of_them": all_of_them}, timeout)

    def renew(self, shift: int, timeout: float) -> None:
        """Give its inputs fresh values, for one call by `fire`."""
        self._ask({"op": "renew", "shift": shift}, timeout)

    def keep(self, offset: int, most: int, timeout: float) -> Any:
        """What that call gave, as `script` reads it; of large tensors a part."""
        return self._kept(self._ask({"op": "keep", "offset": offset, "most": most}, timeout), timeout)

    def _kept(self, told: dict[str, Any], timeout: float) -> Any:
        need = told.get("bytes")
        if type(need) is not int or need < 0:
            raise CandidateFailed(Outcome.PROTOCOL, "the script came back without what it needs")
        if need > MOST_KEPT:
            raise CandidateFailed(Outcome.MEMORY, f"the script keeps {need} bytes of tensors; {MOST_KEPT} are read")
        self._shared(need + (1 << 16))
        reply = self._ask({"op": "values", "results_at": 0}, timeout)
        try:
            node = self._node(reply["tree"], 0)
            self._wait()  # it is copied: the next run's values come to the same place
            return node
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _nonsense(error) from error
        except WireBroken as error:
            raise CandidateFailed(Outcome.PROTOCOL, f"the answer makes no sense: {error}") from error

    def _node(self, told: dict[str, Any], depth: int) -> Any:
        """One node of `harness.sandbox.tree`, read."""
        if depth > DEEPEST + 1:
            raise ValueError("too deep")
        if "t" in told:
            if told["t"].get("too_large"):
                return Foreign("tensor", tuple(int(size) for size in told["t"]["shape"]), str(told["t"]["dtype"])[:40])
            return Placed(self._read(told["t"]), str(told["t"]["device"])[:20])
        if "l" in told:
            items = [self._node(each, depth + 1) for each in told["l"]]
            return tuple(items) if told.get("as") == "tuple" else items
        if "d" in told:
            return {str(key): self._node(each, depth + 1) for key, each in told["d"]}
        if "f" in told:
            return float.fromhex(told["f"])
        if "v" in told and (told["v"] is None or isinstance(told["v"], (bool, int, str))):
            return told["v"]
        return Foreign(str(told["o"])[:80])


def _nonsense(error: Exception) -> CandidateFailed:
    return CandidateFailed(Outcome.PROTOCOL, f"the answer makes no sense ({type(error).__name__})")
