"""`kernel-assay report RUN… -o report.html`: the page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Give it its parser."""
    from reports.cli import add_duplicates

    parser: argparse.ArgumentParser = commands.add_parser("report", help="one page with everything, for a browser")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="default: report.html; a folder of that name where one file would be larger than 20 MB",
    )
    add_duplicates(parser)
    parser.set_defaults(command=_report)


def _report(arguments: argparse.Namespace) -> str:
    from reports.page.build import build

    return f"{build(arguments.runs, arguments.output, arguments.duplicates)}\n"
