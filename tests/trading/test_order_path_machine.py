"""A state machine over days: reports, lost requests, crashes, the kill switch, lost stops.

After every session that came to its end, whatever struck it on the way: no invariant is broken, the
two files agree, and no share was uncovered in open hours for longer than ten seconds.
"""

import random
import shutil
import tempfile
from collections import Counter
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from livekit.broker.venue.ledger import read_ledger
from livekit.sessions import next_session, sessions_between
from livekit.state import StateDB
from livekit.trading.doctor import diagnose
from livekit.trading.switch import kill, rearm
from livekit.workbench.audit import audit_files
from livekit.workbench.daily import run_daily
from tests.trading.crashing import Crash, desk_of
from tests.trading.world import FIRST, LAST, Lossy, World, world

TICKERS = ("AAA", "BBB", "CCC", "DDD", "EEE")
KINDS = ("before", "after", "504", "crash before", "crash after")
QUIET_RUNS = 4

REACHED: Counter[str] = Counter()


class Striking(Lossy):
    """Strikes the requests of a schedule, each once: the n-th read or the n-th change."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.begin({}, {})

    def begin(self, reads: dict[int, str], changes: dict[int, str]) -> None:
        """Count from one again, on another schedule."""
        self.schedule = {"GET": dict(reads), "change": dict(changes)}
        self.number = {"GET": 0, "change": 0}

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        sort = "GET" if request.method == "GET" else "change"
        self.number[sort] += 1
        kind = self.schedule[sort].pop(self.number[sort], "")
        if kind:
            REACHED[f"{request.method} {kind}"] += 1
        if kind == "crash before":
            raise Crash("before the request")
        if kind == "crash after":
            self.inner.send(request, **options)
            raise Crash("after the request")
        self.rule = lambda method, path: kind or None
        return super().send(request, **options)


def rough_market(seed: int) -> dict[tuple[str, date], tuple[float, float, float, float]]:
    """Random walks with gaps: some open through their stops, some end weeks below their lines."""
    chance = random.Random(seed)
    bars = {}
    for ticker in TICKERS:
        close = 50.0
        for session in sessions_between(FIRST, LAST):
            open_ = round(close * (1 + chance.gauss(0.0, 0.03)), 2)
            close = round(max(5.0, open_ * (1 + chance.gauss(-0.002, 0.03))), 2)
            low = round(min(open_, close) * (1 - abs(chance.gauss(0.0, 0.02))), 2)
            high = round(max(open_, close) * (1 + abs(chance.gauss(0.0, 0.02))), 2)
            bars[ticker, session] = (open_, high, low, close)
    return bars


class Days(RuleBasedStateMachine):
    """One profile from its first session on."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="days-"))

    @initialize(seed=st.integers(0, 10**6), partial=st.booleans())
    def open_account(self, seed: int, partial: bool) -> None:
        self.bars = rough_market(seed)
        self.world: World = self.resources.enter_context(
            world(
                self.folder,
                dict.fromkeys(TICKERS, 50.0),
                self.bars,
                max_positions=3,
                fill_model="paper" if partial else "parity",
                price_conflict_pct=100.0,
            )
        )
        self.wire = Striking(self.world.wire.inner)
        self.session = FIRST
        self.desk = self._desk(self.world.db)

    def _desk(self, db: StateDB) -> Any:
        return desk_of(self.world.profile, self.world.venue, db, self.wire)

    @precondition(lambda self: self.session < LAST)
    @rule(
        picks=st.lists(
            st.tuples(st.sampled_from(TICKERS), st.integers(40, 99)),
            max_size=4,
            unique_by=lambda pick: pick[0],
        ),
        reads=st.dictionaries(st.integers(1, 90), st.sampled_from(KINDS), max_size=1),
        changes=st.dictionaries(st.integers(1, 6), st.sampled_from(KINDS), max_size=2),
    )
    def trade_a_session(
        self, picks: list[tuple[str, int]], reads: dict[int, str], changes: dict[int, str]
    ) -> None:
        stocks = [
            (ticker, float(score), self.bars[ticker, self.session][0]) for ticker, score in picks
        ]
        self.world.report(self.session, *stocks)
        self.wire.begin(reads, changes)
        self._run_until_quiet()
        self.wire.begin({}, {})
        self._check()
        REACHED["sessions"] += 1
        self.session = next_session(self.session)

    def _run_until_quiet(self) -> None:
        for _ in range(QUIET_RUNS):
            try:
                with StateDB(self.world.profile.state_db) as db:
                    report = run_daily(self._desk(db), self.session)
            except Crash:
                continue
            if report.exit_code in (0, 3):
                return
            self.wire.begin({}, {})
        raise AssertionError([item for item in report.phases if item.exit_code])

    @rule(reason=st.sampled_from(["drill", "nerves"]))
    def switch_on(self, reason: str) -> None:
        kill(self.desk, reason, "trader")

    @precondition(lambda self: self.desk.db.is_kill_switch_on())
    @rule()
    def switch_off(self) -> None:
        rearm(self.desk, "over", "trader")

    @rule(choice=st.integers(0, 2))
    def lose_a_stop(self, choice: int) -> None:
        """Somebody cancels a stop at the broker overnight; the next run must place it again."""
        held = self.desk.db.get_open_positions()
        if choice < len(held) and held[choice].stop_order_id is not None:
            order = self.desk.client.get_order(held[choice].stop_order_id)
            if order is not None and order.is_live_cover:
                self.desk.client.cancel_order(order.order_id)
                REACHED["stops lost"] += 1

    def _check(self) -> None:
        assert diagnose(self.desk).violations == ()
        audit = audit_files(self.world.profile.venue_db, self.world.profile.state_db)
        assert audit.differences == ()
        worst = max(
            (item.seconds for item in read_ledger(self.world.profile.venue_db).uncovered),
            default=0.0,
        )
        assert worst <= 10.0

    def teardown(self) -> None:
        self.resources.close()
        shutil.rmtree(self.folder)


FEW = settings(
    max_examples=6,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


def test_any_sequence_of_days_keeps_the_promises() -> None:
    Days.TestCase.settings = FEW
    Days.TestCase().runTest()


@pytest.mark.slow
@pytest.mark.ci
def test_many_sequences_of_days_keep_the_promises() -> None:
    REACHED.clear()
    Days.TestCase.settings = settings(FEW, max_examples=60, stateful_step_count=20)
    Days.TestCase().runTest()
    print(dict(REACHED))
    struck = {kind for name in REACHED for kind in KINDS if name.endswith(kind)}
    assert struck == set(KINDS)
    assert {f"POST {kind}" for kind in KINDS} <= set(REACHED)
    assert {f"DELETE {kind}" for kind in KINDS} & set(REACHED)
    assert REACHED["sessions"] > 100
    assert REACHED["stops lost"] > 0
