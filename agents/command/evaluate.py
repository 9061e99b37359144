#!/usr/bin/env python3
"""Have the judge judge a kernel: prints what it says.

Exit code: 0 the kernel is right, 1 it is wrong, 2 there was trouble (a spent budget, a missing file, no judge).
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RIGHT, WRONG, TROUBLE = 0, 1, 2


def main() -> int:
    """Ask, print, and give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=HERE / "kernel.py", help="default: kernel.py")
    parser.add_argument("--json", action="store_true", help="print the answer as JSON")
    parser.add_argument("--left", action="store_true", help="only say what is left of the budget: costs nothing")
    asked = parser.parse_args()
    try:
        source = None if asked.left else asked.file.read_bytes()
    except OSError as error:
        print(f"evaluate: {asked.file} can't be read: {error.strerror}", file=sys.stderr)
        return TROUBLE
    try:
        status, answer = _ask(source)
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"evaluate: the judge does not answer ({error}): is the attempt over?", file=sys.stderr)
        return TROUBLE
    if asked.json:
        print(json.dumps(answer, indent=1))
    if status != 200:
        print(f"evaluate: {answer.get('error', status)}", file=sys.stderr)
        return TROUBLE
    if not asked.json:
        print(_words(answer))
    return RIGHT if source is None or answer["feedback"]["right"] else WRONG


def _ask(source: bytes | None) -> tuple[int, dict[str, Any]]:
    judge = json.loads((HERE / ".judge").read_text())
    connection = http.client.HTTPConnection("127.0.0.1", judge["port"])
    headers = {"Authorization": f"Bearer {judge['token']}"}
    if source is None:
        connection.request("GET", "/left", headers=headers)
    else:
        connection.request("POST", "/evaluate", body=source, headers=headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def _words(answer: dict[str, Any]) -> str:
    left = answer["left"]
    number = "any number of" if left["evaluations"] is None else left["evaluations"]
    lines = [f"left: {number} evaluations, {left['seconds']:.0f} seconds"]
    told = answer.get("feedback")
    if told:
        lines.insert(0, f"{'RIGHT' if told['right'] else 'WRONG'}: {told['outcome']}\n{told['message']}")
        if told["speedup"] is not None:
            lines.insert(1, f"speedup {told['speedup']:.3f} against the expert's kernel (above 1: yours is faster)")
        for each in reversed(told["workloads"]):
            times = f"{each['time_us']:.1f} µs, the expert's {each['reference_us']:.1f} µs"
            share = "" if each["fraction"] is None else f", {100 * each['fraction']:.0f} % of the hardware's limit"
            lines.insert(2, f"  {each['workload']}: {times}, speedup {each['speedup']:.3f}{share}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
