"""The levels below `namespaces`, by running the same look around as a user without privileges."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.sandbox.levels import Level
from tests.harness.commands import ROOT
from tests.harness.nobody import NOBODY, as_nobody
from tests.harness.test_isolation import UNSEEN

LOOK = "tests.harness.look"
WITHOUT_BWRAP = "if command -v bwrap > /dev/null; then mount --bind /dev/null $(command -v bwrap); fi"


def test_user_namespaces(tmp_path: Path) -> None:
    report = as_nobody(tmp_path, LOOK)
    if Level.parse(report["level"]).base != "user-namespaces":
        pytest.skip("this machine allows users no namespaces")
    assert report["probe"] == report["level"]
    assert report["outcome"] == "right", report["reason"]
    assert set(report["capabilities"]) == {"0"} and report["no_new_privileges"] == "1"
    assert report["processes"] == [1] and report["signalled"] == "ProcessLookupError"
    assert report["interfaces"] == ["lo"] and report["connected"] is not None
    written = report["written"]
    assert written.pop("/tmp") is True and set(written.values()) <= {"OSError", "PermissionError", "FileNotFoundError"}
    assert all(found in UNSEEN for found in report["seen"].values()), report["seen"]
    assert all(found in UNSEEN for found in report["seen in a namespace"].values())
    assert "done" not in report["uncovered in a namespace"].values()


def test_no_namespaces(tmp_path: Path) -> None:
    report = as_nobody(tmp_path, LOOK, chrooted=True, before=WITHOUT_BWRAP)
    level = Level.parse(report["level"])
    assert report["probe"] == report["level"] and level.base in ("landlock", "process")
    assert report["outcome"] == "right", report["reason"]
    assert set(report["uid"]) == {NOBODY} and set(report["capabilities"]) == {"0"}
    assert report["no_new_privileges"] == "1" and report["root_again"] == "PermissionError"
    assert "KERNEL_ASSAY_TEST_KEY" not in report["environment"]
    if level.base == "landlock":
        assert all(found == "PermissionError" for found in report["seen"].values()), report["seen"]
        assert set(report["written"].values()) <= {"PermissionError", "FileNotFoundError"}, report["written"]
        assert all(found == "PermissionError" for found in report["read"].values()), report["read"]
        assert report["processes"] == report["tmp"] == report["shm"] == report["signalled"] == "PermissionError"


def test_bubblewrap_where_it_alone_may_make_namespaces(tmp_path: Path) -> None:
    program = shutil.which("bwrap")
    if program is None:
        pytest.skip("bubblewrap is not installed")
    privileged = tmp_path / "bwrap"  # in a chroot no user may make a namespace, but a program of root's may
    shutil.copy(program, privileged)
    privileged.chmod(0o4755)
    report = as_nobody(tmp_path, LOOK, chrooted=True, before=f"mount --bind {privileged} {program}")
    level = Level.parse(report["level"])
    if level.base != "bubblewrap":
        pytest.skip("this bubblewrap does not work set-user-ID")
    assert report["probe"] == report["level"]
    assert report["outcome"] == "right", report["reason"]
    assert set(report["capabilities"]) == {"0"} and report["no_new_privileges"] == "1"
    assert all(found in UNSEEN for found in report["seen"].values()), report["seen"]
    assert report["interfaces"] in (["lo"], "PermissionError")


LANDLOCKED = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
attributes = struct.pack("Q", 1 << 6)  # making character devices; whoever is restricted in anything may not mount
ruleset = libc.syscall(444, attributes, len(attributes), 0)
if ruleset < 0 or libc.syscall(446, ruleset, 0) != 0:
    sys.exit("no Landlock")
sys.path.insert(0, os.getcwd())
from harness.sandbox import isolation
print(isolation.probe("namespaces"))
"""


def test_namespaces_without_mounts_are_no_walls() -> None:
    ran = subprocess.run([sys.executable, "-c", LANDLOCKED], cwd=ROOT, check=False, capture_output=True, text=True)
    if "no Landlock" in ran.stderr:
        pytest.skip("this kernel has no Landlock, which stands in for a machine that refuses mounts")
    assert ran.stdout.split() == ["process"], ran.stderr
