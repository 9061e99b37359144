"""`kernel-assay verify`: judges the recorded sources of a run again, and says where the record differs.

Exit code 0: all came out as recorded; 1: something did not; 2: a mistake of the user's; 130: stopped by Ctrl-C, with
what was found by then.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.registry import CHECKOUTS
from reports.records import open_run

if TYPE_CHECKING:
    from reports.verify import Recount

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


def add(commands: Any) -> None:
    """Give it its parser."""
    from reports.cli import add_output

    parser = commands.add_parser("verify", help="judge a run's sources again: where does the record differ?")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder; nothing in it is changed")
    parser.add_argument("--task", action="append", default=[], metavar="NAME", help="attempts at this task; repeatable")
    parser.add_argument("--sample", type=number, metavar="N", help="so many attempts, drawn at random (all)")
    parser.add_argument("--sample-seed", type=int, metavar="N", help="repeat a draw: the seed that it printed")
    parser.add_argument("--same-seed", action="store_true", help="on the recorded inputs (fresh and secret ones)")
    parser.add_argument("--changed", action="store_true", help="judge also at tasks that have changed since")
    parser.add_argument("--suite", action="append", default=[], metavar="NAME|FOLDER", help="where one is; repeatable")
    parser.add_argument("--checkout", action="append", metavar="PATH", help="of a published suite; repeatable")
    parser.add_argument(
        "--device", metavar="DEVICE", help="as pytest's (the kind of device that the run was judged on)"
    )
    parser.add_argument("--judges", type=number, metavar="N", help="judges, each a process (a few)")
    parser.add_argument("--isolation", metavar="LEVEL", help="refuse to judge below this level of isolation")
    parser.add_argument("--stage-timeout", type=float, metavar="S", help="wall time for a stage's calls (as recorded)")
    add_output(parser)
    parser.set_defaults(command=_verify)


def number(text: str) -> int:
    """One or more."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _verify(arguments: argparse.Namespace) -> tuple[str, int]:
    run = open_run(arguments.run)
    if arguments.sample_seed is not None and arguments.sample is None:
        raise UsageError("--sample-seed has no meaning without --sample")
    from reports.recount import Manner, device_of, judge_again, suites_at_hand
    from reports.verify import read

    if arguments.checkout:
        os.environ[CHECKOUTS] = os.pathsep.join(str(Path(each).absolute()) for each in arguments.checkout)
    recount = read(run, arguments.task, arguments.sample, arguments.sample_seed)
    manner = Manner(
        device=arguments.device or device_of(recount),
        judges=arguments.judges,
        stage_timeout=arguments.stage_timeout,
        isolation=arguments.isolation,
        same_seed=arguments.same_seed,
        changed=arguments.changed,
        suites=suites_at_hand(arguments.suite),
    )
    progress = _Progress()
    try:
        for _ in judge_again(recount, manner):
            progress.show(recount)
    except KeyboardInterrupt:
        recount.stopped = True
    finally:
        progress.clear()
    return _told(arguments, recount), STOPPED if recount.stopped else int(recount.same < recount.total)


def _told(arguments: argparse.Namespace, recount: Recount) -> str:
    from reports.cli import deliver
    from reports.verify_table import sentence, verify_table

    text = deliver(arguments, [verify_table(recount)])
    if not text or arguments.format == "csv":  # what else is told is in no CSV
        print(f"kernel-assay: {sentence(recount)}", file=sys.stderr)
    return text


class _Progress:
    """One line on standard error, written again and again, where that is a terminal."""

    def __init__(self) -> None:
        self._there, self._start, self._width = sys.stderr.isatty(), time.monotonic(), 0

    def show(self, recount: Recount) -> None:
        """How far it is."""
        done, seconds = len(recount.found), time.monotonic() - self._start
        differing = f", {done - recount.same} differ" if done > recount.same else ""
        left = seconds / done * (recount.total - done)
        self._write(f"{done} of {recount.total} judged again{differing} ({seconds:.0f} s, about {left:.0f} s left)")

    def clear(self) -> None:
        """Leave nothing."""
        if self._width:
            self._write("")

    def _write(self, line: str) -> None:
        if self._there:
            print(f"\r{line:{self._width}}", end="\r" if not line else "", file=sys.stderr, flush=True)
            self._width = len(line)
