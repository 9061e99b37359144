"""What candidates try beyond their walls, at every level that this machine can give: stopped, and never passed on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness.sandbox.levels import Level
from tests.harness.commands import ROOT
from tests.harness.nobody import as_nobody
from tests.harness.trespasses import TRESPASSES, Trespass

LEVELS = (
    ("root", "namespaces+landlock+seccomp"),
    ("root", "namespaces"),
    ("root", "landlock+seccomp"),
    ("user", "user-namespaces+landlock+seccomp"),
    ("user", "bubblewrap+landlock+seccomp"),
    ("user", "bubblewrap"),
    ("user", "landlock+seccomp"),
    ("user", "landlock"),
    ("user", "process+seccomp"),
    ("user", "process"),
)


@pytest.fixture(scope="module", params=LEVELS, ids=" ".join)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of all of them at one level."""
    who, level = request.param
    place = tmp_path_factory.mktemp("trespass")
    found = as_nobody(place, "tests.harness.trespass", level) if who == "user" else _as_root(place, level)
    if found["level"] != level:
        pytest.skip(f"this machine gives {found['level']}, not {level}")
    return found


def _as_root(place: Path, level: str) -> dict[str, Any]:
    if os.geteuid() != 0:
        pytest.skip("not run as root")
    command = [sys.executable, "-m", "tests.harness.trespass", level]
    environment = {**os.environ, "HOME": str(place)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@cache
def _stops(level: str, trespass: Trespass) -> bool:
    found = Level.parse(level)
    return any(
        each[1:] in found.walls if each.startswith("+") else found.at_least(Level.parse(each))
        for each in trespass.stopped
    )


@pytest.mark.parametrize("trespass", TRESPASSES, ids=lambda trespass: trespass.name)
def test_is_stopped(report: dict[str, Any], trespass: Trespass) -> None:
    if not _stops(report["level"], trespass):
        pytest.skip(f"open at the level {report['level']}: {' or '.join(trespass.stopped)} stops it")
    for name in (trespass.name, f"{trespass.name}: left"):
        told = report.get(name, False)
        assert told is False or (isinstance(told, str) and told.endswith("Error") and ":" not in told), (name, told)


def test_background_processes_end_with_their_candidate(report: dict[str, Any]) -> None:
    assert report["background"] is False and report["background: left"] == []


def test_memory_of_all_its_processes_is_limited(report: dict[str, Any]) -> None:
    assert str(report["memory"]).startswith("out of memory"), report["memory"]


def test_nothing_stays_in_the_folder_for_temporary_files(report: dict[str, Any]) -> None:
    assert report["scratch"] == []


def test_honest_kernels_have_what_they_need(report: dict[str, Any]) -> None:
    assert report["honest"] is True and report["honest afterwards"] is True
