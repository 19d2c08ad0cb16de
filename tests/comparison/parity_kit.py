"""A stretch of sessions through the live path on the venue's parity fills, beside the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from livekit.backtest import PortfolioSimulator
from livekit.comparison.parity import TradeDifference, compare_trades
from livekit.config import LiveConfig, Profile
from livekit.model import Candidate, ClosedTrade
from livekit.prices import ParquetPriceSource, demo_earnings_path
from livekit.reports import parse_report
from livekit.reports.writer import write_demo_reports
from livekit.sessions import sessions_between
from livekit.state import StateDB
from livekit.strategy.rules import snap_split_ratio
from livekit.trading.opening import desk_on, open_link
from livekit.trading.registration import register_profile
from livekit.trading.replay import executed_book
from livekit.workbench.daily import run_daily

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
EMA = LiveConfig(fmp_lookback_days=520)
NWL = LiveConfig(
    fmp_lookback_days=520,
    primary_trailing_stop="weekly_nweek_low",
    primary_trailing_period=4,
    shadow_trailing_stop="weekly_ema",
    shadow_trailing_period=10,
)


@dataclass(frozen=True)
class Stretch:
    """Both sides of one stretch, and the exit codes of its days that were not 0."""

    profile: Profile
    live: tuple[ClosedTrade, ...]
    simulated: tuple[ClosedTrade, ...]
    trouble: tuple[str, ...]

    @property
    def differences(self) -> tuple[TradeDifference, ...]:
        return compare_trades(self.live, self.simulated)


def trade_stretch(
    folder: Path,
    config: LiveConfig,
    first: date,
    last: date,
    *,
    prices: Path | None = None,
    earnings: Path | None = None,
) -> Stretch:
    """Trade every session live, then simulate the very reports that were traded."""
    profile = Profile(
        venue="simulated",
        first_session=first,
        prices=prices,
        name="parity",
        outputs=folder,
        trading=config,
    )
    source = ParquetPriceSource(prices)
    with open_link(profile) as link:
        register_profile(profile, link.client, link.clock)
    write_demo_reports(profile.reports_dir, source, earnings or demo_earnings_path(), first, last)
    trouble = []
    with StateDB(profile.state_db) as db, open_link(profile) as link:
        desk = desk_on(profile, link, db)
        for session in sessions_between(first, last):
            report = run_daily(desk, session)
            if report.exit_code:
                trouble.append(f"{session}: {report.trouble}")
        live = executed(db, source, first, last)
    return Stretch(profile, live, simulated(profile, source, first, last), tuple(trouble))


def executed(
    db: StateDB, source: ParquetPriceSource, first: date, last: date
) -> tuple[ClosedTrade, ...]:
    """The executed book's trades; what is still open is marked at the last close."""
    held = [item.ticker for item in db.get_positions()]
    bars = source.daily_bars(held, first, last)
    closes = {ticker: float(known.close[-1]) for ticker, known in bars.items()}
    return tuple(
        ClosedTrade(
            Candidate(one.ticker, one.entry_session, "D", None),
            one.entry_session,
            float(one.entry_price),
            one.shares,
            one.exit_session,
            float(one.exit_price),
            one.exit_reason,
            float(one.profit_usd),
            0.0,
            0,
        )
        for one in executed_book(db, closes, last).trades
    )


def simulated(
    profile: Profile, source: ParquetPriceSource, first: date, last: date
) -> tuple[ClosedTrade, ...]:
    """What the portfolio simulator makes of the very reports that were traded."""
    pages = sorted(profile.reports_dir.glob("*.html"))
    candidates = [item for path in pages for item in parse_report(path).candidates]
    tickers = [item.ticker for item in candidates] or source.tickers[:1]
    history = source.daily_bars(tickers, date(2000, 1, 3), last)
    simulator = PortfolioSimulator(profile.trading, profile.trading.primary_strategy)
    return simulator.run(history, candidates, first=first, last=last).closed


def shared_market(
    folder: Path, first_bar: date, first: date, last: date
) -> tuple[Path, Path, tuple[str, ...]]:
    """The full data up to ``last``, without the tickers that have a spin-off in the stretch.

    The data write a spin-off as a ratio that is no clean split (DD 1.487): the price falls by it,
    no number of shares changes. The simulator treats the value as reinvested in the same share,
    since the shares that were spun off are not in the data; at a broker they would arrive, and our
    own would only be worth less, down to their stop. So a position held over such a session leaves
    the two sides with different books, by rule and not by fault, and the ticker is outside parity
    from ``first`` to ``last``. Before and after it takes part: 14 tickers, one session each but for
    HON with two. RTX (2020-04-03) and MET (2017-08-07) book the value twice, as a ratio and as a
    dividend, which shows in their ``adj_close`` alone.

    Returns:
        Paths of prices and earnings dates, and the tickers left out.
    """
    table = pq.read_table(SHARED / "prices_2014_2021.parquet")
    days = pc.cast(table["session"], "date32")
    table = table.filter(pc.and_(pc.greater_equal(days, first_bar), pc.less_equal(days, last)))
    names = np.array(pc.cast(table["ticker"], "string").to_pylist())
    ratios = table["split_ratio"].to_numpy()
    held = pc.greater(pc.cast(table["session"], "date32"), first).to_numpy() & (ratios != 1.0)
    odd = {
        str(name)
        for name, ratio in zip(names[held], ratios[held], strict=True)
        if np.isnan(snap_split_ratio(float(ratio)))
    }
    prices, earnings = folder / "prices.parquet", folder / "earnings.csv"
    pq.write_table(table.filter(~np.isin(names, sorted(odd))), prices)
    lines = (SHARED / "earnings_dates_2014_2021.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines[1:] if line.split(",")[0] not in odd]
    earnings.write_text("\n".join([lines[0], *kept]) + "\n", encoding="utf-8")
    return prices, earnings, tuple(sorted(odd))
