"""What a candidate's own failure is called: how its process ended, or what it raised, as an outcome with a sentence."""

from __future__ import annotations

import re
from typing import Any

from harness.verdict import Outcome


class CandidateFailed(Exception):
    """The candidate ended or failed by its own doing."""

    def __init__(self, outcome: Outcome, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.outcome, self.reason, self.detail = outcome, reason, detail


_SIGNALS = {
    4: "illegal instruction",
    6: "abort",
    7: "bus error",
    8: "arithmetic error",
    9: "killed",
    11: "segmentation fault",
}


def ended(report: dict[str, Any]) -> CandidateFailed:
    """The candidate's process is gone: why?"""
    output = str(report.get("output", ""))[-3000:]
    if report.get("why") == "flood":
        return CandidateFailed(Outcome.OUTPUT_FLOOD, "it printed more than the limit", output[-500:])
    if report.get("why") == "memory":
        return CandidateFailed(Outcome.MEMORY, "its processes used more memory than the limit")
    signal = report.get("signal")
    if signal is not None:
        name = _SIGNALS.get(signal, f"signal {signal}")
        return CandidateFailed(Outcome.CRASH, f"its process ended by a {name}", output)
    if report.get("exit") is not None:
        return CandidateFailed(Outcome.EXIT, f"it ended its process with exit code {report['exit']}", output)
    return CandidateFailed(Outcome.CRASH, "its process disappeared", output)


_BY_TYPE: tuple[tuple[re.Pattern[str], Outcome], ...] = (
    (re.compile(r"OutOfMemoryError|MemoryError"), Outcome.MEMORY),
    (
        re.compile(
            r"CompilationError|CompileTimeAssertionFailure|UnsupportedLanguageConstruct|PTXASError|OutOfResources"
        ),
        Outcome.COMPILE_ERROR,
    ),
)
_BY_MESSAGE: tuple[tuple[re.Pattern[str], Outcome], ...] = (
    (re.compile(r"illegal memory access|misaligned address|an illegal instruction", re.I), Outcome.ILLEGAL_ACCESS),
    (
        re.compile(r"can't allocate memory|cannot allocate memory|out of memory|bad_alloc|DefaultCPUAllocator", re.I),
        Outcome.MEMORY,
    ),
    (re.compile(r"PassManager::run failed|ptxas|LLVM ERROR", re.I), Outcome.COMPILE_ERROR),
)


def failed(error: Any, loading: bool) -> CandidateFailed:
    """An exception of the candidate, classified by its types and message."""
    if not isinstance(error, dict):
        return CandidateFailed(Outcome.PROTOCOL, "the answer makes no sense")
    told = error.get("types")
    types = [str(each)[:80] for each in told] if isinstance(told, list) and told else ["Exception"]
    message, lines = str(error.get("message", ""))[:6000], str(error.get("lines", ""))[:6000]
    if error.get("unsupported"):
        feature = str(error["unsupported"])[:120]
        return CandidateFailed(
            Outcome.UNSUPPORTED, f"the interpreter has no {feature}", f"{types[-1]}: {message}\n{lines}"
        )
    first = message.strip().splitlines()[0][:300] if message.strip() else ""
    sentence = f"{types[-1]}: {first}" if first else types[-1]
    detail = f"{lines}\n{types[-1]}: {message}".strip()
    if error.get("kind") == "exit":
        return CandidateFailed(Outcome.EXIT, f"it raised SystemExit({first})", detail)
    for name in types:
        for pattern, outcome in _BY_TYPE:
            if pattern.search(name):
                return CandidateFailed(outcome, sentence, detail)
    for pattern, outcome in _BY_MESSAGE:
        if pattern.search(message):
            return CandidateFailed(outcome, sentence, detail)
    return CandidateFailed(Outcome.IMPORT_ERROR if loading else Outcome.CALL_ERROR, sentence, detail)
