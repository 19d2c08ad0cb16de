"""Where the demo's prices and earnings dates lie inside the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["demo_earnings_path", "demo_prices_path"]

_DATA = Path(__file__).resolve().parent.parent / "data"


def demo_prices_path() -> Path:
    """Daily bars of 200 tickers, 2018-11-26 to 2020-03-31 (parquet)."""
    return _DATA / "demo_prices.parquet"


def demo_earnings_path() -> Path:
    """Earnings filings of the same tickers over the same days (CSV: ticker, filing_date)."""
    return _DATA / "demo_earnings.csv"
