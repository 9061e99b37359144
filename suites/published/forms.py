"""What is run of a published task, by the form of its file: always a script that leaves its values in a variable.

script    as published
pytest    the test half, and a runner of ours that calls its tests with all their parameters; those that time are left
          out. What a test keeps before it fails is kept, beside the name of what it raised; a check of its own that
          fails after it has kept something is no failure: what it kept is compared
module    a solution defines `ModelNew`, which is made and called as KernelBench does, and seeded as its `Model`
"""

from __future__ import annotations

from dataclasses import dataclass

from suites.published.layouts import Published

KEPT = "kept_by_the_runner"
MODULE_SOLUTION = "ModelNew"

STAND_INS = """
import sys as _sys
import types as _types

for _name in ("geak_eval", "geak_eval.perf", "geak_eval.perf.ROCm", "geak_eval.perf.ROCm.performance_utils_pytest"):
    _sys.modules.setdefault(_name, _types.ModuleType(_name))
for _name in ("PytestBenchmarker", "do_bench_config", "save_all_benchmark_results"):
    setattr(_sys.modules["geak_eval.perf.ROCm.performance_utils_pytest"], _name, None)
"""
"""Before a test half of the form `pytest`: it imports what times it from the package of its evaluator."""

_RUNNER = """
def _run_all_tests(names, kept):
    import inspect
    import itertools
    import random

    import numpy
    import pytest
    import torch

    secret = int(torch.randint(1 << 31, ()))

    def set_seed(seed=42):
        for each in (random.seed, numpy.random.seed, torch.manual_seed):
            each((secret + seed) % (1 << 32))

    names["set_seed"] = set_seed

    def parameters(function):
        for mark in getattr(function, "pytestmark", []):
            if mark.name != "parametrize":
                continue
            given = mark.args[0]
            keys = [each.strip() for each in given.split(",")] if isinstance(given, str) else list(given)
            sets = list(mark.args[1])  # it may be an iterator
            values = [each.values if hasattr(each, "marks") else each for each in sets]
            many = len(keys) > 1 or not isinstance(given, str)
            plain = [not hasattr(each, "marks") for each in sets]
            yield [
                dict(zip(keys, value if many or not unwrapped else (value,)))
                for value, unwrapped in zip(values, plain)
            ]

    def skipped(function):
        marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name in ("skip", "skipif")]
        return any(mark.name == "skip" or not mark.args or bool(mark.args[0]) for mark in marks)

    raised, ran = {}, 0
    tests = [each for name, each in list(names.items()) if name.startswith("test_") and inspect.isfunction(each)]
    for test in tests:
        if test.__name__.startswith(("test_performance", "test_save")) or skipped(test):
            continue
        takes = inspect.signature(test).parameters
        for combination in itertools.product(*parameters(test)):
            values = {key: value for part in combination for key, value in part.items()}
            name = f"{test.__name__}[{'-'.join(str(value) for value in values.values())}]"
            request = type("Request", (), {"node": type("Node", (), {"name": name, "nodeid": name})()})()
            for key, value in takes.items():
                if key not in values and value.default is inspect.Parameter.empty:
                    values[key] = request if key == "request" else None
            before = len(kept)
            try:
                test(**{key: value for key, value in values.items() if key in takes})
                ran += 1
            except pytest.skip.Exception:
                raised[name] = "skipped"
            except Exception as error:
                if isinstance(error, AssertionError) and len(kept) > before:
                    ran += 1  # what it kept is compared: its own check is not needed
                else:
                    raised[name], last = type(error).__name__, error
    if raised and not ran and set(raised.values()) != {"skipped"}:
        raise last
    return raised
"""

_MODULE_TEST = """
import torch as _torch

_seed = int(_torch.randint(1 << 31, ()))


def _seeded():
    _torch.manual_seed(_seed)


def _on_device(values):
    return [each.cuda() if isinstance(each, _torch.Tensor) else each for each in values]


_seeded()
_arguments = _on_device(get_init_inputs())
_seeded()
_inputs = _on_device(get_inputs())
_seeded()
with _torch.no_grad():
    {kept} = {solution}(*_arguments).cuda()(*_inputs)
"""

_ASK = """Write a Python file that defines `class {solution}(torch.nn.Module)`, which takes the same arguments, keeps
the same parameters in the same order, and computes the same as `Model` here, with Triton kernels of its own:

```python
{source}
```
"""


@dataclass(frozen=True)
class Form:
    """What is run of one task."""

    reference: str
    test: str
    variable: str
    instruction: str
    """Where the data has none."""


def form(task: Published) -> Form:
    """By the form of its file."""
    if task.form == "pytest":
        runner = (
            f"{_RUNNER}\n{KEPT} = {{'kept': {task.variable}, 'raised': _run_all_tests(globals(), {task.variable})}}\n"
        )
        return Form(task.solution, f"{STAND_INS}\n{task.test}\n{runner}", KEPT, "")
    if task.form == "module":
        test = _MODULE_TEST.format(kept=KEPT, solution=MODULE_SOLUTION)
        reference = f"{task.solution}\n\nclass {MODULE_SOLUTION}(Model):\n    pass\n"
        ask = _ASK.format(solution=MODULE_SOLUTION, source=task.solution.strip())
        return Form(reference, f"{task.solution}\n{test}", KEPT, ask)
    return Form(task.solution, task.test, task.variable, "")
