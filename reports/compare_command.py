"""`kernel-assay compare BASE NEW`: is NEW better, worse, or is no difference shown? Exit code 1 says worse."""

from __future__ import annotations

import argparse
from pathlib import Path

_ABOUT = """\
Two runs compared, task by task: call accuracy, execution accuracy, and speed of what is right and timed in both. The
verdict on each pair of solver and model is one sentence: worse, better, or no difference shown.

Paired is what has the same solver and model in both runs; where nothing has, what has the same solver, the same model,
or the only two there are. --base-solver, --base-model, --new-solver and --new-model choose; with them BASE and NEW may
be one run.

Compared are tasks that have a verdict on both sides: an owed attempt is no evidence, and how many there are is told.
Tasks that changed between the runs (by digest), or are in one only, are left out and named. Speed is not compared
between devices, nor between a device and the interpreter; accuracy is. All that differs is said beside the verdict;
with --strict it is an error.

exit code: 0 no regression shown, 1 a regression shown, 2 nothing could be compared"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command's parser."""
    from reports.cli import add_output

    parser = commands.add_parser(
        "compare",
        help="is NEW better or worse than BASE? exit code 1: worse",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", type=Path, metavar="BASE", help="a run folder: what was")
    parser.add_argument("new", type=Path, metavar="NEW", help="a run folder: what is")
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.0,
        metavar="X",
        help="the largest loss that does not matter: 0.02 is 2 points of accuracy, or a speed of ×0.98 (0)",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="X",
        help="at 0.95, 5 %% of comparisons of a thing with itself show a regression, at most (0.95)",
    )
    for side in ("base", "new"):
        for kind in ("solver", "model"):
            parser.add_argument(f"--{side}-{kind}", metavar="NAME", help=f"only this {kind} of {side.upper()}")
    parser.add_argument("--strict", action="store_true", help="refuse where suite, tasks, device or software differ")
    add_output(parser)
    parser.set_defaults(command=_compare)


def _compare(arguments: argparse.Namespace) -> tuple[str, int]:
    from reports.cli import deliver
    from reports.comparable import Choice
    from reports.compare import compare
    from reports.compare_table import tables

    choice = Choice(arguments.base_solver, arguments.base_model, arguments.new_solver, arguments.new_model)
    found = compare(arguments.base, arguments.new, arguments.confidence, arguments.threshold, choice, arguments.strict)
    return deliver(arguments, tables(found)), int(found.regression)
