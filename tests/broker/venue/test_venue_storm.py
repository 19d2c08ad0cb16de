"""The hardened client in a storm: whatever strikes, only its own errors come out of it."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest
from venue_kit import BASE_URL, FRIDAY, KEYS, THURSDAY, Venue, ny

from livekit.broker.client import AlpacaClient
from livekit.broker.venue.clock import InProcessClock
from livekit.broker.venue.faults import FaultKind, FaultSchedule
from livekit.broker.venue.transport import VenueTransport
from livekit.errors import LivekitError, OutcomeUnknown


def in_storm(seed: int, chance: float) -> tuple[Venue, AlpacaClient]:
    venue = Venue(fill_model="paper", seed=seed)
    venue.at(THURSDAY, 9, 31)
    venue.app.faults.install(FaultSchedule.random(seed, chance))
    client = AlpacaClient(
        KEYS.api_key,
        KEYS.secret_key,
        BASE_URL,
        transport=VenueTransport(venue.app),
        clock=InProcessClock(venue.app),
    )
    return venue, client


def calls(client: AlpacaClient, number: int):
    """Everything that the client can ask."""
    name = f"s{number}"
    return (
        client.get_account,
        client.get_positions,
        client.get_clock,
        lambda: client.get_calendar(THURSDAY, FRIDAY),
        lambda: client.get_asset("AAA"),
        lambda: client.place_order("AAA", 3, "buy", client_order_id=name),
        lambda: client.place_bracket_order(
            "BBB", 3, stop_price=Decimal(20), client_order_id=f"{name}b"
        ),
        lambda: client.get_order_by_client_id(name),
        lambda: client.list_orders(status="all", after=ny(THURSDAY, 0)),
        lambda: client.get_fills(after=ny(THURSDAY, 0)),
        lambda: client.latest_trades(["AAA", "BBB"]),
        lambda: client.daily_bars(["AAA"], date(2020, 1, 2), THURSDAY, adjustment="raw"),
        lambda: client.splits(["AAA"], THURSDAY, FRIDAY),
    )


@pytest.mark.parametrize("seed", range(4))
def test_only_errors_of_our_own_come_out(seed):
    venue, client = in_storm(seed, 0.02)
    outcomes: Counter[str] = Counter()
    for number in range(25):
        for call in calls(client, number):
            try:
                call()
                outcomes["answered"] += 1
            except LivekitError as error:
                outcomes[type(error).__name__] += 1
    assert outcomes["answered"] > 100
    assert len(venue.app.faults.strikes) > 50


@pytest.mark.parametrize("seed", range(4))
def test_an_unclear_order_is_found_by_its_id_or_is_not_there(seed):
    venue, client = in_storm(seed, 0.02)
    unclear = 0
    for number in range(60):
        try:
            client.place_order("AAA", 1, "buy", client_order_id=f"u{number}")
        except OutcomeUnknown:
            unclear += 1
            taken = f"u{number}" in venue.engine.state.by_client_id
            venue.app.control.inject()  # the storm is over
            venue.app.pass_time(60)
            found = client.get_order_by_client_id(f"u{number}")
            assert (found is not None) is taken
            venue.app.faults.install(FaultSchedule.random(seed, 0.02))
        except LivekitError:
            assert f"u{number}" not in venue.engine.state.by_client_id
    assert unclear > 5
    assert sum(venue.app.faults.counts.values()) > 10


def test_no_fault_leaves_a_request_half_done():
    """Positions are the fills and cash is what they cost, whatever struck."""
    venue, client = in_storm(9, 0.03)
    for number in range(40):
        for call in calls(client, number)[5:8]:
            try:
                call()
            except LivekitError:
                continue
    venue.app.control.inject()
    venue.engine.advance(ny(FRIDAY, 17) + timedelta(days=1))
    fills = client.get_fills()
    for ticker, position in venue.engine.state.positions.items():
        bought = sum(fill.quantity for fill in fills if fill.ticker == ticker)
        assert bought == position.qty
    paid = sum(fill.quantity * fill.price for fill in fills)
    assert venue.engine.state.cash_usd == Decimal(100_000) - paid
    assert set(venue.app.faults.counts) == {kind.value for kind in FaultKind}
