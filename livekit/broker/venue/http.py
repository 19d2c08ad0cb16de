"""The HTTP face: Starlette and uvicorn on loopback, nothing but a gate before `VenueApp.handle`.

A page in a browser cannot reach it: the ``Host`` must be the loopback address with our port, and a
request that carries an ``Origin`` or the marks of a browser is refused. Headers, bodies, the time
they may take and the number of connections are capped.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from livekit.broker.venue.api import VenueApp
from livekit.broker.venue.wire import DRIPS, LOSSES, Answer, json_answer
from livekit.config import LOOPBACK_HOST

__all__ = ["http_server", "loopback_socket", "starlette_app"]

LONGEST_BODY = 256 * 1024
LONGEST_URL = 32 * 1024
LONGEST_HEAD = 48 * 1024
BODY_TIMEOUT_S = 10.0
HEAD_TIMEOUT_S = 10.0
MOST_CONNECTIONS = 128
CONNECTIONS: dict[tuple[str, int], asyncio.Transport] = {}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def starlette_app(app: VenueApp, port: int) -> Starlette:
    """The ASGI application for a venue that listens on ``port``."""
    host = f"{LOOPBACK_HOST}:{port}"

    async def endpoint(request: Request) -> Response:
        answer = _refused(request, host)
        if answer is None:
            try:
                body = await asyncio.wait_for(_body(request), BODY_TIMEOUT_S)
                answer = _too_long() if body is None else _handled(app, request, body)
            except TimeoutError:
                answer = json_answer({"message": "request body too slow"}, 408)
        return _response(answer)

    face = Starlette(routes=[Route("/{path:path}", endpoint, methods=METHODS)])
    face.router.redirect_slashes = False  # a target without a path is refused like any other
    return face


def _response(answer: Answer) -> Response:
    if answer.delivery in LOSSES:
        return _Lost(answer)
    if answer.delivery == "drip":
        length = {"content-length": str(len(answer.body))}
        return StreamingResponse(_drips(answer), answer.status, headers=answer.headers | length)
    return Response(answer.body, answer.status, headers=answer.headers)


async def _drips(answer: Answer) -> AsyncIterator[bytes]:
    size = max(1, len(answer.body) // DRIPS)
    for start in range(0, len(answer.body), size):
        await asyncio.sleep(answer.delay_s / DRIPS)
        yield answer.body[start : start + size]


class _Lost(Response):
    """No answer: silence for a while if so wished, then the connection is cut."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._silence_s = answer.delay_s if answer.delivery == "silence" else 0.0

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        waiting = asyncio.ensure_future(_client_left(receive))
        await asyncio.wait({waiting}, timeout=self._silence_s)
        connection = CONNECTIONS.get(scope["client"])
        if connection is not None:
            connection.abort()
        await waiting


async def _client_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


class _Protocol(H11Protocol):
    """uvicorn's protocol, whose connections can be cut by the address of their client."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            CONNECTIONS[self.client] = transport
        self.loop.call_later(HEAD_TIMEOUT_S, self._drop_if_silent)

    def _drop_if_silent(self) -> None:
        """Close a connection that has not made its first request by now."""
        if getattr(self, "cycle", None) is None:  # its type hides that it begins as None
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            CONNECTIONS.pop(self.client, None)
        super().connection_lost(exc)


def _refused(request: Request, host: str) -> Answer | None:
    if sum(len(name) + len(text) for name, text in request.scope["headers"]) > LONGEST_HEAD:
        return json_answer({"message": "request header too large"}, 431)
    if request.headers.getlist("host") != [host]:
        return json_answer({"message": "unknown host"}, 421)
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        return json_answer({"message": "requests from web pages are refused"}, 403)
    if "upgrade" in request.headers:
        return json_answer({"message": "no other protocol is spoken here"}, 400)
    if len(request.scope["raw_path"]) + len(request.scope["query_string"]) > LONGEST_URL:
        return json_answer({"message": "URI too long"}, 414)
    return None


async def _body(request: Request) -> bytes | None:
    """The body, or None when it is longer than the cap; a client that left sent none."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_BODY:
                return None
    except ClientDisconnect:
        return b""
    return bytes(body)


def _too_long() -> Answer:
    return json_answer({"message": "request body too large"}, 413)


def _handled(app: VenueApp, request: Request, body: bytes) -> Answer:
    scope = request.scope
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return app.handle(request.method, path, query, dict(request.headers), body)


def loopback_socket(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 takes any free one.

    asyncio switches Nagle's delay (40 ms an order) off only where the protocol is named.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((LOOPBACK_HOST, port))
    listening.listen(128)
    return listening


def http_server(app: VenueApp, port: int) -> uvicorn.Server:
    """A server for ``app``; run it on a `loopback_socket`, stop it by its ``should_exit``."""
    config = uvicorn.Config(
        starlette_app(app, port),
        http=_Protocol,
        ws="none",
        h11_max_incomplete_event_size=LONGEST_HEAD,
        limit_concurrency=MOST_CONNECTIONS,
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=600,
    )
    return uvicorn.Server(config)
