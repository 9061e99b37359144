"""What Triton looks up once a process is known to all candidates of a warm parent."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.sandbox import hold
from tests.harness.commands import ROOT

AFTER = """
import builtins, os, subprocess, sys
from harness.sandbox import lookups
import triton.compiler

if sys.argv[1] == "looked up":
    lookups.look_up(90)
read, asked, opened = [], [], builtins.open

def opens(file, *arguments, **named):
    read.append(os.path.basename(str(file)))
    return opened(file, *arguments, **named)

def asks(command, **named):
    asked.append(os.path.basename(command[0]))
    return b"release 12.8"

builtins.open, subprocess.check_output = opens, asks
if os.fork() == 0:
    from triton.backends.compiler import GPUTarget
    from triton.compiler.compiler import get_cache_key, make_backend

    class Source:
        def hash(self):
            return "of a kernel"

    backend = make_backend(GPUTarget("cuda", 90, 32))
    key = get_cache_key(Source(), backend, backend.parse_options({}), env_vars={})
    print(len(key) > 1000, any("libtriton" in each for each in read), sorted(set(asked)))
    sys.stdout.flush()
    os._exit(0)
os.wait()
"""


@pytest.mark.parametrize(("when", "left"), [("looked up", "True False []"), ("not yet", "True True ['ptxas']")])
def test_a_candidate_looks_nothing_up_that_its_parent_has(when: str, left: str) -> None:
    command = [sys.executable, "-c", AFTER, when]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == left, done.stderr


def test_what_keeps_a_gpu_waiting_is_assembled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "_code", [hold._PTX])
    hold.assemble(90)
    assembled, source = hold._code
    assert assembled.startswith(b"\x7fELF") and b".text.hold" in assembled and source == hold._PTX
    with pytest.raises(subprocess.CalledProcessError):
        hold.assemble(1)
    assert hold._code == [assembled, source], "as it was"


def test_no_triton_and_no_tool_is_no_trouble() -> None:
    code = "import sys; sys.modules['triton'] = None; from harness.sandbox import lookups; lookups.look_up(90)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
