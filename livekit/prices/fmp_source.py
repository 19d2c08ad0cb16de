"""Daily bars from Financial Modeling Prep (FMP).

Four answers make a ticker's bars, all of one moment:

* ``historical-price-eod/non-split-adjusted``: prices as traded (its fields are called ``adjOpen``
  to ``adjClose`` all the same; ``historical-price-eod/full`` is adjusted for splits already);
* ``historical-price-eod/dividend-adjusted``: adjusted for splits and dividends, for ``adj_close``;
* ``splits``: ``numerator`` new shares for ``denominator`` old ones on ``date``;
* ``dividends``: ``dividend`` in USD as paid (``adjDividend`` is restated after each split).

An answer holds 5,000 rows at most; longer histories are asked for in spans of five years. Live runs
ask for the look-back of `LiveConfig.fmp_lookback_days`, 400 calendar days. The key travels in a
header, never in an address, and not to another host: redirects are not followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import requests

from livekit.broker.parsing import VenueBar
from livekit.clock import Clock
from livekit.config import resolve_api_key
from livekit.errors import CredentialsRefused, KeysMissing, VenueUnavailable
from livekit.model import DailyBars, Split
from livekit.prices.combining import Days, combined

__all__ = ["FMP_KEY", "FmpPriceSource"]

FMP_KEY = "FMP_API_KEY"
BASE_URL = "https://financialmodelingprep.com/stable/"
SPAN = timedelta(days=5 * 365)
TIMEOUT_S = (5.0, 30.0)
ATTEMPTS = 4
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_TEXT = 200

Row = Mapping[str, Any]


class FmpPriceSource:
    """A `livekit.prices.source.PriceSource` over FMP's history.

    The bar of a session that has not closed by ``clock`` is dropped. A ticker is absent when its
    two series do not cover the same sessions or a row cannot be a bar.
    """

    def __init__(self, key: str, clock: Clock, *, session: requests.Session | None = None) -> None:
        self._key = key
        self._clock = clock
        self._session = session or requests.Session()

    @classmethod
    def from_environment(
        cls, clock: Clock, *, session: requests.Session | None = None, folder: Path = Path()
    ) -> FmpPriceSource:
        """With the key of ``FMP_API_KEY``; raises `KeysMissing` when it is nowhere."""
        key = resolve_api_key(FMP_KEY, "fmp", folder=folder)
        if not key:
            raise KeysMissing([FMP_KEY])
        return cls(key, clock, session=session)

    def __repr__(self) -> str:
        return "FmpPriceSource(key hidden)"

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """Bars of ``tickers`` from ``first`` to ``last``, both included, oldest first.

        A ticker without usable bars is absent. Raises `CredentialsRefused` for a key or plan that
        FMP does not accept and `VenueUnavailable` when it does not answer.
        """
        days = Days.between(first, last, self._clock.now())
        found = {ticker: self._bars(ticker, first, last, days) for ticker in dict.fromkeys(tickers)}
        return {ticker: bars for ticker, bars in found.items() if bars is not None}

    def _bars(self, ticker: str, first: date, last: date, days: Days) -> DailyBars | None:
        raw = self._history("non-split-adjusted", ticker, first, last, days)
        if not raw:
            return None
        adjusted = self._history("dividend-adjusted", ticker, first, last, days) or []
        symbol = {"symbol": _symbol(ticker)}
        return combined(
            ticker,
            raw,
            [bar.close for bar in adjusted],
            [bar.session for bar in adjusted],
            _splits(ticker, self._rows("splits", symbol), first, last),
            _dividends(self._rows("dividends", symbol), first, last),
        )

    def _history(
        self, series: str, ticker: str, first: date, last: date, days: Days
    ) -> list[VenueBar] | None:
        """Bars of one series, oldest first; None if a row cannot be a bar."""
        found: dict[date, VenueBar] = {}
        for begin, end in _spans(first, last):
            span = {"symbol": _symbol(ticker), "from": str(begin), "to": str(end)}
            for row in self._rows(f"historical-price-eod/{series}", span):
                bar = _bar(row)
                if bar is None:
                    return None
                if begin <= bar.session <= end:
                    found[bar.session] = bar
        return days.finished([found[session] for session in sorted(found)])

    # ------------------------------------------------------------------------------- requests

    def _rows(self, path: str, parameters: Mapping[str, str]) -> list[Row]:
        what = f"FMP {path} of {parameters['symbol']}"
        answer = self._answer(what, path, parameters)
        try:
            body = answer.json()
        except ValueError as error:
            raise VenueUnavailable(what, "the answer is not JSON") from error
        if isinstance(body, list) and all(isinstance(row, dict) for row in body):
            return body
        told = self._told(answer)
        if "api key" in told.lower():
            raise CredentialsRefused(what)
        raise VenueUnavailable(what, f"the answer is no list of rows: {told}")

    def _answer(self, what: str, path: str, parameters: Mapping[str, str]) -> requests.Response:
        """The answer to a request that may be repeated; what can pass is waited for."""
        cause = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._clock.sleep(_pause_s(attempt, cause))
            try:
                answer = self._session.get(
                    BASE_URL + path,
                    params=dict(parameters),
                    headers={"apikey": self._key},
                    timeout=TIMEOUT_S,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                cause = type(error).__name__  # its text may name what was sent
                continue
            if answer.status_code not in _RETRIED or _is_used_up(answer):
                return self._usable(what, answer)
            cause = f"HTTP {answer.status_code}"
        raise VenueUnavailable(what, f"{cause}, {ATTEMPTS} attempts")

    def _usable(self, what: str, answer: requests.Response) -> requests.Response:
        if answer.status_code in {401, 403}:
            raise CredentialsRefused(what)
        if answer.status_code == 402:
            raise VenueUnavailable(
                what, f"the key's plan does not include it: {self._told(answer)}"
            )
        if answer.status_code != 200:
            raise VenueUnavailable(what, f"HTTP {answer.status_code}: {self._told(answer)}")
        return answer

    def _told(self, answer: requests.Response) -> str:
        """What the answer says, short and without the key, should it be repeated there."""
        return " ".join(answer.text.replace(self._key, "…").split())[:_MOST_TEXT]


def _pause_s(attempt: int, cause: str) -> float:
    """Twice as long each time; a limit by the minute is waited out."""
    if cause == "HTTP 429":
        return LONGEST_PAUSE_S
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (attempt - 1))


def _is_used_up(answer: requests.Response) -> bool:
    """A limit of the key's plan, by the day or altogether: no waiting helps."""
    return answer.status_code == 429 and "upgrade" in answer.text.lower()


def _spans(first: date, last: date) -> Iterator[tuple[date, date]]:
    begin = first
    while begin <= last:
        end = min(last, begin + SPAN)
        yield begin, end
        begin = end + timedelta(days=1)


def _symbol(ticker: str) -> str:
    """FMP writes class shares with a dash: BRK.B is BRK-B."""
    return ticker.replace(".", "-")


# ------------------------------------------------------------------------------------------ rows


def _bar(row: Row) -> VenueBar | None:
    try:
        return VenueBar(
            date.fromisoformat(row["date"]),
            float(row["adjOpen"]),
            float(row["adjHigh"]),
            float(row["adjLow"]),
            float(row["adjClose"]),
            float(row["volume"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _splits(ticker: str, rows: Sequence[Row], first: date, last: date) -> list[Split]:
    found = []
    for row in rows:
        day, new, old = _day(row), _number(row, "numerator"), _number(row, "denominator")
        if day is not None and first <= day <= last and new > 0 and old > 0:
            found.append(Split(ticker, day, new / old))
    return found


def _dividends(rows: Sequence[Row], first: date, last: date) -> dict[date, float]:
    paid: dict[date, float] = {}
    for row in rows:
        day, amount = _day(row), _number(row, "dividend")
        if day is not None and first <= day <= last and amount > 0:
            paid[day] = paid.get(day, 0.0) + amount
    return paid


def _day(row: Row) -> date | None:
    try:
        return date.fromisoformat(row["date"])
    except (KeyError, TypeError, ValueError):
        return None


def _number(row: Row, name: str) -> float:
    try:
        return float(row[name])
    except (KeyError, TypeError, ValueError):
        return 0.0
