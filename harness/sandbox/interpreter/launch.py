"""A launch: arguments as a GPU would take them, one program after another.

Replaces the interpreter's ``run``. What the stock one lets pass and a GPU doesn't is refused here: unknown options,
host tensors as pointers, grids out of range, a missing argument. Scalars arrive as the tensors that the compiler would
make of them (``float`` as float32, ``int`` as int32 if it fits).
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import triton.language as tl
from triton.runtime import interpreter as stock
from triton.runtime.errors import InterpreterError
from triton.runtime.jit import TensorWrapper

from . import bounds, meaning
from .host import is_host
from .language import WARPS
from .options import LARGEST_GRID, check_options
from .rewrite import rewritten
from .unsupported import Unsupported

_STATE = {"launches": 0, "depth": 0}
_REWRITTEN: dict[Any, Callable[..., Any]] = {}

POINTEES: dict[Any, Any] = {
    torch.bool: tl.int1,
    torch.int8: tl.int8,
    torch.int16: tl.int16,
    torch.int32: tl.int32,
    torch.int64: tl.int64,
    torch.uint8: tl.uint8,
    torch.uint16: tl.uint16,
    torch.uint32: tl.uint32,
    torch.uint64: tl.uint64,
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
    torch.float32: tl.float32,
    torch.float64: tl.float64,
    torch.float8_e4m3fn: tl.float8e4nv,
    torch.float8_e5m2: tl.float8e5,
    torch.float8_e4m3fnuz: tl.float8e4b8,
    torch.float8_e5m2fnuz: tl.float8e5b16,
}
_ANNOTATED = {
    **{f"{sign}{bits}": f"{kind}int{bits}" for sign, kind in (("i", ""), ("u", "u")) for bits in (8, 16, 32, 64)},
    "u1": "int1",
    "i1": "int1",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp32": "float32",
    "fp64": "float64",
}


def launches() -> int:
    """Launches of jit kernels in this process that ran to their end, with at least one program."""
    return _STATE["launches"]


def _scalar(value: Any, ty: Any) -> Any:
    make = getattr(stock.interpreter_builder, f"get_{ty.name}")
    return tl.tensor(make(value), ty)


def _annotated_type(annotation: Any) -> Any:
    """The scalar type that a parameter's annotation fixes, or None."""
    if isinstance(annotation, tl.dtype):
        return annotation
    name = str(annotation).strip("'\"").split(".")[-1]
    name = _ANNOTATED.get(name, name)
    found = getattr(tl, name, None)
    return found if isinstance(found, tl.dtype) else None


def argument(value: Any, position: int, name: str, fixed: Any = None) -> Any:
    """A kernel's argument as the tensor that a GPU would see."""
    if isinstance(value, torch.Tensor):
        if is_host(value) and value.numel():  # an empty tensor's pointer is null, which a driver lets pass
            raise ValueError(f"Pointer argument (at {position}) cannot be accessed from Triton (cpu tensor?)")
        pointee = POINTEES.get(value.dtype)
        if pointee is None:
            raise TypeError(f"failed to specialize argument of type: {value.dtype}")
        return bounds.pointer(value, value.data_ptr(), pointee, name)
    if isinstance(value, tl.constexpr):
        value = value.value
    if value is None:
        return None
    if isinstance(value, bool):
        return _scalar(value, fixed or tl.int1)
    if isinstance(value, int):
        if fixed is None:
            fixed = tl.int32 if -(2**31) <= value < 2**31 else tl.int64 if -(2**63) <= value < 2**63 else tl.uint64
            if value >= 2**64 or value < -(2**63):
                raise OverflowError(f"integer to be converted is too large: {value}")
        return _scalar(value, fixed)
    if isinstance(value, float):
        return _scalar(value, fixed or tl.float32)
    if isinstance(value, tuple):
        fields = getattr(value, "_fields", None)
        names = [f"{name}.{field}" for field in fields] if fields else [f"{name}[{i}]" for i in range(len(value))]
        items = [argument(item, position, each) for item, each in zip(value, names, strict=True)]
        return type(value)(*items) if fields is not None else tuple(items)
    if isinstance(value, TensorWrapper):
        if is_host(value.base):
            raise ValueError(f"Pointer argument (at {position}) cannot be accessed from Triton (cpu tensor?)")
        pointee = value.dtype if isinstance(value.dtype, tl.dtype) else POINTEES[value.dtype]
        return bounds.pointer(value.base, value.data_ptr(), pointee, name)
    if isinstance(value, stock.TensorDescriptor):
        base = value.base.base if isinstance(value.base, TensorWrapper) else value.base
        return bounds.descriptor(base, name, stock._implicit_cvt(value))
    if isinstance(value, (tl.dtype, str)) or callable(value):
        return value
    if type(value).__module__.startswith("triton.experimental.gluon"):
        raise Unsupported("gluon")
    if hasattr(value, "data_ptr"):
        return stock._implicit_cvt(value)
    raise TypeError(f"failed to specialize argument of type: {type(value)}")


class Signature:
    """What a kernel's parameters are, worked out once."""

    def __init__(self, fn: Any) -> None:
        self.signature = inspect.signature(fn)
        self.names = frozenset(self.signature.parameters)
        self.constants: set[str] = set()
        self.fixed: dict[str, Any] = {}
        for name, parameter in self.signature.parameters.items():
            annotation = parameter.annotation
            if annotation is inspect.Parameter.empty:
                continue
            if "constexpr" in (annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")):
                self.constants.add(name)
            elif (ty := _annotated_type(annotation)) is not None:
                self.fixed[name] = ty


_SIGNATURES: dict[Any, Signature] = {}


def signature_of(fn: Any) -> Signature:
    """The signature of a kernel's function."""
    found = _SIGNATURES.get(fn)
    if found is None:
        found = _SIGNATURES[fn] = Signature(fn)
    return found


def _grid(grid: Any, bound: dict[str, Any]) -> tuple[int, int, int]:
    if callable(grid):
        grid = grid(bound)
    size = len(grid)  # a bare number has none: the TypeError of a GPU's launch
    if not size >= 1:
        raise IndexError("tuple index out of range")
    dims = [operator.index(grid[i]) if i < size else 1 for i in range(3)]
    for axis, (extent, limit) in enumerate(zip(dims, LARGEST_GRID, strict=True)):
        if extent > limit:
            raise RuntimeError(f"Triton Error [CUDA]: invalid argument (grid {dims}, at most {limit} on axis {axis})")
    return dims[0], dims[1], dims[2]


class Compiled:
    """What a launch or a warm-up gives back: the compiled kernel's facts that candidates look at."""

    n_regs = 32
    n_spills = 0
    n_max_threads = 1024

    def __init__(self, function: Any, bound: dict[str, Any], options: dict[str, Any]) -> None:
        self._function = function
        self._bound = bound
        self.name = getattr(function.fn, "__name__", "kernel")
        self.metadata = SimpleNamespace(
            shared=0, name=self.name, **{"num_warps": 4, "num_stages": 3, "num_ctas": 1, **options}
        )
        self.num_warps = self.metadata.num_warps
        self.num_stages = self.metadata.num_stages

    def _init_handles(self) -> None:
        pass

    @property
    def asm(self) -> Any:
        """There is no compiled code here."""
        raise Unsupported("compiled code of a kernel (asm)")

    def __getitem__(self, grid: Any) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            rest = {k: v for k, v in list(self._bound.items())[len(args) :] if k not in kwargs}
            return self._function.run(*args, grid=grid, warmup=False, **kwargs, **rest)

        return run


def _function_of(jit: Any) -> Callable[..., Any]:
    fn = jit.fn
    found = _REWRITTEN.get(fn)
    if found is None:
        found = _REWRITTEN[fn] = rewritten(fn, meaning)
    return found


def run(self: Any, *args: Any, grid: Any, warmup: bool, **kwargs: Any) -> Any:
    """``InterpretedFunction.run``: one launch."""
    signature = signature_of(self.fn)
    for hook in self.pre_run_hooks:
        hook(*args, **kwargs)
    check_options(kwargs, signature.names)
    options = {k: v for k, v in kwargs.items() if k not in signature.names}
    bound_arguments = signature.signature.bind(*args, **{k: v for k, v in kwargs.items() if k in signature.names})
    bound_arguments.apply_defaults()
    bound = dict(bound_arguments.arguments)
    if warmup:
        return Compiled(self, bound, options)
    x, y, z = _grid(grid, bound)
    function = _function_of(self)
    builder = stock.interpreter_builder
    before = (getattr(builder, "grid_dim", None), getattr(builder, "grid_idx", None), WARPS["num_warps"])
    memory = bounds.begin()
    WARPS["num_warps"] = options.get("num_warps", 4)
    _STATE["depth"] += 1
    try:
        with np.errstate(all="ignore"):
            call = {
                name: meaning.constant(value)
                if name in signature.constants
                else argument(value, position, name, signature.fixed.get(name))
                for position, (name, value) in enumerate(bound.items())
            }
            builder.set_grid_dim(x, y, z)
            # As hardware tends to: the first axis runs fastest.
            for k in range(z):
                for j in range(y):
                    for i in range(x):
                        builder.grid_idx = (i, j, k)
                        function(**call)
    except (InterpreterError, Unsupported):
        raise
    except Exception as error:
        raise InterpreterError(f"{type(error).__name__}: {error}") from error
    finally:
        _STATE["depth"] -= 1
        builder.grid_dim, builder.grid_idx, WARPS["num_warps"] = before
        bounds.end(memory)
    if _STATE["depth"] == 0 and x * y * z > 0:
        _STATE["launches"] += 1
    return Compiled(self, bound, options)


def call(self: Any, *args: Any, **kwargs: Any) -> Any:
    """``InterpretedFunction.__call__``: a device function called from a kernel."""
    if _STATE["depth"] == 0:
        raise RuntimeError("Cannot call @triton.jit'd outside of the scope of a kernel")
    kwargs.pop("_semantic", None)
    kwargs.pop("_generator", None)
    return _function_of(self)(*args, **kwargs)


def install() -> None:
    """Puts :func:`run` and :func:`call` in place."""
    kernel = stock.InterpretedFunction
    kernel.run = run
    kernel.__call__ = call
    # Attributes of a compiled function that code around kernels reads.
    kernel.params = property(lambda self: list(signature_of(self.fn).signature.parameters.values()))
    kernel.signature = property(lambda self: signature_of(self.fn).signature)
    kernel.src = property(lambda self: inspect.getsource(self.fn))
