"""The second list of operations: what is led past the witness stands on it, and what happens to the list itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from harness.sandbox.guards import Guards
from harness.sandbox.ledger import TAMPERED, Ledger
from harness.sandbox.witness import Witness
from tests.conftest import ROOT

X = torch.ones(8)


def _seen(act: object) -> set[str]:
    assert callable(act)
    witness = Witness()
    with witness.watching(None):
        act()
    return witness.operations


def test_operations_are_seen_by_their_names() -> None:
    assert _seen(lambda: (X + X).view(2, 4)) == {"aten::add", "aten::view"}


def test_an_operation_past_the_witness_is_seen() -> None:
    def past() -> None:
        with torch._C._DisableTorchDispatch():
            torch.exp(X)

    assert "aten::exp" in _seen(past)


def test_a_cleared_witness_does_not_help() -> None:
    witness = Witness()
    with witness.watching(None):
        torch.exp(X)
        witness.operations.clear()
    assert "aten::exp" in witness.operations


@pytest.mark.parametrize("again", [False, True])
def test_a_profiler_that_was_stopped_is_told(again: bool) -> None:
    def stop() -> None:
        torch._C._autograd._disable_profiler()
        if again:
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]):
                torch.exp(X)

    assert TAMPERED in _seen(stop)


def test_an_autotuners_own_operations_are_nobodys() -> None:
    ledger, done = Ledger(), set[str]()
    with ledger.open(done):
        with ledger.tuning(), ledger.accounted():
            pass
        with ledger.tuning():
            torch.exp(X)  # unmarked: past the witness, inside or outside of tuning
    assert done == {"aten::exp"}


def test_what_is_done_within_an_operation_is_seen() -> None:
    """One that is allowed may have had its code exchanged."""
    library = torch.library.Library("aten", "IMPL")
    library.impl("zeros_like", lambda x, **options: torch.exp(x), "CPU")
    try:
        assert "aten::exp" in _seen(lambda: torch.zeros_like(X))
    finally:
        library._destroy()
    assert "aten::exp" not in _seen(lambda: torch.zeros_like(X))


def test_bands_and_poison_are_nobodys() -> None:
    witness = Witness()
    with witness.watching(Guards()):
        torch.empty(4)
    assert witness.operations == {"aten::empty"}


LOCKED = """
import json, sys
import torch
from harness.sandbox import ledger
from harness.sandbox.profiler import Profiler

profiler, told = Profiler(), []
ledger.lock(told.append)
profiler.start()
asked = [torch.autograd._profiler_enabled(), torch._C._autograd._profiler_enabled()]
torch.autograd.profiler._disable_profiler()
torch.exp(torch.ones(2))
ran = [event.name() for event in profiler.stop()]
print(json.dumps([asked, len(told), "aten::exp" in ran]))
"""


def test_nobody_can_ask_whether_the_profiler_runs_or_stop_it() -> None:
    """In a process of its own: what is locked stays so."""
    ran = subprocess.run([sys.executable, "-c", LOCKED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == [[False, False], 3, True]
