"""What is timed of a published task, by the form of its files: a program that makes the published workloads and calls
a solution on them, as `harness.sandbox.scripts` asks for it.

script    its file of performance metrics, which makes a list of inputs and calls the solution on one
pytest    `test_performance` of its test half, with each of its parameters; what it would have timed is what is timed
module    `ModelNew` on the inputs of the module itself
"""

from __future__ import annotations

from suites.published.edits import without_imports
from suites.published.forms import MODULE_SOLUTION, STAND_INS
from suites.published.layouts import Published

_SOLUTIONS = ("TorchBench_v1", "TritonBench_v1", "geak_eval", "performance_utils")
"""Packages of the published evaluators: what is imported from them is a solution, which is there, or what times it."""

_METRICS = """
class _Enough(Exception):
    pass


class _Only(list):
    # Of all inputs that are made, one is kept, and those after it are not made.

    def __init__(self, number):
        super().__init__()
        self.number = number

    def append(self, inputs):
        super().append(inputs if len(self) == self.number else None)
        if len(self) > self.number:
            raise _Enough


class Performance_Metrics:
    def __init__(self, op_name, dtype=None, is_backward=False, **kwargs):
        self.op_name, self.dtype, self.is_backward, self.kwargs = op_name, dtype, is_backward, kwargs
        self._inputs = []

    @property
    def input_tensors(self):
        return self._inputs

    @input_tensors.setter
    def input_tensors(self, inputs):
        if inputs or not isinstance(self._inputs, _Only):  # some files begin with an empty list of their own
            self._inputs = inputs


class do_bench_config:
    def __init__(self, *values, **options):
        pass

"""

_OF_METRICS = """

_metrics = performance_metrics()


def _made(devices, number=None):
    import torch

    for device in devices:
        _metrics._inputs = [] if number is None else _Only(number)
        try:
            with torch.device(device):
                _metrics.get_input_tensors()
        except _Enough:
            pass
        except Exception:
            if device == devices[-1]:
                raise
            continue
        return _metrics.input_tensors


def describe_workloads():
    found = _made(("meta", "cpu"))
    return [_described(f"input {n + 1} of {len(found)}", each) for n, each in enumerate(found)]


def make_workload(number):
    inputs = _metrics.to_cuda(_made(("cuda", "cpu"), number)[number])
    _metrics._inputs = []
    return (lambda: _metrics.call_op(inputs)), inputs
"""

_DESCRIBED = """
def _described(name, inputs):
    import torch

    def tensors(value):
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple, dict)):
            for each in value.values() if isinstance(value, dict) else value:
                yield from tensors(each)

    found = list(tensors(inputs))
    shapes = "".join(f", {str(each.dtype)[6:]} {tuple(each.shape)}" for each in found[:3])
    return f"{name}{shapes}{' …' if len(found) > 3 else ''}", sum(each.numel() * each.element_size() for each in found)

"""

_BENCHMARKER = """
_calls = []


class _Benchmarker:
    def __init__(self, op_callable, *values, **options):
        self.op_callable = op_callable

    def run_benchmark(self, *values, **options):
        _calls.append(self.op_callable)


_utils = _sys.modules["geak_eval.perf.ROCm.performance_utils_pytest"]
_utils.PytestBenchmarker, _utils.do_bench_config = _Benchmarker, lambda *values, **options: None

"""

_OF_PYTEST = """

set_seed = lambda *values, **options: None


def _timed_tests():
    import inspect

    found = []
    for name, test in list(globals().items()):
        if not name.startswith("test_performance") or not inspect.isfunction(test):
            continue
        combinations = [{}]
        for mark in getattr(test, "pytestmark", []):
            if mark.name != "parametrize":
                continue
            given = mark.args[0]
            keys = [each.strip() for each in given.split(",")] if isinstance(given, str) else list(given)
            alone = len(keys) == 1 and isinstance(given, str)
            rows = [each.values if hasattr(each, "marks") else (each,) if alone else each for each in mark.args[1]]
            values = [dict(zip(keys, each)) for each in rows]
            combinations = [{**one, **other} for one in combinations for other in values]
        found += [(test, each) for each in combinations]
    return found


def describe_workloads():
    return [(", ".join(f"{key}={str(value)[:40]}" for key, value in each.items()) or "the only one", 1 << 28)
            for _, each in _timed_tests()]


def _captured(function):
    import torch

    kept = [cell.cell_contents for cell in function.__closure__ or ()] + list(function.__defaults__ or ())
    return [each for each in kept if isinstance(each, (torch.Tensor, list, tuple, dict))]


def make_workload(number):
    import inspect

    test, values = _timed_tests()[number]
    takes = inspect.signature(test).parameters
    missing = {
        name: None for name, each in takes.items() if name not in values and each.default is inspect.Parameter.empty
    }
    _calls.clear()
    test(**{key: value for key, value in values.items() if key in takes}, **missing)
    call = _calls[-1]
    return call, _captured(call)
"""

_OF_MODULE = """

def describe_workloads():
    return [_described("the module's own inputs", get_inputs())]


def make_workload(number):
    import torch

    def on_device(values):
        return [each.cuda() if isinstance(each, torch.Tensor) else each for each in values]

    model, inputs = {solution}(*on_device(get_init_inputs())).cuda(), on_device(get_inputs())

    def call():
        with torch.no_grad():
            return model(*inputs)

    return call, inputs
"""


def timed_half(task: Published, test: str) -> str:
    """The program; empty where the checkout has nothing that times the task. `test` is what runs of the test half."""
    if task.form == "pytest":
        return f"{STAND_INS}{_BENCHMARKER}{test}{_OF_PYTEST}" if "def test_performance" in test else ""
    if task.form == "module":
        return f"{task.solution}\n{_DESCRIBED}{_OF_MODULE.replace('{solution}', MODULE_SOLUTION)}"
    if not task.performance:
        return ""
    metrics = without_imports(task.performance, lambda module: _of_evaluator(module, task.name))
    return f"{_METRICS}{metrics}{_DESCRIBED}{_OF_METRICS}"


def _of_evaluator(module: str, name: str) -> bool:
    return module.partition(".")[0] in _SOLUTIONS or module.rpartition(".")[2] == name
