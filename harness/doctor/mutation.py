"""Mutants: copies of a reference with one small mistake each, made by rule from its syntax tree.

They are the mistakes that people and models make: a dropped mask, a bound off by one, a skipped block, a lost
accumulation step, a sum in half precision. A case set that lets one of them pass can't tell right from wrong.

A mutant is named by its rule, its function and the change itself, so that the name outlives edits elsewhere. Which of a
reference's many mutants are tried is drawn by name, rule after rule: the same choice every time, on every machine.
"""

from __future__ import annotations

import ast
import copy
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

TRIED = 32
"""Mutants of one reference that are tried."""


@dataclass(frozen=True)
class Mutant:
    """One mistake planted in a reference."""

    rule: str
    function: str
    change: str
    """`before → after`, on one line."""
    line: int
    """Of the reference, from 1."""
    source: str
    probe: str
    """The reference with a statement that fails in place of the mistake: is it ever reached?"""

    @property
    def id(self) -> str:
        """Stable name: what is done where."""
        return f"{self.rule}: {self.function}: {self.change}"


Rule = Callable[[ast.AST], Iterator[ast.AST]]
"""Gives the replacements of a node, none where the rule does not apply."""


def mutants(reference: str) -> list[Mutant]:
    """All mutants of a reference, in the order of its lines; changes that look alike are numbered."""
    tree = ast.parse(reference)
    found: list[Mutant] = []
    seen: dict[str, int] = {}
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        kernel = any("jit" in ast.unparse(each) for each in function.decorator_list)
        for statement, node in _walk(function):
            for name, rule in (KERNEL_RULES if kernel else HOST_RULES).items():
                for replacement in rule(node):
                    after = ast.unparse(replacement)
                    change = _change(ast.unparse(node), after)
                    key = f"{name}: {function.name}: {change}"
                    seen[key] = seen.get(key, 0) + 1
                    if seen[key] > 1:
                        change += f" #{seen[key]}"
                    text = after if isinstance(replacement, ast.stmt) else f"({after})"
                    fail = 'tl.static_assert(False, "reached")' if kernel else 'raise AssertionError("reached")'
                    assert isinstance(node, (ast.expr, ast.stmt))
                    found.append(
                        Mutant(
                            name,
                            function.name,
                            change,
                            node.lineno,
                            _spliced(reference, node, text),
                            _inserted(reference, statement, fail),
                        )
                    )
    return found


def chosen(reference: str, count: int = TRIED) -> list[Mutant]:
    """The mutants that are tried: one of each rule in turn, drawn by name, until there are `count`."""
    queues: dict[str, list[Mutant]] = {}
    for mutant in sorted(mutants(reference), key=lambda each: hashlib.sha256(each.id.encode()).digest()):
        queues.setdefault(mutant.rule, []).append(mutant)
    taken: list[Mutant] = []
    while len(taken) < count and any(queues.values()):
        for rule in sorted(queues):
            if queues[rule] and len(taken) < count:
                taken.append(queues[rule].pop(0))
    return sorted(taken, key=lambda each: (each.line, each.id))


def _walk(function: ast.FunctionDef) -> Iterator[tuple[ast.stmt, ast.AST]]:
    """Every statement and expression of a function's body, with the innermost statement it stands in."""

    def below(statement: ast.stmt, node: ast.AST) -> Iterator[tuple[ast.stmt, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            inner = child if isinstance(child, ast.stmt) else statement
            yield inner, child
            yield from below(inner, child)

    for statement in function.body:
        yield statement, statement
        yield from below(statement, statement)


_SHOWN = 60
"""Characters of each side of a change that a name shows."""


def _change(before: str, after: str) -> str:
    """`before → after`, each on one line; what they share is cut where they are long."""
    texts = [" ".join(text.split()) for text in (before, after)]
    if max(map(len, texts)) > _SHOWN:
        shared = next(
            (n for n, pair in enumerate(zip(*texts, strict=False)) if pair[0] != pair[1]), min(map(len, texts))
        )
        start = max(0, shared - _SHOWN // 3)
        texts = [("…" if start else "") + text[start:] for text in texts]
    return " → ".join(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…" for text in texts)


def _spliced(source: str, node: ast.expr | ast.stmt, text: str) -> str:
    """The source with one node's text replaced."""
    assert node.end_lineno is not None and node.end_col_offset is not None
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    head, tail = lines[node.lineno - 1][: node.col_offset], lines[node.end_lineno - 1][node.end_col_offset :]
    lines[node.lineno - 1 : node.end_lineno] = [head + text.encode() + tail]
    return b"".join(lines).decode()


def _inserted(source: str, statement: ast.stmt, text: str) -> str:
    """The source with a line put before a statement."""
    lines = source.splitlines(keepends=True)
    lines.insert(statement.lineno - 1, " " * statement.col_offset + text + "\n")
    return "".join(lines)


# --- rules -----------------------------------------------------------------------------------------------------------


def _is_tl(node: ast.AST, *names: str) -> bool:
    """A call of one of these functions of `tl` or `triton`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names


def _without(call: ast.Call, *keywords: str) -> ast.Call:
    changed = copy.deepcopy(call)
    changed.keywords = [each for each in changed.keywords if each.arg not in keywords]
    return changed


def _with(call: ast.Call, keyword: str, value: ast.expr) -> ast.Call:
    changed = copy.deepcopy(call)
    for each in changed.keywords:
        if each.arg == keyword:
            each.value = value
    return changed


def _keyword(node: ast.AST, name: str) -> ast.expr | None:
    if isinstance(node, ast.Call):
        return next((each.value for each in node.keywords if each.arg == name), None)
    return None


def _minus_one(node: ast.expr) -> ast.expr:
    return ast.BinOp(copy.deepcopy(node), ast.Sub(), ast.Constant(1))


def drop_mask(node: ast.AST) -> Iterator[ast.AST]:
    if _is_tl(node, "load", "store") and _keyword(node, "mask") is not None:
        assert isinstance(node, ast.Call)
        yield _without(node, "mask", "other")


def half_mask(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd):
        yield node.left
        yield node.right


def off_by_one(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Lt):
        yield ast.Compare(node.left, node.ops, [_minus_one(node.comparators[0])])


_BOUNDARY: dict[type[ast.cmpop], ast.cmpop] = {
    ast.GtE: ast.Gt(),
    ast.Gt: ast.GtE(),
    ast.LtE: ast.Lt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
}


def boundary(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _BOUNDARY:
        if any(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in node.comparators):
            return
        yield ast.Compare(node.left, [_BOUNDARY[type(node.ops[0])]], node.comparators)


def wrong_stride(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        if isinstance(node.right, ast.Name) and "stride" in node.right.id:
            yield ast.BinOp(node.left, ast.Mult(), ast.BinOp(node.right, ast.Add(), ast.Constant(1)))
        elif isinstance(node.left, ast.Name) and "stride" in node.left.id:
            yield ast.BinOp(ast.BinOp(node.left, ast.Add(), ast.Constant(1)), ast.Mult(), node.right)


def swapped(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Sub, ast.Div)):
        yield ast.BinOp(node.right, node.op, node.left)
    if _is_tl(node, "where"):
        assert isinstance(node, ast.Call)
        if len(node.args) == 3:
            yield ast.Call(node.func, [node.args[0], node.args[2], node.args[1]], node.keywords)


_RANGES = ("range", "tl.range", "tl.static_range")


def skipped_block(node: ast.AST) -> Iterator[ast.AST]:
    """A loop that ends one step early, or starts one late."""
    if not (isinstance(node, ast.Call) and ast.unparse(node.func) in _RANGES and node.args):
        return
    bounds = list(node.args)
    place = 0 if len(bounds) == 1 else 1
    yield ast.Call(node.func, [*bounds[:place], _minus_one(bounds[place]), *bounds[place + 1 :]], node.keywords)
    if len(bounds) > 1:
        step = bounds[2] if len(bounds) > 2 else ast.Constant(1)
        yield ast.Call(node.func, [ast.BinOp(bounds[0], ast.Add(), step), *bounds[1:]], node.keywords)


def lost_step(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Mult)):
        name = ast.unparse(node.target)
        if "ptr" in name:
            yield ast.Pass()
        else:
            yield ast.Assign([node.target], node.value, lineno=node.lineno)
    if _is_tl(node, "dot") and isinstance(node, ast.Call) and len(node.args) == 3:
        yield ast.Call(node.func, node.args[:2], node.keywords)


def half_precision(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Attribute) and ast.unparse(node) == "tl.float32":
        yield ast.Attribute(node.value, "float16", ast.Load())


def missing_factor(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield node.left
        yield node.right


def missing_term(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        yield node.left


def wrong_axis(node: ast.AST) -> Iterator[ast.AST]:
    axis = _keyword(node, "axis")
    if isinstance(axis, ast.Constant) and axis.value in (0, 1):
        assert isinstance(node, ast.Call)
        yield _with(node, "axis", ast.Constant(0 if axis.value == 1 else 1))
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and len(node.slice.elts) == 2:
        first, second = node.slice.elts
        if {type(first), type(second)} == {ast.Slice, ast.Constant}:
            yield ast.Subscript(node.value, ast.Tuple([second, first], ast.Load()), ast.Load())


def missing_store(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Expr) and _is_tl(node.value, "store"):
        yield ast.Pass()


def wrong_fill(node: ast.AST) -> Iterator[ast.AST]:
    other = _keyword(node, "other")
    if _is_tl(node, "load") and other is not None:
        assert isinstance(node, ast.Call)
        zero = isinstance(other, ast.Constant) and not other.value
        yield _with(node, "other", ast.Constant(1 if zero else 0))


_OPPOSITE = {
    **{"minimum": "maximum", "maximum": "minimum", "max": "min", "min": "max", "exp": "exp2", "exp2": "exp"},
    **{"rsqrt": "sqrt", "sqrt": "rsqrt", "sin": "cos", "cos": "sin", "log": "log2", "log2": "log"},
}


def wrong_function(node: ast.AST) -> Iterator[ast.AST]:
    if _is_tl(node, *_OPPOSITE):
        assert isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        yield ast.Call(ast.Attribute(node.func.value, _OPPOSITE[node.func.attr], ast.Load()), node.args, node.keywords)


def wrong_constant(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value not in (0.0, float("inf")):
        yield ast.Constant(node.value * 1.5)


_BITS: dict[type[ast.operator], ast.operator] = {
    ast.LShift: ast.RShift(),
    ast.RShift: ast.LShift(),
    ast.BitXor: ast.BitOr(),
    ast.BitOr: ast.BitXor(),
    ast.Mod: ast.FloorDiv(),
    ast.FloorDiv: ast.Mod(),
}


def wrong_operator(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp) and type(node.op) in _BITS:
        yield ast.BinOp(node.left, _BITS[type(node.op)], node.right)


def skipped_program(node: ast.AST) -> Iterator[ast.AST]:
    """The last program of a grid is not launched, unless it is the only one."""
    if _is_tl(node, "cdiv"):
        assert isinstance(node, ast.Call)
        yield ast.Call(ast.Name("max", ast.Load()), [ast.Constant(1), _minus_one(node)], [])


def wrong_stride_of_tensor(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "stride" and node.args:
        axis = node.args[0]
        if isinstance(axis, ast.Constant) and axis.value in (0, 1):
            yield ast.Call(node.func, [ast.Constant(0 if axis.value == 1 else 1)], [])


def ignored_flag(node: ast.AST) -> Iterator[ast.AST]:
    """A condition that a launch tells its kernel, turned round."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Subscript):
        for number, each in enumerate(node.keywords):
            if isinstance(each.value, ast.Compare):
                changed = copy.deepcopy(node)
                changed.keywords[number].value = ast.UnaryOp(ast.Not(), each.value)
                yield changed


KERNEL_RULES: dict[str, Rule] = {
    "dropped mask": drop_mask,
    "half a mask": half_mask,
    "bound off by one": off_by_one,
    "wrong boundary": boundary,
    "wrong stride": wrong_stride,
    "swapped operands": swapped,
    "skipped block": skipped_block,
    "lost step": lost_step,
    "half precision": half_precision,
    "missing factor": missing_factor,
    "missing term": missing_term,
    "wrong axis": wrong_axis,
    "missing store": missing_store,
    "wrong fill": wrong_fill,
    "wrong function": wrong_function,
    "wrong constant": wrong_constant,
    "wrong operator": wrong_operator,
}
"""For what stands in a function marked with `triton.jit`."""

HOST_RULES: dict[str, Rule] = {
    "skipped program": skipped_program,
    "wrong stride": wrong_stride_of_tensor,
    "ignored flag": ignored_flag,
}
"""For the functions that launch."""
