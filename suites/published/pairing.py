"""Which rows of a repository's data belong to which of its task files: level, origin, instructions and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from suites.published.files import rows_of
from suites.published.layouts import Layout, Published

_LEVELS = {str(level): level for level in range(1, 6)}


def with_data(
    root: Path, layout: Layout, tasks: dict[str, Published], files: set[str], notes: list[str]
) -> dict[str, Published]:
    """The tasks with level, origin, instructions and labels; `files` are the stems of all task files, read or not."""
    about = _statistics(root, layout, tasks, files, notes)
    instructions: dict[str, dict[str, str]] = {name: {} for name in tasks}
    labels = {name: [_string(about.get(name, {}), layout.label)] for name in tasks}
    for kind, file in layout.instructions.items():
        rows = rows_of(root, file, notes)
        if rows is None:
            continue
        for number, row in enumerate(rows, start=1):
            owner = _owner(row, layout.quoted[kind], tasks, about)
            if owner is None:
                notes.append(f"{file}: row {number} belongs to no task")
            elif owner in tasks:
                instructions[owner][kind] = _string(row, "instruction")
                labels[owner].append(_string(row, "output"))
        _lacking(f"{file} has no row for", (name for name in tasks if kind not in instructions[name]), notes)
    return {
        name: replace(
            task,
            level=_level(about.get(name, {})),
            origin=_string(about.get(name, {}), "repo"),
            instructions=instructions[name],
            labels=tuple(dict.fromkeys(text for text in labels[name] if text.strip())),
        )
        for name, task in tasks.items()
    }


def _statistics(
    root: Path, layout: Layout, tasks: Mapping[str, Published], files: set[str], notes: list[str]
) -> dict[str, Mapping[str, object]]:
    """The rows of the statistics by the stems of their files; empty where they can't be read."""
    rows = rows_of(root, layout.statistics, notes)
    if rows is None:
        return {}
    about = {_string(row, "file").removesuffix(".py"): row for row in rows}
    _lacking(f"{layout.statistics} has rows of no file:", (repr(name) for name in about if name not in files), notes)
    _lacking(f"{layout.statistics} has no row for", (name for name in tasks if name not in about), notes)
    known = (name for name in tasks if name in about)
    _lacking(
        f"{layout.statistics} gives no difficulty from 1 to 5 for",
        (name for name in known if _level(about[name]) is None),
        notes,
    )
    return about


def _owner(
    row: Mapping[str, object],
    quoted: tuple[str, ...],
    tasks: Mapping[str, Published],
    about: Mapping[str, Mapping[str, object]],
) -> str | None:
    """The task that a row of instructions belongs to: the one with this solution, else the one whose statistics stand
    in the instruction. None where it is none, or more than one."""
    output, instruction = _string(row, "output").strip(), _string(row, "instruction")
    owners = [name for name, task in tasks.items() if output and task.solution.strip() == output]
    if len(owners) != 1:
        texts = {name: [_string(each, key).strip() for key in quoted] for name, each in about.items()}
        owners = [name for name, parts in texts.items() if all(part and part in instruction for part in parts)]
    return owners[0] if len(owners) == 1 else None


def _level(row: Mapping[str, object]) -> int | None:
    """The difficulty, which is a number in some files and a digit as text in others."""
    return _LEVELS.get(str(row.get("difficulty")))


def _string(row: Mapping[str, object], key: str) -> str:
    found = row.get(key)
    return found if isinstance(found, str) else ""


def _lacking(what: str, names: Iterable[str], notes: list[str]) -> None:
    found = ", ".join(sorted(names))
    if found:
        notes.append(f"{what} {found}")
