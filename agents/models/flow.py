"""Follows a value in a Python source back to the literals that it comes from.

`Scope` answers what a name means at one place of a file; `Tracer` walks from an expression to its literals. It is a
reading aid for tuning, not an analysis: what it doesn't understand it leaves alone, and it never runs anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field

Part = int | str | None
"""Which part of a value is meant: an element of a tuple, an entry of a dictionary, or all of it."""

DEPTH = 24


def is_power_of_two(value: int) -> bool:
    """1, 2, 4, 8, …"""
    return value > 0 and value & (value - 1) == 0


class Scope:
    """One function of a file (or its top level): what names mean there."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.function: ast.FunctionDef | None = None
        self.functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        self._calls: dict[str, list[tuple[ast.Call, ast.FunctionDef]]] = {}
        """By the name that is called: the calls in functions of this file, each with its function."""
        for caller in self.functions.values():
            for call in ast.walk(caller):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                    self._calls.setdefault(call.func.id, []).append((call, caller))

    def within(self, function: ast.FunctionDef | None) -> Scope:
        """The scope of another function of the same file, or its top level."""
        other = copy(self)
        other.function = function
        return other

    def launches(self) -> Iterator[tuple[ast.Call, Scope]]:
        """All kernel launches `kernel[grid](…)` of the file, each with the scope that it stands in."""
        for function in self.functions.values():
            if decorated(function, "jit"):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript):
                    yield node, self.within(function)

    def kernel(self, launch: ast.Call) -> ast.FunctionDef | None:
        """The kernel that a launch starts, if it is in this file."""
        target = launch.func.value if isinstance(launch.func, ast.Subscript) else None
        return self.functions.get(target.id) if isinstance(target, ast.Name) else None

    def constexprs(self, launch: ast.Call) -> set[str]:
        """Names of the launched kernel's compile-time parameters."""
        kernel = self.kernel(launch)
        if kernel is None:
            return set()
        every = (*kernel.args.args, *kernel.args.kwonlyargs)
        return {each.arg for each in every if each.annotation and "constexpr" in ast.unparse(each.annotation)}

    def autotuned(self, launch: ast.Call) -> bool:
        """Whether the launched kernel sets its own warps and stages."""
        kernel = self.kernel(launch)
        return kernel is not None and (decorated(kernel, "autotune") or decorated(kernel, "heuristics"))

    def jitted_lines(self) -> set[int]:
        """Lines inside the bodies of `@triton.jit` functions."""
        return {
            line
            for function in self.functions.values()
            if decorated(function, "jit")
            for line in range(function.body[0].lineno, (function.end_lineno or function.lineno) + 1)
        }

    def meanings(self, name: str) -> list[tuple[ast.expr, tuple[Part, ...], Scope]]:
        """What a name may stand for here: an expression, the part of it that is meant, and its scope."""
        if self.function is not None:
            found = [(value, parts, self) for value, parts in _bindings(self.function.body, name)]
            found += self._arguments(self.function, name)
            if found:
                return found
        top = self.within(None)
        return [(value, parts, top) for value, parts in _bindings(self.tree.body, name, nested=False)]

    def _arguments(self, function: ast.FunctionDef, name: str) -> list[tuple[ast.expr, tuple[Part, ...], Scope]]:
        """What callers in this file pass for a parameter."""
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        if name not in (*names, *(each.arg for each in function.args.kwonlyargs)):
            return []
        found: list[tuple[ast.expr, tuple[Part, ...], Scope]] = []
        for call, caller in self._calls.get(function.name, ()):
            scope = self.within(caller)
            found += [(each.value, (), scope) for each in call.keywords if each.arg == name]
            if name in names and names.index(name) < len(call.args):
                found.append((call.args[names.index(name)], (), scope))
        return found


def decorated(function: ast.FunctionDef, word: str) -> bool:
    """Whether a decorator's name ends in `word` (`@triton.jit`, `@jit`, `@triton.autotune(…)`)."""
    for each in function.decorator_list:
        target = each.func if isinstance(each, ast.Call) else each
        name = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
        if name == word:
            return True
    return False


@dataclass
class Tracer:
    """One walk; remembers where it has been."""

    seen: set[tuple[int, tuple[Part, ...]]] = field(default_factory=set)

    def literals(
        self, node: ast.expr, scope: Scope, parts: tuple[Part, ...] = (), via: str = "", depth: int = 0
    ) -> Iterator[tuple[ast.Constant, str]]:
        """The integer literals that a value comes from, each with the last name on the way to it ("" for none)."""
        key = (id(node), parts)
        if key in self.seen or depth > DEPTH:
            return
        self.seen.add(key)
        if isinstance(node, ast.Constant):
            if not parts and isinstance(node.value, int) and not isinstance(node.value, bool):
                yield node, via
            return
        for child, rest, where, name in _steps(node, scope, parts):
            for literal, last in self.literals(child, where, rest, name or via, depth + 1):
                if not (_floors(node) and literal.value in (0, 1)):
                    yield literal, last

    def entries(self, node: ast.expr, scope: Scope, depth: int = 0) -> Iterator[tuple[str, ast.expr, Scope]]:
        """The entries of what is passed as `**node`: name, value, and the scope of the value."""
        key = (id(node), ())
        if key in self.seen or depth > DEPTH:
            return
        self.seen.add(key)
        if isinstance(node, ast.Dict):
            for name, value in zip(node.keys, node.values, strict=True):
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield name.value, value, scope
            return
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
            for keyword in node.keywords:
                if keyword.arg is not None:
                    yield keyword.arg, keyword.value, scope
            return
        for child, parts, where, _ in _steps(node, scope, ()):
            if not parts:
                yield from self.entries(child, where, depth + 1)


def _floors(node: ast.expr) -> bool:
    """`max(1, …)` and `min(1, …)`: a literal 1 there is a bound, and none to tune."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("min", "max")


def _steps(
    node: ast.expr, scope: Scope, parts: tuple[Part, ...]
) -> Iterator[tuple[ast.expr, tuple[Part, ...], Scope, str]]:
    """One step back from a value: expressions, the part meant, their scope, and the name that was passed."""
    if isinstance(node, ast.Name):
        for value, inner, where in scope.meanings(node.id):
            yield value, (*inner, *parts), where, "" if parts else node.id
    elif isinstance(node, ast.IfExp):
        yield from ((branch, parts, scope, "") for branch in (node.body, node.orelse))
    elif isinstance(node, ast.BoolOp):
        yield from ((value, parts, scope, "") for value in node.values)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.FloorDiv)) and not parts:
        yield from ((side, (), scope, "") for side in (node.left, node.right))
    elif isinstance(node, (ast.Tuple, ast.List)) and parts:
        index, rest = parts[0], parts[1:]
        if index is None:
            yield from ((value, rest, scope, "") for value in node.elts)
        elif isinstance(index, int) and -len(node.elts) <= index < len(node.elts):
            yield node.elts[index], rest, scope, ""
    elif isinstance(node, ast.Dict) and parts:
        for name, value in zip(node.keys, node.values, strict=True):
            if parts[0] is None or (isinstance(name, ast.Constant) and name.value == parts[0]):
                yield value, parts[1:], scope, ""
    elif isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        yield node.value, (key if isinstance(key, (int, str)) else None, *parts), scope, ""
    elif isinstance(node, ast.Call):
        yield from _call_steps(node, scope, parts)


def _call_steps(
    node: ast.Call, scope: Scope, parts: tuple[Part, ...]
) -> Iterator[tuple[ast.expr, tuple[Part, ...], Scope, str]]:
    if isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        yield node.func.value, (None, *parts), scope, ""
        yield from ((value, parts, scope, "") for value in node.args[1:])
    elif isinstance(node.func, ast.Name) and node.func.id in ("min", "max", "int") and not parts:
        yield from ((value, (), scope, "") for value in node.args)
    elif isinstance(node.func, ast.Name) and node.func.id == "dict" and parts:
        yield from ((each.value, parts[1:], scope, "") for each in node.keywords if each.arg == parts[0])
    elif isinstance(node.func, ast.Name) and node.func.id in scope.functions:
        function = scope.functions[node.func.id]
        for statement in ast.walk(function):
            if isinstance(statement, ast.Return) and statement.value is not None:
                yield statement.value, parts, scope.within(function), ""


def _bindings(body: list[ast.stmt], name: str, nested: bool = True) -> Iterator[tuple[ast.expr, tuple[Part, ...]]]:
    """Values that statements bind to a name, each with the part of the value that is meant."""
    for statement in body:
        nodes = ast.walk(statement) if nested or not isinstance(statement, (ast.FunctionDef, ast.ClassDef)) else ()
        for node in nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    yield from ((node.value, parts) for parts in _paths(target, name))
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
                yield from ((node.value, parts) for parts in _paths(node.target, name))
            elif isinstance(node, (ast.For, ast.comprehension)):
                yield from ((node.iter, (None, *parts)) for parts in _paths(node.target, name))


def _paths(target: ast.expr, name: str) -> Iterator[tuple[Part, ...]]:
    """Where in an assignment's target a name stands: () for the target itself, (1,) for its second element."""
    if isinstance(target, ast.Name) and target.id == name:
        yield ()
    elif isinstance(target, (ast.Tuple, ast.List)):
        for index, element in enumerate(target.elts):
            yield from ((index, *rest) for rest in _paths(element, name))
