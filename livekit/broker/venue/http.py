"""The HTTP face: Starlette and uvicorn on loopback, nothing but a gate before `VenueApp.handle`.

A page in a browser cannot reach it: the ``Host`` must be the loopback address with our port, and a
request that carries an ``Origin`` is refused. Bodies are capped.
"""

from __future__ import annotations

import socket

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from livekit.broker.venue.api import VenueApp
from livekit.broker.venue.wire import Answer, json_answer
from livekit.config import LOOPBACK_HOST

__all__ = ["http_server", "loopback_socket", "starlette_app"]

LONGEST_BODY = 256 * 1024
LONGEST_URL = 32 * 1024
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


def starlette_app(app: VenueApp, port: int) -> Starlette:
    """The ASGI application for a venue that listens on ``port``."""
    host = f"{LOOPBACK_HOST}:{port}"

    async def endpoint(request: Request) -> Response:
        answer = _refused(request, host)
        if answer is None:
            body = await _body(request)
            answer = _too_long() if body is None else _handled(app, request, body)
        return Response(answer.body, answer.status, headers=answer.headers)

    return Starlette(routes=[Route("/{path:path}", endpoint, methods=METHODS)])


def _refused(request: Request, host: str) -> Answer | None:
    if request.headers.getlist("host") != [host]:
        return json_answer({"message": "unknown host"}, 421)
    if "origin" in request.headers:
        return json_answer({"message": "requests from web pages are refused"}, 403)
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
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=600,
    )
    return uvicorn.Server(config)
