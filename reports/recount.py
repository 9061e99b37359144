"""The judging of a recount: suites that are at hand, judges with the run's own limits, one verdict after the other.

It goes through `harness.api.Judge`: candidates run behind the same walls as in a run, and never see the run's folder.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness import __version__, registry
from harness.api import Judge
from harness.device import find_device
from harness.errors import SuiteAbsent, UsageError
from harness.judge import sanitizer
from harness.suite import Suite
from reports.records import part
from reports.table import clean
from reports.verify import Found, Recorded, Recount

_LIMITS = (
    *("stage_timeout", "call_timeout", "timing_timeout", "memory_limit"),
    *("timing_width", "timing_processes", "timed_workloads"),
)
"""Options of a run that its judges had, and that those of the recount get."""


@dataclass(frozen=True)
class Manner:
    """How to judge again."""

    device: str
    judges: int | None = None
    """On the device; None: as many as fit."""
    stage_timeout: float | None = None
    """Seconds; None: as recorded."""
    isolation: str | None = None
    """The least level to judge at; None: whatever the machine gives."""
    same_seed: bool = False
    """With the inputs of the recorded judgement, instead of fresh ones."""
    changed: bool = False
    """Judge also at tasks that have changed since, as they are now."""
    suites: Mapping[str, Path] = field(default_factory=dict)
    """Folders by name."""


def suites_at_hand(given: Iterable[str]) -> dict[str, Path]:
    """Folders of suites by their names: those that entry points name, and those given, as a name, a folder, or a folder
    of such. Raises UsageError."""
    names = registry.names(registry.SUITES)
    found = {name: registry.suite_folder(name) for name in names}
    for text in given:
        if text in names:
            continue
        folder = Path(text)
        if not folder.is_dir():
            raise UsageError(f"--suite {text}: no such suite or folder: there are {', '.join(names)}")
        inside = [each for each in (folder, *sorted(folder.iterdir())) if (each / "suite.toml").is_file()]
        if not inside:
            raise UsageError(f"--suite {text}: no suite.toml there, nor right below")
        found |= {_name(each): each for each in inside}
    return found


def device_of(recount: Recount) -> str:
    """The kind of device that the record names. Raises UsageError where it names none, or none is here."""
    about, folder = recount.recorded_on, recount.run.folder
    kind, name = about.get("device_kind"), clean(about.get("device") or "a device unknown")
    if kind not in ("cuda", "hip", "interpreter"):
        raise UsageError(f"{folder} does not say what it was judged on: name a device with --device")
    try:
        find_device(kind)
    except UsageError:
        raise UsageError(
            f"{folder} was judged on {name} ({kind}), and there is none here: verify it where there is, or name "
            "another device with --device (times are not compared then)"
        ) from None
    return str(kind)


def judge_again(recount: Recount, manner: Manner) -> Iterator[None]:
    """Judge all that is chosen and at hand, and take it down; comes back after each attempt. Raises UsageError where no
    suite is at hand."""
    judges: dict[str, Judge] = {}
    for name in dict.fromkeys(each.key[0] for each in recount.chosen):
        try:
            judges[name] = _judge(recount, name, manner)
        except SuiteAbsent as error:
            recount.absent[name] = str(error)
    if not judges:
        raise UsageError(f"{recount.run.folder}: nothing to verify: {'; '.join(recount.absent.values())}")
    _note_conditions(recount, judges)
    for name, judge in judges.items():
        with judge:
            yield from _judge_suite(recount, [each for each in recount.chosen if each.key[0] == name], judge, manner)


def _judge(recount: Recount, name: str, manner: Manner) -> Judge:
    if name not in manner.suites:
        raise SuiteAbsent(
            f"no suite {clean(name)} is known here: name its folder with --suite=FOLDER, of a published one "
            "suites/published, and its --checkout=PATH"
        )
    options = part(recount.run.about, "options")
    limits = {each: options.get(each) for each in _LIMITS}
    limits = {each: value if isinstance(value, (int, float)) else None for each, value in limits.items()}
    if manner.stage_timeout is not None:
        limits["stage_timeout"] = manner.stage_timeout
    return Judge(
        manner.suites[name],
        device=manner.device,
        judges=manner.judges,
        isolation=manner.isolation,
        sanitizer=options.get("sanitizer") is True and _has_sanitizer(manner.device),
        no_timing=options.get("no_timing") is True,
        hidden=[recount.run.folder],
        **limits,
    )


def _note_conditions(recount: Recount, judges: Mapping[str, Judge]) -> None:
    """What is not as it was recorded, but for what is in every record."""
    about = recount.run.about
    options, written = part(about, "options"), clean(about.get("harness") or "unknown")
    suites = about.get("suites")
    told = [each for each in suites if isinstance(each, dict)] if isinstance(suites, list) else []
    digests = {str(each.get("name")): each.get("digest") for each in told}
    for name, judge in judges.items():
        before, now = str(digests.get(name)), judge.suite.digest
        if before != now:
            recount.notes.append(f"Suite {clean(name)} has changed since: digest {clean(before)[:8]}, now {now[:8]}.")
    if written != __version__:
        recount.notes.append(f"Recorded by version {written} of the harness, judged again by {__version__}.")
    if options.get("unguarded"):
        recount.notes.append("Recorded with --unguarded: then nobody looked for cheating, now the judge does.")
    if options.get("sanitizer") and not all(judge.sanitizer for judge in judges.values()):
        recount.notes.append("Recorded with --sanitizer, which can't be used here: right kernels ran without it.")


def _judge_suite(recount: Recount, chosen: list[Recorded], judge: Judge, manner: Manner) -> Iterator[None]:
    ready: list[Recorded] = []
    changed = 0
    for each in chosen:
        found = _unjudged(each, judge.suite, manner.changed)
        if found is None:
            ready.append(each)
            changed += each.line.get("task_digest") != judge.suite.task(each.key[1]).digest
        else:
            recount.found[each.key] = found
            yield
    if changed:
        recount.notes.append(f"{changed} attempts are at tasks that have changed since: judged as the tasks are now.")
    if not ready:
        return
    recount.environment = judge.environment
    seeds = [each.verdict.get("seed") if manner.same_seed else None for each in ready]
    sources = ((each.key[1], each.source or "", seed) for each, seed in zip(ready, seeds, strict=True))
    for judged in judge.evaluate_many(sources):
        each = ready[judged.number]
        if judged.verdict is None:
            recount.found[each.key] = Found(("not judged",), None, judged.trouble)
        else:
            recount.hold(each, json.loads(json.dumps(judged.verdict.to_json())))
        yield


def _unjudged(recorded: Recorded, suite: Suite, changed: bool) -> Found | None:
    """What need not be judged to be found."""
    if recorded.source is None:
        return Found(("source",), None, recorded.damage)
    task = next((each for each in suite.tasks if each.name == recorded.key[1]), None)
    if task is None:
        return Found(("task",), None, "the suite has no such task any more")
    if task.digest != recorded.line.get("task_digest") and not changed:
        return Found(("task",), None, "the task has changed since; --changed judges at the task as it is now")
    return None


def _has_sanitizer(device: str) -> bool:
    try:
        sanitizer.check_there(find_device(device))
    except UsageError:
        return False
    return True


def _name(folder: Path) -> str:
    try:
        return str(tomllib.loads((folder / "suite.toml").read_text())["name"])
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(f"{folder / 'suite.toml'} names no suite: {error}") from None
