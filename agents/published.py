"""Answers of models as TritonBench publishes them: a JSON object a line with what was asked (`instruction` or
`prompt`), the answer (`predict`), and the solution that the data holds (`label`).

A row names no task. It belongs to the one whose instruction stands in what was asked; where that was cut short, to the
one whose solution is its label. `extract` gets the code out of an answer in one of two ways: `faithful` reads it as any
other answer of a model is read, `paper` as TritonBench's own evaluator does.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence

from agents.extract import extract_code
from harness.solver import TaskView
from harness.wording import ENDS, label_alias, normal

ASKED = ("instruction", "prompt")
EXTRACTORS = ("faithful", "paper")
_FENCE = "```python"


def asked(row: Mapping[str, object]) -> str | None:
    """What was asked, if this is a published row."""
    if "task" in row or "predict" not in row:
        return None
    return next((text for key in ASKED if isinstance(text := row.get(key), str)), None)


def owners(question: str, label: str, tasks: Sequence[TaskView]) -> list[TaskView]:
    """The tasks that a row may belong to: one, if all is well."""
    text = normal(question)
    found = [task for task in tasks if any(normal(each) in text for each in task.wordings if each.strip())]
    if found or not label.strip():
        return found
    alias = label_alias(label)
    labelled = [task for task in tasks if alias in task.aliases]
    return labelled if len(labelled) == 1 else []


def contradicted(label: str, task: TaskView, tasks: Sequence[TaskView]) -> TaskView | None:
    """Another task whose solution is this label."""
    alias = label_alias(label)
    if not label.strip() or alias in task.aliases:
        return None
    return next((each for each in tasks if alias in each.aliases), None)


def extract(answer: str, task: TaskView, extractor: str) -> str | None:
    """The code of an answer, or None."""
    if extractor == "paper":
        return _as_the_paper(answer, functions_only=task.suite != "tritonbench-t")
    for end in ENDS:
        answer = answer.replace(end, "")
    return extract_code(answer, task.entry_point)


def _as_the_paper(answer: str, functions_only: bool) -> str | None:
    """What stands behind the last Python fence (its end left in), and of TritonBench-G of that the imports and all
    functions, wherever they are defined, one after the other; where it does not parse, as it is."""
    code = answer
    if _FENCE in answer:
        code = answer.split(_FENCE)[-1]
        for end in ENDS:
            code = code.replace(end, "")
    if not functions_only:
        return code
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = list(ast.walk(ast.parse(code)))
        imports = [ast.unparse(node) for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]
        functions = [ast.unparse(node) for node in nodes if isinstance(node, ast.FunctionDef)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    return "\n".join(imports) + "\n\n" + "\n".join(functions)
