"""The record as an append-only chain: one link a session, each bound to the one before.

A link names the candidates, the inputs by their hashes, what the twins made of them, and the code
and configuration of the run. Whatever of it is changed later no longer fits its link.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from livekit.config import config_sha256
from livekit.sessions import sessions_between
from livekit.state import EquityPoint, StateDB, candidate_to_json
from livekit.state.verdicts import RecordLink
from livekit.trading.desk import Desk
from livekit.trading.plans import canonical_json, sha256_text
from livekit.trading.registration_record import code_sha256, parser_sha256

__all__ = ["GENESIS", "ChainReport", "append_link", "check_chain", "check_snapshots"]

GENESIS = "0" * 64
_RECORDED = ("candidates", "twins")


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What is wrong with the chain, and what may change but is to be known."""

    problems: tuple[str, ...]
    amendments: tuple[str, ...]
    sessions: tuple[date, ...]


def append_link(desk: Desk, session: date) -> None:
    """Append the link of a session that is settled; a session has one link."""
    links = desk.db.get_links()
    if any(link.session == session for link in links):
        return
    previous = links[-1].sha256 if links else GENESIS
    recorded = _Recorded(desk.db, (desk.config.primary_strategy, desk.config.shadow_strategy))
    body = canonical_json(
        {
            **recorded.content(session),
            "session": session.isoformat(),
            "inputs": recorded.inputs(session),
            "config": config_sha256(desk.config),
            "parser": parser_sha256(),
            "code": code_sha256(),
        }
    )
    digest = sha256_text(previous + body)
    desk.db.add_link(RecordLink(session, previous, digest, body, desk.clock.now()))


class _Recorded:
    """What the books hold of each session, as a link names it."""

    def __init__(self, db: StateDB, strategies: tuple[str, ...]) -> None:
        self._db = db
        self._points = {
            name: {point.session: point for point in db.get_equity(name)} for name in strategies
        }
        self._trades: dict[tuple[str, date], list[str]] = {}
        for name in strategies:
            for position in db.get_shadow_positions(name, status="closed"):
                if position.trade is not None:
                    key = (name, position.trade.exit_session)
                    self._trades.setdefault(key, []).append(repr(position.trade))

    def content(self, session: date) -> dict[str, Any]:
        candidates = self._db.get_candidates(session)
        return {
            "candidates": None
            if candidates is None
            else _sha256("\n".join(candidate_to_json(item) for item in candidates)),
            "twins": {name: self._twin(name, session) for name in self._points},
        }

    def _twin(self, strategy: str, session: date) -> dict[str, Any] | None:
        point: EquityPoint | None = self._points[strategy].get(session)
        if point is None:
            return None
        return {
            "realised": str(point.realised),
            "unrealised": str(point.unrealised),
            "positions": point.positions,
            "trades": _sha256("\n".join(self._trades.get((strategy, session), []))),
        }

    def inputs(self, session: date) -> list[list[str]]:
        return sorted([item.kind, item.sha256] for item in self._db.get_snapshots(session))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# -------------------------------------------------------------------------------------- checking


def check_chain(db: StateDB, registered_config: str, first: date) -> ChainReport:
    """Compare every link with the one before, with the books, and with the registration.

    Args:
        db: the profile's database.
        registered_config: hash of the registered configuration.
        first: the registered first session.
    """
    links = db.get_links()
    bodies = [json.loads(link.body) for link in links]
    problems = [*_broken_links(db, links, bodies), *_holes(links, first)]
    problems += [
        f"{link.session} was recorded under another configuration"
        for link, body in zip(links, bodies, strict=True)
        if body["config"] != registered_config
    ]
    return ChainReport(
        tuple(problems),
        tuple(_amendments(links, bodies)),
        tuple(link.session for link in links),
    )


def _broken_links(
    db: StateDB, links: tuple[RecordLink, ...], bodies: list[Mapping[str, Any]]
) -> Iterator[str]:
    strategies = tuple({name for body in bodies for name in body["twins"]})
    recorded, previous = _Recorded(db, strategies), GENESIS
    for link, body in zip(links, bodies, strict=True):
        if link.previous != previous or sha256_text(previous + link.body) != link.sha256:
            yield f"the record's chain is broken at {link.session}"
        previous = link.sha256
        now = recorded.content(link.session)
        for name in _RECORDED:
            if json.loads(canonical_json(now[name])) != body[name]:
                yield f"the {name} of {link.session} are not those that were recorded"
        present = recorded.inputs(link.session)
        if any(item not in present for item in body["inputs"]):
            yield f"an input of {link.session} is no longer listed"


def _holes(links: tuple[RecordLink, ...], first: date) -> Iterator[str]:
    if not links:
        return
    known = {link.session for link in links}
    for day in sessions_between(first, max(known)):
        if day not in known:
            yield f"the record has a hole: session {day} is missing"


def _amendments(links: tuple[RecordLink, ...], bodies: list[Mapping[str, Any]]) -> Iterator[str]:
    runs = list(zip(links, bodies, strict=True))
    for (_, before), (link, after) in pairwise(runs):
        if before["parser"] != after["parser"]:
            yield f"{link.session}: the report parser was changed"
        elif before["code"] != after["code"]:
            yield f"{link.session}: code that decides nothing here was changed"


def check_snapshots(db: StateDB, home: Path, sessions: tuple[date, ...]) -> tuple[str, ...]:
    """Whether every kept input is there and is what its hash says."""
    problems = []
    checked: dict[str, bool] = {}
    for session in sessions:
        for item in db.get_snapshots(session):
            path = home / item.path
            if item.sha256 not in checked:
                checked[item.sha256] = (
                    path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == item.sha256
                )
            if not checked[item.sha256]:
                what = "does not match its hash" if path.is_file() else "is missing"
                problems.append(f"the {item.kind} snapshot of {session} {what}")
    return tuple(problems)
