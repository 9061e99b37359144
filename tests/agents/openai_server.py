"""A server on the loopback interface that speaks the OpenAI chat protocol, faults included.

    with OpenAIServer([status(429, retry_after="0"), answer("hello")]) as server:
        OpenAIModel("tiny", base_url=server.url).complete(…)

It plays a list of behaviours, one a request; what it has nothing left for goes to `fallback`. Every request is kept in
`requests`. A behaviour is a function that gets the handler and the request's JSON.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler", dict[str, Any]], None]
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: _Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Play the next behaviour."""
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        owner = self.server.owner
        with owner.lock:
            owner.requests.append(request)
            owner.headers.append(dict(self.headers.items()))
            owner.times.append(time.monotonic())
            behaviour = owner.script.pop(0) if owner.script else owner.fallback
        behaviour(self, request)

    def send(self, code: int, body: str, headers: dict[str, str] | None = None) -> None:
        """A whole response."""
        data = body.encode()
        self.send_response(code)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def begin_stream(self, headers: dict[str, str] | None = None) -> None:
        """Head of a streamed response; its end is the end of the connection."""
        self.close_connection = True
        self.send_response(200)
        for name, value in {"content-type": "text/event-stream", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()

    def event(self, data: str) -> None:
        """One event of a stream."""
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Silence."""


class _Server(ThreadingHTTPServer):
    owner: OpenAIServer
    daemon_threads = True


class OpenAIServer:
    """The server; a context manager."""

    def __init__(self, script: Sequence[Behaviour] = (), fallback: Behaviour | None = None) -> None:
        self.script = list(script)
        self.fallback = fallback or status(500)
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        """When each request came, by the monotonic clock."""
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def prompts(self) -> list[str]:
        """The last message of every request."""
        return [request["messages"][-1]["content"] for request in self.requests]


def chunk(text: str | None = None, finish: str | None = None, usage: dict[str, Any] | None = None) -> str:
    """One event's data."""
    choices = [{"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}]
    data = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "tiny-001"}
    return json.dumps({**data, "choices": [] if usage else choices, "usage": usage})


def answer(
    text: str,
    usage: dict[str, Any] | None = USAGE,
    finish: str = "stop",
    delay: float = 0.0,
    headers: dict[str, str] | None = None,
) -> Behaviour:
    """A right answer, streamed in pieces."""

    def play(handler: Handler, request: dict[str, Any]) -> None:
        time.sleep(delay)
        handler.begin_stream(headers)
        for start in range(0, len(text), 40):
            handler.event(chunk(text[start : start + 40]))
        handler.event(chunk(finish=finish))
        if usage and request.get("stream_options", {}).get("include_usage"):
            handler.event(chunk(usage=usage))
        handler.event("[DONE]")

    return play


def by_role(**answers: Callable[[dict[str, Any]], str]) -> Behaviour:
    """An answer made from the request, by the role in the prompt's last line."""

    def play(handler: Handler, request: dict[str, Any]) -> None:
        role = request["messages"][-1]["content"].strip().rpartition("Role: ")[2]
        answer(answers[role](request))(handler, request)

    return play


def status(
    code: int,
    message: str = "trouble",
    retry_after: str | None = None,
    error_code: str = "",
    headers: dict[str, str] | None = None,
) -> Behaviour:
    """An error in the protocol's form."""

    def play(handler: Handler, request: dict[str, Any]) -> None:
        body = json.dumps({"error": {"message": message, "type": "error", "code": error_code or None}})
        wait = {"retry-after": retry_after} if retry_after is not None else {}
        handler.send(code, body, {**wait, **(headers or {})})

    return play


def cut(text: str, done: bool = False) -> Behaviour:
    """A stream that ends before the answer does, with or without the closing mark."""

    def play(handler: Handler, request: dict[str, Any]) -> None:
        handler.begin_stream()
        handler.event(chunk(text))
        if done:
            handler.event("[DONE]")

    return play


def torn(text: str) -> Behaviour:
    """A connection that breaks inside a chunk of a chunked body."""

    def play(handler: Handler, request: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("transfer-encoding", "chunked")
        handler.end_headers()
        data = f"data: {chunk(text)}\n\n".encode()
        handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\nff\r\nhalf")
        handler.wfile.flush()
        handler.close_connection = True

    return play


def garbled() -> Behaviour:
    """A stream whose event is no JSON."""

    def play(handler: Handler, request: dict[str, Any]) -> None:
        handler.begin_stream()
        handler.event('{"id": "c", "choices": [{')

    return play


def no_stream(text: str) -> Behaviour:
    """A server that knows no streaming and answers in one piece."""

    def play(handler: Handler, request: dict[str, Any]) -> None:
        message = {"role": "assistant", "content": text}
        body = {"id": "c", "object": "chat.completion", "created": 0, "model": "tiny-001", "usage": USAGE}
        handler.send(200, json.dumps({**body, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}))

    return play


def stalls(seconds: float) -> Behaviour:
    """Says nothing for a while, then hangs up."""

    def play(handler: Handler, request: dict[str, Any]) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return play
