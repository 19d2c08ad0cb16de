"""Sells whose stop takes no cancel yet: when they are tried again, and which are not."""

from datetime import timedelta
from decimal import Decimal

from livekit.config import LiveConfig
from livekit.trading.executor import Execution, _poll_exits
from livekit.trading.exits import STOP_IN_FORCE, ExitReport
from livekit.trading.protector import CoverWatch
from tests.trading.quiet_broker import OPEN, Quiet, planned, quiet_desk, venue_order

CONFIG = LiveConfig()
SECOND = timedelta(seconds=1)
TWO_LEAVE = planned(
    config=CONFIG,
    sells=[("ABC", 100, "trend_break", None), ("GHI", 100, "trend_break", None)],
    buys=[("JKL", 1, 50.0, None)],
)


def elapsed_s(q: Quiet) -> float:
    return (q.clock.now() - OPEN).total_seconds()


def hindered(q: Quiet) -> Execution:
    """ABC's stop takes no cancel so far, GHI's position was closed by its stop before."""
    q.hold("ABC")
    q.hold("GHI")
    q.broker.show(venue_order("a"), venue_order("g", "GHI"))
    q.broker.deaf = frozenset({"a"})
    gone = ExitReport("GHI", "closed", "its stop had filled")
    return Execution(q.store(TWO_LEAVE), exits=[ExitReport("ABC", STOP_IN_FORCE), gone])


def test_a_sell_goes_once_when_its_stop_is_gone_and_no_other_is_sent_again() -> None:
    """The cancel takes effect twenty seconds after the open; the sale fills at thirty."""
    with quiet_desk() as q:
        run = hindered(q)

        def hears_at_last(name: str) -> None:
            if elapsed_s(q) >= 20.0:
                q.broker.show(venue_order("a", status="canceled"))
            if elapsed_s(q) >= 30.0:
                (row,) = q.db.get_orders(intent="exit")
                q.at_venue(row, status="filled", filled_quantity=Decimal(100))

        q.broker.before = hears_at_last
        _poll_exits(q.desk, run, CoverWatch(q.desk))
        assert [(item["ticker"], item["quantity"]) for item in q.broker.placed] == [("ABC", 100)]
        assert [(item.ticker, item.state, item.detail) for item in run.exits] == [
            ("GHI", "closed", "its stop had filled"),
            ("ABC", "sent", ""),
        ]
        assert (run.warnings, elapsed_s(q)) == ([], 30.0)


def test_before_the_open_nothing_is_tried_where_no_stop_stays_in_force() -> None:
    with quiet_desk(OPEN - 90 * SECOND) as q:
        run = hindered(q)
        del run.exits[0]
        _poll_exits(q.desk, run, CoverWatch(q.desk))
        assert (q.broker.said, q.clock.naps) == ([], [90.0])


def test_a_stop_that_stays_is_asked_to_go_until_a_minute_before_the_open_and_after_it() -> None:
    """Ten seconds an attempt and five between two: at −90 and −75 s, then from the open on."""
    with quiet_desk(OPEN - 90 * SECOND) as q:
        run = hindered(q)
        del run.exits[1]  # nothing but ABC is to be sold
        asked_at: list[float] = []

        def note(name: str) -> None:
            if name == "cancel a":
                asked_at.append(elapsed_s(q))

        q.broker.before = note
        _poll_exits(q.desk, run, CoverWatch(q.desk))
        assert {at for at in asked_at if -65 < at < 0} == set()
        assert {-90.0, -75.0, 0.0} <= set(asked_at)
        assert (len(run.warnings), q.broker.placed) == (1, [])
