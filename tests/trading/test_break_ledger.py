"""The break ledger: known differences heal by rule, unknown ones wait for an operator's word."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.errors import BooksDiffer, RecordRefused, UsageError
from livekit.model import Break
from livekit.trading.break_ledger import resolve
from livekit.trading.doctor import diagnose
from livekit.trading.reconciliation import reconcile
from livekit.trading.signal_generator import generate_signals
from tests.trading.faults import dies, planned, posts
from tests.trading.world import World, world

MONDAY, TUESDAY, WEDNESDAY = date(2020, 1, 6), date(2020, 1, 7), date(2020, 1, 8)
AT = datetime(2020, 1, 7, 15, 0, tzinfo=UTC)


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[World]:
    """200 ABC at 50, bought and covered on Monday; it is Tuesday, half an hour before the close."""
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        assert w.trade(MONDAY).exit_code == 0
        w.go_to(TUESDAY, "protect")
        yield w


def sell_by_hand(w: World, *parts: int) -> None:
    """A person takes the stop down and sells in parts."""
    (position,) = w.db.get_open_positions()
    w.desk.client.cancel_order(str(position.stop_order_id))
    w.desk.clock.sleep(1.0)
    for number, shares in enumerate(parts):
        w.desk.client.place_order("ABC", shares, "sell", client_order_id=f"by-hand-{number}")
    w.desk.clock.sleep(5.0)


def buy_by_hand(w: World, ticker: str, shares: int) -> None:
    w.desk.client.place_order(ticker, shares, "buy", client_order_id="by-hand-buy")
    w.desk.clock.sleep(5.0)


def kinds(items: tuple[Break, ...] | list[Break]) -> list[str]:
    return [item.kind for item in items]


# ------------------------------------------------------------------------------- healed by rule


def test_a_complete_manual_sale_closes_the_position_at_the_true_price(holding: World) -> None:
    """200 sold at 50 less 0.5 %: 49.75, so 200 × (49.75 − 50) = −50."""
    sell_by_hand(holding, 200)
    assert holding.trade(TUESDAY, "protect", "reconciliation").exit_code == 0
    (position,) = holding.db.get_positions()
    assert (position.status, position.exit_reason) == ("closed", "manual")
    assert (position.exit_price, position.pnl) == (Decimal("49.75"), Decimal("-50.00"))
    (healed,) = holding.db.get_breaks("manual_sale")
    assert (healed.status, healed.ticker) == ("resolved", "ABC")
    assert healed.resolution == "healed: booked as by-hand-0 from the venue's fills"
    assert diagnose(holding.desk).violations == ()


def test_a_partial_manual_sale_in_two_parts_leaves_the_rest_covered(holding: World) -> None:
    sell_by_hand(holding, 30, 50)
    assert holding.trade(TUESDAY, "protect", "reconciliation").exit_code == 0
    (position,) = holding.db.get_open_positions()
    assert (position.sold_shares, position.shares_now) == (80, 120)  # 30 + 50 of 200
    assert holding.held("ABC") == holding.live_sells("ABC") == 120
    assert len(holding.db.get_breaks("manual_sale")) == 2
    assert diagnose(holding.desk).violations == ()


def test_a_manual_sale_is_found_though_another_fill_of_ours_came_long_after_it(
    tmp_path: Path,
) -> None:
    """DEF's stop fills on Wednesday, a day after the sale: activities since the last look count."""
    bars = {("DEF", WEDNESDAY): (30.0, 30.0, 30.0, 30.0)}
    with world(tmp_path, {"ABC": 50.0, "DEF": 40.0}, bars) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0), ("DEF", 70.0, 40.0))
        w.trade(MONDAY)
        w.go_to(TUESDAY, "protect")
        position = next(item for item in w.db.get_open_positions() if item.ticker == "ABC")
        w.desk.client.cancel_order(str(position.stop_order_id))
        w.desk.clock.sleep(1.0)
        w.desk.client.place_order("ABC", 200, "sell", client_order_id="by-hand")
        assert w.trade(WEDNESDAY).exit_code == 0
        reasons = {item.ticker: item.exit_reason for item in w.db.get_positions("closed")}
        assert reasons == {"ABC": "manual", "DEF": "protective_stop"}


def test_a_stop_that_filled_overnight_is_in_the_ledger_with_its_fill(tmp_path: Path) -> None:
    """ABC opens at 40 on Tuesday, below its stop at 45: sold at 40 less 0.5 % = 39.80."""
    with world(tmp_path, {"ABC": 50.0}, {("ABC", TUESDAY): (40.0, 41.0, 39.0, 40.5)}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        assert w.trade(TUESDAY).exit_code == 0
        (healed,) = w.db.get_breaks("stop_filled")
        assert "sold 200 at 39.8 on 2020-01-07 14:30Z" in healed.facts
        assert healed.resolution == "healed: booked from the venue's fill"
        assert w.trade(WEDNESDAY).exit_code == 0
        assert len(w.db.get_breaks("stop_filled")) == 1


def test_a_stop_that_the_broker_dropped_is_placed_again_and_recorded(holding: World) -> None:
    (position,) = holding.db.get_open_positions()
    holding.desk.client.cancel_order(str(position.stop_order_id))
    assert holding.trade(TUESDAY, "protect", "reconciliation").exit_code == 0
    assert holding.live_sells("ABC") == 200
    (healed,) = holding.db.get_breaks("stop_missing")
    assert "is canceled, 200 of 200 shares left" in healed.facts


def test_an_entry_of_a_crashed_run_is_found_adopted_and_recorded(tmp_path: Path) -> None:
    with world(tmp_path, {"ABC": 50.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.phase(MONDAY, "signals")
        w.go_to(MONDAY, "execution")
        taken: list[str] = []

        def silent_after_the_order(method: str, path: str) -> str | None:
            if method == "POST" and path == "/v2/orders":
                taken.append(path)
                return "after"
            return "before" if taken else None

        w.wire.rule = silent_after_the_order
        w.phase(MONDAY, "execution")
        w.wire.rule = lambda method, path: None
        w.trade(MONDAY, "execution", "reconciliation")
        (healed,) = w.db.get_breaks("found_order")
        assert healed.subject == "20200106_ABC_entry_buy"
        assert healed.resolution is not None
        assert healed.resolution.startswith("healed: adopted")


def test_an_entry_that_was_given_up_and_filled_after_all_is_taken_up_with_its_stop(
    tmp_path: Path,
) -> None:
    """The venue showed it too late: our row says denied, the fill says otherwise."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0))
        dies(w, MONDAY, "execution", posts("buy"), "die after")
        w.db.update_order_status(
            "20200106_ABC_entry_buy", "denied", at=w.desk.clock.now(), outcome="denied"
        )
        assert w.trade(TUESDAY).exit_code == 0
        (position,) = w.db.get_open_positions()
        assert (position.entry_date, position.actual_shares) == (MONDAY, 200)
        assert w.held("ABC") == w.live_sells("ABC") == 200
        assert [item.subject for item in w.db.get_breaks("found_order")] == [
            "20200106_ABC_entry_buy"
        ]
        assert diagnose(w.desk).violations == ()


def test_shares_that_only_the_reconciliation_shows_to_be_ours_are_covered_at_once(
    tmp_path: Path,
) -> None:
    """A plain buy that was given up has filled: its shares have no leg, and no row until now."""
    with world(tmp_path, {"ABC": 50.0}) as w:
        planned(w, MONDAY, ("ABC", 80.0, 50.0))
        dies(w, MONDAY, "execution", posts("buy"), "die before")
        w.db.update_order_status(
            "20200106_ABC_entry_buy", "denied", at=w.desk.clock.now(), outcome="denied"
        )
        w.desk.client.place_order("ABC", 200, "buy", client_order_id="20200106_ABC_entry_buy")
        w.go_to(MONDAY, "protect")
        assert reconcile(w.desk, MONDAY) == ()
        assert w.held("ABC") == w.live_sells("ABC") == 200


def test_a_split_is_recorded_with_what_it_did(tmp_path: Path) -> None:
    bars = {("ABC", TUESDAY): (25.0, 25.0, 25.0, 25.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 2.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        w.trade(TUESDAY)
        (healed,) = w.db.get_breaks("split")
        assert healed.facts == (
            "2 for 1 on 2020-01-07: 200 shares become 400, the stop 45 becomes 22.5"
        )


def test_a_split_of_a_day_on_which_nobody_ran_is_followed_by_its_reconciliation(
    tmp_path: Path,
) -> None:
    bars = {("ABC", TUESDAY): (25.0, 25.0, 25.0, 25.0)}
    with world(tmp_path, {"ABC": 50.0}, bars, splits={("ABC", TUESDAY): 2.0}) as w:
        w.report(MONDAY, ("ABC", 80.0, 50.0))
        w.trade(MONDAY)
        evening = w.phase(TUESDAY, "reconciliation")
        assert evening.exit_code == 0, evening.lines
        assert w.db.get_open_positions()[0].shares_now == 400
        assert w.held("ABC") == w.live_sells("ABC") == 400
        assert w.trade(WEDNESDAY).exit_code == 0


def test_cash_for_the_fraction_that_a_reverse_split_leaves_is_taken_into_the_expected_cash(
    tmp_path: Path,
) -> None:
    """10,000 / 48 = 208 shares; 1 for 10 leaves 20.8: 20 shares and 0.8 × 480 = 384 USD."""
    bars = {("ABC", TUESDAY): (480.0, 480.0, 480.0, 480.0)}
    with world(tmp_path, {"ABC": 48.0}, bars, splits={("ABC", TUESDAY): 0.1}) as w:
        w.report(MONDAY, ("ABC", 80.0, 48.0))
        w.trade(MONDAY)
        assert w.trade(TUESDAY).exit_code == 0
        (healed,) = w.db.get_breaks("cash_entry")
        assert healed.facts == "CIL of 384.00 USD"
        assert w.held("ABC") == w.live_sells("ABC") == 20


# ------------------------------------------------------------------------- unknown until resolved


def test_a_manual_purchase_stops_the_run_with_exit_4_and_stays_until_it_is_resolved(
    holding: World,
) -> None:
    """7 DEF at 40 bought by hand: three breaks, one cause. Resolving the fill explains the rest."""
    buy_by_hand(holding, "DEF", 7)
    outcome = holding.phase(TUESDAY, "reconciliation")
    assert outcome.exit_code == 4
    breaks = holding.db.open_breaks()
    assert kinds(breaks) == ["position", "foreign_fill", "cash"]
    assert all(f"break {item.break_id}, open for" in "\n".join(outcome.lines) for item in breaks)
    holding.go_to(WEDNESDAY, "signals")
    with pytest.raises(BooksDiffer, match="belongs to no order of ours"):
        generate_signals(holding.desk, WEDNESDAY)
    fill = breaks[1]
    assert fill.break_id is not None
    change = resolve(holding.desk, fill.break_id, "bought for my own account", "trader")
    assert str(change) == "+7 foreign shares of DEF, -280.00 USD of foreign cash"  # 7 × 40
    assert reconcile(holding.desk, WEDNESDAY) == ()
    settled = holding.db.get_break(fill.break_id)
    assert settled is not None
    assert settled.resolution == f"trader: bought for my own account ({change})"
    assert (settled.detail["who"], settled.detail["cash_usd"]) == ("trader", "-280")
    signals = generate_signals(holding.desk, WEDNESDAY)
    assert signals.exit_code == 0


def test_a_strange_trade_that_leaves_nothing_behind_stays_in_the_ledger(holding: World) -> None:
    """Bought and sold again by hand: the position is gone, the two fills still want a word."""
    buy_by_hand(holding, "DEF", 10)
    holding.desk.client.place_order("DEF", 10, "sell", client_order_id="by-hand-sell")
    holding.desk.clock.sleep(5.0)
    assert holding.phase(TUESDAY, "reconciliation").exit_code == 4
    holding.go_to(WEDNESDAY, "signals")
    found = reconcile(holding.desk, WEDNESDAY)
    assert kinds(found) == ["foreign_fill", "foreign_fill", "cash"]
    for item in found[:2]:
        assert item.break_id is not None
        resolve(holding.desk, item.break_id, "a day trade of mine", "trader")
    assert reconcile(holding.desk, WEDNESDAY) == ()


def test_a_cash_difference_is_not_resolved_before_the_trade_that_may_explain_it(
    holding: World,
) -> None:
    buy_by_hand(holding, "DEF", 7)
    _, fill, cash = reconcile(holding.desk, TUESDAY)
    assert cash.break_id is not None
    with pytest.raises(UsageError, match=f"resolve break {fill.break_id} first"):
        resolve(holding.desk, cash.break_id, "no idea", "trader")


def test_a_resolution_wants_a_reason_a_name_and_an_open_break(holding: World) -> None:
    buy_by_hand(holding, "DEF", 7)
    _, fill, _ = reconcile(holding.desk, TUESDAY)
    assert fill.break_id is not None
    for reason, who in ((" ", "trader"), ("mine", "")):
        with pytest.raises(UsageError, match="wants a reason and a name"):
            resolve(holding.desk, fill.break_id, reason, who)
    resolve(holding.desk, fill.break_id, "mine", "trader")
    with pytest.raises(RecordRefused, match="is not open"):
        resolve(holding.desk, fill.break_id, "mine", "trader")


def test_a_foreign_order_that_is_resolved_is_left_alone(holding: World) -> None:
    holding.venue.engine.halt("DEF")
    holding.desk.client.place_order("DEF", 5, "buy", client_order_id="by-hand")
    (order,) = reconcile(holding.desk, TUESDAY)
    assert (order.kind, order.break_id is not None) == ("foreign_order", True)
    resolve(holding.desk, int(order.break_id or 0), "mine", "trader")
    assert reconcile(holding.desk, TUESDAY) == ()


def test_shares_that_are_gone_without_a_fill_are_written_off_by_an_operators_word(
    holding: World,
) -> None:
    """The broker moves 50 of 200 shares away: 150 stay covered, the loss is booked when they go."""
    (position,) = holding.db.get_open_positions()
    holding.desk.client.cancel_order(str(position.stop_order_id))
    holding.desk.clock.sleep(2.0)
    holding.venue.engine.state.position("ABC").qty -= 50
    outcome = holding.phase(TUESDAY, "protect")
    assert outcome.exit_code == 0
    (gone,) = reconcile(holding.desk, TUESDAY)
    assert gone.facts == "we hold 200, the broker shows 150"
    assert gone.break_id is not None
    change = resolve(holding.desk, gone.break_id, "transferred to another account", "trader")
    assert str(change) == "50 shares of ABC written off"
    assert reconcile(holding.desk, TUESDAY) == ()
    (position,) = holding.db.get_open_positions()
    assert position.shares_now == 150
    assert diagnose(holding.desk).violations == ()


def test_a_position_that_is_wholly_gone_is_closed_at_a_total_loss_by_an_operators_word(
    holding: World,
) -> None:
    """200 bought for 10,000 USD and nothing received: −10,000."""
    (position,) = holding.db.get_open_positions()
    holding.desk.client.cancel_order(str(position.stop_order_id))
    holding.desk.clock.sleep(2.0)
    del holding.venue.engine.state.positions["ABC"]
    (gone,) = reconcile(holding.desk, TUESDAY)
    resolve(holding.desk, int(gone.break_id or 0), "transferred", "trader")
    assert reconcile(holding.desk, TUESDAY) == ()
    (closed,) = holding.db.get_positions()
    assert (closed.status, closed.exit_reason) == ("closed", "written_off")
    assert closed.pnl == Decimal("-10000.00")
    assert diagnose(holding.desk).violations == ()


def test_no_word_settles_shares_without_cover(holding: World) -> None:
    (position,) = holding.db.get_open_positions()
    holding.desk.client.cancel_order(str(position.stop_order_id))
    holding.desk.clock.sleep(1.0)
    holding.wire.rule = lambda method, path: "before" if method == "POST" else None
    found = reconcile(holding.desk, TUESDAY)
    (bare,) = [item for item in found if item.kind == "uncovered"]
    with pytest.raises(UsageError, match="no word covers shares"):
        resolve(holding.desk, int(bare.break_id or 0), "never mind", "trader")


def test_an_order_of_our_form_without_an_intent_switches_the_kill_switch_on(
    holding: World,
) -> None:
    holding.venue.engine.halt("DEF")
    holding.desk.client.place_order("DEF", 5, "buy", client_order_id="20200107_DEF_entry_buy")
    (strange,) = reconcile(holding.desk, TUESDAY)
    assert strange.kind == "order_without_intent"
    assert holding.db.is_kill_switch_on()
    assert [item.kind for item in holding.db.get_alerts()] == ["suspicious_order"]


def test_a_break_whose_difference_is_gone_resolves_itself_and_says_so(holding: World) -> None:
    holding.venue.engine.halt("DEF")
    holding.desk.client.place_order("DEF", 5, "buy", client_order_id="by-hand")
    (order,) = reconcile(holding.desk, TUESDAY)
    holding.desk.client.cancel_order(order.subject)
    holding.desk.clock.sleep(2.0)
    assert reconcile(holding.desk, TUESDAY) == ()
    assert order.break_id is not None
    settled = holding.db.get_break(order.break_id)
    assert settled is not None
    assert settled.resolution == "no longer present"


def test_a_young_order_that_the_venue_does_not_show_yet_is_no_break(holding: World) -> None:
    (position,) = holding.db.get_open_positions()
    holding.desk.client.cancel_order(str(position.stop_order_id))
    holding.desk.clock.sleep(1.0)
    holding.strike(FaultRule(FaultKind.LATE_VISIBILITY, seconds=8.0))
    assert holding.trade(TUESDAY, "protect", "reconciliation").exit_code == 0
    assert holding.live_sells("ABC") == 200
    assert not holding.db.is_kill_switch_on()
