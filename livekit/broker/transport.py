"""The last gate before the network: where a request may go, and how much of an answer is read.

`HardenedAdapter` is mounted under alpaca-py's session for every scheme. alpaca-py itself sets no
timeout, reads a body of any size and treats an empty redirect as success.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from livekit.broker.pacing import Pace
from livekit.config import require_allowed_host
from livekit.errors import HostRefused

__all__ = ["HardenedAdapter", "UnusableAnswer"]

MAX_BODY_BYTES = 64 * 1024 * 1024  # 10,000 bars or 500 orders are well below 4 MB
CHUNK_BYTES = 256 * 1024


class UnusableAnswer(requests.RequestException):
    """An answer arrived that is not worth reading: a redirect, too long, or too slow."""


class HardenedAdapter(BaseAdapter):
    """Carries requests to one origin only, with timeouts, and reads the body within limits.

    Args:
        origin: scheme and host that every request must go to, without a trailing slash.
        data: whether that is the market-data host.
        inner: what really carries the request; a `requests.adapters.HTTPAdapter` by default.
        connect_timeout_s: longest wait for the connection.
        read_timeout_s: longest silence of the server.
        answer_timeout_s: longest time for a whole body, however steadily it drips.
        stopwatch_s: seconds on a monotonic stopwatch. It measures the network's real time, which
            runs on while a simulated clock stands still, and no decision depends on it.
        pace: when a request may leave; without one at once.
    """

    def __init__(
        self,
        origin: str,
        *,
        data: bool,
        inner: BaseAdapter | None = None,
        connect_timeout_s: float = 3.05,
        read_timeout_s: float = 10.0,
        answer_timeout_s: float = 60.0,
        stopwatch_s: Callable[[], float] = time.monotonic,
        pace: Pace | None = None,
    ) -> None:
        super().__init__()
        self._origin = origin
        self._data = data
        self._inner = inner or HTTPAdapter(max_retries=0)
        self._timeouts_s = (connect_timeout_s, read_timeout_s)
        self._answer_timeout_s = answer_timeout_s
        self._stopwatch_s = stopwatch_s
        self._pace = pace
        self.requests_sent = 0
        self.changes_sent = 0

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002, FBT001, FBT002
        timeout: Any = None,  # noqa: ARG002
        verify: bool | str = True,  # noqa: FBT001, FBT002
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> requests.Response:
        """Send one request and read its answer.

        Raises `HostRefused` before anything leaves if the request is not for our origin, and
        `UnusableAnswer` for an answer that is not to be used. No proxy is ever used.
        """
        self._require_origin(request.url or "")
        if self._pace is not None:
            self._pace.take_turn()
        self.requests_sent += 1
        self.changes_sent += request.method != "GET"
        try:
            response = self._inner.send(
                request, stream=True, timeout=self._timeouts_s, verify=verify, cert=cert, proxies={}
            )
        except urllib3.exceptions.HTTPError as error:  # the few that requests passes on
            raise UnusableAnswer("the answer is not HTTP") from error
        if HTTPStatus.MULTIPLE_CHOICES <= response.status_code < HTTPStatus.BAD_REQUEST:
            response.close()
            raise UnusableAnswer(f"HTTP {response.status_code}, a redirect, was not followed")
        if isinstance(response.raw, urllib3.HTTPResponse):
            _preload(response, self._read(response.raw))
        if response.encoding is None:
            response.encoding = "utf-8"  # guessing the encoding of a long body takes seconds
        return response

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _require_origin(self, url: str) -> None:
        require_allowed_host(url, data=self._data)
        if not url.startswith(self._origin + "/"):
            raise HostRefused(url)

    def _read(self, raw: urllib3.HTTPResponse) -> bytes:
        deadline_s = self._stopwatch_s() + self._answer_timeout_s
        body = bytearray()
        try:
            while chunk := raw.read1(CHUNK_BYTES, decode_content=True):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise UnusableAnswer(f"the answer is longer than {MAX_BODY_BYTES} bytes")
                if self._stopwatch_s() > deadline_s:
                    raise UnusableAnswer(f"the answer took over {self._answer_timeout_s:g} s")
        except urllib3.exceptions.HTTPError as error:
            raise UnusableAnswer("the answer was cut off") from error
        finally:
            raw.close()
        return bytes(body)


def _preload(response: requests.Response, body: bytes) -> None:
    """Store ``body`` as `requests.Response.content` would after reading it."""
    response._content = body  # noqa: SLF001
    response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
