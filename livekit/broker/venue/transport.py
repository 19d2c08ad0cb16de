"""A `requests` adapter that carries requests to a `VenueApp` in process, without a socket."""

from __future__ import annotations

import io
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter

from livekit.broker.venue.api import KEY_HEADERS, VenueApp
from livekit.broker.venue.wire import DRIPS, LOSSES, Answer

__all__ = ["VenueTransport"]


PHRASES = {int(status): status.phrase for status in HTTPStatus}


class VenueTransport(BaseAdapter):
    """Mount it on a client's session for the venue's base URL."""

    def __init__(self, app: VenueApp) -> None:
        super().__init__()
        self._app = app

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002 - the signature is requests'
        timeout: Any = None,  # noqa: ARG002
        verify: bool | str = True,  # noqa: ARG002, FBT001, FBT002
        cert: Any = None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        """Hand the request to the application and wrap its answer."""
        parts = urlsplit(request.url or "")
        given = request.headers
        found = ((name, given.get(name)) for name in KEY_HEADERS)
        headers = {name: _text(value) for name, value in found if value is not None}
        body = request.body or b""
        answer = self._app.handle(
            str(request.method),
            str(parts.path),
            str(parts.query),
            headers,
            body.encode() if isinstance(body, str) else bytes(body),
        )
        if answer.delivery in LOSSES:
            raise _loss(answer, request)
        response = requests.Response()
        response.status_code = answer.status
        response.reason = PHRASES[answer.status]
        for name, text in answer.headers.items():
            response.headers[name] = text
        response.encoding = "utf-8"
        response.url = request.url or ""
        response.request = request
        if answer.delivery == "drip":
            response.raw = _dripping(answer, self._app)
            return response
        response._content = answer.body  # noqa: SLF001 - as its reader stores it
        response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    def close(self) -> None:
        """Nothing is held open."""


def _loss(answer: Answer, request: requests.PreparedRequest) -> requests.RequestException:
    """What requests raises for a connection that is not made, breaks, or stays silent."""
    if answer.delivery == "silence":
        return requests.ReadTimeout("the venue stays silent", request=request)
    if answer.delivery == "reset":
        cause = urllib3.exceptions.ProtocolError("Connection aborted.", ConnectionResetError())
        return requests.ConnectionError(cause, request=request)
    refused = urllib3.exceptions.NewConnectionError(
        urllib3.connection.HTTPConnection("127.0.0.1"), "connection refused"
    )
    failed = urllib3.exceptions.MaxRetryError(
        urllib3.HTTPConnectionPool("127.0.0.1"), request.url or "", refused
    )
    return requests.ConnectionError(failed, request=request)


def _dripping(answer: Answer, app: VenueApp) -> urllib3.HTTPResponse:
    """A body that comes in pieces while the venue's clock runs on."""
    return urllib3.HTTPResponse(
        _Drip(answer, app),
        headers=answer.headers,
        status=answer.status,
        preload_content=False,
    )


class _Drip(io.BytesIO):
    """Reads a few bytes at a time, whatever is asked for."""

    def __init__(self, answer: Answer, app: VenueApp) -> None:
        super().__init__(answer.body)
        self._piece = max(1, len(answer.body) // DRIPS)
        self._pause_s = answer.delay_s / DRIPS
        self._app = app

    def read(self, _size: int | None = -1, /) -> bytes:
        piece = super().read(self._piece)
        if piece:
            self._app.pass_time(self._pause_s)
        return piece

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(size)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
