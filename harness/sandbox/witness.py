"""What a checked call did: how many Triton kernels it launched, which ATen operations PyTorch ran for it, and which
values went to the host.

Operations are seen twice: by a mode of PyTorch's dispatcher, which knows who called, and by PyTorch's profiler, which
sees those, too, that were led past the mode (`harness.sandbox.ledger`).

Evidence from the candidate's own process: the judge also reads the source, and compares values. What the interpreter or
an autotuner does within a launch is not the candidate's; what the candidate's own code does there (a hook, a grid's
function) is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import TorchDispatchMode

from harness.sandbox.guards import Guards, poison
from harness.sandbox.ledger import Ledger

NEW_MEMORY = frozenset(
    f"aten::{name}"
    for name in ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "empty_permuted")
)


class Witness:
    """Counts launches from `attach` on; records all else inside `watching`."""

    def __init__(self) -> None:
        self.launches = 0
        self.operations: set[str] = set()
        self.moved: set[str] = set()
        self.guards: Guards | None = None
        self.kernels: list[str] = []
        """Names of the compiled kernels that were launched, since `watching` or `forget` (GPU)."""
        self.compiled: dict[str, dict[str, int]] = {}
        """By name, what the first of them takes: `warps`, `registers`, `spills`, `shared` (GPU)."""
        self._around: list[bool] = []
        """The launches that are under way, outermost first: is it a kernel's own (not an autotuner's)?"""
        self._ledger = Ledger()
        self._owner: Callable[[str], str] | None = None

    def attach(self, owner: Callable[[str], str]) -> None:
        """Wrap the launch of every kind of Triton kernel. `owner` tells whose code a file holds."""
        from triton.runtime import autotuner, interpreter, jit

        self._owner = owner
        for kind in (jit.JITFunction, interpreter.InterpretedFunction, autotuner.Autotuner, autotuner.Heuristics):
            self._wrap(kind)

    @contextmanager
    def watching(self, guards: Guards | None) -> Iterator[None]:
        """Record what one call does. `guards`, if given, lie around all that it allocates."""
        self.launches, self.operations, self.moved, self.guards = 0, set(), set(), guards
        self.kernels = []
        with self._ledger.open(self.operations), _Recorder(self, self._ledger):
            yield

    def _wrap(self, owner: Any) -> None:
        original: Callable[..., Any] = owner.run
        kernel, tuner = owner.__name__ in ("JITFunction", "InterpretedFunction"), owner.__name__ == "Autotuner"

        def run(this: Any, *args: Any, **kwargs: Any) -> Any:
            launches = kernel and not kwargs.get("warmup")
            self.launches += launches
            self._around.append(not tuner)
            try:
                with self._ledger.tuning() if tuner else nullcontext():
                    result = original(this, *args, **kwargs)
            finally:
                self._around.pop()
            name = getattr(result, "name", None)
            if launches and isinstance(name, str):
                self.kernels.append(name)
                if name not in self.compiled:
                    self.compiled[name] = _takes(result)
            return result

        owner.run = run

    def note(self, operation: str) -> None:
        """One ATen operation was dispatched. Only what an autotuner does around kernels may be nobody's."""
        if not self._around or self._around[-1] or self._candidates_own():
            self.operations.add(operation)

    def move(self, tensor: torch.Tensor) -> None:
        """A tensor's values go to the host."""
        if tensor.is_floating_point() and tensor.numel() > 1 and (not self._around or self._candidates_own()):
            self.moved.add(f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}")

    def _candidates_own(self) -> bool:
        """Within a launch: is it the candidate's code that calls PyTorch, or a library's?"""
        frame = sys._getframe(1)
        torch_folder = torch.__path__[0]
        while frame is not None and self._owner is not None:
            name = frame.f_code.co_filename
            whose = self._owner(name)
            if whose == "candidate":
                return True
            here = name == __file__ or whose == "stdlib" or name.startswith(torch_folder)
            if not here and not name.endswith(("interpreter/cuda.py", "interpreter/host.py")):
                return False
            frame = frame.f_back  # type: ignore[assignment]
        return False


def _takes(compiled: Any) -> dict[str, int]:
    """What Triton knows of a compiled kernel, once it was launched."""
    metadata = getattr(compiled, "metadata", None)
    told = {
        "warps": getattr(metadata, "num_warps", None),
        "registers": getattr(compiled, "n_regs", None),
        "spills": getattr(compiled, "n_spills", None),
        "shared": getattr(metadata, "shared", None),
    }
    return {name: value for name, value in told.items() if isinstance(value, int)}


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, witness: Witness, ledger: Ledger) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.witness, self.ledger = witness, ledger

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: skipping imports all of torch._dynamo at the first call, which costs seconds and is of no use here."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name
        self.witness.note(name)
        with self.ledger.accounted():
            result = func(*args, **(kwargs or {}))
        if name in NEW_MEMORY and plain(result):
            with self.ledger.nobodys():
                poison(result)
                if self.witness.guards is not None and result.numel() and not self.witness._around:
                    result = self.witness.guards.banded(result, "memory that it allocated")
        elif name in ("aten::_to_copy", "aten::copy_") and _leaves_device(result, args):
            self.witness.move(result)
        return result


class Filled(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Memory that is given out holds this byte, whatever lay there before."""

    def __init__(self, byte: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.byte = byte

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No, as with the witness's own."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func._schema.name in NEW_MEMORY and plain(result):
            poison(result, self.byte)
        return result


def _leaves_device(result: Any, args: Any) -> bool:
    source = args[1] if len(args) > 1 and isinstance(args[1], torch.Tensor) else args[0]
    return (
        isinstance(result, torch.Tensor) and isinstance(source, torch.Tensor) and source.is_cuda and not result.is_cuda
    )


def plain(tensor: object) -> bool:
    """Is this a tensor that holds its values, not one that may compute them when it is looked at: by a class of its
    own, or by what it has itself in the place of its class's methods?"""
    return type(tensor) in (torch.Tensor, torch.nn.Parameter) and not _hides(vars(tensor))


def _hides(own: object) -> bool:
    """May what a tensor has itself hide what its class does?"""
    if type(own) is not dict:
        return True
    return any(type(name) is not str or hasattr(torch.nn.Parameter, name) for name in own)


_functions, _function_mode, _operations = (
    torch._C._len_torch_function_stack,
    torch._C._get_function_stack_at,
    torch._C._len_torch_dispatch_stack,
)


def left_on() -> bool:
    """Is a mode on that sees what is done with tensors, but for PyTorch's own of a default device?"""
    modes = (_function_mode(number) for number in range(_functions()))
    return _operations() > 0 or any(type(mode) is not DeviceContext for mode in modes)


def items(result: Any) -> list[Any]:
    """What a call returned, one by one: as a list or a tuple has it, whatever a class of its own would say."""
    kinds: tuple[Any, ...] = (tuple, list)
    for kind in kinds:
        if issubclass(type(result), kind):
            return list(kind.__iter__(result))
    return [] if result is None else [result]
