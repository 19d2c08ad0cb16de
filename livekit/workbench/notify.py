"""Who is told and how: addresses from the environment, messages by apprise, pings by HTTP.

``LIVEKIT_NOTIFY_URLS`` (or ``APPRISE_URLS``) holds any number of apprise addresses, separated by
blanks or commas; ``LIVEKIT_PING_URL`` (or ``HEALTHCHECKS_URL``) the address of a dead man's switch
of the healthchecks kind. Both are secrets: they are never stored, printed or put into an error.
A target is known by its scheme and a part of its address's hash.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import requests

__all__ = ["Pings", "Target", "apprise_send", "secret_parts", "targets_of"]

TARGET_VARIABLES = ("LIVEKIT_NOTIFY_URLS", "APPRISE_URLS")
PING_VARIABLES = ("LIVEKIT_PING_URL", "HEALTHCHECKS_URL")
PING_TIMEOUT_S = 5.0
LONG_WORD = 16  # characters from which a part of an address counts as a secret without a digit
SHORTEST_PART = 8

Post = Callable[[str, str], int]


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody to be told; ``name`` holds no secret, ``url`` does and stays out of ``repr``."""

    name: str
    url: str

    def __repr__(self) -> str:
        return f"Target({self.name})"


def targets_of(environ: Mapping[str, str] = os.environ) -> tuple[Target, ...]:
    """The targets that the environment names, each once."""
    return tuple(Target(_name(url), url) for url in dict.fromkeys(_addresses(environ)))


def _addresses(environ: Mapping[str, str]) -> list[str]:
    text = next((environ[name] for name in TARGET_VARIABLES if environ.get(name)), "")
    return [part for part in re.split(r"[\s,]+(?=[a-z0-9]+://)", text.strip(" ,\n")) if part]


def _name(url: str) -> str:
    scheme = url.partition("://")[0] if "://" in url else "unknown"
    return f"{scheme}-{hashlib.sha256(url.encode()).hexdigest()[:10]}"


def secret_parts(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Whole addresses, and the parts of them that look like tokens."""
    pings = [environ[name] for name in PING_VARIABLES if environ.get(name)]
    found: list[str] = []
    for url in (*_addresses(environ), *pings):
        parts = urlsplit(url)
        words = [*re.split(r"[:@]", parts.netloc)[:-1], *parts.path.split("/")]
        words += [value for _, value in parse_qsl(parts.query)]
        found += [url, *(word for word in words if _is_token(word))]
    return tuple(dict.fromkeys(found))


def _is_token(word: str) -> bool:
    has_digit = any(letter.isdigit() for letter in word)
    return len(word) >= (SHORTEST_PART if has_digit else LONG_WORD)


def apprise_send(target: Target, title: str, body: str) -> str:
    """Send one message; returns why it failed, empty when it arrived.

    What apprise itself would log is silenced, since it names the address.
    """
    import apprise  # noqa: PLC0415 - half a second that nobody without targets should spend

    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    messenger = apprise.Apprise()
    if not messenger.add(target.url):
        return "apprise does not understand the address"
    sent = messenger.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT)
    return "" if sent else "the target did not take the message"


# ----------------------------------------------------------------------------------------- pings


def _post(url: str, body: str) -> int:
    answer = requests.post(url, data=body.encode(), timeout=PING_TIMEOUT_S, allow_redirects=False)
    return int(answer.status_code)


@dataclass(frozen=True, slots=True)
class Pings:
    """Tells a dead man's switch that a run began and how it ended; without an address, nobody.

    A ping that fails never fails the run: both methods return why it failed, empty when all is
    well.
    """

    url: str
    post: Post = _post

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Pings:
        """The switch that the environment names."""
        return cls(next((environ[name] for name in PING_VARIABLES if environ.get(name)), ""))

    def __repr__(self) -> str:
        return "Pings(on)" if self.url else "Pings(off)"

    def start(self) -> str:
        """A run has begun."""
        return self._ping("/start", "")

    def end(self, exit_code: int, text: str = "") -> str:
        """A run has ended; every exit code but 0 counts as failure there."""
        return self._ping(f"/{exit_code}" if exit_code else "", text)

    def _ping(self, suffix: str, body: str) -> str:
        if not self.url:
            return ""
        try:
            status = self.post(self.url.rstrip("/") + suffix, body)
        except (requests.RequestException, ValueError) as error:
            return f"ping failed: {type(error).__name__}"
        return "" if status < 400 else f"ping failed: HTTP {status}"
