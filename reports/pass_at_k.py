"""pass@k: the share of tasks that k answers solve at least once.

    kernel-assay pass-at-k RUN … [--of=TEXT …]

All attempts at a task, over all runs and their samples, are its n answers: several runs may be several files of answers
of one model, or several seeds. `--of=gpt-4o` joins all solvers of whose names this is a part: files of answers of one
model that one run has judged. Every planned attempt counts, and one that is not judged is no solution. Without bias
from the n that ran: Chen et al. (2021), arXiv:2107.03374.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.verdict import Stage
from reports.records import Key, latest, open_run, part, planned, stages
from reports.scaling import pass_at_k
from reports.statistics import wilson
from reports.table import Column, Table, clean, percent

RULES = ("call", "execution\npaper", "execution\nby value", "execution")
Who = tuple[str, str, str]
"""Suite, solver, model."""


def read(
    runs: Sequence[Path], counted: Mapping[str, set[Key]] | None = None, of: Sequence[str] = ()
) -> dict[Who, dict[str, list[dict[str, bool]]]]:
    """By who and task: for each attempt what it passed. `counted`: by folder, those that count; all unless given. `of`:
    parts of solvers' names, each of which is one. Raises UsageError where no task has two, or nobody is called so."""
    found: dict[Who, dict[str, list[dict[str, bool]]]] = {}
    for path in dict.fromkeys(runs):
        run = open_run(path)
        lines = latest(run)
        for key in planned(run):
            if counted is not None and key not in counted.get(str(run.folder), ()):
                continue
            suite, task, solver, model, _ = key
            passed = _passed((lines.get(key) or {}).get("verdict"))
            for name in [each for each in of if each in solver] if of else [solver]:
                found.setdefault((suite, name, model or ""), {}).setdefault(task, []).append(passed)
    nobodys = [each for each in of if each not in {solver for _, solver, _ in found}]
    if nobodys:
        raise UsageError(f"--of={nobodys[0]}: no solver of {', '.join(map(str, runs))} has that in its name")
    if all(_least(tasks) < 2 for tasks in found.values()):
        raise UsageError(
            f"{', '.join(map(str, runs))}: some task has a single attempt: name the runs of several files of answers, "
            "or one with --samples"
        )
    return found


def _passed(verdict: object) -> dict[str, bool]:
    if not isinstance(verdict, dict):
        return dict.fromkeys(RULES, False)
    passed, rules = stages(verdict), part(verdict, "rules")
    return {
        "call": passed[Stage.CALL],
        "execution\npaper": bool(rules.get("paper execution")),
        "execution\nby value": bool(rules.get("value")),
        "execution": passed[Stage.EXECUTION],
    }


def tables(found: dict[Who, dict[str, list[dict[str, bool]]]]) -> list[Table]:
    """A table for each suite, solver and model: a row for each k up to the fewest attempts that a task has."""
    return [_table(who, tasks) for who, tasks in found.items() if _least(tasks) >= 2]


def _least(tasks: dict[str, list[dict[str, bool]]]) -> int:
    return min(map(len, tasks.values()))


def _table(who: Who, tasks: dict[str, list[dict[str, bool]]]) -> Table:
    told = any(each["execution\npaper"] or each["execution\nby value"] for tried in tasks.values() for each in tried)
    rules = [each for each in RULES if told or each in ("call", "execution")]
    ks = range(1, _least(tasks) + 1)
    columns = [Column("k", tuple(map(str, ks)), names=True)]
    for rule in rules:
        cells = []
        for k in ks:
            solved = sum(pass_at_k(len(tried), sum(each[rule] for each in tried), k) for tried in tasks.values())
            cells.append(percent(solved / len(tasks), *wilson(solved, len(tasks))))
        columns.append(Column(f"{rule} %", tuple(cells)))
    legend = (
        "Share of tasks that k of the answers solve at least once, with 95 % Wilson intervals by task. Last: "
        "the harness's own verdict, by value and with integrity; paper: as the published evaluator decides.",
    )
    facts = (f"{len(tasks)} tasks, {sum(map(len, tasks.values()))} answers",)
    return Table(f"pass@k: {clean(', '.join(each for each in who if each))}", facts, tuple(columns), (), legend)
