"""A suite: a named, versioned set of tasks, loaded from a folder.

    suites/rocm/suite.toml            name, version, description
    suites/rocm/softmax/              a task: instruction.md, task.py, reference.py

or, where tasks are not stored with the suite, in suite.toml `tasks = "module:function"`: what makes them.

Loading checks that every task is whole; what is wrong is one line that names the file and what to do.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import json
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import SuiteAbsent, SuiteError
from harness.task import Task

TASK_FILES = ("instruction.md", "task.py", "reference.py")


@dataclass(frozen=True)
class Suite:
    """A set of tasks. `digest` covers every source, case and tolerance in it."""

    name: str
    version: str
    description: str
    folder: Path
    tasks: tuple[Task, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of the tasks, in order of their names."""
        return hashlib.sha256("\n".join(f"{task.name} {task.digest}" for task in self.tasks).encode()).hexdigest()

    def task(self, name: str) -> Task:
        """The task of that name or alias."""
        for task in self.tasks:
            if name == task.name or name in task.aliases:
                return task
        raise SuiteError(f"suite {self.name!r} has no task {name!r}; it has: {', '.join(t.name for t in self.tasks)}")


def load_suite(folder: Path) -> Suite:
    """The suite in a folder with a `suite.toml`."""
    folder = folder.resolve()
    manifest = folder / "suite.toml"
    try:
        about = tomllib.loads(manifest.read_text())
    except FileNotFoundError:
        raise SuiteError(f"{manifest} is missing: a suite needs it, with name, version and description") from None
    except (OSError, ValueError) as error:
        raise SuiteError(f"{manifest}: {error}") from None
    missing = [key for key in ("name", "version", "description") if not isinstance(about.get(key), str)]
    if missing:
        raise SuiteError(f"{manifest}: give {', '.join(missing)} as text")
    if "tasks" in about:
        return _from_elsewhere(about, folder)
    folders = sorted(
        path for path in folder.iterdir() if path.is_dir() and any((path / f).exists() for f in TASK_FILES)
    )
    tasks = tuple(load_task(path, about["name"]) for path in folders)
    if not tasks:
        raise SuiteError(f"{folder} holds no task: a task is a folder with {', '.join(TASK_FILES)}")
    return Suite(about["name"], about["version"], about["description"], folder, tasks)


def load_suites(folders: Iterable[Path]) -> tuple[Suite, ...]:
    """The suites in these folders, but for those whose tasks are not at hand, unless that is all of them."""
    found, absent = list[Suite](), list[SuiteAbsent]()
    for folder in folders:
        try:
            found.append(load_suite(folder))
        except SuiteAbsent as error:
            absent.append(error)
    if absent and not found:
        raise absent[0]
    return tuple(found)


def _from_elsewhere(about: dict[str, Any], folder: Path) -> Suite:
    """A suite whose tasks are made by a function, `tasks = "module:function"`: it gets the suite's name, and gives its
    version and the tasks. Raises what the function raises; SuiteAbsent says that they are not at hand."""
    module, _, name = str(about["tasks"]).partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SuiteError(f"{folder / 'suite.toml'}: tasks = {about['tasks']!r} can't be imported: {error}") from None
    version, tasks = function(about["name"])
    return Suite(about["name"], version or about["version"], about["description"], folder, tuple(tasks))


def load_task(folder: Path, suite: str) -> Task:
    """The task in a folder; `suite` is the name of the suite it belongs to."""
    texts = {}
    for name in TASK_FILES:
        try:
            texts[name] = (folder / name).read_text()
        except FileNotFoundError:
            raise SuiteError(f"task {folder.name!r} has no {name}: write {folder / name}") from None
        except (OSError, ValueError) as error:
            raise SuiteError(f"{folder / name} can't be read as text: {error}") from None
    task = _run_task_file(folder, suite)
    task.name, task.suite, task.folder = folder.name, suite, folder
    task.instruction, task.reference = texts["instruction.md"], texts["reference.py"]
    _check(task)
    task.digest = _digest(task, texts)
    return task


def _run_task_file(folder: Path, suite: str) -> Task:
    name = f"_kernel_assay_tasks.{suite}.{folder.name}"
    spec = importlib.util.spec_from_file_location(name, folder / "task.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SuiteError:
        raise
    except Exception as error:
        raise SuiteError(f"{folder / 'task.py'} can't be loaded: {type(error).__name__}: {error}") from error
    task = getattr(module, "task", None)
    if not isinstance(task, Task):
        raise SuiteError(f"{folder / 'task.py'} makes no Task named `task`")
    return task


def _check(task: Task) -> None:
    file = task.folder / "task.py"
    lacking = [role for role in ("inputs", "oracle", "cost") if getattr(task, f"_{role}") is None]
    if lacking:
        raise SuiteError(f"{file}: no {' and no '.join(lacking)}: mark a function with @task.{lacking[0]}")
    if not task.cases or not task.workloads:
        raise SuiteError(f"{file}: give at least one case and one workload")
    if not 1 <= task.level <= 5:
        raise SuiteError(f"{file}: level is {task.level}; it goes from 1 to 5")
    if not task.signature.startswith(task.entry_point + "("):
        raise SuiteError(f"{file}: the signature {task.signature!r} is not that of {task.entry_point!r}")
    try:
        ast.parse(task.outputs, mode="eval")
    except SyntaxError as error:
        raise SuiteError(f"{file}: `outputs` is no expression: {error}") from None
    try:
        names = {node.name for node in ast.parse(task.reference).body if isinstance(node, ast.FunctionDef)}
    except SyntaxError as error:
        raise SuiteError(f"{task.folder / 'reference.py'}: {error}") from None
    if task.entry_point not in names:
        raise SuiteError(f"{task.folder / 'reference.py'} does not define {task.entry_point!r}")


def _digest(task: Task, texts: dict[str, str]) -> str:
    parameters = {
        "cases": [each.id for each in task.cases],
        "workloads": [each.id for each in task.workloads],
        "tolerance": {name: asdict(bound) for name, bound in sorted(task.tolerance.bounds.items())},
    }
    whole = "\0".join(texts[name] for name in TASK_FILES) + "\0" + json.dumps(parameters, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()
