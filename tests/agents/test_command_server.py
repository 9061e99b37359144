"""The server of `command`, asked over real connections: what it refuses, and that nobody is left waiting."""

from __future__ import annotations

import http.client
import json
import threading

from scripted import eventually

from agents.command.server import BODY_BYTES, Server

NO_LENGTH = object()


def request(server, method, path, body=None, token=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    authorization = f"Bearer {server.token if token is None else token}"
    if body is NO_LENGTH:
        connection.putrequest(method, path)
        connection.putheader("Authorization", authorization)
        connection.endheaders()
    else:
        connection.request(method, path, body=body, headers={"Authorization": authorization})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_the_server_refuses_what_is_not_for_it():
    with Server(lambda: {"evaluations": 1, "seconds": 1.0}) as server:
        assert request(server, "GET", "/left") == (200, {"left": {"evaluations": 1, "seconds": 1.0}})
        assert request(server, "POST", "/evaluate", b"x", token="")[0] == 403
        assert request(server, "POST", "/evaluate", b"x", token="é")[0] == 403
        assert request(server, "GET", "/left", token="no")[0] == 403
        assert request(server, "POST", "/evaluate", b"x" * (BODY_BYTES + 1))[0] == 413
        assert request(server, "POST", "/evaluate", b"\xff")[0] == 400
        assert request(server, "POST", "/evaluate", NO_LENGTH)[0] == 411
        assert request(server, "POST", "/other", b"x")[0] == 404
        assert server.asks.empty(), "none of these came to the judge"
        assert server._http.server_address[0] == "127.0.0.1"


def test_the_server_leaves_nobody_waiting():
    answers = []
    with Server(dict) as server:
        asking = threading.Thread(
            target=lambda: answers.append(request(server, "POST", "/evaluate", b"x" * BODY_BYTES))
        )
        asking.start()
        eventually(lambda: not server.asks.empty())
    asking.join(10)
    assert answers[0][0] == 503 and "over" in answers[0][1]["error"]
