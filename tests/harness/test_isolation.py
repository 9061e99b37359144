"""The walls of the level `namespaces`, with all that is added to it: what a candidate sees, and what it can't do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.device import find_device
from harness.judge.judge import Judge
from harness.sandbox.isolation import FIRST_USER, probe
from harness.sandbox.levels import Level
from tests.harness.commands import ROOT
from tests.harness.look import look_around

UNSEEN = ([], "FileNotFoundError", "PermissionError")
"""What a look into a folder gives that is covered, or that Landlock keeps closed."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Path]:
    """A folder with a secret, outside /tmp and home, as a suite's or a run's may be."""
    try:
        place = tempfile.TemporaryDirectory(prefix="kernel-assay-test-", dir="/opt")
    except OSError as error:
        pytest.skip(f"no folder outside /tmp can be made: {error}")
    with place as name:
        (Path(name) / "secret").write_text("7.7731")
        yield Path(name)


@pytest.fixture(scope="module")
def report(elsewhere: Path) -> dict[str, Any]:
    """What a candidate found."""
    if Level.parse(probe()).base != "namespaces":
        pytest.skip(f"this machine allows the level {probe()}: `namespaces` needs root and its own namespaces")
    os.environ["KERNEL_ASSAY_TEST_KEY"] = "secret"
    with Judge(find_device("interpreter"), hidden=[elsewhere]) as judge:
        return look_around(judge, [elsewhere], [elsewhere / "secret"])


def test_no_privileges(report: dict[str, Any]) -> None:
    assert report["level"] == probe()
    (user,) = set(report["uid"])
    assert user >= FIRST_USER and set(report["gid"]) == {user} and report["groups"] == []
    assert set(report["capabilities"]) == {"0"} and report["no_new_privileges"] == "1"
    assert report["root_again"] == "PermissionError"


def test_its_own_processes_alone(report: dict[str, Any]) -> None:
    assert report["processes"] == [report["pid"]] == [1] and report["parent"] == 0
    assert report["signalled"] == "ProcessLookupError"


def test_nothing_can_be_written_but_its_own_scratch(report: dict[str, Any]) -> None:
    written = report["written"]
    assert written.pop("/tmp") is True
    assert set(written.values()) <= {"OSError", "PermissionError", "FileNotFoundError"}, written
    assert report["shm"] == []


def test_no_network(report: dict[str, Any]) -> None:
    assert report["interfaces"] == ["lo"] and report["connected"] != 0
    assert report["connected"] in ("OSError", "ConnectionRefusedError", "TimeoutError", "PermissionError"), report[
        "connected"
    ]


def test_nothing_of_the_judge_is_visible(report: dict[str, Any], elsewhere: Path) -> None:
    assert all(found in UNSEEN for found in report["seen"].values()), report["seen"]
    read = report["read"]
    assert read[str(ROOT / "conftest.py")] in (0, *UNSEEN)
    assert read[str(elsewhere / "secret")] in UNSEEN
    assert read[f"/proc/{os.getpid()}/environ"] == "FileNotFoundError"
    allowed = {
        "HOME",
        "LANG",
        "LC_ALL",
        "LD_LIBRARY_PATH",
        "PATH",
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "TMPDIR",
        "CC",
        "USER",
        "LOGNAME",
        "KINETO_LOG_LEVEL",
    }
    prefixes = ("TRITON_", "OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "CUDA", "HIP", "ROC", "NVIDIA_", "LC_")
    strange = [name for name in report["environment"] if name not in allowed and not name.startswith(prefixes)]
    assert strange == []
    # Its output, its wire, the shared memory, and what PyTorch keeps open.
    assert not [each for each in report["files"] if each.startswith(("/work", "/home", "/root", str(ROOT)))]


def test_covers_stay_where_they_are(report: dict[str, Any]) -> None:
    for place in ("uncovered", "uncovered in a namespace"):
        assert "done" not in report[place].values(), report[place]
    assert all(found in UNSEEN for found in report["seen in a namespace"].values())


def test_a_python_in_a_closed_home(tmp_path: Path) -> None:
    """A virtual environment below /tmp, in a home that only its owner may enter."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    command = [sys.executable, "-m", "venv", "--without-pip", str(home / "venv")]
    subprocess.run(command, check=True, capture_output=True)
    (site,) = (home / "venv" / "lib").glob("python*/site-packages")
    (site / "there.pth").write_text(f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n")
    (home / "letters").mkdir()
    environment = {**os.environ, "HOME": str(home)}
    ran = subprocess.run(
        [str(home / "venv" / "bin" / "python"), "-m", "tests.harness.look", str(home / "letters")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["outcome"] == "right", report["reason"]
    if Level.parse(report["level"]).base != "process":
        assert report["seen"][str(home / "letters")] in UNSEEN
