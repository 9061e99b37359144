"""Asks for more isolation than there is, with solvers and with the doctor, and prints what pytest says:

python -m tests.harness.refused SUITE
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.harness.commands import NO_CACHE


def main() -> None:
    """Two commands."""
    told = {}
    for name, flag in (("usual", "--solver=nop"), ("doctor", "--doctor")):
        command = [sys.executable, "-m", "pytest", sys.argv[1], flag, "--isolation=namespaces", *NO_CACHE]
        where = ["--rootdir", str(Path.home()), "--run-dir", str(Path.home() / name)]
        ran = subprocess.run([*command, *where], check=False, capture_output=True, text=True)
        told[name] = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
    print(json.dumps({**told, "line": [line for line in told["usual"] if "--isolation" in line]}))


if __name__ == "__main__":
    main()
