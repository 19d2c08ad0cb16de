"""Plain examples of what the books hold; every test changes only what it is about."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from livekit.model import Candidate, ClosedTrade, Fill, Holding, Order, Plan, Position

THURSDAY = date(2020, 1, 30)
FRIDAY = date(2020, 1, 31)
MONDAY = date(2020, 2, 3)
BEFORE_OPEN = datetime(2020, 1, 30, 14, 0, tzinfo=UTC)  # 09:00 in New York
AT_OPEN = datetime(2020, 1, 30, 14, 30, tzinfo=UTC)
AFTER_CLOSE = datetime(2020, 1, 30, 21, 5, tzinfo=UTC)

NVDA = Candidate(
    ticker="NVDA",
    report_date=THURSDAY,
    grade="A",
    score=87.5,
    price=Decimal("245.10"),
    gap_size=6.25,
    company_name="NVIDIA Corporation",
)


def candidate(ticker: str = "NVDA", **changes: Any) -> Candidate:
    return replace(NVDA, ticker=ticker, **changes)


def position(ticker: str = "NVDA", **changes: Any) -> Position:
    """40 shares at 245.10: 9,804.00 invested; the stop at 245.10 × 0.9 = 220.59."""
    plain = Position(
        ticker=ticker,
        entry_date=THURSDAY,
        entry_price=Decimal("245.10"),
        target_shares=40,
        actual_shares=40,
        invested=Decimal("9804.00"),
        stop_price=Decimal("220.59"),
        stop_order_id=None,
        candidate=candidate(ticker),
    )
    return replace(plain, **changes)


def order(ticker: str = "NVDA", intent: str = "entry", **changes: Any) -> Order:
    side = "buy" if intent == "entry" else "sell"
    plain = Order(
        client_order_id=f"20200130_{ticker}_{intent}_{side}",
        intent=intent,
        side=side,
        ticker=ticker,
        trade_date=THURSDAY,
        quantity=40,
        order_type="market",
        time_in_force="gtc",
        status="intended",
        reference_price=Decimal("245.10"),
    )
    return replace(plain, **changes)


def fill(activity_id: str = "20200130::1", **changes: Any) -> Fill:
    plain = Fill(
        activity_id=activity_id,
        client_order_id="20200130_NVDA_entry_buy",
        ticker="NVDA",
        side="buy",
        quantity=40,
        price=Decimal("245.10"),
        at=AT_OPEN,
    )
    return replace(plain, **changes)


def plan(body: str = '{"orders":[]}', sha256: str = "a" * 64, **changes: Any) -> Plan:
    plain = Plan(
        strategy="ema_p10",
        session=THURSDAY,
        orders=(),
        skips=(),
        expires_at=datetime(2020, 1, 30, 14, 35, tzinfo=UTC),
        sha256=sha256,
        body=body,
    )
    return replace(plain, **changes)


def holding(ticker: str = "NVDA", **changes: Any) -> Holding:
    plain = Holding(
        candidate=candidate(ticker),
        entry_session=THURSDAY,
        entry_price=245.1,
        shares=40,
        stop_price=220.59,
        last_close=245.7,
        shares_now=40,
    )
    return replace(plain, **changes)


def trade(ticker: str = "NVDA", **changes: Any) -> ClosedTrade:
    """40 × (219.48705 − 245.1) = −1,024.52 to the cent; the exit is 220.59 × 0.995."""
    plain = ClosedTrade(
        candidate=candidate(ticker),
        entry_session=THURSDAY,
        entry_price=245.1,
        shares=40,
        exit_session=FRIDAY,
        exit_price=219.48705,
        exit_reason="protective_stop",
        pnl_usd=-1024.52,
        return_pct=-10.45,
        hold_days=1,
        flags=("gap",),
    )
    return replace(plain, **changes)
