"""What became of a request: one table from foreign errors to ours.

A request is made by `attempt`, which answers with the parsed value or a `Failure`. Reads retry
what may pass (`read`); a write is made once and never repeated here (`write`), because only the
caller knows whether the same client order id may be sent again.

==================================  ====================  =======================
what happened                       read                  write
==================================  ====================  =======================
401, 403 for the keys               CredentialsRefused    CredentialsRefused
429                                 waited for, then      VenueUnavailable: it
                                    VenueUnavailable      was not taken
no connection was made              retried, then         VenueUnavailable: it
                                    VenueUnavailable      never left
other 4xx                           VenueUnavailable      OrderRefused
408, 5xx, 3xx, time-out, reset,     retried, then         OutcomeUnknown
unreadable answer                   VenueUnavailable
==================================  ====================  =======================

Our errors are raised after the foreign one is handled, so that no chained traceback holds the
frames of the HTTP layer, whose local variables are the keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, NoReturn, TypeVar

import requests
import urllib3
from alpaca.common.exceptions import APIError
from tenacity import RetryCallState, Retrying, retry_if_result

from livekit.broker.transport import UnusableAnswer
from livekit.clock import Clock
from livekit.errors import (
    CredentialsRefused,
    HostRefused,
    OrderRefused,
    OutcomeUnknown,
    VenueUnavailable,
)

__all__ = ["Failure", "Outcomes"]

T = TypeVar("T")
Kind = Literal["credentials", "refused", "throttled", "never_left", "unclear"]

MESSAGE_LENGTH = 300
UNCLEAR_ATTEMPTS = 4
THROTTLED_ATTEMPTS = 7  # 1 + 2 + 4 + … + 32 s outlast the one-minute window of the rate limit
LONGEST_WAIT_S = 61.0
AUTHENTICATION_TEXTS = (
    "forbidden",
    "unauthorized",
    "request is not authorized",
    "access key verification failed",
)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request gave no value. ``reset_at_s`` is an epoch second, ``wait_s`` a duration."""

    kind: Kind
    message: str
    status: int | None = None
    code: int | None = None
    reset_at_s: float | None = None
    wait_s: float | None = None

    @property
    def cause(self) -> str:
        """Status, code and message on one line."""
        if self.status is None:
            return self.message
        code = "" if self.code is None else f" code {self.code}"
        return f"HTTP {self.status}{code}: {self.message}"

    @property
    def attempts(self) -> int:
        """How often a read is tried that meets this."""
        if self.kind == "throttled":
            return THROTTLED_ATTEMPTS
        return UNCLEAR_ATTEMPTS if self.kind in ("unclear", "never_left") else 1


class Outcomes:
    """Makes requests and turns what became of them into a value or one of our errors.

    ``secrets`` are blotted out of every message that the venue sends back.
    """

    def __init__(self, clock: Clock, secrets: tuple[str, ...]) -> None:
        self._clock = clock
        self._secrets = secrets

    def __repr__(self) -> str:
        return "Outcomes(secrets=***)"

    def read(
        self,
        what: str,
        call: Callable[[], object],
        parse: Callable[[object], T],
        *,
        patient: bool = True,
    ) -> T:
        """The parsed answer to a read, asked for once only unless ``patient``.

        Raises `CredentialsRefused`, or `VenueUnavailable` when the patience is used up.
        """
        outcome = self._patiently(call, parse) if patient else self._attempt(call, parse)
        if isinstance(outcome, Failure):
            _raise_for_read(what, outcome)
        return outcome

    def look_up(
        self,
        what: str,
        call: Callable[[], object],
        parse: Callable[[object], T],
        *,
        patient: bool = True,
    ) -> T | None:
        """Like `read`, but None when the venue knows no such thing.

        That is a 404 with a code of the venue's own: the 404 of a gateway before it says nothing
        about orders.
        """
        outcome = self._patiently(call, parse) if patient else self._attempt(call, parse)
        if isinstance(outcome, Failure):
            if outcome.status == HTTPStatus.NOT_FOUND and outcome.code is not None:
                return None
            _raise_for_read(what, outcome)
        return outcome

    def write(self, what: str, call: Callable[[], object], parse: Callable[[object], T]) -> T:
        """The parsed answer to a request that changes something, made exactly once.

        Raises `OrderRefused`, `OutcomeUnknown`, `VenueUnavailable` (it was not taken) or
        `CredentialsRefused`.
        """
        outcome = self._attempt(call, parse)
        if isinstance(outcome, Failure):
            _raise_for_write(what, outcome)
        return outcome

    def _patiently(self, call: Callable[[], object], parse: Callable[[object], T]) -> T | Failure:
        outcome = self._attempt(call, parse)
        return self._again(outcome, call, parse) if isinstance(outcome, Failure) else outcome

    def _again(
        self, first: Failure, call: Callable[[], object], parse: Callable[[object], T]
    ) -> T | Failure:
        """Go on from a first attempt that failed, as patiently as its failure deserves."""
        made: list[T | Failure] = [first]
        retrying = Retrying(
            retry=retry_if_result(lambda outcome: isinstance(outcome, Failure)),
            stop=_attempts_are_used_up,
            wait=self._wait_s,
            sleep=self._clock.sleep,
            retry_error_callback=_last_outcome,
        )
        outcome: T | Failure = retrying(lambda: made.pop() if made else self._attempt(call, parse))
        return outcome

    def _attempt(self, call: Callable[[], object], parse: Callable[[object], T]) -> T | Failure:
        try:
            return parse(call())
        except HostRefused:
            raise
        except APIError as error:
            return _failure_of_status(error, self._secrets)
        except requests.RequestException as error:
            return _failure_of_transport(error)
        except (ValueError, RecursionError) as error:
            return Failure("unclear", f"unreadable answer: {_clean(str(error), self._secrets)}")

    def _wait_s(self, state: RetryCallState) -> float:
        failure = _last_outcome(state)
        asked_s = failure.wait_s
        if failure.reset_at_s is not None:
            asked_s = failure.reset_at_s - self._clock.now().timestamp()
        if asked_s is None:
            first_s = 1.0 if failure.kind == "throttled" else 0.5
            asked_s = first_s * 2 ** (state.attempt_number - 1)
        return min(max(asked_s, 0.5), LONGEST_WAIT_S)


def _last_outcome(state: RetryCallState) -> Failure:
    assert state.outcome is not None  # noqa: S101 - tenacity sets it before asking
    failure: Failure = state.outcome.result()
    return failure


def _attempts_are_used_up(state: RetryCallState) -> bool:
    return state.attempt_number >= _last_outcome(state).attempts


def _raise_for_read(what: str, failure: Failure) -> NoReturn:
    if failure.kind == "credentials":
        raise CredentialsRefused(what)
    raise VenueUnavailable(what, failure.cause)


def _raise_for_write(what: str, failure: Failure) -> NoReturn:
    if failure.kind == "credentials":
        raise CredentialsRefused(what)
    if failure.kind == "refused":
        raise OrderRefused(what, failure.status or 0, failure.code, failure.message)
    if failure.kind == "unclear":
        raise OutcomeUnknown(what, failure.cause)
    raise VenueUnavailable(what, failure.cause)


# ------------------------------------------------------------------------------------- the table


def _failure_of_status(error: APIError, secrets: tuple[str, ...]) -> Failure:
    """Judge an answer of 4xx or 5xx by status and text; the code is kept as a hint."""
    status: int = error.status_code
    code, text = _code_and_message(str(error))
    message = _clean(text, secrets)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        headers = error.response.headers
        reset_at_s = _number(headers, "X-RateLimit-Reset")
        return Failure(
            "throttled", message, status, code, reset_at_s, _number(headers, "Retry-After")
        )
    return Failure(_kind_of_status(status, message), message, status, code)


def _kind_of_status(status: int, message: str) -> Kind:
    if status == HTTPStatus.UNAUTHORIZED:
        return "credentials"
    if status == HTTPStatus.FORBIDDEN and message.lower().startswith(AUTHENTICATION_TEXTS):
        return "credentials"
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "unclear"
    return "refused"


def _failure_of_transport(error: requests.RequestException) -> Failure:
    """Say what failed without the error's own text, which holds the address with its query."""
    if isinstance(error, requests.ConnectTimeout) or _is_unconnected(error):
        return Failure("never_left", "no connection could be made")
    texts: dict[type[requests.RequestException], str] = {
        requests.Timeout: "no answer in time",
        requests.exceptions.SSLError: "the certificate or encryption was not accepted",
        requests.ConnectionError: "the connection broke before an answer came",
        requests.JSONDecodeError: "the answer is not JSON",
        requests.exceptions.InvalidJSONError: "the answer is not JSON",
        UnusableAnswer: str(error),
    }
    known = (text for kind, text in texts.items() if isinstance(error, kind))
    return Failure("unclear", next(known, type(error).__name__))


def _is_unconnected(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def _code_and_message(body: str) -> tuple[int | None, str]:
    """Code and message of an error body, which may as well be HTML, empty or anything else."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None, body
    if not isinstance(parsed, dict):
        return None, body
    code = parsed.get("code")
    message = parsed.get("message", body)
    return (code if type(code) is int else None), str(message)


def _clean(text: str, secrets: tuple[str, ...]) -> str:
    """One short printable line without tags and secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = re.sub(r"<[^<>]*>", " ", text[: 20 * MESSAGE_LENGTH])
    text = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return text[:MESSAGE_LENGTH] or "no message"


def _number(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name, "")
    return float(text) if text.isascii() and text.isdigit() else None
