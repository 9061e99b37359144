"""The solver `replay`: grades answers that models made elsewhere.

`--predictions FILE.jsonl`: one JSON object a line, {"task": name or alias, "source" | "code" | "answer" | "predict":
text, optional "sample": number from 1}. `source` is taken as it is; from the others the code is extracted.
`--predictions DIR`: files `<task>.py`, `.md`, `.txt`, or `<task>.<sample>.py` and so on; a `.py` that parses is taken
as it is. Rows of a task without `sample` number its samples in their order.

A file of answers as TritonBench publishes them is read as it is; see `agents.published`.

A task without prediction has no code: it stays in the denominator. A prediction without task stops the run before
anything is spent.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from agents.extract import extract_code
from agents.published import EXTRACTORS, asked, contradicted, extract, owners
from harness.errors import UsageError
from harness.solver import Solution, TaskView, Workbench

TEXTS = ("source", "code", "answer", "predict")
SUFFIXES = (".py", ".md", ".txt")


@dataclass(frozen=True)
class Prediction:
    """One answer made elsewhere."""

    task: str
    """The task's name or alias, as the file gives it."""
    sample: int
    """From 1."""
    text: str
    verbatim: bool
    """The text is the source itself, not an answer that holds it."""
    where: str
    """File and line, for people."""
    question: str | None = None
    """Of a published answer, which names no task: what was asked."""
    label: str = ""
    """Then, the solution that the data holds."""


@dataclass(frozen=True)
class ReplaySolver:
    """Hands in the predictions of a file or folder."""

    name: ClassVar[str] = "replay"
    uses_model: ClassVar[bool] = False

    predictions: Path | None = None
    """A `.jsonl` file or a folder of answers."""
    extractor: str = "faithful"
    """How code is got out of published answers: `faithful`, or `paper`, as TritonBench's own evaluator does."""

    def __post_init__(self) -> None:
        if self.extractor not in EXTRACTORS:
            raise UsageError(f"extractor={self.extractor!r} is unknown: there are {' and '.join(EXTRACTORS)}")

    def check(self, tasks: Sequence[TaskView], samples: int | None = None) -> None:
        """Raise `UsageError` unless every prediction belongs to one of `tasks` (all of the suite's, selected or not)
        and, where the number of `samples` a task is known, to one of the samples that will be run."""
        names = {name for task in tasks for name in (task.name, *task.aliases)}
        canonical = {name: task.name for task in tasks for name in (task.name, *task.aliases)}
        seen: dict[tuple[str, int], str] = {}
        self._check_published(tasks, samples)
        for each in self._all:
            if each.question is not None:
                continue
            if each.task not in names:
                raise UsageError(
                    f"{each.where}: there is no task {each.task!r} here: pytest --collect-only -q lists the tasks"
                )
            key = (canonical[each.task], each.sample)
            if key in seen:
                raise UsageError(
                    f"{each.where}: task {each.task!r} sample {each.sample} was predicted already at {seen[key]}: "
                    "give each row a sample number of its own, or remove one"
                )
            if samples is not None and each.sample > samples:
                raise UsageError(
                    f"{each.where}: this is sample {each.sample} of task {each.task!r}, but the run asks for "
                    f"{samples}: add --samples={each.sample}, or remove the surplus"
                )
            seen[key] = each.where

    def solve(self, task: TaskView, bench: Workbench) -> Solution | None:
        """The prediction for this task and sample, or None."""
        found = self.find(task, bench.sample)
        if found is None:
            bench.log("no prediction", task=task.name, sample=bench.sample)
            return None
        source = self.code(found, task)
        if source is None:
            bench.log("no code", where=found.where)
            return None
        return Solution(source, origin=f"replay of {found.where}")

    def find(self, task: TaskView, sample: int) -> Prediction | None:
        """What was predicted for a task and sample."""
        found = next((p for p in (self._by_key.get((n, sample)) for n in (task.name, *task.aliases)) if p), None)
        mine = [each for each in self._published if owners(each.question or "", each.label, [task])]
        return mine[sample - 1] if found is None and sample <= len(mine) else found

    def code(self, found: Prediction, task: TaskView) -> str | None:
        """The code in a prediction."""
        if found.question is not None:
            source = extract(found.text, task, self.extractor)
        else:
            source = found.text if found.verbatim else extract_code(found.text, task.entry_point)
        return source if source and source.strip() else None

    def _check_published(self, tasks: Sequence[TaskView], samples: int | None) -> None:
        """Raise `UsageError` unless each published answer belongs to one task, by all that it says."""
        counted: dict[str, int] = {}
        nobodys = []
        for each in self._published:
            found = owners(each.question or "", each.label, tasks)
            if len(found) > 1:
                names = " and of ".join(task.name for task in found[:2])
                raise UsageError(
                    f"{each.where}: what was asked holds the instructions of {names}: it names no one task"
                )
            if not found:
                nobodys.append(each.where)
                continue
            other = contradicted(each.label, found[0], tasks)
            if other is not None:
                raise UsageError(
                    f"{each.where}: its instruction is that of {found[0].name}, its label that of {other.name}: the "
                    "rows are mixed up"
                )
            counted[found[0].name] = counted.get(found[0].name, 0) + 1
            if samples is not None and counted[found[0].name] > samples:
                raise UsageError(
                    f"{each.where}: this is answer {counted[found[0].name]} to {found[0].name}, but the run asks for "
                    f"{samples}: add --samples={counted[found[0].name]}, or give one file of answers"
                )
        if nobodys and len(nobodys) == len(self._published):
            raise UsageError(
                f"{nobodys[0]} and all other answers belong to no task here: is this the checkout, and the suite, that "
                "they were made for?"
            )
        if nobodys:
            warnings.warn(f"replay: {len(nobodys)} answers belong to no task: {', '.join(nobodys[:5])}", stacklevel=1)

    @cached_property
    def _published(self) -> tuple[Prediction, ...]:
        return tuple(each for each in self._all if each.question is not None)

    @cached_property
    def _all(self) -> tuple[Prediction, ...]:
        if self.predictions is None:
            raise UsageError("replay needs answers to grade: add --predictions FILE.jsonl or --predictions DIR")
        path = Path(self.predictions)
        if path.is_dir():
            return tuple(_from_folder(path))
        if not path.is_file():
            raise UsageError(f"the predictions {path} do not exist: give a .jsonl file or a folder")
        return tuple(_from_jsonl(path))

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, int], Prediction]:
        return {(each.task, each.sample): each for each in self._all if each.question is None}


def _from_jsonl(path: Path) -> Iterator[Prediction]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the predictions {path} can't be read as UTF-8 text: {error}") from None
    counted: dict[str, int] = {}
    rows = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path.name}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{where} is not JSON ({error}): the file needs one JSON object a line") from None
        rows += 1
        yield _from_row(row, where, counted)
    if not rows:
        raise UsageError(f"the predictions {path} are empty: the file needs one JSON object a line")


def _from_row(row: object, where: str, counted: dict[str, int]) -> Prediction:
    """One line; `counted` numbers the rows of a task that give no sample."""
    question = asked(row) if isinstance(row, dict) else None
    if isinstance(row, dict) and question is not None:
        answer, label = row.get("predict"), row.get("label")
        if answer is not None and not isinstance(answer, str):
            raise UsageError(f"{where}: 'predict' has to be text")
        return Prediction("", 0, answer or "", False, where, question, label if isinstance(label, str) else "")
    if not isinstance(row, dict) or not isinstance(row.get("task"), str):
        raise UsageError(f'{where}: give an object with the name of a task: {{"task": …, "source": …}}')
    key = next((name for name in TEXTS if name in row), None)
    if key is None:
        raise UsageError(f"{where}: the row has no text: give it as {', '.join(TEXTS[:-1])} or {TEXTS[-1]}")
    text = row[key]
    if text is not None and not isinstance(text, str):
        raise UsageError(f"{where}: {key!r} has to be text")
    counted[row["task"]] = counted.get(row["task"], 0) + 1
    sample = row.get("sample", counted[row["task"]])
    if isinstance(sample, bool) or not isinstance(sample, int) or sample < 1:
        raise UsageError(f"{where}: 'sample' is {sample!r}; samples are numbered from 1")
    return Prediction(row["task"], sample, text or "", key == "source", where)


def _from_folder(folder: Path) -> Iterator[Prediction]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in SUFFIXES)
    if not files:
        raise UsageError(f"the folder {folder} holds no predictions: name them <task>.py, <task>.md or <task>.2.py")
    for path in files:
        numbered = re.fullmatch(r"(.+)\.(\d+)", path.stem)
        task, sample = (numbered[1], int(numbered[2])) if numbered else (path.stem, 1)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the prediction {path} can't be read as UTF-8 text: {error}") from None
        if sample < 1:
            raise UsageError(f"the prediction {path} has sample 0; samples are numbered from 1")
        yield Prediction(task, sample, text, path.suffix == ".py" and _parses(text), path.name)


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True
