"""Is an instruction complete? Rules that a page must keep so that a stranger can write the kernel from it alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import torch

from harness.dtypes import dtype_name
from harness.task import TOLERANCE, Rng, Task

HEADINGS = ("Operation", "Signature", "Arguments", "Returns", "Edge cases", "Precision", "Rules")
LONGEST_LINE = 120
CLASSES = ("exact", "rounding", "reduced")
"""Of tolerance: equal to the last bit; within `harness.task.TOLERANCE`; looser, for a reason that the page gives."""


def parameters(task: Task) -> list[str]:
    """Names of the entry point's parameters."""
    function = ast.parse(f"def {task.signature}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    return [each.arg for each in function.args.args]


def tolerance_class(task: Task) -> str:
    """The class of a task's tolerance, over the data types of what it writes."""
    dtypes = {each.dtype for case in task.cases for each in _written(task, task.make_inputs(case, Rng(0)))}
    bounds = {name: task.tolerance.bound(name) for name in map(dtype_name, dtypes)}
    if all(bound.rtol == bound.atol == 0.0 for bound in bounds.values()):
        return "exact"
    usual = {name: TOLERANCE.bound(name) for name in bounds}
    tight = all(b.rtol <= usual[n].rtol and b.atol <= usual[n].atol for n, b in bounds.items())
    return "rounding" if tight else "reduced"


def _written(task: Task, inputs: dict[str, object]) -> list[torch.Tensor]:
    changed = [value for name in task.mutates if isinstance(value := inputs[name], torch.Tensor)]
    return [*task.allocate(inputs), *changed]


def faults(task: Task) -> Iterator[str]:
    """What the page lacks, a sentence each."""
    page = task.instruction
    headings = re.findall(r"^(#+) (.*)$", re.sub(r"```.*?```", "", page, flags=re.S), re.M)
    if headings != [("#", task.name), *(("##", each) for each in HEADINGS)]:
        yield f"its headings are not `# {task.name}`, then ## {', '.join(HEADINGS)}"
        return
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    blocks = re.findall(r"```python\n(.*?)\n```", sections["Signature"], re.S)
    if blocks != [f"def {task.signature}"]:
        yield "Signature is not one Python block with the task's signature"
    names = parameters(task)
    first = next(iter(task.cases))
    inputs = task.make_inputs(first, Rng(0))
    if list(inputs) != names:
        yield f"the inputs ({', '.join(inputs)}) are not the signature's parameters ({', '.join(names)})"
    explained = sections["Arguments"]
    for name in names:
        line = next((each for each in _bullets(explained) if f"`{name}`" in each.partition(":")[0]), None)
        if line is None:
            yield f"Arguments has no bullet for `{name}`"
        elif isinstance(inputs.get(name), torch.Tensor) and "shape" not in line and "(" not in line:
            yield f"Arguments gives no shape of `{name}`"
    if not re.search(r"`\(|shape", explained) and any(isinstance(v, torch.Tensor) for v in inputs.values()):
        yield "Arguments gives no shapes"
    outputs = len(task.allocate(inputs))
    described = len(re.findall(r"^- `\w+`: a new ", sections["Returns"], re.M))
    if described != outputs:
        yield f"Returns describes {described} new outputs with a bullet, there are {outputs}"
    for name in task.mutates:
        if f"`{name}`" not in sections["Returns"]:
            yield f"Returns does not say that `{name}` is changed in place"
    if len(_bullets(sections["Edge cases"])) < 2:
        yield "Edge cases names fewer than two"
    yield from _dtypes(task, page)
    precision = sections["Precision"].strip()
    wanted = f"Tolerance class: {tolerance_class(task)}."
    if not precision.endswith(wanted):
        yield f"Precision does not end with `{wanted}`, which is what its bounds are"
    if tolerance_class(task) != "exact" and not re.search(r"`float32`|`float64`|`int32`", precision):
        yield "Precision does not say in which data type sums are held"
    if f"`{task.entry_point}`" not in sections["Rules"]:
        yield "Rules does not name the entry point"
    long = [line for line in re.sub(r"```.*?```", "", page, flags=re.S).splitlines() if len(line) > LONGEST_LINE]
    if long:
        yield f"{len(long)} lines are longer than {LONGEST_LINE} characters"


def _bullets(section: str) -> list[str]:
    """The bullets of a section, continuation lines joined; rows of tables too."""
    return [" ".join(each.split()) for each in re.findall(r"^- (.*?)(?=^- |^\s*$|\Z)", section, re.M | re.S)]


def _dtypes(task: Task, page: str) -> Iterator[str]:
    """Every data type that cases and workloads use stands on the page under PyTorch's name."""
    used = {case[name] for case in (*task.cases, *task.workloads) for name in case if name.endswith("dtype")}
    for case in task.cases:
        used |= {dtype_name(v.dtype) for v in task.make_inputs(case, Rng(0)).values() if isinstance(v, torch.Tensor)}
    names = {str(torch_name): _pytorch_name(str(torch_name)) for torch_name in used if isinstance(torch_name, str)}
    for short, name in sorted(names.items()):
        if name not in page:
            yield f"the data type {name} ({short}) is not on the page"


def _pytorch_name(short: str) -> str:
    from harness.dtypes import DTYPES

    return str(DTYPES[short]).removeprefix("torch.") if short in DTYPES else short
