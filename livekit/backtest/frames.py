"""Frames in: price and candidate tables are checked once and become frozen values."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from livekit.errors import BadInput
from livekit.model import Candidate, DailyBars, FloatArray
from livekit.sessions import sessions_between

__all__ = ["bars_from_frame", "candidates_from_frame"]

_NUMBERS = (
    "open",
    "high",
    "low",
    "close",
    "adj_close",
    "volume",
    "dividend_usd",
    "split_ratio",
)
_POSITIVE = ("open", "high", "low", "close", "adj_close", "split_ratio")
_GRADES = ("A", "B", "C", "D", "")


def bars_from_frame(prices: pd.DataFrame, *, source: Path | str = "prices") -> dict[str, DailyBars]:
    """Daily bars by ticker, from rows in any order.

    Args:
        prices: columns ``ticker``, ``session``, ``open``, ``high``, ``low``, ``close`` (USD as
            traded), ``adj_close``, ``volume``, ``dividend_usd``, ``split_ratio``.
        source: what an error names the table by.

    Raises:
        BadInput: a column is missing, a value is absent or no price, a day is no exchange session
            or a ticker has two bars on it.
    """
    _require_columns(source, prices, ("ticker", "session", *_NUMBERS))
    codes, tickers = pd.factorize(prices["ticker"], sort=True)
    sessions = _days(source, prices["session"])
    order = np.lexsort((sessions, codes))
    codes, sessions = codes[order], sessions[order]
    numbers = {name: _numbers(source, prices[name])[order] for name in _NUMBERS}
    for problem, bad in _price_problems(codes, sessions, numbers):
        if bad.any():
            row = int(np.argmax(bad))
            name = tickers[codes[row]] if codes[row] >= 0 else "a row without ticker"
            raise BadInput(source, f"{name} on {sessions[row]}: {problem}")
    bounds = np.searchsorted(codes, np.arange(len(tickers) + 1))
    parts = [slice(start, stop) for start, stop in pairwise(bounds)]
    return {
        str(ticker): DailyBars(
            str(ticker), sessions[part], *(numbers[name][part] for name in _NUMBERS)
        )
        for ticker, part in zip(tickers, parts, strict=True)
    }


def _price_problems(
    codes: npt.NDArray[np.int64],
    sessions: npt.NDArray[np.datetime64],
    numbers: dict[str, npt.NDArray[np.float64]],
) -> Iterable[tuple[str, npt.NDArray[np.bool_]]]:
    yield "no ticker", codes < 0
    yield "no session", np.isnat(sessions)
    for name in _NUMBERS:
        yield f"{name} is not a number", ~np.isfinite(numbers[name])
    for name in _POSITIVE:
        yield f"{name} is not above 0", numbers[name] <= 0
    yield "low is above high", numbers["low"] > numbers["high"]
    same = (codes[1:] == codes[:-1]) & (sessions[1:] == sessions[:-1])
    yield "has two bars", np.append(same, False)
    if len(sessions):
        known = sessions_between(sessions.min().item(), sessions.max().item())
        yield "not an exchange session", ~np.isin(sessions, np.array(known, "datetime64[D]"))


def candidates_from_frame(
    candidates: pd.DataFrame, *, source: Path | str = "candidates"
) -> tuple[Candidate, ...]:
    """Candidates in row order.

    Args:
        candidates: columns ``report_date``, ``ticker``, ``score`` (0 to 100 or missing), and
            optionally ``grade`` (A to D or missing), ``gap_size`` (percent), ``price`` (USD) and
            ``company_name``.
        source: what an error names the table by.

    Raises:
        BadInput: a column is missing, or a date, ticker or grade is not one.
    """
    _require_columns(source, candidates, ("report_date", "ticker", "score"))
    days = _days(source, candidates["report_date"])
    if candidates["ticker"].isna().any() or np.isnat(days).any():
        raise BadInput(source, "a row lacks its ticker or its report_date")
    grades = _texts(candidates, "grade")
    unknown = sorted({grade or "" for grade in grades} - set(_GRADES))
    if unknown:
        raise BadInput(source, f"unknown grade {unknown[0]!r}")
    columns = (
        candidates["ticker"].astype(str),
        days.tolist(),
        grades,
        _floats(source, candidates, "score"),
        _floats(source, candidates, "price"),
        _floats(source, candidates, "gap_size"),
        _texts(candidates, "company_name"),
    )
    return tuple(_candidate(*row) for row in zip(*columns, strict=True))


def _candidate(
    ticker: str,
    day: Any,
    grade: str | None,
    *numbers_and_name: Any,
) -> Candidate:
    score, price, gap_size, company_name = numbers_and_name
    return Candidate(
        ticker=ticker,
        report_date=day,
        grade=grade or "",
        score=score,
        price=None if price is None else Decimal(str(price)),
        gap_size=gap_size,
        company_name=company_name,
        grade_source="frame",
    )


def _require_columns(what: Path | str, frame: pd.DataFrame, columns: Iterable[str]) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise BadInput(what, f"the frame lacks the columns {', '.join(missing)}")


def _days(what: Path | str, column: pd.Series) -> npt.NDArray[np.datetime64]:
    if pd.api.types.is_numeric_dtype(column) and len(column):
        raise BadInput(what, f"{column.name} holds numbers and no dates")
    try:
        days: npt.NDArray[np.datetime64] = pd.to_datetime(column).to_numpy("datetime64[D]")
    except (ValueError, TypeError) as error:
        raise BadInput(what, f"{column.name} is not a date ({error})") from error
    return days


def _numbers(what: Path | str, column: pd.Series) -> FloatArray:
    try:
        values: FloatArray = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise BadInput(what, f"{column.name} is not a number ({error})") from error
    return values


def _floats(what: Path | str, frame: pd.DataFrame, name: str) -> list[float | None]:
    if name not in frame.columns:
        return [None] * len(frame)
    values = _numbers(what, frame[name])
    if np.isinf(values).any():
        raise BadInput(what, f"{name} is infinite")
    return [None if np.isnan(value) else float(value) for value in values]


def _texts(frame: pd.DataFrame, name: str) -> list[str | None]:
    if name not in frame.columns:
        return [None] * len(frame)
    return [
        None if missing else str(value)
        for value, missing in zip(frame[name], frame[name].isna(), strict=True)
    ]
