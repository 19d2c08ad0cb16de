"""Ids and chances that depend on what they belong to, never on what came before.

Everything is a hash of (seed, name, number): a repeated or an extra request changes no other
order's id and no other order's luck.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b

__all__ = ["asset_id", "chance", "cusip", "server_id"]


def _digest(size: int, *parts: object) -> bytes:
    return blake2b("\x1f".join(map(str, parts)).encode(), digest_size=size).digest()


def server_id(seed: int, name: str, number: object = 0) -> str:
    """A version-4 UUID for (seed, name, number)."""
    return _uuid(_digest(16, "id", seed, name, number))


@cache
def asset_id(ticker: str) -> str:
    """The asset id of a ticker, the same in every book."""
    return _uuid(_digest(16, "asset", ticker))


@cache
def cusip(ticker: str) -> str:
    """A made-up CUSIP: nine letters and digits."""
    return server_id(0, ticker, "cusip").replace("-", "")[:9].upper()


def _uuid(digest: bytes) -> str:
    """``str(UUID(bytes=digest, version=4))``, which every order needs, in a third of its time."""
    text = digest.hex()
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


def chance(seed: int, name: str, number: object) -> float:
    """A number in [0, 1) for (seed, name, number)."""
    return int.from_bytes(_digest(8, "chance", seed, name, number)) / 2**64
