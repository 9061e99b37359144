"""Builds the page: one HTML file, or a folder of pages where the attempts take more than fits one file.

    report.html                 all in one
    report/index.html           the overview
    report/samples/0001.html    some hundred attempts each

Both are pure functions of the run folders: built twice, they are the same.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.errors import UsageError
from harness.run import Run
from reports.duplicates import distinct
from reports.page import charts
from reports.page.axes import series
from reports.page.board import HEADERS, Group, board
from reports.page.samples import Turn, sample
from reports.records import Key, lines, open_run, planned
from reports.whole import write_whole

LARGEST_FILE = 20 << 20
"""Bytes of one file; what takes more becomes a folder."""
MOST_IN_A_FILE = 3000
"""Attempts; more become a folder at once."""
TRANSCRIPT, SHORT_TRANSCRIPT = 60_000, 12_000
"""Characters of one attempt's transcript, in one file and in a folder."""
A_PAGE = 2 << 20
"""Bytes of attempts on one page of a folder, roughly."""


@dataclass
class Found:
    """What was read of the attempts on the way."""

    turns: dict[int, list[list[Turn]]] = field(default_factory=dict)
    """By row."""
    points: list[charts.Point] = field(default_factory=list)


def build(runs: Sequence[Path | Run], output: Path, rule: str = "samples") -> Path:
    """Write the page of these runs; returns the file to open: `output`, or `index.html` in a folder of its name without
    the ending. `rule`: which attempts of several runs count, see `reports.duplicates`. Raises `UsageError` where a run
    can't be read or the page can't be written."""
    opened = list({run.folder.resolve(): run for run in map(open_run, runs)}.values())
    frame, resolved = distinct(opened, rule)
    if not len(frame):
        raise UsageError(
            f"{', '.join(str(run.folder) for run in opened)}: nothing was planned, there is nothing to show"
        )
    try:
        return _Page(opened, frame, resolved.note).write(output)
    except OSError as error:
        raise UsageError(
            f"{output} can't be written ({error.strerror}): make room, or name another file with -o"
        ) from None


class _Page:
    """One build."""

    def __init__(self, runs: list[Run], frame: pd.DataFrame, note: str) -> None:
        self.runs, self.frame, self.note = runs, frame, note
        self.groups, self.row_of = board(frame)
        self.names = _names(self.groups)
        self.found = Found()
        self.at: list[int] = []
        """The page on which each attempt stands; 0: the overview."""

    def write(self, output: Path) -> Path:
        """One file if it fits, else a folder."""
        blocks = self._samples(SHORT_TRANSCRIPT if len(self.frame) > MOST_IN_A_FILE else TRANSCRIPT)
        held: list[str] = []
        size = 0
        if len(self.frame) <= MOST_IN_A_FILE:
            for block in blocks:
                held.append(block)
                size += len(block)
                if size > LARGEST_FILE:
                    break
            else:
                self.at = [0] * len(held)
                write_whole(output, self._html(held))
                return output
        return self._folder(output.with_suffix(""), held, blocks)

    def _folder(self, folder: Path, held: list[str], blocks: Iterator[str]) -> Path:
        """Written beside, then put in the place of an older one."""
        part = folder.with_name(f".{folder.name}.{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        (part / "samples").mkdir(parents=True)
        try:
            page: list[str] = []
            size, number = 0, 1
            for block in _both(held, blocks):
                page.append(block)
                size += len(block)
                self.at.append(number)
                if size > A_PAGE:
                    write_whole(part / "samples" / _file(number), self._html(page, number))
                    page, size, number = [], 0, number + 1
            if page:
                write_whole(part / "samples" / _file(number), self._html(page, number))
            write_whole(part / "index.html", self._html([]))
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(part, folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return folder / "index.html"

    def _samples(self, transcript: int) -> Iterator[str]:
        """Each attempt as a block of JSON, in the order of the frame."""
        number = 0
        names = ("suite", "task", "solver", "model", "sample")
        keys: list[Key] = list(zip(*(self.frame[name] for name in names), strict=True))
        counted = set(zip(self.frame["run"], keys, strict=True))
        for run in self.runs:
            recorded = dict(lines(run))
            for key in dict.fromkeys([*planned(run), *recorded]):
                if (str(run.folder), key) not in counted:
                    continue
                line = recorded.get(key)
                told, turns = sample(run, key, line, transcript)
                row = int(self.row_of.iloc[number])
                conditions = {
                    name: self.frame[name].iloc[number] for name in ("level", "category", "device", "isolation")
                }
                told |= {name: None if pd.isna(value) else value for name, value in conditions.items()}
                self.found.turns.setdefault(row, []).append(turns)
                self._note_points(row, key[1], line)
                yield f'<script type="application/json" class="sample" id="s{number}">{_json(told)}</script>\n'
                number += 1

    def _note_points(self, row: int, task: str, line: dict[str, Any] | None) -> None:
        verdict = (line or {}).get("verdict")
        if not isinstance(verdict, dict) or verdict.get("outcome") != "right":
            return
        timings = verdict.get("timings")
        for timing in filter(lambda each: isinstance(each, dict), timings if isinstance(timings, list) else ()):
            rate, bandwidth = timing.get("rate"), timing.get("bandwidth")
            if isinstance(rate, (int, float)) and isinstance(bandwidth, (int, float)):
                words = f"{task}, {timing.get('workload')}"
                self.found.points.append(charts.Point(row, words[:160], float(rate), float(bandwidth)))

    def _html(self, blocks: list[str], number: int = 0) -> str:
        """The overview with the attempts of one file, or (`number`) a page of attempts alone."""
        whole = not number
        text: str = _template().render(
            title=self._title(),
            facts=self._facts(),
            groups=self.groups if whole else [],
            headers=HEADERS,
            names=self.names,
            charts=self._charts() if whole else [],
            stages=charts.STAGES,
            bars=self._bars() if whole else [],
            series=series,
            style=Markup(_text("page.css")),
            script=Markup(_text("page.js")),
            hash=base64.b64encode(hashlib.sha256(_text("page.js").encode()).digest()).decode(),
            data=Markup(_json(self._data())) if whole else None,
            blocks=Markup("".join(blocks)),
            number=number,
        )
        return text

    def _title(self) -> str:
        suites = ", ".join(dict.fromkeys(group.suite for group in self.groups))
        return f"Kernel Assay: {suites}"

    def _facts(self) -> list[str]:
        created = sorted(str(run.about.get("created", ""))[:16].replace("T", " ") for run in self.runs)
        names = ", ".join(run.folder.name for run in self.runs[:6])
        more = f" and {len(self.runs) - 6} more" if len(self.runs) > 6 else ""
        runs = f"{len(self.runs)} run{'s' if len(self.runs) > 1 else ''}: {names}{more}"
        when = created[0] if created[0] == created[-1] else f"{created[0]} to {created[-1]}"
        return [runs, f"{when} UTC", f"{len(self.frame)} attempts", *([self.note] if self.note else [])]

    def _charts(self) -> list[charts.Chart]:
        found: list[charts.Chart | None] = []
        for group in self.groups:
            rows = [entry.number for entry in group.entries]
            mine = self.row_of.isin(rows)
            told = {row: self.found.turns[row] for row in rows if row in self.found.turns}
            here = [
                charts.fast_p(self.frame[mine], self.row_of[mine], self.names, rows),
                charts.samples(self.frame[mine], self.row_of[mine], self.names, rows),
                *charts.turns(told, self.names),
                charts.roofline(
                    [each for each in self.found.points if each.row in rows], self._peaks(group), self.names
                ),
            ]
            where = f"{group.suite}, interpreted times" if group.clock == "interpreted" else group.suite
            found += [charts.named(each, where if len(self.groups) > 1 else "") for each in here if each is not None]
        return [each for each in found if each is not None]

    def _peaks(self, group: Group) -> dict[str, float]:
        """What the group's device was measured to do; nothing where there are several."""
        devices = {self._device(entry.number) for entry in group.entries}
        for run in self.runs if len(devices) == 1 else ():
            try:
                told = json.loads((run.folder / "device.json").read_text())
                if told["name"] in devices:
                    rates = {str(name): float(rate) for name, rate in told["peaks"]["rates"].items() if rate}
                    return {"bandwidth": float(told["peaks"]["bandwidth"]), **rates}
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
        return {}

    def _bars(self) -> list[tuple[int, list[tuple[str, int]]]]:
        """Of each row: how many attempts stopped where."""
        stage = charts.stage_of(self.frame)
        counts = pd.crosstab(self.row_of, stage)
        return [
            (int(row), [(name, int(counts.loc[row].get(name, 0))) for name, _ in charts.STAGES]) for row in counts.index
        ]

    def _data(self) -> dict[str, Any]:
        """What the script needs of all attempts, short: it has to hold 100,000 of them."""
        frame = self.frame
        where = list(zip(frame["suite"], frame["task"], strict=True))
        numbers: dict[tuple[str, str], int] = {}
        for each in where:
            numbers.setdefault(each, len(numbers))
        first = ~pd.Series(where).duplicated()
        tasks = [
            [suite, task, None if pd.isna(level) else int(level), None if pd.isna(category) else str(category)]
            for suite, task, level, category in frame.loc[
                first.to_numpy(), ["suite", "task", "level", "category"]
            ].itertuples(index=False)
        ]
        stage = charts.stage_of(frame)
        order = {name: number for number, (name, _) in enumerate(charts.STAGES)}
        attempts = [
            [
                numbers[task],
                int(row),
                int(which),
                order[stopped],
                None if speed != speed else round(speed, 4),
                int(call),
                page,
            ]
            for task, row, which, stopped, speed, call, page in zip(
                where, self.row_of, frame["sample"], stage, frame["speedup"], frame["call"], self.at, strict=True
            )
        ]
        rows = [
            {"name": self.names[entry.number], "group": number, "device": self._device(entry.number)}
            for number, entry in sorted(
                ((number, entry) for number, group in enumerate(self.groups) for entry in group.entries),
                key=lambda each: each[1].number,
            )
        ]
        groups = [{"suite": group.suite, "clock": group.clock} for group in self.groups]
        return {"tasks": tasks, "rows": rows, "groups": groups, "attempts": attempts, "stages": charts.STAGES}

    def _device(self, row: int) -> str:
        found = self.frame.loc[(self.row_of == row).to_numpy(), "device"].dropna()
        return str(found.iloc[0]) if len(found) else "unknown"


def _names(groups: Sequence[Group]) -> list[str]:
    """What each row is called beside a chart: as short as tells it apart."""
    entries = {entry.number: (group, entry) for group in groups for entry in group.entries}
    short = {number: f"{each.solver}, {each.model}".removesuffix(", ") for number, (_, each) in entries.items()}
    names = []
    for number in sorted(entries):
        group, entry = entries[number]
        alike = [entries[other][0] for other in entries if other != number and short[other] == short[number]]
        told = [
            *([group.suite] if any(each.suite != group.suite for each in alike) else []),
            *(["interpreted"] if any(each.clock != group.clock == "interpreted" for each in alike) else []),
            *(entry.conditions if any(each is group for each in alike) else []),
        ]
        names.append(f"{short[number]} ({', '.join(told)})" if told else short[number])
    return names


def _both(held: list[str], blocks: Iterator[str]) -> Iterator[str]:
    yield from held
    yield from blocks


def _file(number: int) -> str:
    return f"{number:04}.html"


def _json(data: Any) -> str:
    """JSON in which no markup stands, whatever it holds."""
    try:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    except ValueError:  # a record may hold NaN
        text = json.dumps(_finite(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode("utf-8", "replace").decode()


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    return [_finite(each) for each in data] if isinstance(data, (list, tuple)) else data


@cache
def _text(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("reports.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")
