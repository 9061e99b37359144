"""Who did the work, and by which means: a solution has to compute in Triton kernels, and to do nothing else.

Its source is read, a checked call's evidence, and what its process was seen doing until its end. PyTorch may allocate,
make views and copy, but for a copy where copying is the work; what else a task's contract allows is in
`task.torch_may`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from harness.judge.compare import Difference
from harness.sandbox.answers import Returned
from harness.sandbox.testimony import Testimony
from harness.task import Task
from harness.verdict import STAGE_OF, Outcome, Stage

ALLOWED_OPERATIONS = frozenset(
    f"aten::{name}"
    for name in (  # noqa: SIM905
        # allocation and filling
        "empty empty_like empty_strided new_empty new_empty_strided zeros zeros_like new_zeros ones ones_like new_ones "
        "full full_like new_full fill_ zero_ scalar_tensor arange lift_fresh resize_ "
        # views
        "view _unsafe_view _reshape_alias reshape as_strided transpose t permute expand squeeze unsqueeze select slice "
        "split split_with_sizes chunk unbind narrow detach alias view_as_real view_as_complex flatten unflatten "
        "diagonal mT expand_as view_as "
        # copies and conversions
        "copy_ clone contiguous to _to_copy _local_scalar_dense item set_ is_pinned _pin_memory record_stream "
        # what does nothing
        "resolve_conj resolve_neg result_type can_cast"
    ).split()
) | {"profiler::_record_function_enter_new", "profiler::_record_function_exit"}


COPIES = frozenset(("aten::copy_", "aten::clone", "aten::_to_copy"))
"""Are work, where a task is of the category of `harness.task.DATA_MOVEMENT`."""


def read_source(tree: ast.Module) -> Difference | None:
    """What the source alone shows: is there any Triton kernel, and is one launched?"""
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    if not any("jit" in ast.unparse(decorator) for function in functions for decorator in function.decorator_list):
        wrapped = any(isinstance(node, ast.Call) and ast.unparse(node.func).endswith("jit") for node in ast.walk(tree))
        if not wrapped:
            return Difference(
                Outcome.NO_TRITON, "the source defines no Triton kernel (no function marked with @triton.jit)"
            )
    return None


_INWARD = {
    *("__globals__", "__closure__", "__code__", "__subclasses__", "__builtins__", "f_back", "f_locals", "f_globals"),
    *("tb_frame", "gi_frame", "cr_frame", "_getframe", "_current_frames", "get_objects", "get_referrers"),
    *("get_referents", "addaudithook"),
}
"""Names through which a program looks into the process that it runs in."""


def read_names(tree: ast.Module) -> list[str]:
    """What makes the source suspicious, a sentence each."""
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return [f"its source names `{name}`, which no kernel needs" for name in sorted(names & _INWARD)]


@dataclass(frozen=True)
class Finding:
    """A verdict's outcome, reason and detail."""

    outcome: Outcome
    reason: str
    detail: str = ""


def weigh(found: Finding, testimony: Testimony) -> Finding:
    """What is said of a candidate in the light of its acts: one that runs and cheats is called so, right or wrong."""
    if STAGE_OF[found.outcome] is Stage.CALL:
        return found
    for outcome, sentences in ((Outcome.CHEATING, testimony.cheating), (Outcome.TORCH_WORK, testimony.torch)):
        if sentences:
            more = f" (and {len(sentences) - 3} acts more)" if len(sentences) > 3 else ""
            before = "" if found.outcome is Outcome.RIGHT else f"besides, {found.outcome}: {found.reason}"
            return Finding(outcome, "; ".join(sentences[:3]) + more, "\n".join(filter(None, (before, found.detail))))
    return found


def read_evidence(task: Task, returned: Returned) -> Difference | None:
    """What one checked call did."""
    if returned.outside:
        return Difference(Outcome.ILLEGAL_ACCESS, "; ".join(returned.outside[:2]))
    if returned.launches == 0:
        return Difference(Outcome.NO_TRITON, "the call launched no Triton kernel")
    allowed = ALLOWED_OPERATIONS - COPIES if task.moves_data else ALLOWED_OPERATIONS
    foreign = sorted(set(returned.operations) - allowed - set(task.torch_may))
    if foreign:
        return Difference(
            Outcome.TORCH_WORK,
            f"PyTorch computed in it ({', '.join(foreign[:4])}); the work has to be done in Triton kernels",
        )
    if returned.moved:
        return Difference(
            Outcome.TORCH_WORK,
            f"it moved values to the host ({', '.join(returned.moved[:3])}); the work has to be done in Triton kernels",
        )
    return None
