"""What no longer runs is helped where a rule can. Each help is one sentence of the task's record.

own name         a test half that imports the solution from the solution's file finds it there already
math library     AMD's own is exchanged for the device's: `triton.language.extra.libdevice` is whichever that is
8-bit floats     AMD's formats without a negative zero are exchanged for those of other devices
axis of a flip   where Triton no longer takes the last by default, it is named
globals          where Triton no longer reads a global for its annotation, kernels may read any
stand-ins        for modules and names that Triton has dropped, there before the solution is loaded, for any solution
launch knobs     options of AMD's compiler are left out on other devices, which refuse them

Only the texts of the checkout are changed: what a solver writes runs as it is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from suites.published.edits import without_imports

KNOBS = ("kpack", "matrix_instr_nonkdim", "waves_per_eu")
_ALIAS = "_libdevice_of_this_device"
_IMPORTS = (
    (re.compile(r"^(\s*from\s+triton\.language\.extra)\.hip(\.libdevice\s+import\b)", re.M), r"\1\2"),
    (re.compile(r"^(\s*from\s+triton\.language\.extra)\.hip(\s+import\s+libdevice\b)", re.M), r"\1\2"),
)
_FLOATS = re.compile(r"(?<![\w])(float8_e4m3fn|float8_e5m2)(?:fn)?uz\b")
_FLIP = re.compile(r"(?<![\w.])((?:tl|triton\.language)\.flip\()(\w+)(\))")
_CHAIN = re.compile(r"(?<![\w.])(?:tl|triton\.language)\.extra\.hip\.libdevice\.")
_STAND_INS = {
    "triton.ops.matmul_perf_model": """
import sys
import types

for _name in ("triton.ops", "triton.ops.matmul_perf_model"):
    sys.modules.setdefault(_name, types.ModuleType(_name))


def _all(configs, named_args, **options):
    return list(configs)


def _alike(*values, **options):
    return 0.0


sys.modules["triton.ops.matmul_perf_model"].early_config_prune = _all
sys.modules["triton.ops.matmul_perf_model"].estimate_matmul_time = _alike
""",
    "triton.tools.experimental_descriptor": """
import sys
import types

sys.modules.setdefault("triton.tools.experimental_descriptor", types.ModuleType("triton.tools.experimental_descriptor"))
""",
    "triton.backends.compiler.AttrsDescriptor": """
import triton.backends.compiler


class _AttrsDescriptor(dict):
    @classmethod
    def from_hints(cls, hints):
        return cls({(place,): [["tt.divisibility", by]] for place, by in hints.items()})


if not hasattr(triton.backends.compiler, "AttrsDescriptor"):
    triton.backends.compiler.AttrsDescriptor = _AttrsDescriptor
""",
    "triton.compiler.ASTSource": """
import inspect

import triton.compiler


class _ASTSource(triton.compiler.ASTSource):
    def __init__(self, fn, signature, constants=None, attrs=None, constexprs=None):
        constants = constexprs or constants or {}
        kinds = {**{name: "constexpr" for name in constants if isinstance(name, str)}, **signature}
        signature = {name: kinds[name] for name in fn.arg_names if name in kinds}
        super().__init__(fn, signature, constants, attrs)


if "constants" not in inspect.signature(triton.compiler.ASTSource).parameters:
    triton.compiler.ASTSource = _ASTSource
""",
}
"""By the module, or the name in one, that is imported."""
_GLOBALS = """
import os

os.environ["TRITON_ALLOW_NON_CONSTEXPR_GLOBALS"] = "1"
"""
"""Kernels may read a global that is annotated as `constexpr`, and any other."""


@dataclass(frozen=True)
class Helped:
    """A text that was helped, or needed no help."""

    text: str
    stand_ins: dict[str, str] = field(default_factory=dict)
    """By what they stand in for: code that runs before any solution."""
    helps: tuple[str, ...] = ()


def helped(text: str, name: str = "") -> Helped:
    """By every rule that applies; `name` is that of the task, and of its file."""
    helps = []
    own = without_imports(text, lambda module: module == name)
    if own != text:
        helps.append("its test half imports the solution by its file's name: it is there already")
    mapped = _device_math(own)
    if mapped != own:
        helps.append("AMD's math library: the device's own")
    if torch.version.hip is None and (floats := _FLOATS.sub(r"\1", mapped)) != mapped:
        helps.append("AMD's 8-bit floats: those of other devices")
        mapped = floats
    flipped = _FLIP.sub(r"\1\2, len(\2.shape) - 1\3", mapped)
    if flipped != mapped:
        helps.append("`flip` without an axis: along the last")
    mapped = flipped
    stand_ins = {name: _STAND_INS[name] for name in sorted(set(_imported(mapped)) & set(_STAND_INS))}
    helps += [f"{name} is gone from Triton, or takes other arguments: a stand-in" for name in stand_ins]
    if _annotated(mapped):
        stand_ins["globals"] = _GLOBALS
        helps.append("a global that is annotated as constexpr is no longer read by kernels: they may read any")
    if torch.version.hip is None:
        mapped, dropped = _without_knobs(mapped)
        if dropped:
            helps.append(f"launch knobs of AMD's compiler left out: {', '.join(dropped)}")
    return Helped(mapped, stand_ins, tuple(helps))


def _device_math(text: str) -> str:
    for pattern, by in _IMPORTS:
        text = pattern.sub(by, text)
    if not _CHAIN.search(text):
        return text
    lines = _CHAIN.sub(f"{_ALIAS}.", text).splitlines(keepends=True)
    lines.insert(_first_line(text), f"from triton.language.extra import libdevice as {_ALIAS}\n")
    return "".join(lines)


def _first_line(text: str) -> int:
    """Lines before the first statement that is neither a docstring nor from the future."""
    tree = _parsed(text)
    for node in tree.body if tree else ():
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not docstring and not (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            return node.lineno - 1
    return 0


def _imported(text: str) -> Iterator[str]:
    """Modules, and names in them, that are imported anywhere."""
    tree = _parsed(text)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _annotated(text: str) -> bool:
    """Has it a global that is annotated as a constant of kernels, and is none?"""
    tree = _parsed(text)
    return any(
        isinstance(node, ast.AnnAssign)
        and ast.unparse(node.annotation).endswith("constexpr")
        and node.value is not None
        and "constexpr" not in ast.unparse(node.value)
        for node in (tree.body if tree else ())
    )


def _without_knobs(text: str) -> tuple[str, list[str]]:
    """Entries of dictionaries and arguments of calls that name a knob which no kernel has as a parameter, taken out."""
    tree = _parsed(text)
    if tree is None or not any(knob in text for knob in KNOBS):
        return text, []
    own = {
        argument.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and any("jit" in ast.dump(each) for each in node.decorator_list)
        for argument in (*node.args.args, *node.args.kwonlyargs)
    }
    place, dropped = _Places(text), set()
    for node in ast.walk(tree):
        for name, start, end in _entries(node, place):
            if name in KNOBS and name not in own:
                place.drop(start, end)
                dropped.add(name)
    rest = place.rest()
    return (rest, sorted(dropped)) if _parsed(rest) is not None else (text, [])  # brackets around a value


def _entries(node: ast.AST, place: _Places) -> Iterator[tuple[str, int, int]]:
    """Named entries of a dictionary, or arguments of a call: name, and where they begin and end."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, place.start(key), place.end(value)
    elif isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg is not None:
                yield keyword.arg, place.start(keyword), place.end(keyword.value)


class _Places:
    """Parts of a text by the places of its syntax tree, some of which are taken out."""

    def __init__(self, text: str) -> None:
        self._bytes = text.encode()
        self._lines = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._out: list[tuple[int, int]] = []

    def start(self, node: ast.expr | ast.keyword) -> int:
        """Its first byte."""
        return self._lines[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr) -> int:
        """The byte after its last."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._lines[node.end_lineno - 1] + node.end_col_offset

    def drop(self, start: int, end: int) -> None:
        """Take an entry out, with the comma after it, or else the one before it."""
        after = re.compile(rb"\s*,").match(self._bytes, end)
        before = re.compile(rb",\s*\Z").search(self._bytes[:start])
        if after is not None:
            self._out.append((start, after.end()))
        else:
            self._out.append((before.start() if before else start, end))

    def rest(self) -> str:
        """What is left."""
        kept, at = [], 0
        for start, end in sorted(self._out):
            kept.append(self._bytes[at : max(at, start)])
            at = max(at, end)
        return b"".join([*kept, self._bytes[at:]]).decode()


def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None
