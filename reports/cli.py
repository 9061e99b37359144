"""The command `kernel-assay`: reports on runs that exist. It changes nothing in a run folder, and only `verify` judges.

A mistake of the user's is one line on standard error that says what to do, and exit code 2; never a traceback. What
needs pandas is imported when it is used, so that `--help` and `runs` answer at once.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import __version__
from harness.errors import KernelAssayError, UsageError
from reports.records import is_judged, latest, one_line, open_run, planned
from reports.table import clean

if TYPE_CHECKING:
    import pandas as pd

    from reports.table import Table

COMMANDS: tuple[str, ...] = (
    *("report_command", "compare_command", "history_command"),
    *("verify_command", "merge_command"),
)
"""Modules with a command of their own: `add(commands)` gives it a parser and, as its default `command`, a function that
takes the arguments and returns a text, or a text and an exit code. They import no pandas before that is called."""
FORMATS = ("terminal", "markdown", "csv", "json", "latex")
_FORMAT_OF = {".md": "markdown", ".markdown": "markdown", ".csv": "csv", ".json": "json", ".tex": "latex"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 2 for a mistake of the user's, or what the command itself says."""
    arguments = _parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode still gets its table
    try:
        told = arguments.command(arguments)
        text, code = (told, 0) if isinstance(told, str) else told
        sys.stdout.write(text)
        sys.stdout.flush()
    except KernelAssayError as error:
        print(f"kernel-assay: {one_line(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader (`head`) has enough. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"kernel-assay: {one_line(error)}: check the path and its permissions", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kernel-assay", description="Reports on runs of the Kernel Assay harness.")
    parser.add_argument("--version", action="version", version=f"kernel-assay {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    board = commands.add_parser("leaderboard", help="solvers and models ranked, over one run or several")
    board.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder")
    board.set_defaults(command=_leaderboard)

    tasks = commands.add_parser("tasks", help="every attempt of one run or several")
    tasks.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder")
    tasks.set_defaults(command=_tasks)

    proof = commands.add_parser("proof", help="the doctor's table: tasks by checks, over one doctor's run or several")
    proof.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a doctor's run folder")
    proof.add_argument("--keep", type=Path, metavar="DIR", help="keep the findings there, for a repository")
    proof.set_defaults(command=_proof)

    scaling = commands.add_parser("scaling", help="what more turns and more instances buy: a curve, and pass@k")
    scaling.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a run folder of a solver that works in turns"
    )
    scaling.set_defaults(command=_scaling)

    times = commands.add_parser("times", help="where a run's time went: judging by phase, the device held alone")
    times.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder")
    times.set_defaults(command=_times)

    rules = commands.add_parser("rules", help="published suites: the paper's rule, by value, and with integrity")
    rules.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder of pytest suites/published")
    rules.set_defaults(command=_rules)

    agree = commands.add_parser(
        "agree", help="do two runs judge the same answers alike: the interpreter and a GPU, say?"
    )
    agree.add_argument("first", type=Path, metavar="RUN", help="a run folder")
    agree.add_argument("second", type=Path, metavar="OTHER", help="one with the same attempts, judged elsewhere")
    agree.set_defaults(command=_agree)

    passes = commands.add_parser("pass-at-k", help="what k answers solve at least once, over runs and samples")
    passes.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder")
    joined = "solvers with this in their names are one (files of answers of one model); may be given again"
    passes.add_argument("--of", action="append", default=[], metavar="TEXT", help=joined)
    passes.set_defaults(command=_pass_at_k)
    for each in (board, tasks, proof, scaling, times, rules, agree, passes):
        add_output(each)
    for each in (board, tasks, scaling, passes):
        add_duplicates(each)

    show = commands.add_parser("show", help="one attempt in full: verdict, times, files")
    show.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    show.add_argument("name", metavar="ATTEMPT|TASK", help="an attempt's id, or a task for all attempts at it")
    show.set_defaults(command=_show)

    for name in COMMANDS:
        importlib.import_module(f"reports.{name}").add(commands)

    runs = commands.add_parser("runs", help="the runs in a folder")
    runs.add_argument("folder", type=Path, metavar="DIR", help="a folder with run folders in it")
    runs.set_defaults(command=_runs)
    return parser


def add_output(parser: argparse.ArgumentParser) -> None:
    """The options of a command that gives tables: `deliver` reads them."""
    parser.add_argument("--format", choices=FORMATS, help="default: by the ending of FILE, else terminal")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write there instead of to the terminal")


def add_duplicates(parser: argparse.ArgumentParser) -> None:
    """How attempts count that several runs hold: see `reports.duplicates`."""
    parser.add_argument(
        "--duplicates",
        choices=("samples", "first", "last", "refuse"),
        default="samples",
        help="an attempt judged in several runs: each is a sample (default; copies count once), or only the one that "
        "finished first or last counts",
    )


def _leaderboard(arguments: argparse.Namespace) -> str:
    from reports.duplicates import noted
    from reports.leaderboard_table import leaderboard_tables

    frame, note = _results(arguments.runs, arguments.duplicates)
    return deliver(arguments, noted(leaderboard_tables(frame), note))


def _tasks(arguments: argparse.Namespace) -> str:
    from reports.duplicates import noted
    from reports.tasks import tasks_tables

    frame, note = _results(arguments.runs, arguments.duplicates)
    return deliver(arguments, noted(tasks_tables(frame), note))


def _proof(arguments: argparse.Namespace) -> str:
    from reports.keep import keep
    from reports.proof import Proof, tables

    if arguments.keep is not None:
        keep(arguments.runs, arguments.keep)
    return deliver(arguments, tables(Proof.read(arguments.runs)))


def _scaling(arguments: argparse.Namespace) -> str:
    from reports.duplicates import counted, noted
    from reports.scaling import read, tables

    attempts, note = counted(arguments.runs, arguments.duplicates)
    return deliver(arguments, noted(tables(read(arguments.runs, attempts)), note))


def _times(arguments: argparse.Namespace) -> str:
    from reports.times import read, tables

    return deliver(arguments, tables(read(arguments.runs)))


def _rules(arguments: argparse.Namespace) -> str:
    from reports.rules import read, table

    return deliver(arguments, [table(read(arguments.runs))])


def _agree(arguments: argparse.Namespace) -> str:
    from reports.agree import read, table

    return deliver(arguments, [table(read(arguments.first, arguments.second))])


def _pass_at_k(arguments: argparse.Namespace) -> str:
    from reports.duplicates import counted, noted
    from reports.pass_at_k import read, tables

    attempts, note = counted(arguments.runs, arguments.duplicates)
    return deliver(arguments, noted(tables(read(arguments.runs, attempts, arguments.of)), note))


def _show(arguments: argparse.Namespace) -> str:
    from reports.show import show

    return show(arguments.run, arguments.name, _width())


def _runs(arguments: argparse.Namespace) -> str:
    folder: Path = arguments.folder
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name one with run folders in it")
    found = [path for path in (folder, *sorted(folder.iterdir())) if (path / "run.json").is_file()]
    if not found:
        raise UsageError(
            f"{folder} holds no run folder (one with a run.json): name the folder that --run-dir points into"
        )
    return "".join(f"{_run_line(path)}\n" for path in found)


def _run_line(path: Path) -> str:
    """Date, suite, solver, model, attempts judged of those planned, device, folder."""
    try:
        run = open_run(path)
        plan, lines = planned(run), latest(run)
    except UsageError as error:
        return f"{'unreadable':16}  {one_line(error)}"
    names = [
        ", ".join(dict.fromkeys(clean(key[part]) for key in (plan or lines) if key[part])) or "-" for part in (0, 2, 3)
    ]
    environment = run.about.get("environment")
    device = environment.get("device") if isinstance(environment, dict) else None
    judged = sum(is_judged(lines.get(key)) for key in plan)
    created = clean(run.about.get("created") or "unknown date")[:16].replace("T", " ")
    return f"{created:16}  {'  '.join(names)}  {judged}/{len(plan)} judged  {clean(device or 'unknown device')}  {path}"


def _results(paths: Sequence[Path], duplicates: str) -> tuple[pd.DataFrame, str]:
    """The runs' attempts that count, and what is to be said of others. Raises `UsageError` where none is recorded."""
    from reports.duplicates import distinct

    frame, resolved = distinct(paths, duplicates)
    if not frame["recorded"].any():
        raise UsageError(
            f"{', '.join(map(str, paths))}: no results yet, of {len(frame)} planned attempts none is recorded: "
            f"continue with pytest --resume {paths[0]}"
        )
    return frame, resolved.note


def deliver(arguments: argparse.Namespace, tables: list[Table]) -> str:
    """The tables in the form that was asked for; empty where they went into a file."""
    from reports.as_json import as_json
    from reports.as_latex import as_latex
    from reports.render import csv, markdown, terminal
    from reports.whole import write_whole

    output: Path | None = arguments.output
    form = arguments.format or (_FORMAT_OF.get(output.suffix.lower(), "terminal") if output else "terminal")
    forms = {"markdown": markdown, "csv": csv, "json": as_json, "latex": as_latex}
    text = forms[form](tables) if form != "terminal" else terminal(tables, _width())
    if output is None:
        return text
    try:
        write_whole(output, text)
    except OSError as error:
        raise UsageError(f"{output} can't be written ({error.strerror}): name another file with -o") from None
    return ""


def _width() -> int:
    """Of the terminal; 120 columns where there is none."""
    return shutil.get_terminal_size((120, 24)).columns


if __name__ == "__main__":
    sys.exit(main())
