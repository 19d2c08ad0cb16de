"""A schedule of faults is part of the book: a restarted venue goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from venue_kit import KEYS, THURSDAY, ny, week_history

from livekit.broker.venue.api import VenueApp
from livekit.broker.venue.book import Book
from livekit.broker.venue.engine.engine import Engine
from livekit.broker.venue.engine.settings import VenueSettings
from livekit.broker.venue.faults import (
    FaultKind,
    FaultRule,
    FaultSchedule,
    schedule_of,
    schedule_text,
)
from livekit.broker.venue.ledger import read_ledger

HEADERS = {"apca-api-key-id": KEYS.api_key, "apca-api-secret-key": KEYS.secret_key}
TEN: datetime = ny(THURSDAY, 10)
# What a stale read repeats is the one thing that is not in the book.
KINDS = [kind for kind in FaultKind if kind is not FaultKind.STALE_READ]
STORM = FaultSchedule.random(17, 0.15, KINDS)


@contextmanager
def opened(path: Path) -> Iterator[VenueApp]:
    """A process with the book: it begins, and it is gone."""
    chosen, history = VenueSettings(fill_model="paper"), week_history()
    with Book(path) as book:
        yield VenueApp(Engine(history, chosen, book.open_state(chosen, history, TEN)), KEYS, book)


def ask(app: VenueApp, number: int) -> tuple[int, str]:
    """One request of a fixed sequence: an order, the order again by its id, the account …"""
    body = {"symbol": "AAA", "qty": "3", "side": "buy", "type": "market", "time_in_force": "day"}
    calls = (
        ("POST", "/v2/orders", "", json.dumps(body | {"client_order_id": f"o{number}"}).encode()),
        ("GET", "/v2/orders:by_client_order_id", f"client_order_id=o{number - 1}", b""),
        ("GET", "/v2/account", "", b""),
        ("GET", "/v2/clock", "", b""),
    )
    method, path, query, content = calls[number % len(calls)]
    answer = app.handle(method, path, query, HEADERS, content)
    app.pass_time(1.0)
    return answer.status, answer.delivery


@settings(max_examples=8, deadline=None)
@given(ends=st.lists(st.integers(1, 59), max_size=6).map(sorted))
def test_restarts_at_any_request_change_no_fault_and_no_answer(ends, tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")

    def answers(path: Path, pieces: list[range]) -> list[tuple[int, str]]:
        found = []
        for index, piece in enumerate(pieces):
            with opened(path) as app:
                if index == 0:
                    app.faults.install(STORM)
                found += [ask(app, number) for number in piece]
        return found

    edges = [0, *ends, 60]
    pieces = [range(start, stop) for start, stop in pairwise(edges)]
    whole, cut = folder / "one.db", folder / "many.db"
    assert answers(whole, [range(60)]) == answers(cut, pieces)
    struck = [
        [event.message for event in read_ledger(path).events if event.kind == "fault"]
        for path in (whole, cut)
    ]
    assert struck[0] == struck[1] != []
    assert all("(seed 17) struck request" in str(text) for text in struck[0])


def test_counts_and_the_nth_match_go_on_after_a_restart(tmp_path):
    rule = FaultRule(FaultKind.SERVER_ERROR, path="/v2/account", nth=3, times=2)

    def asked(app: VenueApp) -> int:
        return app.handle("GET", "/v2/account", "", HEADERS, b"").status

    statuses = []
    for number in range(6):
        with opened(tmp_path / "b.db") as app:
            if number == 0:
                app.control.inject(rule, seed=5)
            statuses.append(asked(app))
            assert (app.faults.schedule.seed, app.faults.schedule.rules) == (5, (rule,))
    assert statuses == [200, 200, 500, 500, 200, 200]
    with opened(tmp_path / "b.db") as app:
        assert app.faults.counts["server_error"] == 2
        app.control.inject()
        app.save()
    with opened(tmp_path / "b.db") as app:
        assert app.faults.schedule.rules == ()
        assert app.faults.counts["server_error"] == 2  # what struck is remembered


def test_an_order_that_nobody_is_to_see_yet_stays_unseen_after_a_restart(tmp_path):
    def seen(app: VenueApp) -> int:
        path, query = "/v2/orders:by_client_order_id", "client_order_id=o0"
        return app.handle("GET", path, query, HEADERS, b"").status

    with opened(tmp_path / "b.db") as app:
        app.control.inject(FaultRule(FaultKind.LATE_VISIBILITY, seconds=30))
        ask(app, 0)
        assert seen(app) == 404
    with opened(tmp_path / "b.db") as app:
        assert seen(app) == 404
        app.pass_time(30)
        assert seen(app) == 200


def test_a_schedule_is_read_back_as_it_was_written():
    rules = [
        FaultRule(kind, symbol="AAA", phase="open", nth=2, times=0, chance=0.25, keep=7)
        for kind in FaultKind
    ]
    schedule = FaultSchedule(tuple(rules), seed=-3)
    assert schedule_of(schedule_text(schedule)) == schedule
    assert schedule_of("") == FaultSchedule()


def test_without_a_schedule_a_read_writes_nothing(tmp_path):
    with opened(tmp_path / "b.db") as app:
        app.save()
        before = (tmp_path / "b.db-wal").stat().st_size
        for _ in range(5):
            assert app.handle("GET", "/v2/account", "", HEADERS, b"").status == 200
        assert (tmp_path / "b.db-wal").stat().st_size == before
