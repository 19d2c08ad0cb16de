"""The fault matrix, rows 32 to 40: stops that are gone or doubtful, and books that differ."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.clock import sleep_until
from livekit.errors import OrderRefused
from livekit.model import Position, VenueOrder, VenuePosition
from livekit.sessions import open_instant
from livekit.trading.cover import cover_gaps
from livekit.trading.desk import Desk
from livekit.trading.reconciliation import reconcile
from livekit.workbench.daily import perform_recorded
from tests.trading.faults import (
    MONDAY,
    TUESDAY,
    edited,
    end,
    healed,
    holding,
    inject,
    longest_uncovered_s,
    planned,
    sold,
)
from tests.trading.world import World, world

ABC = ("ABC", 80.0, 50.0)
FALLEN = {("ABC", TUESDAY): (40.0, 40.0, 40.0, 40.0)}  # opens below its stop of 45


@pytest.mark.parametrize("status", ["canceled", "expired"])
def test_row_32_a_stop_that_died_overnight_is_placed_again_at_the_next_run(
    tmp_path: Path, status: str
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        end(w, position.stop_order_id, status)
        assert w.live_sells("ABC") == 0
        assert w.phase(TUESDAY, "signals").exit_code == 0
        assert w.held("ABC") == w.live_sells("ABC") == 200
        (stop,) = w.db.get_orders(intent="stop", working_only=True)
        assert (stop.stop_price, stop.time_in_force) == (Decimal(45), "gtc")
        assert not w.db.is_kill_switch_on()
        healed(w, TUESDAY)


def test_row_32_a_stop_that_cannot_be_placed_again_switches_off_and_alarms(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        end(w, position.stop_order_id, "expired")
        w.go_to(TUESDAY, "signals")
        inject(w, FaultRule(FaultKind.SERVER_ERROR, method="POST", path="/v2/orders", times=0))
        assert w.phase(TUESDAY, "signals").exit_code == 7
        assert w.db.is_kill_switch_on()
        alarms = [item.kind for item in w.db.get_alerts() if item.severity == "critical"]
        assert alarms == ["uncovered"]
        assert w.db.get_plan("ema_p10", TUESDAY) is None


def gapped_without_a_stop(w: World) -> Position:
    """The stop is gone, and a second ago ABC opened at 40, below it."""
    position = holding(w)
    w.desk.client.cancel_order(str(position.stop_order_id))
    sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(seconds=1))
    w.report(TUESDAY)
    return position


def sold_at_the_market(w: World) -> None:
    """Sold at 40 less 0.5 %, within ten seconds of the run's first look, never left naked."""
    assert (w.held("ABC"), w.live_sells("ABC"), sold(w, "ABC")) == (0, 0, 200)
    (closed,) = w.db.get_positions()
    assert (closed.exit_reason, closed.exit_price) == ("protective_stop", Decimal("39.8"))
    assert longest_uncovered_s(w) <= 10.0


def test_row_33_where_no_stop_can_rest_the_shares_are_sold_at_the_market(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}, FALLEN) as w:
        gapped_without_a_stop(w)
        w.trade(TUESDAY)
        sold_at_the_market(w)
        assert w.wire.refused == []


def test_row_33_a_stop_that_the_venue_refuses_becomes_a_sale_at_the_market(tmp_path: Path) -> None:
    """The latest trade that we are shown is yesterday's, so the stop at 45 is tried and refused."""
    with world(tmp_path, {"ABC": 50.0}, FALLEN) as w:
        gapped_without_a_stop(w)

        def yesterday(answer: dict[str, Any]) -> dict[str, Any]:
            trades = {name: trade | {"p": 50.0} for name, trade in answer["trades"].items()}
            return answer | {"trades": trades}

        desk = edited(w, "/v2/stocks/trades/latest", yesterday)
        perform_recorded(desk, "execution", TUESDAY)
        stop, sale = [item for item in w.db.get_orders() if item.trade_date == TUESDAY]
        assert (stop.intent, stop.status) == ("stop", "refused")
        assert (sale.intent, sale.reason) == ("exit", "protective_stop")
        sold_at_the_market(w)


DOUBTFUL = ["suspended", "calculated", "stopped", "never_heard_of"]


def test_row_34_a_stop_in_a_doubtful_status_is_no_cover(tmp_path: Path) -> None:
    at = datetime.fromisoformat("2020-01-07T14:30:00+00:00")
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
    stop = VenueOrder(
        "o1", "c1", "ABC", "sell", "stop", "simple", "gtc", "new", Decimal(200), Decimal(0),
        None, Decimal(45), None, at, at, None,
    )  # fmt: skip
    held = [VenuePosition("ABC", Decimal(200), Decimal(0), Decimal(50), None)]
    assert cover_gaps([position], held, [stop]) == ()
    waiting = ("replaced", "pending_cancel", "pending_replace", "held", "done_for_day")
    for status in (*DOUBTFUL, *waiting):
        (gap,) = cover_gaps([position], held, [replace(stop, status=status)])
        assert gap.missing_shares == 200, status


def told_as(w: World, position: Position, status: str) -> Desk:
    """A desk to which the venue shows the position's stop in that status until it is finished."""

    def one(row: dict[str, Any]) -> dict[str, Any]:
        doubtful = row.get("id") == position.stop_order_id and row["status"] == "new"
        return row | ({"status": status} if doubtful else {})

    def tell(answer: Any) -> Any:
        return [one(row) for row in answer] if isinstance(answer, list) else one(answer)

    return edited(w, "/v2/orders", tell)


@pytest.mark.parametrize("status", ["suspended", "never_heard_of"])
def test_row_34_the_audit_replaces_a_doubtful_stop_and_says_so(tmp_path: Path, status: str) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "protect")
        desk = told_as(w, position, status)
        assert perform_recorded(desk, "protect", TUESDAY).exit_code == 0
        (alert,) = w.db.get_alerts()
        assert (alert.kind, alert.severity) == ("doubtful_stop", "warning")
        assert f"of ABC is {status}" in alert.text
        (stop,) = w.db.get_orders(intent="stop", working_only=True)
        assert (stop.client_order_id, stop.quantity) == ("20200107_ABC_stop_sell", 200)
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert longest_uncovered_s(w) <= 10.0


def test_row_35_the_venue_refuses_a_bracket_without_a_target_and_our_stop_lasts(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        (entry,) = w.bought("ABC")
        assert [(leg.order_type, leg.time_in_force) for leg in entry.legs] == [("stop", "gtc")]
        bracket = {
            "symbol": "ABC", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day",
            "order_class": "bracket", "stop_loss": {"stop_price": "45"},
        }  # fmt: skip
        before = len(w.desk.client.list_orders())
        with pytest.raises(OrderRefused) as refused:
            w.desk.client._outcomes.write(
                "bracket", lambda: w.desk.client._trading.post("/orders", bracket), lambda raw: raw
            )
        assert refused.value.status == 422
        assert "take_profit" in str(refused.value)
        assert len(w.desk.client.list_orders()) == before


def test_row_36_an_order_of_our_form_that_we_never_intended_switches_everything_off(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        w.report(MONDAY, ABC)
        w.go_to(MONDAY, "signals")
        w.desk.client.place_order("DEF", 5, "buy", client_order_id="20200106_DEF_entry_buy")
        sent = len(w.wire.posts())
        assert w.phase(MONDAY, "signals").exit_code == 4
        assert w.db.is_kill_switch_on()
        assert w.phase(MONDAY, "execution").exit_code == 2  # there is no plan
        assert [item.severity for item in w.db.get_alerts()] == ["critical"]
        changes = [method for method, _ in w.wire.sent if method != "GET"]
        assert (len(w.wire.posts()), changes) == (sent, ["POST"])


def test_row_36_an_order_of_our_form_that_comes_after_the_plan_stops_the_execution(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        planned(w, MONDAY, ABC)
        w.desk.client.place_order("DEF", 5, "buy", client_order_id="20200106_DEF_entry_buy")
        assert w.phase(MONDAY, "execution").exit_code == 4
        assert w.db.is_kill_switch_on()
        assert w.phase(MONDAY, "execution").exit_code == 3
        assert len(w.wire.posts()) == 1
        assert w.bought("ABC") == []


@pytest.mark.parametrize("fills", [False, True], ids=["an order", "a position"])
def test_row_37_what_is_foreign_stops_new_orders_but_not_the_care_for_our_stops(
    tmp_path: Path, fills: bool
) -> None:
    """Somebody has bought DEF by hand, at the open or not yet; our own stop is gone too."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0, "GHI": 30.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "signals")
        w.desk.client.place_order("DEF", 5, "buy", client_order_id="by-hand")
        sleep_until(w.desk.clock, open_instant(TUESDAY) + timedelta(minutes=1 if fills else -1))
        w.desk.client.cancel_order(str(position.stop_order_id))
        assert w.held("DEF") == (5 if fills else 0)
        w.report(TUESDAY, ("GHI", 90.0, 30.0))
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 4
        assert ("we hold 0, the broker shows 5" if fills else "by-hand") in outcome.lines[0]
        assert {item.ticker for item in w.db.open_breaks()} >= {"DEF"}
        assert w.db.get_plan("ema_p10", TUESDAY) is None
        assert w.held("ABC") == w.live_sells("ABC") == 200
        w.trade(TUESDAY, "execution")
        assert w.bought("GHI") == []
        assert longest_uncovered_s(w, "ABC") <= 10.0


def test_row_38_a_position_that_is_gone_without_a_fill_is_never_closed_by_guess(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "signals")
        w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(2.0)
        del w.venue.engine.state.positions["ABC"]  # type: ignore[union-attr]
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 4
        assert "we hold 200, the broker shows 0" in outcome.lines[0]
        assert [item.status for item in w.db.get_positions()] == ["open"]
        assert [item.side for item in w.db.get_fills()] == ["buy"]
        assert w.wire.posts() == ["/v2/orders"]  # Monday's buy


def test_row_39_a_count_that_differs_is_refused_and_the_venues_count_is_covered(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        position = holding(w)
        w.go_to(TUESDAY, "signals")
        w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(2.0)
        w.venue.engine.state.position("ABC").qty = 150  # type: ignore[union-attr]
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 4
        assert "we hold 200, the broker shows 150" in outcome.lines[0]
        assert w.live_sells("ABC") == 150


def test_row_40_a_fraction_of_a_share_is_a_break_with_a_proposal_and_no_crash(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        w.go_to(TUESDAY, "signals")
        desk = edited(w, "/v2/positions", lambda rows: [row | {"qty": "200.5"} for row in rows])
        found = reconcile(desk, TUESDAY)
        assert [(item.kind, item.proposal.split(":")[0]) for item in found] == [
            ("position", "a fraction of a share")
        ]


@pytest.mark.parametrize(("shown", "ratio"), [(400, "2"), (20, "0.1")])
def test_row_40_a_split_that_nobody_announced_is_proposed_and_not_applied(
    tmp_path: Path, shown: int, ratio: str
) -> None:
    """Of 200 shares 400 after 2:1, 20 after 1:10: nothing is sent until a person decides."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        holding(w)
        w.go_to(TUESDAY, "signals")
        w.report(TUESDAY, ("DEF", 90.0, 40.0))
        w.venue.engine.state.position("ABC").qty = shown  # type: ignore[union-attr]
        assert w.phase(TUESDAY, "signals").exit_code == 4
        (found,) = w.db.open_breaks()
        assert f"split of {ratio} new shares for one" in found.proposal
        assert w.db.get_open_positions()[0].shares_now == 200
        w.trade(TUESDAY, "execution")
        assert w.bought("DEF") == []


def test_row_40_a_new_name_is_refused_with_a_proposal_and_the_shares_stay_ours(
    tmp_path: Path,
) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        holding(w)
        w.venue.clock.app.control.rename("ABC", "XYZ", TUESDAY)  # type: ignore[attr-defined]
        outcome = w.phase(TUESDAY, "signals")
        assert outcome.exit_code == 4, outcome.lines
        proposals = [item.proposal for item in w.db.open_breaks() if item.ticker == "ABC"]
        assert "looks like a new name of ABC: the same count is held as XYZ" in proposals
        assert [item.status for item in w.db.get_positions()] == ["open"]
