"""Mornings: an account with some quiet sessions behind it, made from a number.

A morning is the state after the reconciliation of the session before; many random days start from
the same one, each with a session of its own drawn from its seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from random import Random

from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.history import PriceHistory
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.engine.state import VenueState
from livekit.config import LiveConfig, Profile
from livekit.model import TREND_BREAK, Candidate, DailyBars
from livekit.sessions import (
    EXCHANGE_ZONE,
    exchange_time,
    open_instant,
    previous_session,
    sessions_between,
)
from livekit.trading.books import BASELINE_AT, BASELINE_CASH, BASELINE_POSITIONS
from livekit.trading.desk import Desk
from livekit.trading.phases import SIGNALS
from livekit.trading.plans import canonical_json, sha256_text
from livekit.trading.settlement import REGISTERED_SESSION
from livekit.workbench.daily import run_daily
from livekit.workbench.simulation.books import MemoryBooks, fresh_image
from livekit.workbench.simulation.dates import draw_session
from livekit.workbench.simulation.market import (
    QUIET,
    TICKERS,
    Walk,
    after_split,
    chance_of,
    extended,
    gapped_down,
    history_of,
    random_walk,
)
from livekit.workbench.simulation.stage import Frozen, Stage, Unwatched

__all__ = [
    "ComingSplit",
    "Dawn",
    "Morning",
    "bars_of_the_day",
    "beginning",
    "make_dawn",
    "make_morning",
    "settings_of",
]

HISTORY_SESSIONS = 30
QUIET_SESSIONS = 2
SHARES_USD = 10_000.0
FOREIGN_SHARES = 30
RATIOS = (2.0, 3.0, 1.5, 4.0, 0.5, 0.1, 0.2, 0.25)


@dataclass(frozen=True, slots=True)
class Morning:
    """Where days begin: ``session`` is the one to come, ``bars`` end with the one before.

    ``held`` are the tickers of our positions, ``foreign`` is one of which the account held shares
    before the profile was registered.
    """

    number: int
    session: date
    following: tuple[date, ...]
    profile: Profile
    settings: VenueSettings
    bars: Mapping[str, DailyBars]
    frozen: Frozen
    held: tuple[str, ...]
    foreign: str | None


@dataclass(frozen=True, slots=True)
class ComingSplit:
    """A split: ``ratio`` new shares for one, ``sessions_ahead`` of the session to come (0 or 1)."""

    ticker: str
    ratio: float
    sessions_ahead: int


@dataclass(frozen=True, slots=True)
class Dawn:
    """A morning with what is known before the open of its session.

    ``asleep`` is before the signals run, ``planned`` after it; ``leaving`` is a ticker whose exit
    was decided the day before.
    """

    morning: Morning
    split: ComingSplit | None
    leaving: str | None
    asleep: Frozen
    planned: Frozen


@cache
def _fresh(folder: Path) -> bytes:
    return fresh_image(folder)


def make_morning(number: int, folder: Path, books: MemoryBooks) -> Morning:
    """The morning of that number; the same number gives the same morning."""
    chance = chance_of(f"morning {number}")
    session = draw_session(chance, number)
    around = sessions_between(date(session.year - 1, 1, 1), date(session.year + 1, 2, 1))
    at = around.index(session)
    past, following = around[at - HISTORY_SESSIONS : at], around[at + 1 : at + 4]
    tickers = chance.sample(TICKERS, 6)
    bars = {
        ticker: random_walk(chance, ticker, past, round(chance.uniform(8.0, 400.0), 2), QUIET)
        for ticker in tickers
    }
    first = past[-QUIET_SESSIONS]
    profile = _profile(chance, number, first, folder)
    settings = settings_of(profile)
    history = history_of(bars, f"morning {number}")
    foreign = chance.choice(tickers) if number % 3 == 0 else None
    begun = beginning(profile, folder, first, books, history=history, foreign=foreign)
    stage = Stage(_auto(profile), settings, history, begun, books, Unwatched())
    desk = stage.start()
    for day in past[-QUIET_SESSIONS:]:
        found = random_candidates(chance, bars, day, chance.randint(1, 3))
        desk.db.save_candidates(day, found, at=desk.clock.now())
        run_daily(desk, day)
    held = tuple(item.ticker for item in desk.db.get_open_positions())
    frozen = stage.freeze()
    return Morning(number, session, following, profile, settings, bars, frozen, held, foreign)


def make_dawn(morning: Morning, number: int, books: MemoryBooks) -> Dawn:
    """The dawn of that number: candidates, perhaps a split and a decided exit, and the plans."""
    chance = chance_of(f"dawn {number}")
    split = _coming_split(chance, morning) if chance.random() < 0.35 else None
    bars = bars_of_the_day(morning, chance, QUIET, split)
    stage = Stage(
        morning.profile,
        morning.settings,
        history_of(bars, f"dawn {number}"),
        morning.frozen,
        books,
        Unwatched(),
    )
    desk = stage.start()
    found = random_candidates(chance, bars, morning.session, chance.randint(0, 4))
    desk.db.save_candidates(morning.session, found, at=desk.clock.now())
    leaving = _decide_an_exit(desk, chance, morning, split) if chance.random() < 0.5 else None
    asleep = stage.freeze()
    run_daily(desk, morning.session, phases=(SIGNALS,))
    return Dawn(morning, split, leaving, asleep, stage.freeze())


def _coming_split(chance: Random, morning: Morning) -> ComingSplit:
    """Mostly of a ticker that is held; of any other it must change nothing."""
    others = sorted(set(morning.bars) - {morning.foreign})
    often = morning.held if morning.held and chance.random() < 0.85 else others
    return ComingSplit(chance.choice(often), chance.choice(RATIOS), chance.choice((0, 0, 1)))


def _decide_an_exit(
    desk: Desk, chance: Random, morning: Morning, split: ComingSplit | None
) -> str | None:
    """Let a position leave, often the one that splits; returns its ticker."""
    held = desk.db.get_open_positions()
    if not held:
        return None
    splits = [item for item in held if split is not None and item.ticker == split.ticker]
    leaving = splits[0] if splits and chance.random() < 0.6 else chance.choice(held)
    assert leaving.position_id is not None  # noqa: S101 - it comes from the database
    desk.db.update_position(
        leaving.position_id,
        pending_reason=TREND_BREAK,
        pending_since=previous_session(morning.session),
    )
    return leaving.ticker


def bars_of_the_day(
    morning: Morning,
    chance: Random,
    walk: Walk,
    split: ComingSplit | None,
    *,
    falls: str | None = None,
) -> dict[str, DailyBars]:
    """The market with the session to come and those that follow, drawn by ``chance``.

    ``falls`` is a ticker that opens far below any stop.
    """
    days = (morning.session, *morning.following)
    drawn = {
        ticker: random_walk(chance, ticker, days, float(past.close[-1]), walk)
        for ticker, past in morning.bars.items()
    }
    if falls is not None:
        drawn[falls] = gapped_down(drawn[falls], morning.session, 0.6)
    if split is not None:
        ex_day = days[split.sessions_ahead]
        drawn[split.ticker] = after_split(drawn[split.ticker], ex_day, split.ratio)
    return {ticker: extended(past, drawn[ticker]) for ticker, past in morning.bars.items()}


def random_candidates(
    chance: Random, bars: Mapping[str, DailyBars], session: date, count: int
) -> tuple[Candidate, ...]:
    """What a report of ``session`` might name, without a price of its own."""
    chosen = chance.sample(sorted(bars), min(count, len(bars)))
    return tuple(
        Candidate(ticker, session, chance.choice("ABC"), float(chance.randint(40, 99)))
        for ticker in chosen
    )


def _profile(chance: Random, number: int, first: date, folder: Path) -> Profile:
    trading = LiveConfig(
        max_positions=chance.randint(2, 4),
        position_size=SHARES_USD,
        fmp_lookback_days=40,
        primary_trailing_period=2,
        shadow_trailing_period=2,
        trailing_transition_weeks=chance.choice((0, 1, 2)),
        daily_entry_limit=chance.choice((None, None, 2)),
        price_conflict_pct=100.0,
        approval=chance.choice(("auto", "auto", "required")),
        rotation=chance.random() < 0.8,
        min_buying_power=1000.0,
    )
    return Profile(
        venue="simulated",
        first_session=first,
        seed=number,
        fill_model=chance.choice(("parity", "paper", "rough")),
        name="simulation",
        outputs=folder,
        trading=trading,
    )


def _auto(profile: Profile) -> Profile:
    """Until the morning everything is approved, so that something is held."""
    return replace(profile, trading=replace(profile.trading, approval="auto"))


def settings_of(profile: Profile) -> VenueSettings:
    """The venue's settings for a profile of the simulation."""
    return VenueSettings(
        seed=profile.seed,
        fill_model=profile.fill_model,
        cash_usd=Decimal(100_000),
        slippage_pct=profile.trading.slippage_pct,
        entry_slippage_pct=profile.trading.entry_slippage_pct,
    )


def beginning(
    profile: Profile,
    folder: Path,
    first: date,
    books: MemoryBooks,
    *,
    history: PriceHistory | None = None,
    foreign: str | None = None,
) -> Frozen:
    """A registered profile without a position; the account holds nothing, or ``foreign`` shares."""
    settings = settings_of(profile)
    at = datetime.combine(first, time(), tzinfo=EXCHANGE_ZONE).astimezone(UTC)
    venue = VenueState(at, settings.cash_usd, settings.cash_usd, at)
    if history is not None and foreign is not None:
        venue = _with_shares(history, settings, foreign, at)
    books.load(_fresh(folder))
    db = books.open()
    body = canonical_json({"profile": profile.name, "seed": profile.seed})
    with db.transaction():
        db.set_kill_switch(False, reason="profile created", who="init", at=at)
        db.set_config(BASELINE_AT, at.isoformat())
        db.set_config(BASELINE_CASH, str(venue.cash_usd))
        db.set_config(BASELINE_POSITIONS, f"{foreign}:{venue.held(foreign)}" if foreign else "")
        db.set_config(REGISTERED_SESSION, first.isoformat())
        db.register(body, sha256_text(body), at)
    return Frozen(books.image(), venue)


def _with_shares(
    history: PriceHistory, settings: VenueSettings, ticker: str, at: datetime
) -> VenueState:
    """An account in which somebody bought shares in the session before ``at``."""
    before = previous_session(exchange_time(at).date())
    engine = Engine.new(history, settings, open_instant(before))
    order = {"symbol": ticker, "qty": str(FOREIGN_SHARES), "side": "buy", "type": "market"}
    engine.submit(order | {"time_in_force": "day", "client_order_id": "somebody-bought"})
    engine.advance(at)
    return engine.state
