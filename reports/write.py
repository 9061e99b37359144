"""A run's report as files, and as the summary at the end of a pytest session.

    RUN/report/report.html (or report/index.html, where it is large)
    RUN/report/leaderboard.md  leaderboard.csv  leaderboard.txt  tasks.md  tasks.csv  benchmark.json

The harness finds `LeaderboardReport` through the entry-point group `kernel_assay.reports`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError
from reports.benchmark_json import benchmark_json
from reports.comparable import matched
from reports.compare import compare
from reports.compare_table import verdicts
from reports.leaderboard_table import leaderboard_tables
from reports.load import load
from reports.page.build import build
from reports.records import open_run, planned
from reports.render import csv, markdown, terminal
from reports.summary_page import summary_page
from reports.tasks import tasks_table
from reports.whole import write_whole

_TEXT_WIDTH = 120
"""Of leaderboard.txt, columns."""


class LeaderboardReport:
    """What the harness asks of a report; it needs no state."""

    @staticmethod
    def summary(run_folder: Path, width: int) -> str:
        """Text for pytest's terminal summary, at most `width` columns wide."""
        return summary(run_folder, width)

    @staticmethod
    def write(run_folder: Path) -> Path:
        """Write the report's files; returns the path of the page to open."""
        return write_reports(run_folder)

    @staticmethod
    def page(run_folder: Path, room: int) -> str:
        """For `--summary`: a short page in GitHub's Markdown, at most `room` bytes long."""
        return summary_page(run_folder, room)

    @staticmethod
    def check(baseline: Path, solvers: Sequence[tuple[str, str]]) -> None:
        """Raise `UsageError` where no solver and model of a run to come has a partner in its baseline."""
        try:
            matched(list(dict.fromkeys((key[2], key[3]) for key in planned(open_run(baseline)))), solvers)
        except UsageError as error:
            raise UsageError(f"{error} (BASE is the baseline, NEW this run)") from None

    @staticmethod
    def gate(run_folder: Path, baseline: Path, confidence: float, threshold: float) -> tuple[str, bool]:
        """Compare a run with an earlier one: the verdict in a sentence a pair of solver and model, with the figures
        that belong to it, and whether a regression is shown. Raises `UsageError` where nothing can be compared."""
        found = compare(baseline, run_folder, confidence, threshold)
        return "\n".join(verdicts(found)), found.regression


def summary(run_folder: Path, width: int = 100) -> str:
    """The run's leaderboard as text."""
    return terminal(leaderboard_tables(load([run_folder])), width) or "no attempts were planned\n"


def write_reports(run_folder: Path) -> Path:
    """Write `RUN/report/`, each file whole or not at all; returns the path of the page.

    The files are a pure function of the record: written twice, they are the same. Raises `UsageError` where the folder
    is no run or can't be written.
    """
    run = open_run(run_folder)
    frame = load(run)
    boards, attempts = leaderboard_tables(frame), tasks_table(frame)
    texts = {
        "leaderboard.md": markdown(boards),
        "leaderboard.csv": csv(boards),
        "leaderboard.txt": terminal(boards, _TEXT_WIDTH),
        "tasks.md": markdown([attempts]),
        "tasks.csv": csv([attempts]),
        "benchmark.json": benchmark_json(run),
    }
    folder = run_folder / "report"
    try:
        folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            write_whole(folder / name, text)
    except OSError as error:
        raise UsageError(f"{folder} can't be written ({error.strerror}): make room or check its permissions") from None
    return build([run_folder], folder / "report.html")
