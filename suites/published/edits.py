"""Small changes of published texts that keep their lines where they are."""

from __future__ import annotations

import ast
from collections.abc import Callable


def without_imports(text: str, gone: Callable[[str], bool]) -> str:
    """The text without the statements `from … import …` of modules that are gone: what they name is there already,
    and has its other name, if one is given."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text
    lines = text.splitlines(keepends=True)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and gone(node.module):
            assert node.end_lineno is not None
            renamed = "; ".join(f"{each.asname} = {each.name}" for each in node.names if each.asname)
            lines[node.lineno - 1 : node.end_lineno] = [f"{renamed}\n", *["\n"] * (node.end_lineno - node.lineno)]
    return "".join(lines)
