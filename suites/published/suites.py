"""Suites of published tasks, made from a user's checkouts; nothing of these is stored here.

    pytest suites/published --checkout=PATH --solver=NAME

A script task is judged by what its published test half keeps, seeded alike in two processes: see `harness.script`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from pathlib import Path

from harness.errors import SuiteAbsent
from harness.registry import CHECKOUTS
from harness.script import SEEDS, ScriptTask, published_tolerance
from harness.task import case
from harness.wording import label_alias
from suites.published.checkout import joined, read
from suites.published.forms import form
from suites.published.helps import helped
from suites.published.layouts import ORIGINAL, Checkout, Collection, Published
from suites.published.timed import timed_half

CATEGORY = "published"
LABELS_ARE_DESCRIPTIONS = "tritonbench-t"
"""There a label is no solution, but a text that was put to models, with other texts around it."""
PRINTED = (ORIGINAL, LABELS_ARE_DESCRIPTIONS)
"""Whose evaluator compares what is printed."""
_UNKNOWN_LEVEL = 3
"""Of a task for which the data gives none."""


def tasks(suite: str) -> tuple[str, list[ScriptTask]]:
    """Version (the checkout's commit) and tasks of one collection. Raises SuiteAbsent where no checkout holds it."""
    given = os.environ.get(CHECKOUTS, "")
    if not given:
        raise SuiteAbsent(
            f"the suite {suite} is made from a checkout of its repository: add --checkout=PATH (README.md says how to "
            "get one)"
        )
    checkouts, collections = _read(given)
    found = next((each for each in collections if each.name == suite), None)
    if found is None:
        there = ", ".join(each.name for each in collections)
        raise SuiteAbsent(f"none of the checkouts in {given} holds {suite}; they hold {there}")
    version = next(c.commit for c in checkouts if any(each.name == suite for each in c.collections))
    return version[:12] or "of no known commit", [_task(each, suite) for each in found.tasks]


@functools.cache
def _read(given: str) -> tuple[tuple[Checkout, ...], tuple[Collection, ...]]:
    checkouts = tuple(read(Path(each)) for each in given.split(os.pathsep))
    return checkouts, joined(checkouts)


def _task(published: Published, suite: str) -> ScriptTask:
    what = form(published)
    solution, test = helped(what.reference), helped(what.test, published.name)
    task = ScriptTask(
        entry_point="",
        signature="",
        outputs="()",
        level=published.level or _UNKNOWN_LEVEL,
        category=CATEGORY,
        origin=published.origin,
        cases=[case(seed=number) for number in range(1, SEEDS + 1)],
        workloads=[],
        aliases=(published.file, *(label_alias(each) for each in published.labels)),
        tolerance=published_tolerance(solution.text),
        script=test.text,
        timed_half=timed_half(published, helped(published.test).text),
        variable=what.variable,
        main=published.form == "script",
        rule="printed" if suite in PRINTED else "close",
        stand_ins="\n".join({**solution.stand_ins, **test.stand_ins}.values()),
        helps=tuple(dict.fromkeys((*solution.helps, *test.helps))),
        wordings=(*published.instructions.values(), *(published.labels if suite == LABELS_ARE_DESCRIPTIONS else ())),
    )
    task.name, task.suite = published.name, suite
    instructions = published.instructions
    task.instruction = instructions.get("complex") or instructions.get("simple") or what.instruction
    task.reference = solution.text
    about = [
        task.instruction,
        task.reference,
        task.script,
        task.timed_half,
        task.stand_ins,
        task.variable,
        SEEDS,
        repr(task.tolerance),
    ]
    task.digest = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    return task
