"""Splits in the executed book: the shares held and the stop due move with the ratio.

A position's prices and shares stay on the basis of its entry session; ``split_factor`` says how
many of today's shares stand for one of them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from livekit.errors import CredentialsRefused, VenueUnavailable
from livekit.model import ENTRY, Break, Position, Split
from livekit.sessions import EXCHANGE_ZONE, exchange_time
from livekit.strategy.rules import stop_after_split
from livekit.trading.books import book_new_fills
from livekit.trading.break_ledger import note_healed
from livekit.trading.break_rules import SPLIT
from livekit.trading.desk import Desk
from livekit.trading.orders import flat, sync_orders

__all__ = ["ANNOUNCEMENTS_UNREAD", "apply_splits", "follow_splits"]

APPLIED_THROUGH = "splits_applied_through"
ANNOUNCEMENTS_UNREAD = "announcements_unread"
INSIST_S = 2.0
RETRY_S = 0.5
DAWN = time(4)  # New York: when a venue has moved shares and resting stops to the new basis


def follow_splits(desk: Desk) -> tuple[Split, ...]:
    """Apply what has split up to now, before a fill is booked or a stop is placed.

    A fill of the new shares would close a position that still counts the old ones, and a stop on
    the old basis would lie far from the market. The announcements are read once a day; where they
    cannot be had within two seconds nothing is applied, cover does not wait for them, and an alert
    says so once a day.
    """
    now = exchange_time(desk.clock.now())
    through = now.date() if now.time() >= DAWN else now.date() - timedelta(days=1)
    applied = desk.db.read_config(APPLIED_THROUGH, date.fromisoformat)
    if applied is not None and applied >= through:
        return ()
    while True:
        try:
            return apply_splits(desk, through, patient=False)
        except VenueUnavailable as error:
            waited_s = abs((exchange_time(desk.clock.now()) - now).total_seconds())
            if waited_s >= INSIST_S:
                _say_unread(desk, error)
                return ()
        desk.clock.sleep(RETRY_S)


def _say_unread(desk: Desk, error: VenueUnavailable) -> None:
    now = desk.clock.now()
    alerts = desk.db.get_alerts(exchange_time(now).date())
    if not any(item.kind == ANNOUNCEMENTS_UNREAD for item in alerts):
        text = f"splits cannot be read, stops stay on the basis that is known: {error}"
        desk.db.add_alert(ANNOUNCEMENTS_UNREAD, text, at=now)


def apply_splits(desk: Desk, session: date, *, patient: bool = True) -> tuple[Split, ...]:
    """Apply the splits of held tickers with an ex-session after the last applied one.

    That of ``session`` itself is asked for again, since an announcement may come late; none is
    applied twice. Fills from before a split are booked first: they count shares of the old basis.
    """
    applied = desk.db.read_config(APPLIED_THROUGH, date.fromisoformat)
    first = session if applied is None else min(applied + timedelta(days=1), session)
    _book_earlier(desk, first)
    positions = {item.ticker: item for item in desk.db.get_open_positions()}
    due: tuple[Split, ...] = ()
    if positions and first <= session:
        shown = _announced(desk, sorted(positions), first, session, patient=patient)
        due = tuple(item for item in shown if _concerns(positions[item.ticker], item))
    for split in sorted(due, key=lambda item: item.ex_session):
        book_new_fills(desk, before=_dawn(split.ex_session))
        _apply_once(desk, split)
    desk.db.set_config(APPLIED_THROUGH, session.isoformat())
    return due


def _announced(
    desk: Desk, tickers: list[str], first: date, last: date, *, patient: bool
) -> tuple[Split, ...]:
    """The announcements; keys without a right to these data may well be good for trading."""
    try:
        return desk.client.splits(tickers, first, last, patient=patient)
    except CredentialsRefused as refusal:
        raise VenueUnavailable("splits", str(refusal)) from refusal


def _dawn(day: date) -> datetime:
    return datetime.combine(day, DAWN, tzinfo=EXCHANGE_ZONE)


def _book_earlier(desk: Desk, first: date) -> None:
    """Book what a run that crashed has bought before ``first``, so that it splits with the rest."""
    if desk.db.get_orders(intent=ENTRY, working_only=True):
        sync_orders(desk, flat(desk.client.list_orders(status="open")))
    book_new_fills(desk, before=_dawn(first))


def _apply_once(desk: Desk, split: Split) -> None:
    """Apply a split to the position that is left, unless a run that crashed has applied it."""
    position = next(
        (item for item in desk.db.get_open_positions() if item.ticker == split.ticker), None
    )
    done = any(
        (item.ticker, item.subject) == (split.ticker, split.ex_session.isoformat())
        for item in desk.db.get_breaks(SPLIT)
    )
    if position is not None and not done:
        with desk.db.transaction():
            _apply(desk, position, split)


def _concerns(position: Position, split: Split) -> bool:
    return position.entry_date < split.ex_session


def _apply(desk: Desk, position: Position, split: Split) -> None:
    if position.position_id is None:
        return
    stop = Decimal(repr(stop_after_split(float(position.stop_price), split.ratio)))
    factor = position.split_factor * split.ratio
    odd = round(position.odd_shares_sold * split.ratio)
    after = replace(position, split_factor=factor, stop_price=stop, odd_shares_sold=odd)
    desk.db.update_position(
        position.position_id, split_factor=factor, stop_price=stop, odd_shares_sold=odd
    )
    facts = (
        f"{split.ratio:g} for 1 on {split.ex_session}: {position.shares_now} shares become "
        f"{after.shares_now}, the stop {position.stop_price} becomes {stop}"
    )
    item = Break(SPLIT, split.ticker, facts, "follow it", subject=split.ex_session.isoformat())
    note_healed(desk, item, "applied from the venue's corporate actions")
