"""New names, mergers, delistings, and what the venue tells of them."""

from __future__ import annotations

import warnings
from datetime import date
from decimal import Decimal

import pytest
from alpaca.data.requests import CorporateActionsRequest
from alpaca.trading.requests import GetAssetsRequest, GetCorporateAnnouncementsRequest
from venue_kit import FRIDAY, MONDAY, THURSDAY, WEDNESDAY, Venue, bars_of, holding, refusal
from venue_kit import week_history as history_with

from livekit.broker.venue.engine.refusals import Refusal
from livekit.broker.venue.ledger import read_ledger

ROWS = [(100.0, 104.0, 97.0, 102.0), (50.0, 52.0, 49.0, 51.0)]


def assets(venue: Venue) -> dict[str, str]:
    rows = venue.trading.get_all_assets(GetAssetsRequest())
    return {row.symbol: row.status.value for row in rows}


def activities(venue: Venue, kind: str) -> list[tuple[str, str, str]]:
    rows = venue.raw.get(f"/account/activities/{kind}", {"direction": "asc"})
    return [(row["symbol"], row["qty"], row["net_amount"]) for row in rows]


def test_a_new_symbol_of_the_same_cusip_keeps_the_asset_id():
    venue = holding(Venue())
    stop = venue.stop("92")
    before = venue.position()["asset_id"]
    venue.app.control.rename("AAA", "ZZZ", FRIDAY)
    venue.at(FRIDAY, 4)
    after = venue.position("ZZZ")
    assert (after["asset_id"], after["qty"]) == (before, "10")
    assert (venue.order(stop)["symbol"], venue.order(stop)["asset_id"]) == ("ZZZ", before)
    assert venue.raw.get(f"/positions/{before}")["symbol"] == "ZZZ"
    assert activities(venue, "NC") == [("AAA", "-10", "0.00"), ("ZZZ", "10", "0.00")]
    assert "AAA" not in assets(venue)
    assert refusal(venue.send)[1]["message"] == 'asset "AAA" not found'


def test_a_new_cusip_is_a_new_asset_and_the_old_one_stays_behind_inactive():
    venue = holding(Venue())
    before = venue.position()["asset_id"]
    venue.app.control.rename("AAA", "ZZZ", FRIDAY, new_asset=True)
    venue.at(FRIDAY, 10)
    assert venue.position("ZZZ")["asset_id"] != before
    assert assets(venue) == {"AAA": "inactive", "BBB": "active", "ZZZ": "active"}
    assert refusal(venue.send)[1]["message"] == 'asset "AAA" is not active'


def test_the_bars_of_the_old_name_are_found_under_the_new_one_from_its_day_on():
    venue = Venue()
    venue.app.control.rename("AAA", "ZZZ", FRIDAY)
    query = {"symbols": "AAA,ZZZ", "timeframe": "1Day", "start": "2020-01-01"}
    venue.at(THURSDAY, 20)
    assert list(venue.data.get("/stocks/bars", query)["bars"]) == ["AAA"]
    venue.at(FRIDAY, 20)
    bars = venue.data.get("/stocks/bars", query)["bars"]
    assert {name: [bar["o"] for bar in rows] for name, rows in bars.items()} == {
        "ZZZ": [100.0, 103.0]
    }


def test_an_order_may_name_its_asset_by_id():
    venue = Venue()
    venue.at(THURSDAY, 10)
    asset_id = venue.raw.get("/assets/BBB")["id"]
    assert venue.send(symbol=asset_id)["symbol"] == "BBB"


def test_a_cash_merger_turns_shares_into_cash_and_ends_the_orders(tmp_path):
    venue = holding(Venue())
    stop, cash = venue.stop("92"), venue.cash
    venue.app.control.merge("AAA", "105.50", FRIDAY)
    venue.at(FRIDAY, 4)
    assert venue.cash - cash == Decimal("1055.00")  # 10 shares at 105.50
    assert venue.raw.get("/positions") == []
    assert venue.status(stop) == "canceled"
    assert activities(venue, "MA") == [("AAA", "-10", "1055.00")]
    assert assets(venue)["AAA"] == "inactive"
    venue.app.save()
    account = venue.raw.get("/account")
    assert account["equity"] == account["cash"]


def test_the_log_alone_gives_the_account_after_a_merger_and_a_new_name(tmp_path):
    from livekit.broker.venue.book import Book

    venue = holding(Venue())
    venue.send(symbol="BBB")
    venue.app.control.merge("AAA", "105.50", FRIDAY)
    venue.app.control.rename("BBB", "CCC", FRIDAY)
    venue.at(FRIDAY, 12)
    with Book(tmp_path / "b.db") as book:
        engine = venue.engine
        book.open_state(engine.settings, engine.market.history, engine.state.created_at)
        book.save(engine.state)
    ledger = read_ledger(tmp_path / "b.db")
    assert ledger.positions_from_log == {"CCC": 10} == ledger.positions
    assert ledger.cash_from_log == ledger.cash


def test_a_delisted_ticker_can_be_neither_bought_nor_sold():
    venue = holding(Venue())
    stop = venue.stop("92")
    venue.app.control.delist("AAA", FRIDAY)
    venue.at(FRIDAY, 10)
    assert venue.status(stop) == "canceled"
    for side in ("buy", "sell"):
        assert refusal(venue.send, side=side)[1]["message"] == 'asset "AAA" is not active'
    asset = venue.trading.get_asset("AAA")
    assert (asset.tradable, asset.status.value) == (False, "inactive")
    position = venue.position()
    assert (position["qty"], position["current_price"]) == ("10", "102")  # Thursday's close
    with pytest.raises(Refusal):
        venue.app.control.split("AAA", "2:1", MONDAY)


@pytest.mark.parametrize("price", ["0", "-1", "1e5", "free", "1.23456"])
def test_a_merger_pays_an_amount(price):
    with pytest.raises(Refusal):
        Venue().app.control.merge("AAA", price, FRIDAY)


def test_new_names_and_mergers_are_announced_with_the_splits():
    venue = Venue()
    venue.app.control.rename("AAA", "ZZZ", MONDAY)
    venue.app.control.merge("BBB", "60", FRIDAY)
    found = venue.actions.get_corporate_actions(
        CorporateActionsRequest(start=THURSDAY, end=WEDNESDAY)
    ).data
    (name,), (merger,) = found["name_changes"], found["cash_mergers"]
    assert (name.old_symbol, name.new_symbol, name.process_date) == ("AAA", "ZZZ", MONDAY)
    assert name.old_cusip == name.new_cusip
    assert (merger.acquiree_symbol, merger.rate, merger.effective_date) == ("BBB", 60.0, FRIDAY)


def test_the_older_announcements_need_types_and_days():
    venue = Venue(history_with(bars_of("CCC", ROWS, ratios=(1.0, 2.0))))
    request = GetCorporateAnnouncementsRequest(
        ca_types=["split"], since=THURSDAY, until=date(2020, 1, 31)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        (split,) = venue.trading.get_corporate_announcements(request)
    assert (split.initiating_symbol, split.ex_date) == ("CCC", FRIDAY)
    assert (split.new_rate, split.old_rate) == (2.0, 1.0)
    path = "/corporate_actions/announcements"
    assert refusal(venue.raw.get, path, {"ca_types": "split"})[0] == 422


def test_as_a_setting_splits_pass_the_account_by():
    venue = holding(
        Venue(history_with(bars_of("CCC", ROWS, ratios=(1.0, 2.0))), splits_apply=False)
    )
    venue.send(symbol="CCC")
    venue.at(FRIDAY, 10)
    assert venue.position("CCC")["qty"] == "10"
