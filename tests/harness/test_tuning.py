"""References' configurations are compiled side by side: each once, before the first is timed, and in threads.

Triton compiles for an H200 here as well; a driver that only says so stands in for the device, and nothing is launched.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys, threading
import torch, triton, triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.runtime import driver, jit
from harness.sandbox.tuning import compile_side_by_side

class Driver:
    def get_current_target(self): return GPUTarget("cuda", 90, 32)
    def get_current_device(self): return 0
    def get_current_stream(self, device): return 0
    def get_benchmarker(self): return None

driver.set_active(Driver())
threads = set()
compiled = []

def seen(*args, **kwargs):
    compiled.append(kwargs["compile"]["num_warps"])

triton.knobs.runtime.jit_post_compile_hook = seen
whole = triton.compiler.compile

def compile(*args, **kwargs):
    threads.add(threading.current_thread().name)
    return whole(*args, **kwargs)

triton.compiler.compiler.compile = triton.compiler.compile = jit.compile = compile
if sys.argv[1] == "side":
    compile_side_by_side(3)

@triton.autotune([triton.Config({"BLOCK": 64}, num_warps=w) for w in (1, 2, 4, 8)], key=["n"])
@triton.heuristics({"EVEN": lambda args: args["n"] % args["BLOCK"] == 0})
@triton.jit
def copy(x, y, n, BLOCK: tl.constexpr, EVEN: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y + at, tl.load(x + at, mask=at < n), mask=at < n)

x = jit.MockTensor(torch.float32)
copy.nargs = dict(zip(copy.arg_names, (x, x, 100)))
found = copy.prune_configs({"grid": (1,), "warmup": False})
assert len(found) == 4, found
print("pruned", sorted(compiled), "main" if "MainThread" in threads else "threads")
copy.warmup(x, x, 100, grid=(1,))
print("warm", sorted(compiled))
"""


@pytest.mark.parametrize(("how", "pruned"), [("side", "pruned [1, 2, 4, 8] threads"), ("after", "pruned [] threads")])
def test_all_are_compiled_before_the_first_is_tried(tmp_path: Path, how: str, pruned: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {
        "TRITON_CACHE_DIR": str(tmp_path / "cache"),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": ":".join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, str(program), how], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [pruned, "warm [1, 2, 4, 8]"]
