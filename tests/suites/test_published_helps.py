"""What no longer runs of a published task is helped by rules, and the record says so."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from reports.cli import main
from suites.published.helps import helped
from tests.harness.commands import NO_CACHE, ROOT, Warm

KERNEL = '''"""A kernel."""
from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.hip.libdevice import tanh
from triton.ops.matmul_perf_model import early_config_prune, estimate_matmul_time

def _configs():
    return [triton.Config({"BLOCK": size, "waves_per_eu": 2}, num_warps=4) for size in (32, 64)]

CONFIGS = early_config_prune(_configs(), {})

@triton.jit
def _kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    tl.store(y_ptr + at, tanh(x) + tl.extra.hip.libdevice.pow(x, 2.0), mask=at < n)

def work(x):
    y = torch.empty_like(x)
    _kernel[(triton.cdiv(x.numel(), 64),)](
        x, y, x.numel(), BLOCK=CONFIGS[1].kwargs["BLOCK"], kpack=2,
        waves_per_eu=2
    )
    return y
'''
TEST = """
def test_work():
    return {"one": work(torch.randn(100, device="cuda"))}

result_gold = test_work()
"""


@pytest.mark.skipif(torch.version.hip is not None, reason="there the knobs stay")
def test_knobs_are_left_out_where_no_kernel_takes_them() -> None:
    text = helped(KERNEL).text
    assert "waves_per_eu" not in text and "kpack" not in text
    assert '{"BLOCK": size}' in text, "the comma before it goes too"
    assert text.count("\n") >= KERNEL.count("\n") - 1, "lines stay where they are, as far as they can"
    own = KERNEL.replace("n, BLOCK:", "n, kpack, waves_per_eu: tl.constexpr, BLOCK:")
    assert "kpack=2" in helped(own).text and '"waves_per_eu": 2' in helped(own).text


@pytest.mark.parametrize("call", ["f(waves_per_eu=(2))", "f(1, kpack=2,)", "f({'kpack': 1, 'a': 2}, waves_per_eu=3)"])
def test_what_is_left_is_a_program(call: str) -> None:
    ast.parse(helped(call).text)


def test_math_is_the_devices_own() -> None:
    found = helped(KERNEL)
    assert "hip" not in found.text
    assert "from triton.language.extra.libdevice import tanh" in found.text
    lines = found.text.splitlines()
    assert lines.index("from __future__ import annotations") < next(
        number for number, line in enumerate(lines) if line.startswith("from triton.language.extra import libdevice as")
    )
    assert any("math library" in each for each in found.helps)
    assert not helped("import triton\nx = tl.extra.cuda.libdevice.pow").helps, "NVIDIA's own runs as it is"


def test_dropped_modules_have_stand_ins_and_others_have_none() -> None:
    assert set(helped(KERNEL).stand_ins) == {"triton.ops.matmul_perf_model"}
    old = "from triton.backends.compiler import AttrsDescriptor\nimport triton.tools.experimental_descriptor\n"
    assert len(helped(old).stand_ins) == 2
    assert helped("import no_such_module\n").stand_ins == {}
    assert helped("this is (no Python").helps == ()


OLD_SOURCE = """
import triton
import triton.language as tl
from triton.backends.compiler import AttrsDescriptor, GPUTarget
from triton.compiler import ASTSource

SIZE: tl.constexpr = 8

@triton.jit
def _reversed(x_ptr, n: tl.constexpr):
    at = tl.arange(0, n)
    x = tl.load(x_ptr + at)
    tl.store(x_ptr + at, tl.flip(x) * SIZE)

attrs = AttrsDescriptor.from_hints({0: 16})
source = ASTSource(fn=_reversed, signature={"x_ptr": "*fp32"}, attrs=attrs, constants={"n": 16})
size = len(triton.compile(src=source, target=GPUTarget("cuda", 90, 32)).asm["ptx"])
"""


def test_what_triton_took_otherwise_once_compiles(tmp_path: Path) -> None:
    """In a process of its own, for a GPU that need not be there: a flip without an axis, a global annotated as
    constexpr, a source with `constants`. None of it does without the help."""
    ran = {}
    for name in ("as published", "helped"):
        found = helped(OLD_SOURCE)
        (tmp_path / "old.py").write_text(OLD_SOURCE if name == "as published" else found.text)
        before = "" if name == "as published" else "\n".join(found.stand_ins.values())
        call = f"{before}\nimport old\nprint('size', old.size)"
        ran[name] = subprocess.run([sys.executable, "-c", call], cwd=tmp_path, capture_output=True, text=True)
    assert ran["as published"].returncode == 1
    assert ran["helped"].stdout.startswith("size "), ran["helped"].stderr
    assert len(found.helps) == 4 and len(found.stand_ins) == 3, found.helps


def test_8_bit_floats_are_the_devices_own() -> None:
    found = helped("import torch\na, b = torch.float8_e4m3fnuz, 'e5m2fnuz'\nc = torch.float8_e5m2fnuz\n")
    assert found.text == "import torch\na, b = torch.float8_e4m3fn, 'e5m2fnuz'\nc = torch.float8_e5m2\n"
    assert found.helps == ("AMD's 8-bit floats: those of other devices",)


def test_a_task_that_needs_help_runs_and_its_record_says_so(
    warm: Warm, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "checkout" / "data"
    (data / "TritonBench_G_v1").mkdir(parents=True)
    (data / "TritonBench_G_v1" / "work.py").write_text(f"{KERNEL}\n{'#' * 146}\n{TEST}")
    about = {"file": "work.py", "repo": "some/one", "output": KERNEL, "difficulty": "2"}
    (data / "TritonBench_G_v1.json").write_text(json.dumps([{**about, "simp_instru": "Do.", "comp_instru": "Do it."}]))
    for kind in ("simp", "comp"):
        rows = [{"instruction": "Do it.", "input": "", "output": KERNEL}]
        (data / f"TritonBench_G_{kind}_alpac_v1.json").write_text(json.dumps(rows))
    suite, checkout = ROOT / "suites" / "published", f"--checkout={tmp_path / 'checkout'}"
    ran = warm.pytest(suite, *NO_CACHE, "-q", "--run-dir=run", checkout, "--solver=reference", cwd=tmp_path)
    assert ran.code == 0, ran.text
    (record,) = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    assert record["verdict"]["outcome"] == "right"
    assert len(record["helps"]) == 3 and all(any(w in h for h in record["helps"]) for w in ("AMD's math", "stand-in"))
    assert main(["show", str(tmp_path / "run"), "work"]) == 0
    assert "helped: AMD's math library" in capsys.readouterr().out
