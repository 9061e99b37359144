"""A judge's process begins its warm parent at once: nothing is imported before that takes seconds."""

from __future__ import annotations

import subprocess
import sys

from tests.harness.commands import ROOT


def test_nothing_is_imported_first_that_imports_for_seconds() -> None:
    code = "import sys, harness.engine.warming; print(sorted({'torch', 'triton', 'numpy'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
