"""Faults: each kind strikes, by its rule, and is logged; halts and corporate actions."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from datetime import timedelta

import pytest
from fault_scenarios import SCENARIOS, Desk
from venue_kit import FRIDAY, KEYS, THURSDAY, Venue, holding, ny, refusal

from livekit.broker.venue.faults import FaultKind, FaultRule, FaultSchedule

K = FaultKind


def table(counts: Counter[str]) -> str:
    return "\n".join(f"{kind:24} {counts[kind]:6d}" for kind in FaultKind)


@pytest.mark.parametrize("kind", FaultKind)
def test_the_client_meets_each_kind_with_its_eyes_open(kind):
    desk = SCENARIOS[kind]()
    assert desk.counts[kind] >= 1
    assert {name for name, times in desk.counts.items() if times} == {kind}


def test_every_kind_of_fault_strikes_in_this_suite(capsys):
    counts: Counter[str] = Counter()
    for scenario in SCENARIOS.values():
        counts.update(scenario().counts)
    with capsys.disabled():
        sys.stdout.write(f"\nfault                    struck\n{table(counts)}\n")
    assert [kind for kind in FaultKind if not counts[kind]] == []


def test_a_504_that_was_taken_makes_unmodified_alpaca_py_meet_its_own_order():
    desk = Desk(K.GATEWAY_TIMEOUT_TAKEN, method="POST")
    desk.venue.raw._retry_wait = 0
    status, body = refusal(desk.venue.send, client_order_id="b1")
    assert (status, body["message"]) == (422, "client_order_id must be unique")
    assert len(desk.venue.engine.state.orders) == 1


# -------------------------------------------------------------------------------------- rules


def struck_requests(venue: Venue) -> list[int]:
    return [strike.request for strike in venue.app.faults.strikes]


def test_the_nth_match_is_struck_and_so_many_times():
    venue = Venue()
    venue.app.control.inject(FaultRule(K.SERVER_ERROR, path="/v2/clock", nth=3, times=2))
    statuses = [venue.app.handle("GET", "/v2/clock", "", headers(), b"").status for _ in range(6)]
    assert statuses == [200, 200, 500, 500, 200, 200]


def headers() -> dict[str, str]:
    return {"apca-api-key-id": KEYS.api_key, "apca-api-secret-key": KEYS.secret_key}


@pytest.mark.parametrize("kind", [K.NOT_JSON, K.ANSWER_LOST, K.SLOW_DRIP])
def test_a_fault_strikes_a_list_that_hides_an_order_as_any_other(kind):
    venue = Venue()
    late, second = FaultRule(K.LATE_VISIBILITY), FaultRule(kind, method="GET", path="/v2/orders")
    venue.app.control.inject(late, second)
    venue.send()
    answer = venue.app.handle("GET", "/v2/orders", "", headers(), b"")
    delivery = {K.NOT_JSON: "whole", K.ANSWER_LOST: "silence", K.SLOW_DRIP: "drip"}[kind]
    assert (answer.status, answer.delivery) == (200, delivery)
    assert venue.app.faults.counts[kind] == 1
    if kind is K.SLOW_DRIP:
        assert answer.body == b"[]"


def test_a_rule_may_ask_for_symbol_and_phase():
    venue = Venue()
    rule = FaultRule(K.SERVER_ERROR, symbol="BBB", phase="regular", times=0)
    venue.app.control.inject(rule)
    assert asked(venue, "AAA,BBB") == 200  # at night
    venue.at(THURSDAY, 10)
    assert asked(venue, "AAA") == 200
    assert asked(venue, "AAA,BBB") == 500


def asked(venue: Venue, symbols: str) -> int:
    path = "/v2/stocks/trades/latest"
    return venue.app.handle("GET", path, f"symbols={symbols}", headers(), b"").status


def test_an_order_in_the_path_counts_with_its_symbol():
    venue = holding(Venue())
    order = venue.stop("90")
    venue.app.control.inject(FaultRule(K.CANCEL_IGNORED, symbol="AAA"))
    venue.cancel(order)
    assert venue.status(order) == "new"


def random_day(seed: int, extra_reads: int) -> list[tuple[str, str]]:
    venue = Venue()
    kinds = (K.SERVER_ERROR, K.RESET_AFTER, K.UNAUTHORIZED)
    venue.app.faults.install(FaultSchedule.random(seed, 0.1, kinds))
    for _ in range(extra_reads):
        venue.app.handle("GET", "/v2/account", "", headers(), b"")
    for number in range(60):
        body = f'{{"symbol": "AAA", "client_order_id": "c{number}"}}'.encode()
        venue.app.handle("POST", "/v2/orders", "", headers(), body)
    return [
        (strike.kind.value, strike.client_order_id or "")
        for strike in venue.app.faults.strikes
        if strike.method == "POST"
    ]


def test_a_random_schedule_is_its_seed_and_no_other_request_moves_it():
    assert random_day(7, 0) == random_day(7, 25)
    assert random_day(7, 0) != random_day(8, 0)
    assert 5 <= len(random_day(7, 0)) <= 35  # 60 orders, about 27 % of them struck


def test_what_struck_is_in_the_log_with_its_seed():
    venue = Venue()
    venue.app.control.inject(FaultRule(K.SERVER_ERROR), seed=42)
    venue.app.handle("GET", "/v2/account", "", headers(), b"")
    (event,) = [event for event in venue.engine.state.events if event.kind == "fault"]
    assert event.message == "fault server_error (seed 42) struck request 1: GET /v2/account"


def test_a_fault_that_finds_nothing_to_strike_waits_for_its_chance():
    venue = Venue()
    venue.app.control.inject(FaultRule(K.TRUNCATED_LIST, keep=1))
    assert venue.raw.get("/orders", {"status": "all"}) == []
    assert not venue.app.faults.strikes


# ------------------------------------------------------------------- halts, splits, new symbols


def test_in_a_halt_a_stop_waits_and_meets_the_price_after_it():
    venue = holding(Venue())
    stop = venue.stop("98")
    venue.app.control.halt("AAA")
    venue.at(FRIDAY, 9)  # Thursday's low of 97 passed by
    assert venue.status(stop) == "new"
    venue.app.control.resume("AAA")
    venue.at(FRIDAY, 16)
    assert venue.status(stop) == "new"
    venue.app.control.halt("AAA")
    venue.engine.advance(ny(FRIDAY, 16) + timedelta(days=3))  # Monday 16:00, open 90
    assert venue.status(stop) == "new"


def test_a_resumed_ticker_trades_at_the_price_of_the_moment():
    venue = holding(Venue())
    venue.app.control.halt("AAA")
    sold = venue.sell()
    venue.at(THURSDAY, 12)  # a third of the session has passed: the path is at its low of 97
    assert venue.status(sold) == "new"
    venue.app.control.resume("AAA")
    assert venue.order(sold)["filled_avg_price"] == "96.515"  # 97 less 0.5 %


def test_a_split_that_is_ordered_changes_shares_prices_and_stops():
    venue = holding(Venue())
    stop = venue.stop("90")
    venue.app.control.split("AAA", "2:1", FRIDAY)
    venue.at(FRIDAY, 9, 30)
    assert venue.position()["qty"] == "20"
    assert venue.last_trade()["p"] == 51.5  # Friday's open of 103, halved
    assert venue.order(stop)["stop_price"] == "45"


def test_a_reverse_split_cancels_plain_gtc_orders():
    venue = holding(Venue())
    stop = venue.stop("90")
    venue.app.control.split("AAA", "1:2", FRIDAY)
    venue.at(FRIDAY, 9, 30)
    assert (venue.position()["qty"], venue.status(stop)) == ("5", "canceled")
    assert venue.last_trade()["p"] == 206.0


def test_a_new_symbol_takes_position_and_orders_along():
    venue = holding(Venue())
    stop = venue.stop("92")
    venue.app.control.rename("AAA", "ZZZ", FRIDAY)
    venue.at(FRIDAY, 10)
    assert venue.position("ZZZ")["qty"] == "10"
    assert venue.order(stop)["symbol"] == "ZZZ"
    venue.engine.advance(ny(FRIDAY, 10) + timedelta(days=3))  # Monday opens at 90
    assert venue.status(stop) == "filled"


def test_as_a_setting_a_halt_suspends_orders_and_its_end_restores_them():
    venue = holding(Venue(halts_suspend_orders=True))
    stop = venue.stop("90")
    venue.app.control.halt("AAA")
    assert venue.status(stop) == "suspended"
    assert refusal(venue.cancel, stop)[0] == 422
    venue.app.control.resume("AAA")
    assert venue.status(stop) == "new"


def test_as_a_setting_gtc_orders_are_done_for_the_day_until_the_morning():
    venue = holding(Venue(gtc_orders_are_done_for_day=True))
    stop = venue.stop("90")
    venue.at(THURSDAY, 16)
    assert venue.status(stop) == "done_for_day"
    venue.at(FRIDAY, 4)
    assert venue.status(stop) == "new"


def test_a_blocked_account_says_so_and_takes_no_order():
    venue = Venue()
    venue.app.control.block()
    assert venue.raw.get("/account")["trading_blocked"] is True
    status, body = refusal(venue.send)
    assert (status, body["message"]) == (403, "account is not authorized to trade")
    venue.app.control.block(blocked=False)
    venue.send()


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL)
