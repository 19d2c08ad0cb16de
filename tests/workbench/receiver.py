"""A real HTTP receiver of messages on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Receiver:
    """What arrived: the path of each request, and its JSON if it has one."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.messages: list[dict[str, str]] = []
        self.answer = 200
        self.port = 0

    @property
    def bodies(self) -> list[str]:
        return [message["message"] for message in self.messages]

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.messages]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens meanwhile."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            receiver.paths.append(self.path)
            if receiver.answer < 400 and content[:1] == b"{":
                receiver.messages.append(json.loads(content))
            self.send_response(receiver.answer)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
