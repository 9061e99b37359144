"""Lets one candidate look around in its walls, judges one honest kernel, and prints what was found:

    python -m tests.harness.look HIDDEN_FOLDER …

Run in the test's own process where that is enough, and as a command where another user, Python or home is wanted.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.device import find_device
from harness.judge.judge import Judge, JudgeLimits
from harness.sandbox import isolation
from harness.sandbox.candidate import CandidateProcess
from harness.sandbox.failed import CandidateFailed
from harness.sandbox.parent import project_root
from harness.suite import load_suite

LOOK = r"""
import ctypes, json, os, socket
ASKED = json.loads({asked!r})
libc = ctypes.CDLL(None, use_errno=True)
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
def tried(work):
    try:
        return work()
    except OSError as error:
        return error.__class__.__name__
def written(place):
    path = os.path.join(place, "written-by-a-candidate")
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)
    return True
def refused(result):
    return os.strerror(ctypes.get_errno()) if result != 0 else "done"
report = dict(
    uid=os.getresuid(), gid=os.getresgid(), groups=os.getgroups(), capabilities=status["CapEff"] + status["CapPrm"],
    no_new_privileges=status["NoNewPrivs"], pid=os.getpid(), parent=os.getppid(),
    processes=tried(lambda: [int(each) for each in os.listdir("/proc") if each.isdigit()][:9]),
    tmp=tried(lambda: os.listdir("/tmp")[:5]), shm=tried(lambda: os.listdir("/dev/shm")[:5]),
    written={{place: tried(lambda: written(place)) for place in ASKED["write"]}},
    seen={{place: tried(lambda: os.listdir(place)[:5]) for place in ASKED["see"]}},
    read={{place: tried(lambda: len(open(place, "rb").read())) for place in ASKED["read"]}},
    interfaces=tried(lambda: [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]),
    connected=tried(lambda: socket.create_connection(("127.0.0.1", ASKED["port"]), 1).close()),
    signalled=tried(lambda: os.kill(ASKED["judge"], 0)),
    root_again=tried(lambda: os.setuid(0)),
    environment=sorted(os.environ),
    files=sorted(tried(lambda: os.readlink(f"/proc/self/fd/{{fd}}")) for fd in os.listdir("/proc/self/fd"))[:20],
    uncovered={{place: refused(libc.umount2(place.encode(), 2)) for place in ASKED["see"]}},
)
libc.unshare(0x10000000 | 0x00020000)  # a user and mount namespace of its own: privileges, but over nothing
report["uncovered in a namespace"] = {{place: refused(libc.umount2(place.encode(), 2)) for place in ASKED["see"]}}
report["seen in a namespace"] = {{place: tried(lambda: os.listdir(place)[:5]) for place in ASKED["see"]}}
raise RuntimeError("REPORT" + json.dumps(report))
"""


def look_around(judge: Judge, hidden: Iterable[Path] = (), read: Iterable[Path] = ()) -> dict[str, Any]:
    """What a candidate of this judge finds."""
    root = project_root()
    below = [] if Path("/tmp") in root.parents else [str(root)]  # in /tmp it is a folder of the candidate's own
    judge.start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        asked = {
            "write": ["/", "/usr", "/etc", "/var", "/tmp", "/proc/sys/kernel", str(Path.home()), *below],
            "see": [
                *(str(root / name) for name in ("suites", "agents", "reports", "tests", "harness", ".git")),
                *map(str, hidden),
            ],
            "read": [str(root / "conftest.py"), f"/proc/{os.getpid()}/environ", *map(str, read)],
            "port": server.getsockname()[1],
            "judge": os.getpid(),
        }
        with CandidateProcess(judge.parent, isolation.Limits(memory=2 << 30), "cpu") as process:
            try:
                process.load(LOOK.format(asked=json.dumps(asked)), "f", 30.0)
            except CandidateFailed as failure:
                text = failure.detail.rpartition("REPORT")[2]
                assert text.startswith("{"), f"{failure.outcome}: {failure.reason}\n{failure.detail}"
                found: dict[str, Any] = json.loads(text)
                return {**found, "level": judge.parent.isolation}
    raise AssertionError("the candidate came back")


def main() -> None:
    """Look around, judge the toy suite's reference, print both."""
    task = load_suite(project_root() / "tests" / "toy_suite").task("doubled")
    hidden = [Path(each) for each in sys.argv[1:]]
    limits = JudgeLimits(stage_seconds=30.0, sandbox=isolation.Limits(memory=2 << 30))
    with Judge(find_device("interpreter"), limits, hidden) as judge:
        report = look_around(judge, hidden)
        verdict = judge.judge(task, task.reference)
        report |= {"probe": isolation.probe(), "outcome": verdict.outcome, "reason": verdict.reason}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
