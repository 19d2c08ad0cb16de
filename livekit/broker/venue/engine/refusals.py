"""A refused request: HTTP status, Alpaca's code, its words, and the extra fields it sends along.

Codes are reused by Alpaca for unrelated causes; the texts are part of the behaviour.
"""

from __future__ import annotations

from livekit.errors import LivekitError

__all__ = ["Refusal", "forbidden", "invalid", "not_found", "unprocessable"]


class Refusal(LivekitError):
    """The answer to a request that changed nothing.

    ``extras`` are decimal strings or names. It never leaves the venue but as an HTTP answer.
    """

    def __init__(
        self, status: int, code: int | None, message: str, **extras: str | list[str]
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.extras = extras


def invalid(message: str, **extras: str | list[str]) -> Refusal:
    """422 with the code for parameters that are wrong in themselves."""
    return Refusal(422, 40010001, message, **extras)


def unprocessable(message: str, **extras: str | list[str]) -> Refusal:
    """422 with the code for parameters that are wrong in the present state of things."""
    return Refusal(422, 42210000, message, **extras)


def forbidden(message: str, **extras: str | list[str]) -> Refusal:
    """403: the account may not do this now."""
    return Refusal(403, 40310000, message, **extras)


def not_found(message: str) -> Refusal:
    """404: no such order, position or symbol."""
    return Refusal(404, 40410000, message)
