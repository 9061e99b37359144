"""The command `kernel-assay history DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Its parser, among the others."""
    from reports.cli import add_output

    parser = commands.add_parser("history", help="runs of the same agent over time, with the changes marked")
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder with run folders in it")
    add_output(parser)
    parser.set_defaults(command=_history)


def _history(arguments: argparse.Namespace) -> str:
    from reports.cli import deliver
    from reports.history import read
    from reports.history_table import history_tables

    return deliver(arguments, history_tables(*read(arguments.folder)))
