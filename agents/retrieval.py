"""One worked example for a task, found by BM25 in a corpus of kernels; never the task itself nor a near duplicate.

The corpus is the references of all installed suites, or a file of one's own: JSON lines with `name`, `text` (what the
kernel does) and `source` (its code). References are read as text; no task's module is run. What is left out for a task:
its own entry, whatever has its name, an alias or its entry point, and the family of its near duplicates (see
`agents.likeness`) in any suite. A solver may not see the task's reference, so the comparison by code is made here,
with the task's own entry, and nothing of that entry comes out.

A reference of another task is an expert's work for the same judge and the same device: showing it is help, and a run
that was given it is not one that was not. Whoever shows an example says so in the record: `Corpus.digest`, and the
example's `origin` and `name`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import re
import sys
import threading
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from agents.likeness import Portrait, family, near_duplicates, operation
from harness.errors import SuiteError, UsageError
from harness.registry import SUITES, names, suite_folder
from harness.solver import TaskView

OWN_FIELDS = ("name", "text", "source")
"""What every line of a corpus of one's own has, as text; anything else in it is passed over."""
_IMPORTING = threading.Lock()


@dataclass(frozen=True)
class Entry(Portrait):
    """One kernel of a corpus."""

    origin: str
    """`suite rocm`, or the file and line."""
    suite: str = ""
    """Empty in a corpus of one's own."""
    entry_point: str = ""
    aliases: tuple[str, ...] = ()
    category: str = ""

    @cached_property
    def tokens(self) -> list[str]:
        """What BM25 reads: words, and names with their parts. Code is left out: it is long, and all kernels load."""
        return _tokens(f"{self.name} {self.category} {self.entry_point} {self.text}")

    @cached_property
    def names(self) -> frozenset[str]:
        """All names it goes by."""
        return _plain(self.name, self.entry_point, *self.aliases)


@dataclass(frozen=True)
class Example:
    """A kernel to show."""

    name: str
    what: str
    """What it does: the first sentence of its description."""
    source: str
    score: float
    """BM25; comparable within one task and corpus only."""
    origin: str
    """Where it is from: `suite rocm`, or the file and line."""


@dataclass(frozen=True)
class Corpus:
    """Kernels to choose from."""

    entries: tuple[Entry, ...]
    known: tuple[Entry, ...]
    """The references of all installed suites, in which tasks are looked up."""

    @classmethod
    def default(cls) -> Corpus:
        """The references of all installed suites. Raises UsageError where one can't be read."""
        known = tuple(
            entry
            for folder in sorted({suite_folder(name) for name in names(SUITES)})
            for entry in _suite_entries(folder)
        )
        return cls(known, known)

    @classmethod
    def from_file(cls, path: str | Path) -> Corpus:
        """A corpus of one's own. Raises UsageError that names the file and the line."""
        return cls(_own_entries(Path(path)), cls.default().known)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all entries, shortened to 16 digits."""
        whole = hashlib.sha256()
        for row in sorted((entry.suite, entry.name, entry.text, entry.source) for entry in self.entries):
            whole.update(json.dumps(row).encode())
        return whole.hexdigest()[:16]

    def nearest(self, task: TaskView, source_hidden: str | None = None) -> Example | None:
        """The best example that may be shown, the first by origin and name among equals; None where nothing fits.

        `source_hidden` stands in for the task's own entry where no installed suite has it: code to compare with, never
        shown.
        """
        allowed = self.allowed(task, source_hidden)
        if not allowed:
            return None
        words = f"{task.instruction} {task.category} {task.entry_point} {task.signature}"
        scores = self._index.get_scores(sorted(set(_tokens(words))))
        ranked = sorted(
            (-round(float(scores[at]), 4), entry.origin, entry.name, entry.source)
            for at, entry in enumerate(self.entries)
            if entry in allowed
        )
        score, origin, name, source = ranked[0]
        if score >= 0:
            return None
        what = next(e.text for e in self.entries if (e.origin, e.name, e.source) == (origin, name, source))
        return Example(name, first_sentence(what), source, -score, origin)

    def allowed(self, task: TaskView, source_hidden: str | None = None) -> set[Entry]:
        """The entries that are neither the task nor near it."""
        called = _plain(task.name, task.entry_point, *task.aliases)
        own = [entry for entry in self.known if (entry.suite, entry.name) == (task.suite, task.name)]
        sources = [each.source for each in own] if source_hidden is None else [source_hidden]
        relatives: list[Portrait] = []
        for source in sources or [""]:
            relatives += family(Portrait(task.name, task.instruction, source), self.known)
        return {
            entry
            for entry in self.entries
            if not called & entry.names
            and entry not in relatives
            and not any(near_duplicates(entry, each) for each in relatives)
        }

    @cached_property
    def _index(self) -> Any:
        # Okapi BM25 with the logarithm that can't go negative for a word that is everywhere.
        index = _bm25s().BM25(method="lucene", k1=1.5, b=0.75)
        index.index([entry.tokens for entry in self.entries], show_progress=False)
        return index


def first_sentence(text: str) -> str:
    """Of a description, without heading and formulas, on one line and without its full stop."""
    paragraph = next((each for each in operation(text).split("\n\n") if each.strip() and not each.startswith("#")), "")
    words = " ".join(paragraph.split())
    return re.split(r"(?<=[.:])\s", words, maxsplit=1)[0].rstrip(".:")


def _bm25s() -> Any:
    """The package, imported when it is first needed: a machine that shows no examples can do without."""
    with _IMPORTING:
        # Where there is JAX, bm25s starts it, which takes most of the GPU's memory from those who are judged.
        hide = "jax" not in sys.modules
        if hide:
            sys.modules["jax"] = None  # type: ignore[assignment]
        try:
            return importlib.import_module("bm25s")
        except ImportError as error:
            raise UsageError(
                f"an example is found by the package bm25s, which can't be imported ({error}): "
                "`pip install 'bm25s>=0.3,<0.4'`, or ask for no example"
            ) from error
        finally:
            if hide:
                del sys.modules["jax"]


def _suite_entries(folder: Path) -> list[Entry]:
    try:
        suite = str(tomllib.loads((folder / "suite.toml").read_text(encoding="utf-8"))["name"])
        return [_task_entry(path.parent, suite) for path in sorted(folder.glob("*/reference.py"))]
    except (OSError, ValueError, KeyError) as error:
        raise SuiteError(f"the suite in {folder} can't be read for examples: {type(error).__name__}: {error}") from None


def _task_entry(folder: Path, suite: str) -> Entry:
    text, source, task = (
        (folder / name).read_text(encoding="utf-8") for name in ("instruction.md", "reference.py", "task.py")
    )
    given = _literals(task)
    return Entry(
        folder.name,
        text,
        source,
        origin=f"suite {suite}",
        suite=suite,
        entry_point=str(given.get("entry_point", "")),
        aliases=tuple(map(str, given.get("aliases", ()))),
        category=str(given.get("category", "")),
    )


def _literals(task: str) -> dict[str, Any]:
    """The arguments of `Task(…)` that are plain values, without running the file."""
    found: dict[str, Any] = {}
    for node in ast.walk(ast.parse(task)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Task":
            for each in node.keywords:
                try:
                    found[str(each.arg)] = ast.literal_eval(each.value)
                except ValueError:
                    continue
    return found


def _own_entries(path: Path) -> tuple[Entry, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"the corpus {path} can't be read: {error}") from None
    entries = tuple(_own_entry(line, path, number) for number, line in enumerate(lines, 1) if line.strip())
    if not entries:
        raise UsageError(f"the corpus {path} is empty: give lines of JSON with {', '.join(OWN_FIELDS)}")
    return entries


def _own_entry(line: str, path: Path, number: int) -> Entry:
    try:
        given = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{path}:{number}: no JSON: {error}") from None
    lacking = [
        name
        for name in OWN_FIELDS
        if not isinstance(given, dict) or not isinstance(given.get(name), str) or not given[name].strip()
    ]
    if lacking:
        raise UsageError(f"{path}:{number}: give {', '.join(lacking)} as text, in one JSON object a line")
    return Entry(given["name"], given["text"], given["source"], origin=f"{path.name}:{number}")


def _tokens(text: str) -> list[str]:
    """Words in lower case; a name counts whole and by its parts (`tl.dot_scaled`: tl, dot_scaled, dot, scaled)."""
    found: list[str] = []
    for word in re.findall(r"[a-z][a-z0-9_]+", text.lower()):
        parts = [part for part in word.split("_") if len(part) > 1]
        found += [word, *parts] if len(parts) > 1 else [word]
    return found


def _plain(*given: str) -> frozenset[str]:
    """Names without case, underscores and the prefix of published tests."""
    return frozenset(name.lower().removeprefix("test_").replace("_", "") for name in given) - {""}
