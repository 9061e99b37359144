"""`kernel-assay merge`: several run folders, shards or machines, written as one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from reports.records import open_run


def add(commands: Any) -> None:
    """Give it its parser."""
    parser = commands.add_parser("merge", help="several runs of one suite on one kind of device, written as one")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder; nothing in it is changed")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the new run folder")
    parser.add_argument(
        "--duplicates",
        choices=("refuse", "first", "last"),
        default="refuse",
        help="an attempt that was judged in several runs: refuse (default), or the judgement that finished first or "
        "last counts, whatever it says",
    )
    parser.set_defaults(command=_merge)


def _merge(arguments: argparse.Namespace) -> str:
    runs = [open_run(path) for path in arguments.runs]
    from reports.merge import merge

    merged = merge(runs, arguments.output, arguments.duplicates)
    owed = merged.attempts - merged.judged
    lines = [f"{merged.folder}: {merged.runs} runs, {merged.attempts} attempts, {merged.judged} judged, {owed} owed"]
    lines += [merged.resolved.note] if merged.resolved.note else []
    lines += [f"go on: pytest SUITE --resume {merged.folder}"] if owed else []
    return "".join(f"{line}\n" for line in lines)
