"""Has candidates try what `tests.harness.trespasses` lists, behind the walls of one level, and prints what came of it:

python -m tests.harness.trespass LEVEL
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import secrets
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.sandbox import isolation, seccomp
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.parent import WarmParent, project_root
from tests.harness.trespasses import BACKGROUND, HONEST, MEMORY, TRESPASSES

TOOLS = r"""
import ctypes, json, os, resource, signal, socket
ASKED = json.loads({asked!r})
libc = ctypes.CDLL(None, use_errno=True)
bpf_map = bytes.fromhex({bpf_map!r})
def oops():
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def call(name, *arguments):
    result = libc.syscall(ASKED["calls"][name], *arguments)
    return result if result >= 0 else oops()
def mine(path):
    return os.path.realpath(path).startswith(os.getcwd())
def any_of(work, only=None):
    errors = []
    others = [pid for pid in (ASKED["warm"], ASKED["judge"], os.getppid(), 1, 2, 3, 4, 5, 6) if pid != os.getpid()]
    for pid in [pid for pid in others if pid > 0][:only]:
        try:
            work(pid)
            return pid
        except OSError as error:
            errors.append(error)
    raise errors[0]
try:
{code}
    told = bool(result)
except OSError as error:
    told = error.__class__.__name__
raise RuntimeError("REPORT" + json.dumps(told))
"""


def attempt(parent: WarmParent, code: str, asked: dict[str, Any], memory: int = 2 << 30) -> Any:
    """What came of one piece of code: True, False, or the name of an OSError."""
    indented = "\n".join("    " + line for line in code.format(**asked).splitlines())
    bpf_map = struct.pack("=5I", 2, 4, 4, 1, 0).hex()  # an array of one number, which any user may make where one may
    source = TOOLS.format(asked=json.dumps(asked), code=indented, bpf_map=bpf_map)
    with CandidateProcess(parent, isolation.Limits(memory=memory), "cpu") as process:
        try:
            process.load(source, "f", 30.0)
        except CandidateFailed as failure:
            said = failure.reason.rpartition("REPORT")[2]
            return json.loads(said) if "REPORT" in failure.reason else f"{failure.outcome}: {failure.detail}"
    raise AssertionError("the candidate came back")


@contextlib.contextmanager
def surroundings(kept: Path) -> Iterator[dict[str, Any]]:
    """Things to be reached: servers, files in a home, a folder of libraries in it."""
    token = "trespass-" + secrets.token_hex(6)
    hidden = kept.parent
    kept.mkdir()
    (kept / "library").write_text("x")
    (hidden / "secret").write_text("7.7731")
    column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
    tables = [*seccomp.DENIED.values(), *seccomp.DENIED_IN_COMPANY.values()]
    calls = {name: numbers[column] for table in tables for name, numbers in table.items()}
    calls["clone"] = (56, 220)[column]
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as named,
    ):
        abstract.bind(f"\0{token}")
        named.bind(str(hidden / "socket"))
        abstract.listen()
        named.listen()
        yield {
            "token": token,
            "comm": token[-12:],
            "key": secrets.randbelow(1 << 30) + 1,
            "judge": os.getpid(),
            "port": tcp.getsockname()[1],
            "socket": str(hidden / "socket"),
            "secret": str(hidden / "secret"),
            "kept": str(kept),
            "suites": str(project_root() / "suites"),
            "harness": str(project_root() / "harness" / "judge" / ".."),
            "calls": calls,
        }
    _remove(token)


def _remove(token: str) -> None:
    """What a level has let candidates leave behind."""
    libc = ctypes.CDLL(None)
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        Path(place, token).unlink(missing_ok=True)
    Path("/dev/shm", f"sem.{token}").unlink(missing_ok=True)
    libc.mq_unlink(f"/{token}".encode())
    for kind in ("shm", "sem"):
        for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()[1:]:
            _, number, mode, *_ = line.split()
            if mode == "666":
                getattr(libc, f"{kind}ctl")(int(number), 0, 0)


def running(comm: str) -> list[str]:
    """Processes of this name."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == comm:
                found.append(entry.name)
    return found


def main() -> None:
    """Try all, at one level."""
    home = Path.home() / f"home-{os.getpid()}"
    home.mkdir()
    kept = home / "lib"
    with surroundings(kept) as asked:
        os.environ["LD_LIBRARY_PATH"] = str(kept)
        parent = WarmParent(interpreted=True, hidden=[home], at_most=sys.argv[1])
        parent.start()
        assert parent._process is not None
        asked["warm"] = parent._process.pid
        report: dict[str, Any] = {"level": parent.isolation, "honest": attempt(parent, HONEST, asked)}
        with CandidateProcess(parent, isolation.Limits(memory=2 << 30), "cpu") as other:
            other.load("def f(): pass", "f", 30.0)
            for each in TRESPASSES:
                report[each.name] = attempt(parent, each.does, asked)
                if each.left:
                    report[f"{each.name}: left"] = attempt(parent, each.left, asked)
        report["background"] = attempt(parent, BACKGROUND, asked)
        time.sleep(0.05)
        report["background: left"] = running(asked["comm"])
        report["memory"] = attempt(parent, MEMORY, asked, 512 << 20)
        report["honest afterwards"] = attempt(parent, HONEST, asked)
        parent.close()
    deadline = time.monotonic() + 10
    while (left := _left_behind()) and time.monotonic() < deadline:
        time.sleep(0.1)
    report["scratch"] = left
    print(json.dumps(report))


def _left_behind() -> list[str]:
    """Folders of candidates that are gone; other tests' candidates may live at the same time."""
    left = []
    for each in (*Path("/tmp").glob("candidate-*"), *Path("/tmp").glob("rehearsal-*")):
        try:
            new = each.stat().st_mtime > _STARTED
        except FileNotFoundError:
            continue
        if new and not Path(f"/proc/{each.name.rpartition('-')[2]}").exists():
            left.append(str(each))
    return left


_STARTED = time.time()

if __name__ == "__main__":
    main()
