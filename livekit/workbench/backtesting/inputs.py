"""What a backtest reads: prices, and candidates from whichever form they come in.

Without any file it is the packaged data. Candidates come as a table of them (CSV or parquet), as
a folder of daily reports, or as a list of earnings filings (``ticker,filing_date``); a filing
becomes a candidate as the demo's reports make it: its earnings session opened at least 2 % up,
scored at the open with the bars before it. That label looks ahead by one session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa

from livekit.backtest.frames import bars_from_frame, candidates_from_frame
from livekit.errors import BadInput, UsageError
from livekit.model import Candidate, DailyBars
from livekit.prices import demo_earnings_path, demo_prices_path
from livekit.reports import parse_report
from livekit.reports.earnings import EarningsSession, earnings_sessions
from livekit.reports.scoring import ScoredStock, score_stock
from livekit.reports.writer import DEMO_GAP_PCT

__all__ = ["BacktestInputs", "candidates_of_filings", "load_inputs"]

REPORT_SUFFIXES = (".html", ".htm")

_LABEL_LOOKS_AHEAD = (
    "Earnings sessions are told from the larger of two opens, so the label looks ahead by one "
    "session."
)
_PACKAGED_BIAS = "Only stocks of the index of spring 2021: returns are flattered."


@dataclass(frozen=True)
class BacktestInputs:
    """Bars and candidates, the files they came from, and what a reader must know of them.

    ``unscored`` counts filings whose gap was large enough but that lack the history for a score.
    """

    bars: Mapping[str, DailyBars]
    candidates: tuple[Candidate, ...]
    files: Mapping[str, Path]
    notes: tuple[str, ...] = ()
    unscored: int = 0


def load_inputs(prices: Path | None = None, candidates: Path | None = None) -> BacktestInputs:
    """Read and check both inputs.

    Args:
        prices: parquet file with the columns of `bars_from_frame`; default: the packaged one.
        candidates: see the module text; default, with packaged prices only: their filings.

    Raises:
        BadInput: a file is absent or its content is not what it should be.
        UsageError: prices of one's own are given without candidates.
    """
    if prices is not None and candidates is None:
        raise UsageError("prices of your own need --candidates as well")
    price_file, candidate_file = prices or demo_prices_path(), candidates or demo_earnings_path()
    bars = bars_from_frame(_read(price_file), source=price_file)
    found, notes, unscored = _candidates(candidate_file, bars)
    if prices is None:
        notes = (*notes, _PACKAGED_BIAS)
    if not found:
        raise BadInput(candidate_file, "holds no candidate")
    files = {"prices": price_file, **_files("candidates", candidate_file)}
    return BacktestInputs(bars, found, files, notes, unscored)


def _files(name: str, path: Path) -> dict[str, Path]:
    if not path.is_dir():
        return {name: path}
    return {f"{name}/{one.name}": one for one in _reports_in(path)}


def _candidates(
    path: Path, bars: Mapping[str, DailyBars]
) -> tuple[tuple[Candidate, ...], tuple[str, ...], int]:
    if path.is_dir():
        return *_reported(path), 0
    frame = _read(path)
    if "filing_date" in frame.columns and "report_date" not in frame.columns:
        labels = earnings_sessions(path, _Loaded(bars))
        found, unscored = candidates_of_filings(labels, bars)
        return found, (_LABEL_LOOKS_AHEAD,), unscored
    return candidates_from_frame(frame, source=path), (), 0


def _read(path: Path) -> pd.DataFrame:
    """A table from CSV (dates and tickers as text, ``NA`` is a ticker) or parquet."""
    if not path.is_file():
        raise BadInput(path, "no such file")
    try:
        if path.suffix.lower() == ".csv":
            text = dict.fromkeys(("ticker", "report_date", "grade", "company_name"), "str")
            return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[""])
        return pd.read_parquet(path)
    except OSError as error:
        raise BadInput(path, f"cannot be read ({error.strerror or error})") from error
    except (pa.ArrowException, ValueError) as error:
        raise BadInput(path, f"is no table that can be read ({error})") from error


def _reports_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in REPORT_SUFFIXES)


def _reported(folder: Path) -> tuple[tuple[Candidate, ...], tuple[str, ...]]:
    """The candidates of all daily reports of a folder, and a note on each that is left out."""
    reports = [parse_report(path) for path in _reports_in(folder)]
    return (
        tuple(
            one for report in reports if report.verdict != "suspect" for one in report.candidates
        ),
        tuple(
            f"The report of {report.report_date} is suspect and left out: {report.suspects[0]}."
            for report in reports
            if report.verdict == "suspect"
        ),
    )


# --------------------------------------------------------------------------------------- filings


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Bars that are read already, as a source."""

    bars: Mapping[str, DailyBars]

    def daily_bars(self, tickers: Sequence[str], first: date, last: date) -> dict[str, DailyBars]:
        """All bars of ``tickers``; a look-back that is cut off would lack what is there."""
        del first, last
        return {ticker: self.bars[ticker] for ticker in tickers if ticker in self.bars}


def candidates_of_filings(
    labels: Iterable[EarningsSession], bars: Mapping[str, DailyBars]
) -> tuple[tuple[Candidate, ...], int]:
    """Candidates of the earnings sessions that gap up at least 2 %, and how many have no score."""
    found: list[Candidate] = []
    unscored = 0
    for label in labels:
        if label.gap_pct < DEMO_GAP_PCT:
            continue
        candidate = _scored(label, bars[label.ticker])
        if candidate is None:
            unscored += 1
        else:
            found.append(candidate)
    return tuple(found), unscored


def _scored(label: EarningsSession, bars: DailyBars) -> Candidate | None:
    opened = float(bars.open[bars.index_of(label.session)])
    scored = score_stock(bars, label.session, opened, company_name=label.ticker)
    if not isinstance(scored, ScoredStock):
        return None
    return Candidate(
        ticker=label.ticker,
        report_date=label.session,
        grade=scored.grade,
        score=scored.score,
        price=scored.price,
        gap_size=round(label.gap_pct, 2),
        company_name=label.ticker,
        grade_source="scored",
    )
