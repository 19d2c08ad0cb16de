"""The pre-registration of the decision: what is fixed before the first session, by its hash.

Thresholds, dates, seed, the resolved configuration and the sources of the rules, of the simulator's
step and of the decision go into the registration. A later change of any of them makes the verdict
INVALID; other code is only recorded, session by session.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from livekit.comparison.forecast import VerdictPlan, switch_chances
from livekit.config import LiveConfig, config_sha256
from livekit.errors import StateUnusable
from livekit.sessions import next_session, session_on_or_after
from livekit.state import Registration
from livekit.trading.plans import sha256_text

__all__ = [
    "METHOD",
    "PreRegistration",
    "code_sha256",
    "parser_sha256",
    "pre_registration",
    "read_registration",
    "registration_lines",
    "source_hashes",
]

METHOD = "asymptotic confidence sequence, looked at daily"

_DECIDING = {
    "livekit.strategy": None,
    "livekit.backtest": ("market.py", "settlement.py"),
    "livekit.comparison": (
        "decision.py",
        "figures.py",
        "forecast.py",
        "inference.py",
        "resampling.py",
        "twins.py",
    ),
}


@dataclass(frozen=True, slots=True)
class PreRegistration:
    """What was registered about the decision, and the hash of the whole registration."""

    plan: VerdictPlan
    method: str
    first_session: date
    first_look: date
    horizon: date
    sources: Mapping[str, str]
    config_sha256: str
    sha256: str
    intact: bool

    def changes(self, config: LiveConfig | None = None) -> tuple[str, ...]:
        """What is no longer as it was registered; ``config`` is the one in use now."""
        now = source_hashes()
        changed = sorted(
            name for name in {*now, *self.sources} if now.get(name) != self.sources.get(name)
        )
        names = ", ".join(changed)
        found = [f"sources were changed since the registration: {names}"] if changed else []
        if not self.intact:
            found.append("the registration does not match its own hash")
        if config is not None and config_sha256(config) != self.config_sha256:
            found.append("the configuration is not the registered one")
        return tuple(found)


def pre_registration(config: LiveConfig, first_session: date, seed: int) -> dict[str, Any]:
    """The decision's part of a registration, ready for canonical JSON."""
    plan = VerdictPlan(config.base_capital_usd, seed=seed)
    horizon = first_session
    for _ in range(plan.planned_sessions - 1):
        horizon = next_session(horizon)
    look = session_on_or_after(first_session + timedelta(days=plan.first_look_days))
    return {
        "plan": asdict(plan),
        "method": METHOD,
        "first_session": first_session.isoformat(),
        "first_look": look.isoformat(),
        "horizon": horizon.isoformat(),
        "sources": dict(source_hashes()),
        "config_sha256": config_sha256(config),
    }


def read_registration(registration: Registration | None, where: object) -> PreRegistration:
    """The decision's part of a stored registration; raises `StateUnusable` without one."""
    body = json.loads(registration.body) if registration else {}
    if registration is None or "verdict" not in body:
        raise StateUnusable(str(where), "holds no registration of the decision")
    values = body["verdict"]
    known = {field.name for field in fields(VerdictPlan)}
    plan = VerdictPlan(**{name: value for name, value in values["plan"].items() if name in known})
    days = {name: date.fromisoformat(values[name]) for name in _DATES}
    return PreRegistration(
        plan=plan,
        method=values["method"],
        **days,
        sources=values["sources"],
        config_sha256=values["config_sha256"],
        sha256=registration.sha256,
        intact=sha256_text(registration.body) == registration.sha256
        and set(values["plan"]) == known,
    )


_DATES = ("first_session", "first_look", "horizon")


def registration_lines(registered: PreRegistration) -> tuple[str, ...]:
    """What a person is told when the decision is registered."""
    plan, chances = registered.plan, switch_chances(registered.plan)
    return (
        (
            f"decision registered as {registered.sha256[:12]} with {registered.method}, "
            f"seed {plan.seed}"
        ),
        (
            f"first look {registered.first_look} ({plan.first_look_days} days) or at "
            f"{plan.first_look_trades} trades; planned horizon {plan.planned_sessions} sessions, "
            f"{registered.horizon}"
        ),
        (
            f"smallest worthwhile advantage {plan.profit_pct:g} % of {plan.base_usd:,.0f} USD over "
            "the horizon"
        ),
        (
            f"chance of SWITCH by then, at most: {chances.at_none:.0%} at no advantage, "
            f"{chances.at_worthwhile:.0%} at the smallest worthwhile one, "
            f"{chances.at_twice:.0%} at twice that"
        ),
    )


# --------------------------------------------------------------------------------------- sources


@cache
def source_hashes() -> Mapping[str, str]:
    """Hash of every source that decides, by its name within the package."""
    found = {}
    for package, names in _DECIDING.items():
        for item in _sources(resources.files(package)):
            if names is None or item.name in names:
                found[f"{package.replace('.', '/')}/{item.name}"] = hashlib.sha256(
                    item.read_bytes()
                ).hexdigest()
    return found


@cache
def parser_sha256() -> str:
    """Hash of the sources that read reports."""
    return _together(resources.files("livekit.reports"))


@cache
def code_sha256() -> str:
    """Hash of every source of the package."""
    return _together(resources.files("livekit"))


def _together(folder: Traversable) -> str:
    digest = hashlib.sha256()
    for name, item in sorted(_below(folder, "").items()):
        digest.update(name.encode() + b"\0" + item.read_bytes() + b"\0")
    return digest.hexdigest()


def _below(folder: Traversable, prefix: str) -> dict[str, Traversable]:
    found = {f"{prefix}{item.name}": item for item in _sources(folder)}
    for item in folder.iterdir():
        if item.is_dir() and item.name != "__pycache__":
            found |= _below(item, f"{prefix}{item.name}/")
    return found


def _sources(folder: Traversable) -> list[Traversable]:
    items = (item for item in folder.iterdir() if item.name.endswith(".py"))
    return sorted(items, key=lambda item: item.name)
