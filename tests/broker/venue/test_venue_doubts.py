"""What no document confirms is a setting: each switch, and the worst case of them all."""

from __future__ import annotations

from datetime import date

import pytest
from venue_kit import FRIDAY, THURSDAY, Venue, holding, refusal

from livekit.broker.venue.engine.settings import VenueSettings, worst_case
from livekit.broker.venue.session import VenueSpec
from livekit.config import Profile


def test_as_a_setting_an_order_can_be_read_only_some_seconds_later_and_its_fill_at_once():
    seconds = []
    for seed in range(8):
        venue = Venue(visibility_delay_s=3.0, seed=seed)
        venue.at(THURSDAY, 10)
        shown = venue.send(client_order_id="new")
        by_id = ("/orders:by_client_order_id", {"client_order_id": "new"})
        waited = 0
        while waited < 4 and refusal_or_none(venue, *by_id):
            assert venue.position()["qty"] == "10"
            assert venue.raw.get("/orders", {"status": "all"}) == []
            waited += 1
            venue.at(THURSDAY, 10, 0, waited)
        seconds.append(waited)
        assert venue.status(shown) == "filled"
    assert 1 in seconds
    assert max(seconds) == 3  # never longer than the setting


def refusal_or_none(venue: Venue, path: str, query: dict[str, str]) -> bool:
    answer = venue.app.handle(
        "GET",
        f"/v2{path}",
        "&".join(f"{name}={value}" for name, value in query.items()),
        {"apca-api-key-id": "SIMKEY", "apca-api-secret-key": "simulated-secret"},
        b"",
    )
    return answer.status == 404


@pytest.mark.parametrize("reusable", [False, True])
def test_the_id_of_an_expired_order_is_spent_unless_the_switch_is_on(reusable):
    venue = Venue(spent_ids_reusable=reusable)
    venue.at(THURSDAY, 10)
    legs = {"order_class": "oto", "stop_loss": {"stop_price": "50"}, "client_order_id": "once"}
    first = venue.send(type="limit", limit_price="60", **legs)
    venue.at(FRIDAY, 10)
    assert venue.status(first) == "expired"
    if not reusable:
        status, body = refusal(venue.send, **legs)
        assert (status, body["message"]) == (422, "client_order_id must be unique")
        return
    second = venue.send(type="limit", limit_price="60", **legs)
    names = {first["id"], second["id"], first["legs"][0]["id"], second["legs"][0]["id"]}
    assert len(names) == 4
    assert venue.status(second) == "new"
    assert refusal(venue.send, **legs)[0] == 422  # it works, so it is not spent but in use


def test_a_cancelled_id_is_spent_whatever_the_switch():
    venue = Venue(spent_ids_reusable=True)
    venue.at(THURSDAY, 10)
    venue.cancel(venue.send(type="limit", limit_price="60", client_order_id="once"))
    assert refusal(venue.send, client_order_id="once")[0] == 422


@pytest.mark.parametrize("told", [False, True])
def test_a_429_of_the_trading_interface_has_headers_only_by_the_switch(told):
    venue = Venue(requests_a_minute=1, limit_headers_on_429=told)
    keys = {"apca-api-key-id": "SIMKEY", "apca-api-secret-key": "simulated-secret"}
    venue.app.handle("GET", "/v2/account", "", keys, b"")
    answer = venue.app.handle("GET", "/v2/account", "", keys, b"")
    assert answer.status == 429
    assert ("x-ratelimit-reset" in answer.headers) is told


def test_as_a_setting_half_of_the_auction_orders_find_no_counterpart_and_end_expired():
    venue = Venue(poor_auctions=True, auction_rest_ends_as="expired")
    venue.at(THURSDAY, 9)
    orders = [
        venue.send(time_in_force="opg", qty="1", client_order_id=f"opg-{number}")
        for number in range(40)
    ]
    venue.at(THURSDAY, 9, 31)
    ends = [venue.status(order) for order in orders]
    assert set(ends) == {"filled", "expired"}
    assert 10 <= ends.count("expired") <= 30
    assert venue.position()["qty"] == str(ends.count("filled"))


@pytest.mark.parametrize(("collared", "status"), [(False, "filled"), (True, "new")])
def test_as_a_setting_a_market_buy_rests_when_the_open_gaps_beyond_its_collar(collared, status):
    """A share of 20 closes at 20; its collar is 20 × 1.04 = 20.80, and it opens at 21."""
    venue = Venue(gapping(), market_buys_are_collared=collared)
    venue.at(THURSDAY, 17)
    order = venue.send(symbol="GAP")
    venue.at(FRIDAY, 9, 31)
    assert venue.status(order) == status
    venue.at(FRIDAY, 11, 50)  # the low of 20.50 has been passed
    assert venue.status(order) == "filled"
    assert venue.fills()[0][3] == ("20.8" if collared else "21")


def gapping():
    from venue_kit import bars_of, week_history

    rows = [(20.0, 20.0, 20.0, 20.0), (21.0, 21.5, 20.5, 21.0), (21.0, 21.0, 21.0, 21.0)]
    return week_history(bars_of("GAP", rows))


def test_as_a_setting_a_woken_stop_is_still_called_held_and_works_all_the_same():
    venue = Venue(activated_leg_status="held")
    venue.at(THURSDAY, 10)
    order = venue.buy_with_stop("98")
    leg = venue.order(order)["legs"][0]
    assert (venue.status(order), leg["status"]) == ("filled", "held")
    assert venue.position()["qty_available"] == "0"
    assert refusal(venue.sell)[0] == 403
    venue.at(THURSDAY, 11, 41)  # the low of 97
    assert venue.status(leg) == "filled"


def test_a_woken_stop_that_is_called_held_can_be_cancelled_and_frees_its_shares():
    venue = Venue(activated_leg_status="held")
    venue.at(THURSDAY, 10)
    leg = venue.order(venue.buy_with_stop("90"))["legs"][0]
    venue.cancel(leg)
    assert venue.status(leg) == "canceled"
    assert venue.position()["qty_available"] == "10"


def test_the_worst_case_is_the_harder_side_of_every_doubt():
    worst = worst_case(VenueSettings())
    assert worst.visibility_delay_s > 0
    assert worst.share_release_delay_s > 0
    assert (worst.poor_auctions, worst.market_buys_are_collared) == (True, True)
    assert worst.cancels_wait_for_open
    assert worst == worst_case(worst)


@pytest.mark.parametrize("model", ["parity", "paper", "rough"])
def test_the_rough_model_goes_with_the_worst_case(model):
    profile = Profile(venue="simulated", first_session=date(2020, 1, 2), fill_model=model)
    settings = VenueSpec.of_profile(profile).settings
    assert (settings == worst_case(settings)) is (model == "rough")


def test_everything_still_adds_up_in_the_worst_case():
    venue = holding(Venue(**vars_of(worst_case(VenueSettings()))))
    stop = venue.stop("90")
    venue.at(THURSDAY, 10)
    venue.cancel(stop)
    assert refusal(venue.sell)[1]["held_for_orders"] == "10"
    venue.at(THURSDAY, 10, 0, 5)
    sold = venue.sell()
    venue.at(THURSDAY, 10, 1)
    assert venue.status(sold) == "filled"


def vars_of(settings: VenueSettings) -> dict[str, object]:
    names = ("visibility_delay_s", "share_release_delay_s", "poor_auctions")
    return {name: getattr(settings, name) for name in names}
