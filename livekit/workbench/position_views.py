"""The executed book's positions with what their charts need, now or as a past phase knew them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from livekit.model import DailyBars, Position, VenueOrder
from livekit.strategy.weekly_bars import aggregate_daily_to_weekly, indicator
from livekit.trading.cover import live_cover
from livekit.trading.desk import Desk
from livekit.trading.holdings import look_back_start, recent_bars
from livekit.trading.venue_look import open_orders
from livekit.workbench.day_tables import Cover
from livekit.workbench.review.past import as_it_was, held_after, known_until
from livekit.workbench.show import PositionView

__all__ = ["indicator_names", "live_views", "past_views"]


def live_views(desk: Desk, session: date) -> list[PositionView]:
    """What is held now, with its cover at the venue."""
    positions = desk.db.get_open_positions()
    bars = _bars(desk, positions, session, max(session, desk.order_session()))
    orders = open_orders(desk) if positions else ()
    return [
        _view(desk, session, item, bars.get(item.ticker), _cover(item, orders))
        for item in positions
    ]


def past_views(desk: Desk, session: date, phase: str) -> list[PositionView]:
    """What was held when the phase had ended, on the prices it knew; cover is in no book."""
    positions = held_after(desk.db, session, phase)
    bars = _bars(desk, positions, session, known_until(session, phase))
    held = ((item, bars.get(item.ticker)) for item in positions)
    return [
        _view(desk, session, item if known is None else as_it_was(item, known), known)
        for item, known in held
    ]


def _bars(
    desk: Desk, positions: Sequence[Position], session: date, last: date
) -> Mapping[str, DailyBars]:
    return recent_bars(desk, [item.ticker for item in positions], session, last)


def _view(
    desk: Desk,
    session: date,
    position: Position,
    bars: DailyBars | None,
    cover: Cover | None = None,
) -> PositionView:
    if bars is None:
        return PositionView(position, None, cover=cover)
    weekly = aggregate_daily_to_weekly(bars, cut_at=look_back_start(desk, session))
    primary, shadow = (
        indicator(weekly, *desk.config.trailing(name))
        for name in (desk.config.primary_strategy, desk.config.shadow_strategy)
    )
    return PositionView(position, bars, weekly, primary, shadow, cover)


def _cover(position: Position, orders: Sequence[VenueOrder]) -> Cover:
    """The live sells at the venue that stand behind a position."""
    live = [item for item in orders if item.ticker == position.ticker and item.is_live_cover]
    stops = [item for item in live if item.stop_price is not None]
    return Cover(
        position.ticker,
        live_cover(position.ticker, live),
        "stop" if stops else "exit" if live else "none",
        stops[0].stop_price if stops else None,
        live[0].order_id if live else "",
    )


def indicator_names(desk: Desk) -> tuple[str, str]:
    """The lines of the primary and the shadow strategy, as ``EMA(10)`` and ``NWL(4)``."""
    config = desk.config
    return _line_name(config.primary_strategy), _line_name(config.shadow_strategy)


def _line_name(strategy: str) -> str:
    prefix, _, period = strategy.partition("_p")
    return f"{prefix.upper()}({period})"
