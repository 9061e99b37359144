"""Three rules side by side for runs of published suites: the paper's, by value, and by value with integrity.

    kernel-assay rules RUN …

Every planned attempt is in every denominator. `by value` asks for right values, whatever the solution did besides; with
integrity it must be Triton's kernels that computed them, and nothing forbidden was seen: the harness's own verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.run import Run
from harness.verdict import Outcome, Stage
from reports.records import latest, open_run, part, planned, stages
from reports.statistics import wilson
from reports.table import Column, Table, clean, percent

_NO_ANSWER = [Outcome.NO_CODE, Outcome.CUT, Outcome.SYNTAX]
HEADERS = ("parsed", "call\npaper", "call", "execution\npaper", "execution\nby value", "execution")


@dataclass
class Counted:
    """One row: a suite, a solver and its model in a run."""

    label: str
    attempts: int = 0
    unjudged: int = 0
    """Whose task can't be judged here."""
    told: int = 0
    """Whose verdict tells of other rules."""
    passed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(HEADERS, 0))


def read(runs: Sequence[Path]) -> list[Counted]:
    """Of each run. Raises UsageError where no attempt was judged by other rules."""
    found = [row for path in runs for row in _of(open_run(path))]
    if not any(row.told for row in found):
        raise UsageError(
            f"{', '.join(map(str, runs))}: no verdict tells of other rules: only pytest suites/published records them"
        )
    return found


def _of(run: Run) -> Iterator[Counted]:
    lines, rows = latest(run), dict[tuple[str, ...], Counted]()
    predictions = part(run.about, "options").get("predictions")
    for key in planned(run):
        suite, _, solver, model, _ = key
        name = Path(str(predictions)).stem if predictions else str(model or "")
        row = rows.setdefault((suite, solver, str(model)), Counted(clean(f"{suite} {_brief(solver)} {name}".strip())))
        row.attempts += 1
        verdict = (lines.get(key) or {}).get("verdict")
        if isinstance(verdict, dict):
            _count(row, verdict)
    yield from rows.values()


def _brief(solver: str) -> str:
    """The name of a file of answers says enough of who replays it."""
    return solver.removeprefix("replay:predictions=").replace(".jsonl", "")


def _count(row: Counted, verdict: dict[str, Any]) -> None:
    outcome, rules, passed_stages = verdict.get("outcome"), part(verdict, "rules"), stages(verdict)
    row.unjudged += outcome == Outcome.UNSUPPORTED
    row.told += bool(rules)
    for header, passed in (
        ("parsed", outcome not in _NO_ANSWER),
        ("call\npaper", rules.get("paper call")),
        ("call", passed_stages[Stage.CALL]),
        ("execution\npaper", rules.get("paper execution")),
        ("execution\nby value", rules.get("value")),
        ("execution", passed_stages[Stage.EXECUTION]),
    ):
        row.passed[header] += bool(passed)


def table(rows: Sequence[Counted]) -> Table:
    """A row for each suite, solver and model of each run."""
    shares = (
        Column(f"{header} %", tuple(_share(row.passed[header], row.attempts) for row in rows)) for header in HEADERS
    )
    columns = (
        Column("suite, solver, answers", tuple(row.label for row in rows), text=True, names=True),
        Column("rows", tuple(str(row.attempts) for row in rows)),
        Column("not\njudged", tuple(str(row.unjudged) for row in rows)),
        *shares,
        Column("paper less\nlast, points", tuple(_difference(row) for row in rows)),
    )
    legend = (
        "% of all rows, with 95 % Wilson intervals. Not judged: the published reference can't judge here; such a row "
        "may pass by the paper's rule alone. Paper: as the published evaluator decides, inputs seeded alike. By value: "
        "every value that the test half keeps is right for every seed. The last column asks for integrity besides.",
    )
    return Table("Three rules", (), columns, (), legend)


def _difference(row: Counted) -> str:
    """What the paper's rule lets pass and the last column does not, in points of all rows."""
    more = row.passed["execution\npaper"] - row.passed["execution"]
    return f"{100 * more / row.attempts:.1f}" if row.attempts else "-"


def _share(passed: int, attempts: int) -> str:
    return percent(passed / attempts, *wilson(passed, attempts)) if attempts else "-"
