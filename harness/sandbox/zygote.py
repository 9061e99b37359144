"""The warm parent: imports PyTorch and Triton once, then forks one process per candidate. It never touches a device.

Started by `harness.sandbox.parent` as a process of its own:

    python -c "…; from harness.sandbox.zygote import main; main()" SOCKET_FD CONFIGURATION_JSON

Before it serves, a trial child rehearses what a candidate does behind the walls (`harness.sandbox.rehearsal`), unless
that was done for another one here. For each `spawn` message it forks a warden (`harness.sandbox.warden`), which forks
and guards the candidate's process.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from dataclasses import replace
from typing import Any

from harness.sandbox import isolation


def main() -> None:
    """Serve until the judge closes its end."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    configuration: dict[str, Any] = json.loads(sys.argv[2])
    isolation.die_with_parent()
    interpreted = configuration["interpreted"]
    plan = isolation.Plan(**configuration["plan"])
    level = isolation.enter(plan, configuration)
    gc.disable()  # what is imported stays: looking for garbage among it meanwhile only takes time
    _import_all(interpreted, configuration["capability"])
    isolation.seal_parent(level, plan)

    from harness.sandbox import rehearsal
    from harness.sandbox.channel import Channel, WireClosed
    from harness.sandbox.warden import guard

    gc.freeze()
    gc.enable()
    user = isolation.FIRST_USER if isolation.gives_users(level, plan) else None
    walls = isolation.Walls(level, isolation.Limits(), user, plan.keep, isolation.readable(level, plan))
    if not configuration["rehearsed"]:
        walls = replace(walls, level=rehearsal.behind_what_works(walls, interpreted=interpreted))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(sock)
    channel.send({"ready": True, "isolation": str(walls.level)})
    number = 0
    while True:
        try:
            message, fds = channel.receive()
        except WireClosed:
            os._exit(0)
        number += 1
        child = os.fork()
        if child == 0:
            sock.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if user is not None:
                user = isolation.FIRST_USER + (os.getpid() * 7919 + number) % 100_000
            guard(replace(walls, limits=isolation.Limits(**message["limits"]), user=user), *fds)
        for fd in fds:
            os.close(fd)
        channel.send({"warden": child})


def _import_all(interpreted: bool, capability: int) -> None:
    """All that a candidate's process may need: the harness's files are hidden from here on."""
    import torch

    torch.set_num_threads(1)
    import triton.language

    import harness.sandbox.child
    import harness.sandbox.rehearsal
    import harness.sandbox.warden  # noqa: F401

    if interpreted:
        from harness.sandbox import interpreter

        interpreter.install()
    else:
        import triton.compiler
        import triton.runtime.driver  # noqa: F401

        from harness.sandbox import lookups

        lookups.look_up(capability)
