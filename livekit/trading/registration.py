"""Registering a profile: the account is checked, then database, baseline and manifest are made.

The registration row holds the resolved configuration and the hashes of the rules' sources, so that
a later change of either can be seen. Nothing is created unless every check has passed.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

from livekit.backtest.manifest import write_manifest
from livekit.broker import AlpacaClient
from livekit.clock import Clock
from livekit.config import LiveConfig, Profile
from livekit.errors import LivekitError, StateUnusable, UnknownParameter, UsageError
from livekit.model import Account, VenueOrder, VenuePosition
from livekit.sessions import calendar_version, session_of
from livekit.state import new_database
from livekit.trading.books import (
    BASELINE_AT,
    BASELINE_CASH,
    BASELINE_ORDERS,
    BASELINE_POSITIONS,
)
from livekit.trading.plans import canonical_json, sha256_text
from livekit.trading.registration_record import pre_registration
from livekit.trading.settlement import REGISTERED_SESSION

__all__ = [
    "check_account",
    "profile_from_registration",
    "register_profile",
    "require_executable",
    "rules_sha256",
]

_PROFILE_FIELDS = (
    "venue",
    "seed",
    "fill_model",
    "venue_cash_usd",
    "data_feed",
    "price_source",
    "prices",
)
_PROBE_TICKER = "AAPL"


def register_profile(profile: Profile, client: AlpacaClient, clock: Clock) -> None:
    """Create the profile's database and manifest from the account as it stands now.

    Raises `StateUnusable` when the database exists already, `UnknownParameter` for choices that
    cannot be executed, `UsageError` when the account is blocked or its equity is below the base
    capital, and the client's errors when the venue or its data cannot be reached.
    """
    if profile.state_db.exists():
        raise StateUnusable(profile.state_db, "exists already")
    require_executable(profile.trading)
    account = client.get_account()
    check_account(account, profile.trading)
    client.latest_trades([_PROBE_TICKER])
    positions = client.get_positions()
    orders = client.list_orders(status="open")
    profile.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write_manifest(profile, clock)
    _create_database(profile, account, positions, orders, clock)


@contextmanager
def undone_on_refusal(home: Path) -> Iterator[None]:
    """Remove what a refused registration has begun in ``home``; what was there before stays."""
    kept = {path for path in (home, *home.parents) if path.exists()}
    kept |= set(home.iterdir()) if home.is_dir() else set()
    try:
        yield
    except (LivekitError, OSError):
        begun = set(home.iterdir()) - kept if home.is_dir() else set()
        for path in begun:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for folder in (home, *home.parents):
            if folder not in kept and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


def check_account(account: Account, config: LiveConfig) -> None:
    """Raise `UsageError` unless the account may trade and carries the base capital."""
    if account.trading_blocked or account.status != "ACTIVE":
        raise UsageError(f"account is {account.status}, blocked: {account.trading_blocked}")
    base = Decimal(str(config.base_capital_usd))
    if account.equity < base and not config.allow_leverage:
        raise UsageError(
            f"account equity {account.equity} USD is below the base capital {base} USD "
            "(max_positions × position_size); allow_leverage permits it"
        )


def require_executable(config: LiveConfig) -> None:
    """Raise `UnknownParameter` for choices that only a backtest can make."""
    problems = [
        text
        for wrong, text in (
            (config.stop_mode != "intraday", "stop_mode must be intraday to be executed"),
            (config.entry_mode != "report_open", "entry_mode must be report_open to be executed"),
            (config.max_holding_days is not None, "max_holding_days cannot be executed"),
        )
        if wrong
    ]
    if problems:
        raise UnknownParameter("trading parameters", problems)


def _write_manifest(profile: Profile, clock: Clock) -> None:
    inputs = {"rules": rules_sha256()}
    if profile.prices is not None:
        inputs["prices"] = hashlib.sha256(profile.prices.read_bytes()).hexdigest()
    write_manifest(
        profile.manifest,
        profile.trading,
        inputs=inputs,
        counts={},
        metrics={},
        created_at=clock.now(),
    )


def rules_sha256() -> str:
    """Hash of the sources that decide: the strategy package and the simulator's step."""
    digest = hashlib.sha256()
    for package in ("livekit.strategy", "livekit.backtest"):
        for item in sorted(resources.files(package).iterdir(), key=lambda entry: entry.name):
            if item.name.endswith(".py"):
                digest.update(item.name.encode() + b"\0" + item.read_bytes() + b"\0")
    return digest.hexdigest()


def _registration_body(profile: Profile, session: date) -> str:
    values = {name: getattr(profile, name) for name in _PROFILE_FIELDS}
    first = profile.first_session
    values["first_session"] = first.isoformat() if first else None
    values["prices"] = str(profile.prices.resolve()) if profile.prices else None
    return canonical_json(
        {
            "profile": values,
            "config": asdict(profile.trading),
            "rules_sha256": rules_sha256(),
            "calendar": calendar_version(),
            "base_capital_usd": profile.trading.base_capital_usd,
            "verdict": pre_registration(profile.trading, session, profile.seed),
        }
    )


def _create_database(
    profile: Profile,
    account: Account,
    positions: tuple[VenuePosition, ...],
    orders: tuple[VenueOrder, ...],
    clock: Clock,
) -> None:
    """Write the database under another name and give it its own when it is complete."""
    now = clock.now()
    body = _registration_body(profile, session_of(now))
    holdings = ",".join(f"{item.ticker}:{item.quantity}" for item in positions)
    with new_database(profile.state_db) as db, db.transaction():
        db.set_kill_switch(False, reason="profile created", who="init", at=now)
        db.set_config(BASELINE_AT, now.isoformat())
        db.set_config(BASELINE_CASH, str(account.cash))
        db.set_config(BASELINE_POSITIONS, holdings)
        db.set_config(BASELINE_ORDERS, ",".join(item.order_id for item in orders))
        db.set_config(REGISTERED_SESSION, session_of(now).isoformat())
        db.register(body, sha256_text(body), now)


def profile_from_registration(state_db: Path, body: dict[str, Any]) -> Profile:
    """The profile that a registration describes; its folder is that of the database."""
    values = dict(body["profile"])
    prices, first = values.pop("prices"), values.pop("first_session")
    home = state_db.resolve().parent
    return Profile(
        **values,
        prices=Path(prices) if prices else None,
        first_session=date.fromisoformat(first) if first else None,
        name=home.name,
        outputs=home.parent,
        trading=LiveConfig(**body["config"]),
    )
