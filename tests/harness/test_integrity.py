"""What a candidate does beside its work: acts that no kernel needs are seen, those of honest code are not."""

from __future__ import annotations

import pytest

from harness.judge.integrity import Finding, weigh
from harness.judge.judge import Judge
from harness.sandbox import testimony
from harness.task import Task
from harness.verdict import Outcome, Verdict

CHEATING = {
    "frames": ("import sys\ndef act(): sys._getframe(1).f_back", "looked at the stack"),
    "frames by inspect": ("import inspect\ndef act(): inspect.stack()", "looked at the stack"),
    "frames by a traceback": (
        "def act():\n    try: raise ValueError\n    except ValueError as error: error.__traceback__.tb_frame.f_back",
        "looked at the stack",
    ),
    "frames by a generator": ("def act(): (i for i in ()).gi_frame", "looked at the stack"),
    "tracing": ("import sys\ndef act(): sys.settrace(None)", "looked at the stack"),
    "profiling": ("import sys\ndef act(): sys.setprofile(None)", "looked at the stack"),
    "monitoring": (  # Python tells of it so, from 3.12 on
        "import sys\ndef act():\n"
        "    if hasattr(sys, 'monitoring'): sys.monitoring.register_callback(3, 1, None)\n"
        "    else: sys.audit('sys.monitoring.register_callback', None)",
        "looked at the stack",
    ),
    "objects": ("import gc\ndef act(): gc.get_objects()", "searched the objects"),
    "referrers": ("import gc\ndef act(): gc.get_referrers(act)", "searched the objects"),
    "a thread": ("import threading\ndef act(): threading.Thread(target=int).start()", "started a thread"),
    "a pool": (
        "from concurrent.futures import ThreadPoolExecutor\ndef act(): ThreadPoolExecutor(1).submit(int).result()",
        "started a thread",
    ),
    "a process": ("import os\ndef act():\n    if os.fork() == 0: os._exit(0)", "started a process"),
    "a command": ("import subprocess\ndef act(): subprocess.run(['true'])", "started a process"),
    "machine code": ("import ctypes\ndef act(): ctypes.CDLL(None).getpid()", "machine code"),
    "memory by address": ("import ctypes\ndef act(): ctypes.string_at(id(act), 8)", "machine code"),
    "network": (
        "import socket\ndef act():\n    try: socket.socket()\n    except OSError: pass",
        "reach the network",
    ),
    "a signal": ("import os\ndef act(): os.kill(os.getpid(), 0)", "sent a signal"),
    "the harness": (
        "def act():\n    try: import harness.judge.compare\n    except ImportError: pass",
        "imported harness",
    ),
    "another's memory": (
        "def act():\n    try: open('/proc/self/mem', 'rb')\n    except OSError: pass",
        "tried to read /proc/self/mem",
    ),
    "a file outside": (
        "def act():\n    try: open('/usr/made_up', 'w')\n    except OSError: pass",
        "tried to write /usr/made_up",
    ),
    "a hook": ("import sys\ndef act(): sys.addaudithook(lambda *a: None)", "added an audit hook"),
    "another's code": ("import re\ndef act(): re.escape.__code__ = act.__code__", "changed the code"),
    "disguise": ("import torch\ndef act(): eval(compile('1', torch.__file__, 'eval'))", "claims to be of"),
    "replaced, torch": ("def act(): torch.cuda.synchronize = lambda *a: None", "replaced `torch.cuda.synchronize`"),
    "replaced, time": ("import time\ndef act(): time.perf_counter = lambda: 0.0", "replaced `time.perf_counter`"),
    "replaced, Triton": (
        "from triton.runtime.jit import JITFunction\ndef act(): JITFunction.__getitem__ = lambda *a: None",
        "replaced `triton.runtime.jit.JITFunction.__getitem__`",
    ),
    "replaced, tensors": ("def act(): torch.Tensor.__eq__ = lambda a, b: True", "replaced `torch.Tensor.__eq__`"),
    "the pipe closed": ("import os\ndef act(): os.closerange(4, 1000)", "closed the pipe"),
    "the pipe written": ("import os\ndef act(): os.write(4, b'hello\\n')", "wrote into the pipe"),
    "the pipe replaced": ("import os\ndef act(): os.dup2(os.pipe()[1], 4)", "closed the pipe"),
}
HONEST = {
    "named tuples": "from collections import namedtuple\ndef act(): namedtuple('A', 'b c')(1, 2)",
    "data classes": "from dataclasses import dataclass\n@dataclass\nclass A:\n    b: int = 1\ndef act(): A()",
    "enumerations": "import enum\ndef act(): enum.Enum('A', 'B C')",
    "logging": "import logging\ndef act(): logging.getLogger('a').warning('b')",
    "warnings": "import warnings\ndef act(): warnings.warn('a')",
    "an error": "import traceback\ndef act():\n    try: 1 / 0\n    except ArithmeticError: traceback.format_exc()",
    "scratch": "def act():\n    open('a', 'w').write('b'); assert open('a').read() == 'b'",
    "temporary files": "import tempfile\ndef act():\n    with tempfile.TemporaryFile() as f: f.write(b'a')",
    "its own source": "import inspect\ndef act(): inspect.getsource(act)",
    "imports": "def act():\n    import decimal, fractions, statistics, json, re, math, functools, itertools, typing",
    "a lock": "import threading\ndef act():\n    with threading.Lock(): threading.local()",
    "collection": "import gc\ndef act(): gc.collect()",
    "the clock": "import time\ndef act(): time.perf_counter(), time.sleep(0.001)",
    "the environment": "import os\ndef act(): os.environ.get('HOME'), os.getpid(), os.cpu_count(), os.path.exists('/')",
    "the device": "def act(): torch.cuda.get_device_properties(0), torch.cuda.synchronize(), open('/proc/cpuinfo')",
    "streams": "def act(): torch.cuda.current_stream().synchronize(), torch.cuda.Event(enable_timing=True).record()",
    "printing": "import sys\ndef act(): print('a', file=sys.stderr)",
    "scalars": "def act(): torch.ones(1, device='cuda').item()",
    "its own methods": "def act(): setattr(torch.Tensor, 'my_helper', lambda self: self)",
}


def _judge(judge: Judge, task: Task, act: str) -> Verdict:
    source = f"{task.reference}\n\n_honest = doubled\n\n{act}\n\n\ndef doubled(x):\n    act()\n    return _honest(x)\n"
    return judge.judge(task, source)


@pytest.mark.parametrize("name", CHEATING)
def test_seen(name: str, judge: Judge, doubled: Task) -> None:
    act, sentence = CHEATING[name]
    verdict = _judge(judge, doubled, act)
    assert verdict.outcome is Outcome.CHEATING, f"{verdict.outcome}: {verdict.reason}\n{verdict.detail}"
    assert sentence in verdict.reason and any(sentence in each for each in verdict.warnings)
    assert verdict.speedup is None and not verdict.right


@pytest.mark.parametrize("name", HONEST)
def test_let_pass(name: str, judge: Judge, doubled: Task) -> None:
    verdict = _judge(judge, doubled, HONEST[name])
    assert verdict.outcome is Outcome.RIGHT, f"{verdict.outcome}: {verdict.reason}\n{verdict.detail}"
    assert verdict.warnings == ()


@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        ("def act(): exec('1')", "executed code that it made at run time"),
        ("import os\ndef act(): os.listdir('/usr')", "searched folders outside"),
        ("def act(): getattr(act, '__globals__')", "names `__globals__`"),
        ("def act():\n    try: import cupy\n    except ImportError: pass", "imported cupy"),
    ],
)
def test_suspicious_is_no_verdict(act: str, sentence: str, judge: Judge, doubled: Task) -> None:
    verdict = _judge(judge, doubled, act)
    assert verdict.outcome is Outcome.RIGHT, verdict.reason
    assert any(sentence in each for each in verdict.warnings), verdict.warnings


def test_evidence_ends_a_process_that_can_not_tell(judge: Judge, doubled: Task) -> None:
    verdict = _judge(judge, doubled, "import gc, os\ndef act():\n    os.close(4)\n    gc.get_objects()")
    assert verdict.outcome is Outcome.EXIT and "exit code 77" in verdict.reason


def test_who_runs_and_cheats_is_called_so_right_or_wrong() -> None:
    seen = testimony.Testimony(cheating=("it did a", "it did b", "it did c", "it did d"), torch=("it compiles",))
    found = weigh(Finding(Outcome.VALUES, "off by 1", "detail"), seen)
    assert found == Finding(
        Outcome.CHEATING, "it did a; it did b; it did c (and 1 acts more)", "besides, wrong values: off by 1\ndetail"
    )
    seen_torch = testimony.Testimony(torch=("it compiles",))
    assert weigh(Finding(Outcome.RIGHT, "right"), seen_torch).outcome is Outcome.TORCH_WORK
    crashed = Finding(Outcome.CRASH, "segmentation fault")
    assert weigh(crashed, seen) == crashed
    assert weigh(Finding(Outcome.RIGHT, "right"), testimony.Testimony(suspicious=("odd",))).outcome is Outcome.RIGHT
