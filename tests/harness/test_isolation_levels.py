"""Levels of isolation: names and order, the option that asks for one, the tables behind them, the rehearsal."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from harness.engine.judging import Setup
from harness.engine.process import JudgeProcess
from harness.judge.judge import Judge
from harness.sandbox import isolation, landlock, rehearsal, scratch, seccomp
from harness.sandbox.channel import Channel, WireClosed
from harness.sandbox.levels import LEVELS, STRICT, STRONGEST, Level
from harness.sandbox.parent import START_TIMEOUT, WarmParent
from tests.harness.commands import NO_CACHE, ROOT, TOY, Warm
from tests.harness.nobody import as_nobody

FULL = "namespaces+landlock+seccomp"


@pytest.mark.parametrize("name", [*LEVELS, FULL, "process+seccomp", "landlock+seccomp", "bubblewrap+landlock"])
def test_names(name: str) -> None:
    assert str(Level.parse(name)) == name


def test_order() -> None:
    levels = [Level.parse(name) for name in (FULL, STRICT, "landlock+seccomp", "process+seccomp", "process")]
    assert Level.parse("strict") == levels[1] and levels[0] == STRONGEST
    for place, level in enumerate(levels):
        assert [level.at_least(other) for other in levels] == [place <= n for n in range(len(levels))]
    assert Level.parse("namespaces").at_least(Level.parse("landlock")), "a base counts as one"
    assert not Level.parse("namespaces").at_least(Level.parse("strict"))
    assert str(Level.parse("landlock+seccomp").without("landlock")) == "process+seccomp"
    assert str(STRONGEST.without("seccomp")) == "namespaces+landlock"


@pytest.mark.parametrize("name", ["", "vault", "process+landlock", "namespaces+moat", "+seccomp"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(ValueError, match="there are strict, namespaces, user-namespaces"):
        Level.parse(name)


def test_a_run_that_asks_for_what_there_is(one: Path, warm: Warm) -> None:
    level = isolation.probe()
    ran = warm.pytest(one, "--solver=nop", f"--isolation={level}", "--run-dir=run", *NO_CACHE, cwd=one.parent)
    assert f"isolation: {level}" in ran.text and "1 failed" in ran.text, ran.text
    ran = warm.pytest(one, "--resume=run", "--isolation=process", *NO_CACHE, cwd=one.parent)
    assert "run was run with --isolation" in ran.text, ran.text


def test_a_run_that_asks_for_more(tmp_path: Path) -> None:
    report = as_nobody(tmp_path, "tests.harness.refused", str(TOY), chrooted=True)
    assert report["usual"] == report["doctor"] == report["line"] and len(report["line"]) == 1, report
    assert "--isolation=namespaces: this machine gives" in report["line"][0]


# --- the filter -------------------------------------------------------------------------------------------------------


def _tables() -> dict[str, tuple[int | None, int | None]]:
    groups = [*seccomp.DENIED.values(), *seccomp.DENIED_IN_COMPANY.values(), seccomp.ITSELF_ALONE_IN_COMPANY]
    return {name: numbers for group in groups for name, numbers in group.items()}


@pytest.mark.parametrize(
    ("column", "header"),
    [(0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), (1, "/usr/include/asm-generic/unistd.h")],
    ids=["x86_64", "aarch64"],
)
def test_numbers_are_those_of_the_kernel(column: int, header: str) -> None:
    if not Path(header).exists():
        pytest.skip(f"no {header}")
    known = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text()))
    wrong = {
        name: (numbers[column], known[name])
        for name, numbers in _tables().items()
        if name in known and int(known[name]) != numbers[column]
    }
    assert wrong == {}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("company", [None, 4711])
def test_a_program_ends_on_every_way(machine: str, company: int | None) -> None:
    steps = seccomp.program(machine, company)
    assert len(steps) % 8 == 0 and len(steps) // 8 < 4096
    last = len(steps) // 8 - 1
    for place in range(last + 1):
        code, if_true, if_false = (
            int.from_bytes(steps[place * 8 : place * 8 + 2], "little"),
            *steps[place * 8 + 2 :][:2],
        )
        assert place + 1 + max(if_true, if_false) <= last or code == 0x06


FOREIGN = """
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
long i386(void) {
    long result;
    __asm__ volatile ("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return result;
}
long x32(void) { return syscall(0x40000000 + SYS_getpid) < 0 ? -errno : 1; }
"""
IN_FILTER = """
import ctypes, os, sys
sys.path.insert(0, os.getcwd())
from harness.sandbox import seccomp
library = ctypes.CDLL(sys.argv[1])
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
seccomp.install(company=False)
print(library.x32(), flush=True)
print(library.i386())
"""


def test_other_architectures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "foreign.c").write_text(FOREIGN)
    made = subprocess.run(
        ["gcc", "-shared", "-fPIC", "foreign.c", "-o", "foreign.so"], cwd=tmp_path, check=False, capture_output=True
    )
    if os.uname().machine != "x86_64" or made.returncode != 0:
        pytest.skip("needs x86_64 and gcc")
    command = [sys.executable, "-c", IN_FILTER, str(tmp_path / "foreign.so")]
    ran = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    told = ran.stdout.split()
    assert told[0] == "-38", ran.stderr  # ENOSYS
    assert told[1:] == ["-1"] or ran.returncode < 0, "a kernel without 32-bit calls ends the process"


# --- folders ----------------------------------------------------------------------------------------------------------


def test_hidden_folders_are_left_out_and_kept_ones_are_not(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    for each in ("open", "half/open", "half/hidden/kept", "half/hidden/other", "hidden"):
        (keep / each).mkdir(parents=True)
    (keep / "file").touch()
    (keep / "link").symlink_to("hidden")
    kept = [str(keep), str(keep / "half/hidden/kept")]
    hidden = [str(tmp_path), str(keep / "hidden"), str(keep / "half/hidden"), "/usr/share"]
    found = landlock.readable(kept, hidden)
    inside = {str(Path(each).relative_to(keep)) for each in found if Path(each).is_relative_to(keep)}
    assert inside == {"open", "half/open", "half/hidden/kept", "file"}
    assert "/usr/bin" in found and not {"/usr", "/usr/share", "/"} & set(found)


def test_a_scratch_folder_is_removed_whatever_is_in_it(tmp_path: Path) -> None:
    folder, outside = tmp_path / "scratch", tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    scratch.make(str(folder), None)
    place = os.open(folder, os.O_PATH)
    for _ in range(1500):  # deeper than a path may be long, and than Python may nest calls
        os.mkdir("deep", dir_fd=place)
        inner = os.open("deep", os.O_PATH, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    (folder / "link").symlink_to(outside)
    (folder / "closed").mkdir()
    (folder / "closed" / "file").touch()
    (folder / "closed").chmod(0)
    scratch.make(str(folder), None)
    assert list(folder.iterdir()) == []
    scratch.clear(str(folder))
    assert not folder.exists() and (outside / "precious").exists()
    folder.symlink_to(outside)
    scratch.clear(str(folder))
    assert (outside / "precious").exists() and outside.stat().st_mode & 0o777 == 0o755


# --- the rehearsal ----------------------------------------------------------------------------------------------------


def _walls(level: str, readable: tuple[str, ...]) -> isolation.Walls:
    return isolation.Walls(Level.parse(level), isolation.Limits(memory=2 << 30), None, (), readable)


def test_a_wall_that_a_candidate_can_not_work_behind_is_given_up() -> None:
    if landlock.abi() == 0:
        pytest.skip("no Landlock")
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "import torch\n"
        "from tests.harness.test_isolation_levels import _walls\n"
        "from harness.sandbox import rehearsal\n"
        "def shown(level, readable, limits=None):\n"
        "    print(rehearsal.behind_what_works(_walls(level, readable), interpreted=True))\n"
        "shown('landlock+seccomp', ('/',))\n"
        "rehearsal._work = lambda folder, interpreted: open('/etc/passwd').close()\n"
        "shown('landlock+seccomp', ())\n"
        "rehearsal._work = lambda folder, interpreted: open('/none').close()\n"
        "shown('landlock+seccomp', ('/',))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["landlock+seccomp", "process+seccomp", "landlock+seccomp"], ran.stderr


def test_a_rehearsal_leaves_nothing_behind() -> None:
    assert rehearsal.TRIES == 2
    parent = WarmParent(interpreted=True, at_most="landlock+seccomp")
    parent.start()
    parent.close()
    assert not list(Path("/tmp").glob("rehearsal-*"))


@pytest.mark.parametrize("rehearsed", [False, True])
def test_what_was_rehearsed_is_not_rehearsed_again(rehearsed: bool) -> None:
    """Behind a rehearsal that can't succeed a parent serves only where it need not rehearse."""
    ours, theirs = socket.socketpair()
    code = (
        "from harness.sandbox import rehearsal, zygote\n"
        "rehearsal.behind_what_works = lambda walls, interpreted: 1 / 0\n"
        "zygote.main()"
    )
    plan = isolation.Plan(keep=(str(ROOT), sys.prefix, sys.base_prefix), at_most="process")
    told = json.dumps({"plan": asdict(plan), "interpreted": True, "capability": 0, "rehearsed": rehearsed})
    command = [sys.executable, "-c", code, str(theirs.fileno()), told]
    about = {"cwd": ROOT, "env": {**os.environ, "TRITON_INTERPRET": "1"}, "stderr": subprocess.PIPE}
    with theirs, subprocess.Popen(command, pass_fds=[theirs.fileno()], **about) as process:
        theirs.close()
        channel = Channel(ours)
        if rehearsed:
            assert channel.receive(START_TIMEOUT)[0] == {"ready": True, "isolation": "process"}
        else:
            with pytest.raises(WireClosed):
                channel.receive(START_TIMEOUT)
        channel.close()
        said = process.communicate()[1].decode()
    assert ("ZeroDivisionError" in said) is not rehearsed


def test_judges_of_one_command_rehearse_once(judge: Judge) -> None:
    found: list[str] = []
    setup = Setup(judge.device, judge.limits, (), (), 1)
    first, second = (JudgeProcess(setup, found) for _ in range(2))
    try:
        about = first.start()
        assert found == [about["rehearsed"]]
        assert second.start() == about
    finally:
        first.kill()
        second.kill()
