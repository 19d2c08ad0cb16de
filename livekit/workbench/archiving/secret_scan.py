"""Looks for secrets in what is about to be archived, in every form that a log may give them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote, quote_plus

from livekit.errors import SecretExposed

__all__ = ["require_no_secret", "secret_forms"]

SHORTEST_SECRET = 6


def require_no_secret(secrets: Sequence[str], texts: Mapping[str, str]) -> None:
    """Raise `SecretExposed` naming each text in which a secret occurs, never the secret.

    Values shorter than six characters are no secrets: they would be found in any text.
    """
    forms = {
        form
        for secret in secrets
        if len(secret) >= SHORTEST_SECRET
        for form in secret_forms(secret)
    }
    exposed = [name for name, text in texts.items() if any(form in text for form in forms)]
    if exposed:
        raise SecretExposed(exposed)


def secret_forms(secret: str) -> frozenset[str]:
    """The value as it is, reversed, URL-encoded, JSON-escaped, in base64 and in hexadecimal.

    Base64 depends on where in a longer text the value starts, hence three alignments of each
    alphabet, each without the characters that its neighbours would change.
    """
    raw = secret.encode()
    escaped = json.dumps(secret)[1:-1]
    plain = {secret, secret[::-1], quote(secret, safe=""), quote_plus(secret), escaped, raw.hex()}
    encoded = {_aligned(raw, before) for before in range(3)}
    return frozenset(plain | encoded | {text.translate(_URL_SAFE) for text in encoded})


_URL_SAFE = str.maketrans("+/", "-_")


def _aligned(raw: bytes, before: int) -> str:
    text = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
    first = -(-before * 8 // 6)
    last = (before + len(raw)) * 8 // 6
    return text[first:last]
