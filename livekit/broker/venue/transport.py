"""A `requests` adapter that carries requests to a `VenueApp` in process, without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from livekit.broker.venue.api import VenueApp

__all__ = ["VenueTransport"]


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
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        body = request.body or b""
        answer = self._app.handle(
            str(request.method),
            str(parts.path),
            str(parts.query),
            headers,
            body.encode() if isinstance(body, str) else bytes(body),
        )
        response = requests.Response()
        response.status_code = answer.status
        response.reason = HTTPStatus(answer.status).phrase
        response.headers = CaseInsensitiveDict(answer.headers)
        response.encoding = "utf-8"
        response.url = request.url or ""
        response.request = request
        response._content = answer.body  # noqa: SLF001 - as its reader stores it
        response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
        return response

    def close(self) -> None:
        """Nothing is held open."""


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
