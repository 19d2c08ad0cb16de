"""Fills that show after their position was closed: they are booked, and nobody waits for them."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from livekit.clock import sleep_until
from livekit.model import VenueFill
from livekit.sessions import close_instant
from livekit.trading.books import book_fills
from livekit.trading.break_ledger import resolve
from livekit.trading.doctor import diagnose
from livekit.trading.lease import take_lease
from livekit.trading.reconciliation import reconcile
from tests.trading.faults import TUESDAY, WEDNESDAY, edited, holding
from tests.trading.quiet_broker import OPEN, Quiet, quiet_desk
from tests.trading.world import world


def a_fill(order_id: str, side: str, shares: int, price: str, second: int) -> VenueFill:
    at = OPEN + timedelta(seconds=second)
    name = f"{order_id}-{second}"
    return VenueFill(
        name,
        order_id,
        "ABC",
        "buy" if side == "buy" else "sell",
        Decimal(shares),
        Decimal(price),
        at,
    )


def bought_and_stopped(q: Quiet, bought: int, stopped: int) -> None:
    """The buy of 200 shows ``bought`` at 50, and a stop has sold ``stopped`` at 45."""
    entry = q.row("ABC", quantity=200, stop_price=Decimal(45))
    leg = q.row(
        "ABC", "stop", quantity=200, parent_client_order_id=entry.client_order_id, reason="leg"
    )
    fills = [a_fill(str(entry.alpaca_order_id), "buy", bought, "50", 0)]
    fills.append(a_fill(str(leg.alpaca_order_id), "sell", stopped, "45", 2))
    assert book_fills(q.desk, fills) == ()


def test_a_buy_that_shows_after_the_stop_sold_all_of_it_is_in_the_result() -> None:
    """100 + 100 at 50 are bought, 200 at 45 sold: 9,000 of 10,000 come back."""
    with quiet_desk() as q:
        bought_and_stopped(q, bought=100, stopped=200)
        book_fills(q.desk, [a_fill("v-ABC-entry", "buy", 100, "50", 1)])
        (position,) = q.db.get_positions()
        assert (position.status, position.shares_now) == ("closed", 0)
        assert (position.actual_shares, position.invested) == (200, Decimal(10_000))
        assert (position.exit_price, position.pnl) == (Decimal(45), Decimal(-1000))


def test_a_buy_that_shows_after_the_known_shares_were_sold_is_a_position_again() -> None:
    """100 of 200 were known and sold; the other 100 are ours, without a stop, and get one."""
    with quiet_desk() as q:
        bought_and_stopped(q, bought=100, stopped=100)
        assert q.db.get_open_positions() == []
        book_fills(q.desk, [a_fill("v-ABC-entry", "buy", 100, "50", 1)])
        (position,) = q.db.get_open_positions()
        assert (position.actual_shares, position.shares_now) == (200, 100)
        assert (position.exit_date, position.pnl) == (None, None)


def test_a_fill_of_shares_that_were_written_off_is_booked_and_the_rest_stays_protected(
    tmp_path: Path,
) -> None:
    """ABC's stop sells on Tuesday; its fill does not show, and a person writes the shares off.

    On Wednesday it shows: 200 × 44.775 were taken for foreign cash and are now counted twice, which
    is a break for a person. DEF's stop, which is gone that morning, is placed anew first.
    """
    bars = {("ABC", TUESDAY): (50.0, 50.0, 40.0, 40.0)}
    with world(tmp_path, {"ABC": 50.0, "DEF": 50.0}, bars) as w:
        holding(w, ("ABC", 80.0, 50.0), ("DEF", 79.0, 50.0))
        assert w.trade(TUESDAY, "signals", "execution").exit_code == 0
        sleep_until(w.desk.clock, close_instant(TUESDAY) + timedelta(minutes=20))

        def hide(rows: Any) -> Any:
            return [row for row in rows if row["side"] == "buy"]

        blind = take_lease(edited(w, "/v2/account/activities/FILL", hide))
        for item in reconcile(blind, TUESDAY):
            resolve(blind, int(item.break_id or 0), "gone", "ann")
        assert reconcile(blind, TUESDAY) == ()
        (left,) = w.db.get_open_positions()
        w.desk.client.cancel_order(str(left.stop_order_id))
        outcome = w.phase(WEDNESDAY, "signals")
        assert w.live_sells("DEF") == 200
        assert outcome.exit_code == 4
        (cash,) = w.db.open_breaks()
        assert (cash.kind, cash.detail["theirs"]) == ("cash", "188955.00")
        closed = next(item for item in w.db.get_positions() if item.ticker == "ABC")
        assert (closed.status, closed.exit_price) == ("closed", Decimal("44.775"))
        assert closed.pnl == Decimal(-1045)
        resolve(w.desk, int(cash.break_id or 0), "it was the stop's", "ann")
        report = w.trade(WEDNESDAY)
        assert report.exit_code == 0, report.trouble
        assert diagnose(w.desk).violations == ()


def test_a_second_sale_of_the_same_shares_is_booked_for_everybody_to_see() -> None:
    """A stop that could not be cancelled sold 200 beside the exit's 200: the account is short."""
    with quiet_desk() as q:
        bought_and_stopped(q, bought=200, stopped=200)
        (position,) = q.db.get_positions()
        second = replace(q.row("ABC", "exit", quantity=200), position_id=position.position_id)
        q.db.link_order(second.client_order_id, int(position.position_id or 0))
        book_fills(q.desk, [a_fill("v-ABC-exit", "sell", 200, "44", 5)])
        assert sum(item.quantity for item in q.db.get_fills() if item.side == "sell") == 400
        (position,) = q.db.get_positions()
        assert position.status == "closed"
        q.broker.positions["ABC"] = -200
        found = {item.invariant for item in diagnose(q.desk).violations}
        assert {"I06 no fill lost", "I07 never short"} <= found
