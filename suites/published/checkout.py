"""A user's checkout of a published benchmark repository, read as data: nothing of it is imported or run.

A repository is known by what it holds (`LAYOUTS`), never by its folder's name. A file of TritonBench or of GEAK-eval is
a solution, a line of 146 '#', and a test; a file of KernelBench is a module with `Model`, `get_inputs` and
`get_init_inputs`. What is missing or strange becomes a note of one line; only a folder with no task at all is an error.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import UsageError
from suites.published.commit import commit_of
from suites.published.files import parsed, text_of
from suites.published.layouts import LAYOUTS, ORIGINAL, REVISED, Checkout, Collection, Layout, Published
from suites.published.pairing import with_data

SEPARATOR = re.compile(r"^#{146}[ \t]*$\n?", re.MULTILINE)
MODULE_NAMES = ("Model", "get_inputs", "get_init_inputs")


def read(folder: Path) -> Checkout:
    """The checkout in a folder.

    `UsageError` where there is no such folder, where it lies inside a checkout, or where it holds no known task.
    """
    try:
        if not folder.exists():
            raise UsageError(f"the checkout {folder} does not exist: {_how_to_get()}")
        if not folder.is_dir():
            raise UsageError(f"the checkout {folder} is no folder: {_how_to_get()}")
        return _read(folder)
    except OSError as error:
        raise UsageError(f"the checkout {folder} can't be read ({error}): give yourself the right to read it") from None


def _read(folder: Path) -> Checkout:
    root = folder.resolve()
    outer = _enclosing(root)
    if outer is not None:
        raise UsageError(f"{folder} is only a part of the checkout {outer}: give {outer}")
    repositories = {layout.repository for layout in LAYOUTS if _holds(root, layout)}
    if not repositories:
        raise UsageError(f"{folder} holds nothing of a known repository: {_how_to_get()}")
    notes: list[str] = []
    collections = []
    for layout in LAYOUTS:
        if layout.repository in repositories:
            tasks = _tasks(root, layout, notes)
            if tasks:
                collections.append(Collection(layout.collection, tasks))
    if not collections:
        raise UsageError(
            f"{folder} holds no task that can be read ({notes[0]}): run git -C {folder} checkout HEAD -- ."
        )
    commit = commit_of(root)
    if not commit:
        notes.append(f"the commit is not known: {folder} is no git work tree of its own, or its HEAD names no commit")
    return Checkout(root, commit, tuple(collections), tuple(notes))


def joined(checkouts: Sequence[Checkout]) -> tuple[Collection, ...]:
    """The collections of all checkouts.

    Revised tasks take level, origin, instructions and labels from the original tasks of the same name, where those are
    among the checkouts. `UsageError` where two checkouts give the same collection.
    """
    found: dict[str, tuple[Collection, Path]] = {}
    for checkout in checkouts:
        for each in checkout.collections:
            if each.name in found:
                raise UsageError(
                    f"{each.name} is in two checkouts, {found[each.name][1]} and {checkout.folder}: give one of them"
                )
            found[each.name] = each, checkout.folder
    if ORIGINAL in found and REVISED in found:
        originals = {task.name: task for task in found[ORIGINAL][0].tasks}
        revised, folder = found[REVISED]
        tasks = tuple(_revised(task, originals.get(task.name)) for task in revised.tasks)
        found[REVISED] = replace(revised, tasks=tasks), folder
    return tuple(found[layout.collection][0] for layout in LAYOUTS if layout.collection in found)


def _revised(task: Published, original: Published | None) -> Published:
    if original is None:
        return task
    return replace(
        task,
        level=original.level,
        origin=original.origin,
        instructions=original.instructions,
        labels=original.labels,
    )


def _how_to_get() -> str:
    names = dict.fromkeys(layout.repository for layout in LAYOUTS)
    return "give a clone made with " + " or ".join(f"git clone https://github.com/{name}" for name in names)


def _holds(root: Path, layout: Layout) -> bool:
    home = root / layout.folder
    return bool(_levels(home)) if layout.form == "module" else home.is_dir()


def _enclosing(root: Path) -> Path | None:
    """The checkout that `root` is a part of. A part may look like a checkout of another repository: GEAK-eval's
    revised tasks lie in it just as the original ones lie in TritonBench."""
    for outer in root.parents:
        for layout in LAYOUTS:
            home = outer / layout.folder
            if (root == home or root in home.parents or home in root.parents) and _holds(outer, layout):
                return outer
    return None


def _levels(home: Path) -> dict[int, Path]:
    """KernelBench's folders by level."""
    if not home.is_dir():
        return {}
    found = ((re.fullmatch(r"level([1-9][0-9]*)", path.name), path) for path in sorted(home.iterdir()))
    return {int(match[1]): path for match, path in found if match and path.is_dir()}


def _tasks(root: Path, layout: Layout, notes: list[str]) -> tuple[Published, ...]:
    home = root / layout.folder
    if not _holds(root, layout):
        notes.append(f"{layout.folder} is missing, and with it {layout.collection}")
        return ()
    files = sorted(path for path in home.glob("*.py") if path.is_file() and path.name != "__init__.py")
    if layout.form == "module":
        levels = _levels(home).items()
        tasks = [_module(root, path, level, notes) for level, sub in levels for path in sorted(sub.glob("*.py"))]
    else:
        tasks = [_halves(root, path, layout.form, notes) for path in files]
    whole = {task.name: task for task in tasks if task is not None}
    if not whole:
        notes.append(f"{layout.folder} holds no task file that can be read")
        return ()
    if layout.published is not None and len(whole) != layout.published:
        notes.append(f"{layout.collection} has {len(whole)} tasks here, {layout.published} as published")
    if layout.performance:
        whole = {name: _with_performance(root, layout, task) for name, task in whole.items()}
        without = sum(not task.performance for task in whole.values())
        if without:
            notes.append(f"{layout.performance} lacks files for {without} of {len(whole)} tasks, which are not timed")
    if layout.statistics:
        whole = with_data(root, layout, whole, {path.stem for path in files}, notes)
    return tuple(whole[name] for name in sorted(whole))


def _with_performance(root: Path, layout: Layout, task: Published) -> Published:
    file = f"{layout.performance}/{task.name}_perf.py"
    return replace(task, performance=text_of(root / file, file, []) or "")


def _module(root: Path, path: Path, level: int, notes: list[str]) -> Published | None:
    """A task of KernelBench."""
    file = path.relative_to(root).as_posix()
    text = text_of(path, file, notes)
    if text is None:
        return None
    tree = parsed(text, file, notes)
    if tree is not None:
        defined = {each.name for each in tree.body if isinstance(each, (ast.ClassDef, ast.FunctionDef))}
        lacking = [name for name in MODULE_NAMES if name not in defined]
        if lacking:
            notes.append(f"{file} does not define {', '.join(lacking)}")
    return Published(f"level{level}_{path.stem}", file, "module", level, "", {}, text, "", "", ())


def _halves(root: Path, path: Path, form: str, notes: list[str]) -> Published | None:
    """A task of TritonBench or GEAK-eval; None where its halves can't be told apart."""
    file = path.relative_to(root).as_posix()
    text = text_of(path, file, notes)
    if text is None:
        return None
    lines = list(SEPARATOR.finditer(text))
    if len(lines) != 1:
        notes.append(f"{file} is left out: it has {len(lines) or 'no'} lines of 146 '#' where one parts it in two")
        return None
    solution, test = text[: lines[0].start()], text[lines[0].end() :]
    tree = parsed(test, f"{file}, test half,", notes)
    variable = "" if tree is None else VARIABLES[form](tree)
    if tree is not None and not variable:
        notes.append(f"{file}: its test half leaves its values in no module variable")
    return Published(path.stem, file, form, None, "", {}, solution, test, variable, ())


def _script_variable(tree: ast.Module) -> str:
    """The name that the last statement outside functions assigns from a call of a function test_…, or ""."""
    names = [name for name, value in _assignments(tree.body) if isinstance(value, ast.Call) and _is_test(value.func)]
    return names[-1] if names else ""


def _pytest_variable(tree: ast.Module) -> str:
    """The dict that the tests fill, or ""."""
    names = [name for name, value in _assignments(tree.body) if isinstance(value, ast.Dict) and name == "result_gold"]
    return names[-1] if names else ""


VARIABLES = {"script": _script_variable, "pytest": _pytest_variable}


def _is_test(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id.startswith("test_")


def _assignments(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """Names that a module gets, with the expressions, in order; what stands under `if`, `try` and so on is the module's
    too, what stands in functions and classes is not."""
    for each in body:
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(each, (ast.Assign, ast.AnnAssign)) and each.value is not None:
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            yield from ((target.id, each.value) for target in targets if isinstance(target, ast.Name))
        for part in ("body", "orelse", "finalbody"):
            yield from _assignments(getattr(each, part, ()))
