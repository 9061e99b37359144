"""A task: one kernel to write, and all that the judge needs to know of it.

A task is a folder with `instruction.md` (all that a solver is told), `task.py` (which makes one `Task` named `task`)
and `reference.py` (the expert kernel, in the form of a solution). This module is what `task.py` imports:

    from harness.task import Cost, Task, grid

    task = Task(
        entry_point="softmax",
        signature="softmax(x: torch.Tensor) -> torch.Tensor",
        outputs="torch.empty_like(x)",
        level=3, category="softmax", origin="ROCm/triton",
        cases=grid(rows=[1, 33], cols=[1, 781], dtype=["fp32", "bf16"]),
        workloads=grid(rows=[8192], cols=[8192], dtype=["bf16"]),
    )

    @task.inputs
    def inputs(case, rng): return {"x": rng.normal(case.rows, case.cols, dtype=case.dtype)}

    @task.oracle
    def oracle(x): return torch.softmax(x, dim=-1)

    @task.cost
    def cost(case): return Cost(bytes=2 * case.rows * case.cols * case.dtype.itemsize)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from harness.dtypes import DTYPES
from harness.errors import SuiteError

Value = bool | int | float | str | None
Inputs = dict[str, Any]
"""Arguments of the entry point in the order of its signature: tensors and plain Python values."""


@dataclass(frozen=True)
class Case(Mapping[str, Value]):
    """One set of parameters. Plain values by item (`case["dtype"] == "fp16"`), and by attribute, where a parameter
    whose name ends in `dtype` reads as the PyTorch data type (`case.dtype.itemsize`)."""

    items_: tuple[tuple[str, Value], ...]

    def __getitem__(self, name: str) -> Value:
        for key, value in self.items_:
            if key == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self.items_)

    def __len__(self) -> int:
        return len(self.items_)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "items_":
            raise AttributeError(name)
        try:
            value = self[name]
        except KeyError:
            raise AttributeError(f"the case {self.id!r} has no parameter {name!r}") from None
        return DTYPES[value] if name.endswith("dtype") and isinstance(value, str) else value

    @property
    def id(self) -> str:
        """Stable name, as it stands in records: `rows=33,cols=781,dtype=fp16`."""
        return ",".join(f"{key}={value}" for key, value in self.items_)


Workload = Case
"""A workload is a case at the size on which candidates are timed."""


def case(**parameters: Value) -> Case:
    """One case from its parameters."""
    return Case(tuple(parameters.items()))


def grid(**axes: Value | Sequence[Value]) -> list[Case]:
    """All combinations of the axes, the last varying fastest; a plain value is an axis of length one."""
    values = [
        list(axis) if isinstance(axis, Sequence) and not isinstance(axis, str) else [axis] for axis in axes.values()
    ]
    return [Case(tuple(zip(axes, point, strict=True))) for point in itertools.product(*values)]


@dataclass(frozen=True)
class Bound:
    """How far a value may lie from the oracle's: `|got - expected| <= rtol * |expected| + atol * scale`.

    `scale` is the root mean square of the expected finite values in the value's row (the last dimension), or of the
    whole tensor where rows have fewer than 16 values; a row's scale is at least a thousandth of the whole's. So the
    bound follows the expected magnitude: zeros can't pass for small values, nor hide beside a row of large ones.
    """

    rtol: float
    atol: float


@dataclass(frozen=True)
class Tolerance:
    """Bounds by data type of the output. Integers and booleans have to be equal unless named here."""

    bounds: Mapping[str, Bound]

    def by(self, **bounds: tuple[float, float]) -> Tolerance:
        """A copy with some bounds replaced: `TOLERANCE.by(fp32=(1e-3, 1e-3))`, each (rtol, atol)."""
        return replace(self, bounds={**self.bounds, **{name: Bound(*pair) for name, pair in bounds.items()}})

    def bound(self, dtype: str) -> Bound:
        """The bound for a data type by short name; an unnamed one has to be exact."""
        return self.bounds.get(dtype, Bound(0.0, 0.0))


# Some ulps of each format: an honest kernel that accumulates in fp32 lies well inside; a kernel that skips a block, or
# accumulates long sums in the output's own half precision, does not.
DATA_MOVEMENT = "data movement"
"""Category of the tasks that compute nothing, or whose values are known without looking at any."""

TOLERANCE = Tolerance(
    {
        "fp64": Bound(1e-9, 1e-10),
        "fp32": Bound(2e-5, 1e-5),
        "fp16": Bound(4e-3, 1e-3),
        "bf16": Bound(2e-2, 6e-3),
        "fp8e4m3": Bound(1.3e-1, 4e-2),
        "fp8e5m2": Bound(2.6e-1, 8e-2),
        "fp8e4m3fnuz": Bound(1.3e-1, 4e-2),
        "fp8e5m2fnuz": Bound(2.6e-1, 8e-2),
    }
)


@dataclass(frozen=True)
class Cost:
    """The least work that the operation needs on one workload: the hardware's limit follows from it."""

    bytes: float
    """Bytes through device memory: each input read once, each output written once."""
    flops: float = 0.0
    """Floating-point (or integer) operations, a multiply-add counted as two."""
    rate: str | None = None
    """Which of the device's matrix rates bounds `flops`: a dtype short name, `tf32`, or None: bytes alone bound it."""


class Rng:
    """Source of inputs: a seeded generator on the judge's device. The seed is the judge's secret."""

    def __init__(self, seed: int, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self._generator = torch.Generator(device=self.device).manual_seed(seed)

    def normal(
        self, *shape: int, dtype: torch.dtype = torch.float32, mean: float = 0.0, std: float = 1.0
    ) -> torch.Tensor:
        """Normally distributed values of the given shape."""
        values = torch.randn(shape, generator=self._generator, device=self.device, dtype=torch.float32)
        return values.mul_(std).add_(mean).to(dtype)

    def uniform(
        self, *shape: int, dtype: torch.dtype = torch.float32, low: float = 0.0, high: float = 1.0
    ) -> torch.Tensor:
        """Uniform values in [low, high)."""
        values = torch.rand(shape, generator=self._generator, device=self.device, dtype=torch.float32)
        return values.mul_(high - low).add_(low).to(dtype)

    def integers(self, low: int, high: int, *shape: int, dtype: torch.dtype = torch.int64) -> torch.Tensor:
        """Integers in [low, high)."""
        return torch.randint(low, high, shape, generator=self._generator, device=self.device).to(dtype)

    def permutation(self, n: int) -> torch.Tensor:
        """A random order of 0 … n-1 (int64)."""
        return torch.randperm(n, generator=self._generator, device=self.device)

    def scalar(self, low: float, high: float) -> float:
        """One Python float in [low, high)."""
        return float(torch.rand((), generator=self._generator, device=self.device).item()) * (high - low) + low


InputsFn = Callable[[Case, Rng], Inputs]
OracleFn = Callable[..., Any]
CostFn = Callable[[Case], Cost]


@dataclass
class Task:
    """One kernel to write. `task.py` fills it; the suite's loader adds name, texts and digest."""

    entry_point: str
    """Name of the function that a solution defines and the judge calls, positionally, in the order of the inputs."""
    signature: str
    """The entry point's exact signature, as the instruction gives it."""
    outputs: str
    """Python expression over the arguments that allocates the outputs uninitialised: it fixes their number, shapes
    and dtypes. A tensor, or a tuple of tensors; `()` for a task that only changes its inputs in place."""
    level: int
    """Difficulty from 1 to 5, on TritonBench's scale."""
    category: str
    """What kind of work it is. Of `DATA_MOVEMENT`, copying is."""
    origin: str
    """Where the published task comes from."""
    cases: list[Case]
    """On which a candidate must be right: small enough for the interpreter."""
    workloads: list[Case]
    """On which it is timed on a GPU: the published shapes."""
    aliases: tuple[str, ...] = ()
    """Other names that select this task, such as the published one."""
    tolerance: Tolerance = TOLERANCE
    mutates: tuple[str, ...] = ()
    """Names of inputs that the entry point changes in place, as its contract says; all others must stay as they are."""
    torch_may: tuple[str, ...] = ()
    """ATen operations, besides allocation, views and copies, that a solution may use (`aten::cumsum`)."""
    contiguous_outputs: bool = True
    """Outputs must be contiguous; False where the contract leaves the layout open."""
    interpreted: list[Case] | None = None
    """On which it is timed on the interpreter; None: the case with the most bytes."""
    redrawn: tuple[str, ...] = ()
    """Names of inputs that get fresh values in every timed call, besides floating-point tensors, which always do:
    tensors of integer data, and seeds."""
    wordings: tuple[str, ...] = ()
    """Other texts in which this task was put to models elsewhere: published answers are known by them."""
    helps: tuple[str, ...] = ()
    """What rules changed in a published task so that it runs here, a sentence each."""
    waivers: Mapping[str, str] = field(default_factory=dict)
    """Checks of the doctor that can't hold for this operation, by name, each with the reason; see `harness.doctor`."""

    name: str = field(default="", init=False)
    suite: str = field(default="", init=False)
    folder: Path = field(default=Path(), init=False)
    instruction: str = field(default="", init=False, repr=False)
    reference: str = field(default="", init=False, repr=False)
    digest: str = field(default="", init=False)
    """SHA-256 over instruction, task, reference, cases and tolerances: results of different digests never share a
    column."""

    _inputs: InputsFn | None = field(default=None, init=False, repr=False)
    _oracle: OracleFn | None = field(default=None, init=False, repr=False)
    _cost: CostFn | None = field(default=None, init=False, repr=False)
    _eager: OracleFn | None = field(default=None, init=False, repr=False)

    def inputs(self, function: InputsFn) -> InputsFn:
        """Decorator: `inputs(case, rng)` gives the entry point's arguments, in order, as a dict."""
        self._inputs = function
        return function

    def oracle(self, function: OracleFn) -> OracleFn:
        """Decorator: the operation in plain PyTorch, called with the inputs as keywords, floating-point tensors
        raised to fp64. For inputs in `mutates` it changes its own copies in place."""
        self._oracle = function
        return function

    def cost(self, function: CostFn) -> CostFn:
        """Decorator: `cost(case)` gives the least work on that case."""
        self._cost = function
        return function

    def eager(self, function: OracleFn) -> OracleFn:
        """Decorator: what a user of PyTorch would write, called with the inputs as they are; its time stands beside
        the reference's. Without it the oracle is called so."""
        self._eager = function
        return function

    def run_eager(self, inputs: Inputs) -> Any:
        """The operation as PyTorch does it, on the inputs in their own data types."""
        function = self._eager or self._oracle
        if function is None:
            raise SuiteError(f"{self.folder}/task.py: no oracle: add a function marked with @task.oracle")
        return function(**inputs)

    def make_inputs(self, case: Case, rng: Rng) -> Inputs:
        """Inputs of one case, on the generator's device."""
        if self._inputs is None:
            raise SuiteError(f"{self.folder}/task.py: no inputs: add a function marked with @task.inputs")
        return self._inputs(case, rng)

    def expected(self, inputs: Inputs) -> tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
        """What is right for these inputs: (outputs, inputs changed in place), in fp64 where floating."""
        if self._oracle is None:
            raise SuiteError(f"{self.folder}/task.py: no oracle: add a function marked with @task.oracle")
        raised = {name: _raise_precision(value) for name, value in inputs.items()}
        result = self._oracle(**raised)
        return as_tuple(result), {name: raised[name] for name in self.mutates}

    def least_cost(self, case: Case) -> Cost:
        """The least work on one case."""
        if self._cost is None:
            raise SuiteError(f"{self.folder}/task.py: no cost: add a function marked with @task.cost")
        return self._cost(case)

    def allocate(self, inputs: Inputs) -> tuple[torch.Tensor, ...]:
        """Uninitialised outputs for these inputs: right in number, shape and dtype."""
        return as_tuple(eval(self.outputs, {"torch": torch}, dict(inputs)))

    @property
    def moves_data(self) -> bool:
        """Is copying the work? Then PyTorch may not copy."""
        return self.category == DATA_MOVEMENT

    def timed(self, interpreted: bool) -> list[Case]:
        """The parameter sets on which candidates are timed: workloads, or small cases on the interpreter."""
        if not interpreted:
            return self.workloads
        return self.interpreted or [max(self.cases, key=lambda each: self.least_cost(each).bytes)]


def as_tuple(result: Any) -> tuple[torch.Tensor, ...]:
    """Outputs as a tuple: a lone tensor becomes a tuple of one, None a tuple of none."""
    if result is None:
        return ()
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def _raise_precision(value: Any) -> Any:
    """A private copy of a tensor, in fp64 if it is floating."""
    if not isinstance(value, torch.Tensor):
        return value
    return value.to(torch.float64) if value.is_floating_point() and value.dtype != torch.float64 else value.clone()
