"""Several run folders as one: shards of a suite, or one run that machines shared.

    kernel-assay merge RUN RUN … -o DIR

Written is a run folder like any other: `run.json` with all plans and, under `merged`, where each attempt came from;
of each attempt the line that counts, byte for byte; its folder below `samples/`. The inputs are only read. The folder
is there whole or not at all. What can't be one run (another device, software, isolation, suite, model or option) is
refused, without a way around: one folder has one description. Tables take several runs and keep conditions apart.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.run import Run, write_whole
from reports.alike import check_alike, joined
from reports.duplicates import Resolved, Row
from reports.records import Key, attempt_of, command_of, is_judged, places, planned
from reports.table import clean

_OWN = ("run.json", "results.jsonl", "samples", "report")
"""What a run folder is made anew from; of all else the first run's that has it is taken."""


@dataclass(frozen=True)
class Line:
    """The last readable line of an attempt in one run, if it has one."""

    place: tuple[int, int] | None
    """Where it begins in the file, and its length, bytes; None of an attempt that is only planned."""
    row: Row


@dataclass(frozen=True)
class Merged:
    """What was made of the runs."""

    folder: Path
    runs: int
    attempts: int
    judged: int
    resolved: Resolved


def merge(runs: Sequence[Run], folder: Path, rule: str = "refuse") -> Merged:
    """Write the runs into a new folder as one. `rule`: of `reports.duplicates`, but `samples`. Raises UsageError."""
    runs = list({run.folder.resolve(): run for run in runs}.values())
    _check_place(runs, folder)
    check_alike(runs)
    found = [_lines(run) for run in runs]
    _check_tasks(runs, found)
    plan = dict.fromkeys(key for run in runs for key in planned(run))
    keys = dict.fromkeys([*plan, *(key for lines in found for key in lines)])
    resolved = Resolved(rule)
    of = {key: _owner(key, found, resolved) for key in keys}
    resolved.check()
    if resolved.contradicting:
        raise UsageError(
            f"copies of one judgement tell another outcome ({clean(resolved.contradicting[0])}): a record was changed; "
            "kernel-assay verify RUN says which"
        )
    about = joined(runs) | {"plan": [asdict(attempt_of(key)) for key in plan], "merged": _parts(runs, of)}
    parts = json.dumps(about["merged"], sort_keys=True)
    about |= {"session": f"merged {hashlib.sha256(parts.encode()).hexdigest()[:16]}", "left_out": resolved.note}
    with _whole(folder) as part:
        _write_lines(part / "results.jsonl", runs, found, of)
        for key, number in of.items():
            name = Path("samples") / attempt_of(key).id
            _copy(runs[number].folder / name, part / name)
        (part / "samples").mkdir(exist_ok=True)
        for run in runs:
            _copy_rest(run.folder, part)
        write_whole(part / "run.json", json.dumps(about, indent=2) + "\n")
    judged = sum(found[number][key].row.judged for key, number in of.items())
    return Merged(folder, len(runs), len(keys), judged, resolved)


def _lines(run: Run) -> dict[Key, Line]:
    command, folder = command_of(run), str(run.folder)

    def row(key: Key, data: Mapping[str, Any]) -> Row:
        verdict: Mapping[str, Any] = data["verdict"] if is_judged(data) else {}
        texts = (data.get("started"), data.get("finished"), data.get("task_digest"), verdict.get("digest"))
        told = [text if isinstance(text, str) else None for text in (*texts, verdict.get("outcome"))]
        return Row(attempt_of(key).id, folder, command(key), is_judged(data), *told)

    found = {key: Line(None, row(key, {})) for key in planned(run)}
    return found | {key: Line(place, row(key, data)) for key, data, place in places(run)}


def _owner(key: Key, found: Sequence[Mapping[Key, Line]], resolved: Resolved) -> int:
    """The number of the run whose line on an attempt counts."""
    there = [number for number, lines in enumerate(found) if key in lines]
    return there[resolved.choose([found[number][key].row for number in there])[0]]


def _check_place(runs: Sequence[Run], folder: Path) -> None:
    if len(runs) < 2:
        raise UsageError(f"{runs[0].folder} alone is one run already: name the others, too")
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} is there already: name a new folder with -o")
    for run in runs:
        if run.folder.resolve() in folder.resolve().parents:
            raise UsageError(f"{folder} lies in {run.folder}, which is only read: name a folder elsewhere with -o")


def _check_tasks(runs: Sequence[Run], found: Sequence[Mapping[Key, Line]]) -> None:
    """One digest for each task: the suites' are the same, so that another one is damage or a change in between."""
    digests: dict[tuple[str, str], tuple[str, Run]] = {}
    for run, lines in zip(runs, found, strict=True):
        for key, line in lines.items():
            digest = line.row.task_digest or ""
            before, first = digests.setdefault(key[:2], (digest, run)) if digest else ("", run)
            if before != digest:
                raise UsageError(
                    f"the task {clean(key[1])} of {first.folder} is not that of {run.folder} (digests "
                    f"{clean(before)[:8]} and {clean(digest)[:8]}): these can't be one run"
                )


def _parts(runs: Sequence[Run], of: Mapping[Key, int]) -> list[dict[str, Any]]:
    """Where each attempt came from: commands, with the ids of the attempts that count. What was merged before is taken
    apart again."""
    parts: dict[str, dict[str, Any]] = {}
    for number, run in enumerate(runs):
        about, command = run.about, command_of(run)
        merged = about.get("merged")
        before = [each for each in merged if isinstance(each, dict)] if isinstance(merged, list) else []
        origins = {f"{each.get('created')} {each.get('session')}": each for each in before}
        for key in (key for key, owner in of.items() if owner == number):
            told = command(key)
            origin = origins.get(told or "", about)
            named = {name: origin.get(name) for name in ("created", "session", "harness", "command")}
            part = parts.setdefault(told or str(run.folder), {"run": origin.get("run", str(run.folder)), **named})
            part.setdefault("attempts", []).append(attempt_of(key).id)
    return list(parts.values())


def _write_lines(path: Path, runs: Sequence[Run], found: Sequence[Mapping[Key, Line]], of: Mapping[Key, int]) -> None:
    """Each attempt's line as it stands in its run. A torn last line gets its end."""
    with path.open("wb") as target:
        for number, run in enumerate(runs):
            wanted = sorted(place for key, at in of.items() if at == number and (place := found[number][key].place))
            if not wanted:
                continue
            with (run.folder / "results.jsonl").open("rb") as source:
                for begin, length in wanted:
                    source.seek(begin)
                    target.write(source.read(length).rstrip(b"\n") + b"\n")
        target.flush()
        os.fsync(target.fileno())


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A folder beside, which gets the name at the end. What a killed merge left there is taken away by the next."""
    part = folder.with_name(f".{folder.name}.merging")
    part.mkdir(parents=True, exist_ok=True)
    with (part / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{folder} is being written by another merge: wait for it") from None
        try:
            _empty(part)
            yield part
            os.rename(part, folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != ".lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _copy_rest(source: Path, target: Path) -> None:
    for path in sorted(source.iterdir()):
        if path.name not in _OWN and not path.name.startswith("."):
            _copy(path, target / path.name)


def _copy(source: Path, target: Path) -> None:
    """Files and folders that are not there yet. Links and all else that is no plain file stay behind."""
    try:
        mode = source.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted(source.iterdir()):
            _copy(path, target / path.name)
    elif stat.S_ISREG(mode) and not target.exists():
        shutil.copyfile(source, target)
