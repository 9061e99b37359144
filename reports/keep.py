"""What a proof rests on, kept beside the suite: the findings of doctor's runs, without what is of one machine alone.

    kernel-assay proof suites/rocm/proof/* RUN --keep suites/rocm/proof -o suites/rocm/PROOF.md

Each environment (device, software, isolation) has a folder that is a doctor's run itself, so that the table can be made
again, and a check that was not proven goes on from there (`--resume` of a copy). Of each task only findings of its
newest digest are kept, the newest of each check; mutants' fates only where their check is not proven yet.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.doctor.finding import Check, Finding, Result
from harness.doctor.record import ABOUT, DEVICE, FATES, FINDINGS, DoctorRun
from harness.errors import UsageError
from harness.run import read_lines
from reports.whole import write_whole

_OF_THE_MACHINE = ("uuid",)
"""What is left out of an environment."""


def keep(runs: Sequence[Path], folder: Path) -> list[Path]:
    """Write the folders, one an environment, in place of those that are there; returns them.

    Raises UsageError where a run is none, or the folder can't be written."""
    opened = [DoctorRun.open(run) for run in runs]
    findings = sorted((each for run in opened for each in run.findings()), key=lambda each: each.finished)
    digests = {each.task: each.task_digest for each in findings}
    current = [each for each in findings if digests[each.task] == each.task_digest]
    written = []
    for digest in dict.fromkeys(str(run.about["environment"]["digest"]) for run in opened):
        group = [run for run in opened if run.about["environment"]["digest"] == digest]
        newest = {(each.task, each.check): each for each in current if each.environment == digest}
        written.append(_write(folder, group, [newest[key] for key in sorted(newest)], digests))
    return written


def _write(folder: Path, group: list[DoctorRun], findings: list[Finding], digests: dict[str, str]) -> Path:
    last = max(group, key=lambda run: str(run.about.get("created")))
    environment = {key: value for key, value in last.about["environment"].items() if key not in _OF_THE_MACHINE}
    about = {key: value for key, value in last.about.items() if key != "command"}
    about["environment"] = environment
    fates = _owed(group, findings, digests)
    peaks = next((path.read_text() for run in group if (path := run.folder / DEVICE).exists()), "")
    device = re.sub(r"[^a-z0-9]+", "-", str(environment["device"]).lower()).strip("-")
    place = folder / f"{device}-{str(environment['digest'])[:8]}"
    texts = {
        ABOUT: json.dumps(about, indent=2) + "\n",
        FINDINGS: "".join(_line(each.to_json()) for each in findings),
        FATES: "".join(_line(each) for each in fates),
        DEVICE: peaks,
    }
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            if text:
                write_whole(place / name, text)
            else:
                (place / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{place} can't be written ({error.strerror}): name another folder with --keep") from None
    return place


def _owed(group: list[DoctorRun], findings: list[Finding], digests: dict[str, str]) -> list[dict[str, Any]]:
    """Fates of mutants, the newest of each, of tasks whose mutants are not proven."""
    proven = {each.task for each in findings if each.check is Check.MUTANTS and each.result is not Result.FAILED}
    latest: dict[tuple[object, object], dict[str, Any]] = {}
    for run in group:
        for fate in read_lines(run.folder / FATES):
            if fate.get("task") not in proven and fate.get("task_digest") == digests.get(str(fate.get("task"))):
                latest[fate["task"], fate.get("mutant")] = fate
    return list(latest.values())


def _line(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False) + "\n"
