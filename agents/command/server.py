"""The judge behind a door on the loopback interface: HTTP on a random port, with a token of the attempt's own.

    POST /evaluate   the source as the body; 200 with {"feedback": …, "left": …}
    GET  /left       200 with {"left": {"evaluations": number | null, "seconds": number}}

Refused with {"error": one sentence}: 403 a wrong token, 404 another path, 411 no length, 413 more than a megabyte, 400
no UTF-8, 429 the budget is spent, 503 the attempt is over. The threads of the server judge nothing: each request is
put into `asks`, and the solver answers it from its own thread, one by one in the order of their coming.
"""

from __future__ import annotations

import hmac
import json
import queue
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

BODY_BYTES = 1_000_000
"""The longest source that is taken."""
_DRAINED_BYTES = 16 * BODY_BYTES
"""Of a refused body so much is read and dropped, so that its sender hears the answer."""
OVER = (503, {"error": "the attempt is over: nothing is judged any more"})


@dataclass
class Ask:
    """A source to judge, and what is answered."""

    source: str
    status: int = 0
    body: dict[str, Any] = field(default_factory=dict)
    _answered: threading.Event = field(default_factory=threading.Event)

    def answer(self, status: int, body: dict[str, Any]) -> None:
        """Let the asking side have this."""
        self.status, self.body = status, body
        self._answered.set()

    def wait(self) -> None:
        """Until it is answered."""
        self._answered.wait()


class Server:
    """Takes what is asked; a context manager. `left` says, at any time and from any thread, what is left."""

    def __init__(self, left: Callable[[], dict[str, Any]]) -> None:
        self.token = secrets.token_urlsafe(24)
        self.asks: queue.SimpleQueue[Ask | None] = queue.SimpleQueue()
        """What waits for an answer; None wakes the reader."""
        self.left = left
        self._lock = threading.Lock()
        self._over = False
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self.port: int = self._http.server_address[1]
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="command-server", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over = True
            while not self.asks.empty():
                ask = self.asks.get()
                if ask is not None:
                    ask.answer(*OVER)
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def ask(self, source: str) -> Ask:
        """Have a source judged: waits for the answer."""
        ask = Ask(source)
        with self._lock:
            if self._over:
                ask.answer(*OVER)
            else:
                self.asks.put(ask)
        ask.wait()
        return ask


class _Http(ThreadingHTTPServer):
    owner: Server
    daemon_threads = True
    request_queue_size = 32


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    timeout = 60
    """Seconds for sending a request; waiting for the judge is not counted."""

    def do_GET(self) -> None:
        if self._allowed("/left"):
            self._send(200, {"left": self.server.owner.left()})

    def do_POST(self) -> None:
        if not self._allowed("/evaluate"):
            return
        length = self._length()
        if length is None:
            self._send(411, {"error": "the request has no Content-Length"})
        elif length > BODY_BYTES:
            self._refuse(413, f"the source has {length} bytes: no more than {BODY_BYTES} are taken")
        else:
            try:
                source = self.rfile.read(length).decode()
            except UnicodeDecodeError:
                self._send(400, {"error": "the source is no UTF-8 text"})
                return
            ask = self.server.owner.ask(source)
            self._send(ask.status, ask.body)

    def _allowed(self, path: str) -> bool:
        given = self.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self.server.owner.token}".encode()):
            self._refuse(403, "wrong token: use the evaluate script of this attempt's own folder")
        elif self.path != path:
            self._refuse(404, "there is POST /evaluate and GET /left, and nothing else")
        else:
            return True
        return False

    def _length(self) -> int | None:
        text = self.headers.get("Content-Length", "")
        return int(text) if text.isdecimal() and len(text) < 16 else None

    def _refuse(self, status: int, reason: str) -> None:
        todo = min(self._length() or 0, _DRAINED_BYTES)
        while todo and (data := self.rfile.read(min(todo, 65_536))):
            todo -= len(data)
        self._send(status, {"error": reason})

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            self.close_connection = True  # the asker is gone: what was judged stays judged

    def log_message(self, *_: object) -> None:
        """Silence: what matters is in the transcript."""
