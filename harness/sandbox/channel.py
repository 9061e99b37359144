"""Messages over a Unix socket, between any two processes of a judgement: JSON of bounded length, and open files.

Nothing that comes is executed or unpickled. It knows nothing of PyTorch: who uses this alone starts at once.
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
import struct
import time
from typing import Any

MAX_MESSAGE = 1 << 20
"""Longest message that the judge reads, bytes."""
_now = time.monotonic
_MANY_PROCESSORS = len(os.sched_getaffinity(0)) > 4


class WireClosed(Exception):
    """The other side is gone."""


class WireTimeout(Exception):
    """Nothing came in time."""


class WireBroken(Exception):
    """What came is not a message, or claims what can't be."""


class Channel:
    """One end of a message channel."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def send(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        """Send one message, with open files to share. Raises WireClosed."""
        body = json.dumps(message).encode()
        try:
            if fds:
                socket.send_fds(self.sock, [struct.pack("!I", len(body))], list(fds))
                self.sock.sendall(body)
            else:
                self.sock.sendall(struct.pack("!I", len(body)) + body)
        except OSError as error:
            raise WireClosed(str(error)) from error

    def receive(
        self, timeout: float | None = None, limit: int | None = None, spin: float = 0.0
    ) -> tuple[dict[str, Any], list[int]]:
        """The next message and the files that came with it. For the first `spin` seconds the processor is kept busy
        with waiting, where there are enough of them: on a busy machine it takes long to be woken.

        Raises WireTimeout after `timeout` seconds, WireClosed, and WireBroken for a message over `limit` bytes or one
        that is not a JSON object.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        if spin and _MANY_PROCESSORS:
            until = _now() + (spin if timeout is None else min(spin, timeout))
            while not select.select([self.sock], [], [], 0)[0] and _now() < until:
                pass
        head, fds = self._take(4, deadline, with_fds=True)
        try:
            return self._message(head, deadline, limit), fds
        except BaseException:
            for fd in fds:
                os.close(fd)
            raise

    def close(self) -> None:
        """Close this end."""
        self.sock.close()

    def _message(self, head: bytes, deadline: float | None, limit: int | None) -> dict[str, Any]:
        (length,) = struct.unpack("!I", head)
        if limit is not None and length > limit:
            raise WireBroken(f"a message of {length} bytes")
        body, _ = self._take(length, deadline)
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise WireBroken(f"a message that is not JSON ({error})") from error
        if not isinstance(message, dict):
            raise WireBroken("a message that is not a JSON object")
        return message

    def _take(self, count: int, deadline: float | None, with_fds: bool = False) -> tuple[bytes, list[int]]:
        data, fds = b"", []
        while len(data) < count:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self.sock], [], [], left)[0]:
                raise WireTimeout
            try:
                if with_fds and not data:
                    chunk, ancillary, _, _ = self.sock.recvmsg(count, socket.CMSG_SPACE(8 * 4))
                    for level, kind, payload in ancillary:
                        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                            received = array.array("i")
                            received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
                            fds += list(received)
                else:
                    chunk = self.sock.recv(min(count - len(data), 1 << 20))
            except OSError as error:
                raise WireClosed(str(error)) from error
            if not chunk:
                raise WireClosed("end of stream")
            data += chunk
        return data, fds
