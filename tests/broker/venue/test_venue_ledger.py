"""Cover, computed from the log alone."""

from __future__ import annotations

from datetime import timedelta

from venue_kit import FRIDAY, MONDAY, THURSDAY, Venue, bars_of, holding, ny

from livekit.broker.venue.engine.history import PriceHistory
from livekit.broker.venue.ledger import LedgerEvent, UncoveredInterval, uncovered_intervals


def log_of(venue: Venue) -> list[LedgerEvent]:
    """The engine's log as the file would give it back."""
    names = LedgerEvent.__dataclass_fields__
    return [
        LedgerEvent(**{name: getattr(event, name) for name in names})
        for event in venue.engine.state.events
    ]


def intervals(venue: Venue) -> list[UncoveredInterval]:
    return uncovered_intervals(log_of(venue), venue.engine.now)


def test_an_entry_with_its_stop_is_covered_from_the_first_instant():
    venue = Venue()
    venue.at(THURSDAY, 9)
    venue.buy_with_stop("90")
    venue.at(FRIDAY, 16)
    assert intervals(venue) == []


def test_a_plain_buy_is_uncovered_until_its_stop_is_placed():
    venue = holding(Venue())
    venue.at(THURSDAY, 9, 30, 7)
    venue.stop("90", qty="4")
    venue.at(THURSDAY, 9, 30, 9)
    venue.stop("90", qty="6")
    venue.at(FRIDAY, 16)
    assert intervals(venue) == [
        UncoveredInterval("AAA", ny(THURSDAY, 9, 30), ny(THURSDAY, 9, 30, 9), 9.0, 10, 9.0)
    ]


def test_a_planted_missing_stop_is_reported_with_its_trading_hours():
    venue = Venue()
    venue.at(THURSDAY, 9)
    shown = venue.buy_with_stop("80")
    venue.at(THURSDAY, 15, 59)
    venue.cancel(shown["legs"][0])
    venue.at(FRIDAY, 9, 31)
    (found,) = intervals(venue)
    assert (found.start, found.end) == (ny(THURSDAY, 15, 59), ny(FRIDAY, 9, 31))
    assert found.seconds == 60 + 60  # a minute before the close and one after the open
    assert found.clock_seconds == timedelta(hours=17, minutes=32).total_seconds()


def test_a_live_exit_covers_while_it_waits_for_the_open():
    venue = Venue()
    venue.at(THURSDAY, 9)
    shown = venue.buy_with_stop("80")
    venue.at(FRIDAY, 9, 15)
    venue.cancel(shown["legs"][0])
    venue.sell()
    venue.at(FRIDAY, 12)
    assert intervals(venue) == []


def test_held_and_pending_cancel_never_count():
    venue = holding(Venue(cancel_delay_s=60.0))
    stop = venue.stop("90")
    venue.at(THURSDAY, 10)
    venue.cancel(stop)  # takes effect at 10:01
    venue.at(THURSDAY, 10, 0, 30)
    (found,) = intervals(venue)
    assert (found.start, found.shares) == (ny(THURSDAY, 10), 10)
    partial = Venue(fill_model="paper", seed=7)
    partial.at(THURSDAY, 10)
    while not any(one.seconds for one in intervals(partial)):
        partial.buy_with_stop("90")
        partial.at(THURSDAY, 10, 0, partial.engine.now.second + 2)
    (found,) = intervals(partial)  # the leg slept for the two seconds of a partial fill
    assert found.seconds == 2.0


def test_a_limit_sell_protects_nothing():
    venue = holding(Venue())
    venue.sell(type="limit", limit_price="200", time_in_force="gtc")
    venue.at(THURSDAY, 9, 31)
    assert [one.seconds for one in intervals(venue)] == [60.0]


def test_a_split_is_followed_by_position_and_plain_stop_alike():
    rows = [(100.0,) * 4, (25.0,) * 4, (25.0,) * 4]
    history = PriceHistory({"AAA": bars_of("AAA", rows, ratios=(1.0, 4.0, 1.0))}, "test")
    venue = holding(Venue(history))
    venue.stop("90")
    venue.at(MONDAY, 16)
    assert intervals(venue) == []
    grouped = Venue(history)
    grouped.at(THURSDAY, 9)
    grouped.buy_with_stop("20")  # the leg keeps its ten shares, the position has forty
    grouped.at(FRIDAY, 9, 40)
    (found,) = intervals(grouped)
    assert (found.start, found.seconds, found.shares) == (ny(FRIDAY, 4), 600.0, 30)
