"""What befalls a simulated day from outside: other people at the broker, companies, pages.

Each function lets one thing happen and says whether it could. What is done at the broker goes to
the venue beside the line, as somebody else's request would.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from livekit.broker.venue.engine.history import day_times
from livekit.broker.venue.engine.interventions import Intervention
from livekit.broker.venue.engine.refusals import Refusal
from livekit.broker.venue.faults import FaultKind, FaultRule, FaultSchedule
from livekit.clock import sleep_until
from livekit.reports.scoring import FactorPoints, Factors, ScoredStock
from livekit.reports.writer import write_report
from livekit.sessions import previous_session
from livekit.workbench.simulation.stage import KEYS, Stage

__all__ = [
    "NEW_NAME",
    "PAGES",
    "cancel_by_hand",
    "lose_a_stop",
    "place_a_group_by_hand",
    "publish_page",
    "remove_pages",
    "rename",
]

NEW_NAME = "NEWCO"
PAGES = ("fresh", "stale", "mistaken", "torn")


def lose_a_stop(stage: Stage, session: date) -> bool:
    """Somebody cancels a stop at the broker before the open."""
    sleep_until(stage.clock, day_times(session).stamped)
    for order in stage.state.working_orders():
        if (order.side, order.type, order.status) == ("sell", "stop", "new"):
            return cancel_by_hand(stage, order.order_id)
    return False


def cancel_by_hand(stage: Stage, order_id: str) -> bool:
    """Somebody cancels an order at the broker; False when its status forbids it."""
    order = stage.state.orders.get(order_id)
    if order is None or order.is_terminal:
        return False
    try:
        stage.app.engine.cancel(order)
    except Refusal:
        return False
    return order.is_terminal


def rename(stage: Stage, ticker: str, session: date) -> bool:
    """From the dawn of ``session`` on the ticker is called otherwise."""
    try:
        stage.app.engine.intervene(Intervention("rename", ticker, session, NEW_NAME))
    except Refusal:
        return False
    return True


def place_a_group_by_hand(stage: Stage, ticker: str, close: float) -> bool:
    """Somebody puts a target and a stop on shares that are not ours, and both will be filled."""
    body = {
        "symbol": ticker,
        "qty": str(stage.state.held(ticker)),
        "side": "sell",
        "type": "limit",
        "time_in_force": "gtc",
        "order_class": "oco",
        "take_profit": {"limit_price": str(_cents(close * 1.002))},
        "stop_loss": {"stop_price": str(_cents(close * 0.998))},
    }
    stage.app.faults.install(FaultSchedule((FaultRule(FaultKind.BOTH_EXITS),)))
    headers = {"apca-api-key-id": KEYS.api_key, "apca-api-secret-key": KEYS.secret_key}
    answer = stage.app.handle("POST", "/v2/orders", "", headers, json.dumps(body).encode())
    stage.app.faults.install(FaultSchedule())
    return answer.status == 200


def _cents(price: float) -> Decimal:
    return Decimal(repr(price)).quantize(Decimal("0.01"))


# ------------------------------------------------------------------------------------------ pages


def publish_page(stage: Stage, session: date, chance: Random, kind: str) -> None:
    """Put a report into its folder, and nothing else: of today, or as it should not be.

    ``stale`` is yesterday's page, ``mistaken`` one of last week under today's name, ``torn`` ends
    early.
    """
    remove_pages(stage)
    folder = stage.profile.reports_dir
    chosen = chance.sample(sorted(stage.app.engine.market.history), 2)
    stocks = [_scored(ticker, float(chance.randint(40, 99))) for ticker in chosen]
    past = previous_session(session)
    day = {"stale": past, "mistaken": past - timedelta(days=7)}.get(kind, session)
    path = write_report(folder, day, stocks)
    if kind == "mistaken":
        path.rename(path.with_name(path.name.replace(day.isoformat(), session.isoformat())))
    elif kind == "torn":
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])


def remove_pages(stage: Stage) -> None:
    """Take every report away."""
    for page in stage.profile.reports_dir.glob("*.html"):
        page.unlink()


def _scored(ticker: str, score: float) -> ScoredStock:
    """A stock as a report page shows it; its price is left to the market."""
    return ScoredStock(
        ticker=ticker,
        company_name=f"{ticker} Company",
        grade="A" if score >= 85 else "B" if score >= 70 else "C",
        score=score,
        price=Decimal("100.00"),
        factors=Factors(
            gap_pct=3.0,
            trend_pct=5.0,
            volume_ratio_pct=101.0,
            ma200_ratio_pct=103.0,
            ma50_ratio_pct=101.0,
        ),
        points=FactorPoints(gap=3, trend=3, volume=4, ma200=3, ma50=3),
    )
