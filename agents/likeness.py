"""Are two kernels near duplicates? Whoever is shown one of a pair has been given the other.

Three measures, each enough by itself, none of which sees names or layout: the code of the kernels (`CODE`), the words
of what they do (`WORDS`), and the formulas of what they do, with indices renamed: equal ones, or one line that is a
part of the other's only line (a product with and without a bias). What they miss is in `BY_HAND`. The thresholds come
from the pairs of the suite `rocm`; tests/agents/test_retrieval.py pins on which side each of them falls:

    code  pair                                 verdict
    0.93  naive_softmax, softmax               duplicates
    0.66  multreduce…dot, …multreduce…matmul   duplicates
    0.61  layernorm, rmsnorm_fwd               duplicates: one is the other less the mean
    0.45  rmsnorm_fwd, rmsnorm_bwd             duplicates: the backward repeats the forward
    0.45  add_kernel, kernel_sub               duplicates
    ----  CODE
    0.41  naive_softmax, rmsnorm_fwd           not: the same walk along a row, another operation
    0.38  layernorm, softmax                   not
    0.32  block_copy, add_kernel               not

In doubt it is a duplicate: a worse example costs little, a given answer makes the run worthless.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

CODE = 0.43
"""Jaccard similarity of the kernels' shingles from which they are near duplicates."""
WORDS = 0.6
"""Jaccard similarity of the words on the operation from which they are near duplicates."""
SHINGLE = 6
"""Tokens in a row that make one shingle: with fewer, all kernels that walk along rows look alike."""
FEWEST_WORDS = 8
"""A description of fewer words says too little to be compared."""

BY_HAND: tuple[frozenset[str], ...] = (
    # The same chain of two products; that one rounds to fp8 between them hides it from all measures.
    frozenset({"chained_dot_fp8", "chained_matmul", "gemm_fusion"}),
)
"""Names of tasks that are near duplicates though no measure says so."""

_STOP = frozenset(
    ("and", "any", "are", "each", "for", "from", "its", "may", "one", "that", "the", "which", "whose", "with")
)
_FORMULA = frozenset(
    ("sum", "over", "of", "where", "if", "otherwise", "max", "min", "exp", "log", "sqrt", "abs", "mod", "round", "cast")
)
_KEPT = frozenset(("tl", "triton", "torch", "range", "for", "in", "if", "else", "while", "return", "and", "or", "not"))
_TOKEN = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|\"[^\"\n]*\"|'[^'\n]*'|[^\s\w]")


@dataclass(frozen=True)
class Portrait:
    """What of a kernel is compared."""

    name: str
    text: str
    """What it does, in words: a task's instruction, or one's own description."""
    source: str

    @cached_property
    def shingles(self) -> frozenset[Hashable]:
        """Of the kernels' code, every name of the author's own being like any other, and so every number."""
        tokens: list[str] = []
        for token in _TOKEN.findall(_kernels(self.source)):
            attribute = bool(tokens) and tokens[-1] == "."
            own = token.isidentifier() and not attribute and token not in _KEPT
            tokens.append("name" if own else "0" if token[0].isdigit() else token)
        return _shingles(tokens)

    @cached_property
    def words(self) -> frozenset[str]:
        """Of the operation, without formulas and filler."""
        found = re.findall(r"[a-z]{3,}", operation(self.text).lower())
        return frozenset(found) - _STOP

    @cached_property
    def formulas(self) -> tuple[str, ...]:
        """The indented lines of the operation, indices numbered as they come, without ranges and brackets."""
        lines = [line.strip() for line in operation(self.text).splitlines() if line.startswith("    ")]
        return tuple(_formula(line) for line in lines if "=" in line)


def code_likeness(one: Portrait, other: Portrait) -> float:
    """From 0 (nothing in common, or nothing to compare) to 1."""
    return _jaccard(one.shingles, other.shingles)


def near_duplicates(one: Portrait, other: Portrait) -> bool:
    """By code, words or formulas, or by hand."""
    if any(one.name in names and other.name in names for names in BY_HAND):
        return True
    if code_likeness(one, other) >= CODE or _same_formulas(one.formulas, other.formulas):
        return True
    enough = min(len(one.words), len(other.words)) >= FEWEST_WORDS
    return (enough and _jaccard(one.words, other.words) >= WORDS) or (bool(one.words) and one.words == other.words)


def family(seed: Portrait, others: Sequence[Portrait]) -> list[Portrait]:
    """The seed, its near duplicates, theirs, and so on: plain matrix products are one family, however they differ."""
    found, todo, left = [seed], [seed], list(others)
    while todo:
        current = todo.pop()
        near = [each for each in left if near_duplicates(current, each)]
        left = [each for each in left if each not in near]
        found += near
        todo += near
    return found


def operation(text: str) -> str:
    """The section `Operation` of an instruction; of any other text, all."""
    found = re.search(r"^## Operation\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    return found[1] if found else text


def _kernels(source: str) -> str:
    """The functions under `jit`, without docstrings, comments and decorators; all of a source that has none."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _jitted(node)]
    for node in found:
        node.decorator_list = []
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return "\n".join(ast.unparse(node) for node in found) or ast.unparse(tree)


def _jitted(node: ast.FunctionDef) -> bool:
    return any("jit" in ast.unparse(each) for each in node.decorator_list)


def _formula(line: str) -> str:
    # The space: not to find one name in the middle of another.
    seen: dict[str, str] = {}
    tokens = re.findall(r"[A-Za-z_]\w*|\d+|[^\s\w]", re.sub(r"\bfrom \S+ to \w+( - 1)?", "", line))
    known = [
        token
        if not token.isidentifier() or token in _FORMULA
        else "T"
        if following == "["
        else seen.setdefault(token, f"i{len(seen)}")
        for token, following in zip(tokens, [*tokens[1:], ""], strict=True)
    ]
    return " ".join(token for token in known if token not in "()")


def _same_formulas(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if not one or not other:
        return False
    if one == other:
        return True
    if len(one) > 1 or len(other) > 1:
        return False
    short, long = sorted((each[0].partition("=")[2].strip() for each in (one, other)), key=len)
    # A lone term (`x[i]`) is part of nearly every formula.
    return "sum" in short and f" {short} " in f" {long} "


def _shingles(tokens: Sequence[str]) -> frozenset[Hashable]:
    return frozenset(tuple(tokens[at : at + SHINGLE]) for at in range(len(tokens) - SHINGLE + 1))


def _jaccard(one: frozenset[Hashable] | frozenset[str], other: frozenset[Hashable] | frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0
