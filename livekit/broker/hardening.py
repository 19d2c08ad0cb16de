"""What is taken away from alpaca-py, and which addresses and keys are let in at all."""

from __future__ import annotations

import re
from typing import TypeVar

from alpaca.common.rest import RESTClient

from livekit.broker.transport import HardenedAdapter
from livekit.config import require_allowed_host
from livekit.errors import HostRefused, KeysMissing

__all__ = ["hardened", "require_origin", "require_usable_keys"]

_KEY = re.compile(r"[!-~]+", re.ASCII)

C = TypeVar("C", bound=RESTClient)


def hardened(client: C, adapter: HardenedAdapter) -> C:
    """Take retries, proxies and free addresses away from an alpaca-py client.

    alpaca-py offers no parameter for any of the three, so its attributes are set.
    """
    client._retry = 0  # noqa: SLF001
    session = client._session  # noqa: SLF001
    session.trust_env = False
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return client


def require_origin(url: str, *, data: bool) -> bool:
    """Whether ``url`` is Alpaca's (else it is loopback); raises `HostRefused` for anything else."""
    require_allowed_host(url, data=data)
    scheme, _, rest = url.partition("://")
    if any(mark in rest for mark in "/?"):
        raise HostRefused(url)
    return scheme == "https"


def require_usable_keys(api_key: str, secret_key: str, *, paper: bool) -> None:
    """Raise `KeysMissing` for keys that are empty, malformed or those of a live account."""
    names = ["api_key", "secret_key"]
    if not api_key or not secret_key:
        raise KeysMissing(names)
    if not _KEY.fullmatch(api_key) or not _KEY.fullmatch(secret_key):
        raise KeysMissing(names, "hold a blank or a control character")
    if paper and api_key.startswith("AK"):
        raise KeysMissing(names, "belong to a live account")
