"""A kernel's source, rewritten so that Python executes it as Triton's compiler reads it.

The same syntax tree means different things to the two: ``and`` on blocks, ``min(a, b)``, ``not mask``, the loop's index
(a tensor on a GPU, so it wraps around and has ``.to``). And Python accepts what the compiler refuses: ``break``,
lambdas, plain globals. A candidate has to meet here what it would meet on a GPU, so the tree is changed on the first
launch of each function; what the compiler of the installed Triton has no visitor for is refused with its reason.

As in the compiler, what stands in a branch that a compile-time condition leaves out is not looked at.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable
from types import CodeType, FunctionType, ModuleType
from typing import Any

import triton
import triton.language as tl
from triton.compiler.code_generator import CodeGenerator
from triton.runtime.interpreter import InterpretedFunction
from triton.runtime.jit import JITCallable

SUPPORT = "__interpreted__"
"""The one name that is added to a candidate's globals: :mod:`meaning`, where the rewritten tree calls to."""

REPLACED_BUILTINS = frozenset({"range", "min", "max", "print", "int", "float"})
"""Python's builtins that mean something else inside a kernel; :mod:`meaning` has their namesakes."""

_SEVERAL_COMPARISONS = "visit_Compare" in vars(
    CodeGenerator
) and "simultaneous multiple comparison" not in inspect.getsource(CodeGenerator.visit_Compare)


def _is_namedtuple(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields")


def allowed_global(value: Any) -> bool:
    """The compiler's rule for a global that a kernel reads (``CodeGenerator._define_name_lookup``)."""
    return (
        isinstance(value, (ModuleType, JITCallable, InterpretedFunction, tl.constexpr, tl.dtype))
        or bool(getattr(value, "__triton_builtin__", False))
        or bool(getattr(value, "__triton_aggregate__", False))
        or str(getattr(value, "__module__", "")).startswith(("triton.language", "triton.experimental.gluon.language"))
        or str(getattr(value, "__module__", "")).startswith(__package__)  # stand-ins for Triton's own functions
        or _is_namedtuple(value)
        or bool(triton.knobs.compilation.allow_non_constexpr_globals)
    )


class _Names(ast.NodeVisitor):
    """The names that a piece of code stores."""

    def __init__(self) -> None:
        self.stored: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, (ast.Store, ast.Del)):
            self.stored.add(node.id)

    def visit_arg(self, node: ast.arg) -> None:
        self.stored.add(node.arg)


def _stored(nodes: list[ast.stmt]) -> set[str]:
    names = _Names()
    for node in nodes:
        names.visit(node)
    return names.stored


def _surely(nodes: list[ast.stmt]) -> set[str]:
    """The names that a list of statements defines whatever happens, as the compiler sees it after them.

    What only one branch or a loop defines is out of scope after it, though Python keeps it.
    """
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.With)):
            names |= _stored([node]) if not isinstance(node, ast.With) else _surely(node.body)
        elif isinstance(node, ast.If):
            names |= _surely(node.body) & _surely(node.orelse)
    return names


def _call(name: str, *args: ast.expr) -> ast.Call:
    function = ast.Attribute(ast.Name(SUPPORT, ast.Load()), name, ast.Load())
    return ast.Call(function, list(args), [])


def _later(node: ast.expr) -> ast.Lambda:
    empty = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(empty, node)


def _function(name: str, parameters: ast.arguments, body: list[ast.stmt]) -> ast.FunctionDef:
    node = ast.FunctionDef(name=name, args=parameters, body=body, decorator_list=[])
    if "type_params" in ast.FunctionDef._fields:  # Python 3.12 and later
        setattr(node, "type_params", [])  # noqa: B010 - mypy checks for 3.11
    return node


class Rewriter(ast.NodeTransformer):
    """Rewrites one function; ``scope`` holds its globals and what its closure holds."""

    def __init__(self, scope: dict[str, Any], local: set[str], parameters: set[str]) -> None:
        self.scope = scope
        self.defined = set(parameters)
        """Names that are surely defined where the visitor stands."""
        self.seen = set(parameters)
        """Names that anything before here stores, sure or not."""
        self.local = local
        self.refused: list[str] = []
        """Why the compiler would refuse what was met since the innermost ``if``."""
        self.constants: set[str] = set()
        self.loops = 0
        self.in_loop = False
        """Inside a loop that is one on the GPU too, not an unrolled one."""

    # --- refusals

    def _refuse(self, node: ast.AST, why: str) -> ast.expr:
        self.refused.append(f"line {getattr(node, 'lineno', '?')}: {why}")
        return _call("refuse", ast.Constant(self.refused[-1]))

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, (ast.stmt, ast.expr)):
            kind = type(node).__name__
            special = isinstance(node, (ast.Starred, ast.FormattedValue))
            if not special and not hasattr(CodeGenerator, f"visit_{kind}"):
                call = self._refuse(node, f"unsupported AST node type: {kind}")
                return ast.copy_location(ast.Expr(call) if isinstance(node, ast.stmt) else call, node)
        return super().visit(node)

    def _branch(self, visit: Callable[[], Any]) -> tuple[Any, list[str]]:
        outer, self.refused = self.refused, []
        result = visit()
        inner, self.refused = self.refused, outer
        return result, inner

    def _statements(self, nodes: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        outer = set(self.defined)
        for node in nodes:
            new = self.visit(node)
            out.extend(new if isinstance(new, list) else [] if new is None else [new])
            self.defined |= _surely([node])
            self.seen |= _stored([node])
        self.defined = outer
        return out or [ast.Pass()]

    # --- names and calls

    def visit_Name(self, node: ast.Name) -> ast.expr:
        name = node.id
        if not isinstance(node.ctx, ast.Load) or name in self.local:
            return node
        if name in self.scope:
            if name in CodeGenerator.builtin_namespace or allowed_global(self.scope[name]):
                return node
            if callable(self.scope[name]) and not isinstance(self.scope[name], type):
                return self._refuse(node, f"{name} is a plain Python function: a kernel can only call jit functions")
            return self._refuse(
                node,
                f"Cannot access global variable {name} from within @jit'ed function. Triton kernels can only access"
                " global variables that are instantiated as constexpr (`x = triton.language.constexpr(42)`)",
            )
        if name in REPLACED_BUILTINS:
            return ast.copy_location(ast.Attribute(ast.Name(SUPPORT, ast.Load()), f"{name}_", ast.Load()), node)
        if name in CodeGenerator.builtin_namespace:
            return node
        if hasattr(builtins, name):
            return self._refuse(node, f"NameError: {name} is not defined in a kernel")
        return node

    # --- assignments

    def _value(self, target: ast.expr, value: ast.expr) -> ast.expr:
        name = "constant" if isinstance(target, ast.Name) and target.id in self.constants else "assigned"
        return _call(name, value)

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        if len(node.targets) != 1:
            return ast.copy_location(ast.Expr(self._refuse(node, "simultaneous multiple assignment")), node)
        target = node.targets[0]
        if isinstance(target, ast.Attribute):
            call = self._refuse(node, "Attribute assignment is not supported in triton")
            return ast.copy_location(ast.Expr(call), node)
        if isinstance(target, ast.Subscript):
            call = self._refuse(node, "__setitem__ is not supported in triton")
            return ast.copy_location(ast.Expr(call), node)
        value = self.visit(node.value)
        return ast.copy_location(ast.Assign([target], self._value(target, value)), node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt | None:
        constant = ast.unparse(node.annotation).strip("'\"").split(".")[-1] == "constexpr"
        if node.value is None:
            if constant and isinstance(node.target, ast.Name):
                self.constants.add(node.target.id)
            return None
        value = self.visit(node.value)
        call = _call("constant" if constant else "assigned", value)
        return ast.copy_location(ast.Assign([node.target], call), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.stmt:
        if not isinstance(node.target, ast.Name):
            return ast.copy_location(ast.Expr(self._refuse(node, "__setitem__ is not supported in triton")), node)
        read = ast.Name(node.target.id, ast.Load())
        value = ast.BinOp(self.visit(ast.copy_location(read, node)), node.op, self.visit(node.value))
        return ast.copy_location(ast.Assign([node.target], _call("assigned", value)), node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        return ast.copy_location(ast.NamedExpr(node.target, _call("assigned", self.visit(node.value))), node)

    # --- operators

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        operands = [_later(self.visit(v)) for v in node.values]
        return ast.copy_location(_call("and_" if isinstance(node.op, ast.And) else "or_", *operands), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        if isinstance(node.op, ast.Not):
            return ast.copy_location(_call("not_", operand), node)
        return ast.copy_location(ast.UnaryOp(node.op, operand), node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        if any(isinstance(op, (ast.In, ast.NotIn)) for op in node.ops):
            return ast.copy_location(self._refuse(node, "AST comparison operator 'in' is not implemented"), node)
        if len(node.ops) > 1 and not _SEVERAL_COMPARISONS:
            why = "simultaneous multiple comparison is not supported"
            return ast.copy_location(self._refuse(node, why), node)
        operands = [self.visit(node.left), *(self.visit(c) for c in node.comparators)]
        pairs: list[ast.expr] = []
        for left, op, right in zip(operands, node.ops, operands[1:], strict=False):
            if isinstance(op, (ast.Is, ast.IsNot)):  # of the constants themselves
                left, right = _call("constant", left), _call("constant", right)
            pairs.append(ast.Compare(left, [op], [right]))
        if len(pairs) == 1:
            return ast.copy_location(pairs[0], node)
        return ast.copy_location(_call("and_", *map(_later, pairs)), node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        test = self.visit(node.test)
        (body, orelse), refused = self._branch(lambda: (self.visit(node.body), self.visit(node.orelse)))
        return ast.copy_location(ast.IfExp(self._condition(test, refused), body, orelse), node)

    @staticmethod
    def _condition(test: ast.expr, refused: list[str]) -> ast.expr:
        return _call("condition", test, *([ast.Constant(refused[0])] if refused else []))

    # --- statements

    def visit_If(self, node: ast.If) -> ast.stmt:
        test = self.visit(node.test)
        (body, orelse), refused = self._branch(
            lambda: (self._statements(node.body), self._statements(node.orelse) if node.orelse else [])
        )
        return ast.copy_location(ast.If(self._condition(test, refused), body, orelse), node)

    def _loop(self, body: list[ast.stmt], index: str | None) -> tuple[ast.stmt, list[ast.stmt], list[ast.stmt]]:
        """What stands before a loop, its body, and what stands after it.

        After one turn the types of the variables that the loop carries are compared; after the loop the names that
        were new in it are gone.
        """
        stored = _stored(body)
        carried = sorted(stored & self.defined)
        new = sorted((stored | ({index} if index else set())) - self.seen)
        snapshot = f"{SUPPORT}loop{self.loops}"
        self.loops += 1
        outer, self.in_loop = self.in_loop, True
        inner = self._statements(body)
        self.in_loop = outer
        names = ast.Tuple([ast.Constant(n) for n in carried], ast.Load())
        local = ast.Call(ast.Name("locals", ast.Load()), [], [])
        compare = _call("types_after", ast.Name(snapshot, ast.Load()), local)
        before: ast.stmt = ast.Assign([ast.Name(snapshot, ast.Store())], _call("types_before", names, local))
        check = ast.If(ast.Name(snapshot, ast.Load()), [ast.Assign([ast.Name(snapshot, ast.Store())], compare)], [])
        after: list[ast.stmt] = [
            ast.If(
                ast.Compare(ast.Constant(name), [ast.In()], [local]),
                [ast.Delete([ast.Name(name, ast.Del())])],
                [],
            )
            for name in new
        ]
        return before, [*inner, check], after

    def visit_For(self, node: ast.For) -> list[ast.stmt] | ast.stmt:
        if not isinstance(node.iter, ast.Call) or not isinstance(node.target, ast.Name):
            why = "Only `range` and `static_range` iterators are currently supported"
            return ast.copy_location(ast.Expr(self._refuse(node, why)), node)
        iterator = self.visit(node.iter)
        function = ast.unparse(node.iter.func)
        if function.split(".")[-1] == "static_range":
            loop = ast.For(node.target, iterator, self._statements(node.body), [])
            return ast.copy_location(loop, node)
        before, body, after = self._loop(node.body, node.target.id)
        loop = ast.For(node.target, iterator, body, self._statements(node.orelse) if node.orelse else [])
        return [ast.copy_location(part, node) for part in (before, loop, *after)]

    def visit_While(self, node: ast.While) -> list[ast.stmt]:
        test = _call("condition", self.visit(node.test))
        before, body, after = self._loop(node.body, None)
        return [ast.copy_location(part, node) for part in (before, ast.While(test, body, []), *after)]

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        if self.in_loop:
            why = "Cannot have `return` statements inside `while` or `for` statements in triton."
            return ast.copy_location(ast.Expr(self._refuse(node, why)), node)
        value = None if node.value is None else self.visit(node.value)
        return ast.copy_location(ast.Return(value), node)

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        message = self.visit(node.msg) if node.msg is not None else ast.Constant("")
        return ast.copy_location(ast.Expr(_call("device_assert", self.visit(node.test), message)), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        return ast.copy_location(ast.Expr(self._refuse(node, "nested function definition is not supported.")), node)

    def function(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """The whole function: no decorators, annotations or defaults, which were evaluated once already."""
        body = self._statements(node.body)
        if self.refused:
            body = [ast.Expr(_call("refuse", ast.Constant(self.refused[0]))), *body]
        given = node.args
        bare = ast.arguments(
            posonlyargs=[ast.arg(a.arg) for a in given.posonlyargs],
            args=[ast.arg(a.arg) for a in given.args],
            vararg=ast.arg(given.vararg.arg) if given.vararg else None,
            kwonlyargs=[ast.arg(a.arg) for a in given.kwonlyargs],
            kw_defaults=[None] * len(given.kwonlyargs),
            kwarg=ast.arg(given.kwarg.arg) if given.kwarg else None,
            defaults=[],
        )
        return ast.copy_location(_function(node.name, bare, body), node)


def _inner_code(code: CodeType, name: str) -> CodeType:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_name == name:
                return constant
            try:
                return _inner_code(constant, name)
            except LookupError:
                continue
    raise LookupError(name)


def rewritten(function: FunctionType, support: ModuleType) -> Callable[..., Any]:
    """``function`` as the compiler would read it; itself if its source can't be found."""
    try:
        lines, first = inspect.getsourcelines(function)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return function
    node = next((n for n in tree.body if isinstance(n, ast.FunctionDef)), None)
    if node is None:
        return function
    free = function.__code__.co_freevars
    cells = dict(zip(free, function.__closure__ or (), strict=True))
    scope = dict(function.__globals__)
    for name, cell in cells.items():
        try:
            scope[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            scope.pop(name, None)
    arguments = _Names()
    arguments.visit(node.args)
    new = Rewriter(scope, arguments.stored | _stored(node.body), arguments.stored).function(node)
    # A function around it, so that its free variables stay free and find their cells again.
    cells_of = ast.arguments(
        posonlyargs=[], args=[ast.arg(n) for n in free], kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    outer = _function("__closure__", cells_of, [new])
    module = ast.fix_missing_locations(ast.Module([outer], []))
    ast.increment_lineno(module, first - 1)
    code = compile(module, function.__code__.co_filename, "exec", dont_inherit=True)
    inner = _inner_code(code, node.name)
    function.__globals__[SUPPORT] = support
    result = FunctionType(
        inner,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(cells[n] for n in inner.co_freevars),
    )
    result.__kwdefaults__ = function.__kwdefaults__
    return result
