"""An order on its way out: checked, written as JSON fields, and compared with what came back.

Prices and quantities leave as decimal texts. As JSON numbers they would be floats, and 17.10 × 0.9
would arrive as 15.390000000000002, which the venue refuses as a fraction of a cent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from livekit.errors import UnknownParameter
from livekit.model import Side, VenueOrder

__all__ = ["OrderRequest", "is_ticker", "tick_size"]

_TICKER = re.compile(r"[A-Z][A-Z0-9]{0,9}(\.[A-Z0-9]{1,4})?", re.ASCII)
_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)
_TYPES = ("market", "stop")
_TIMES_IN_FORCE = ("day", "gtc", "opg", "cls", "ioc", "fok")


def is_ticker(text: str) -> bool:
    """Whether ``text`` is written as the venue writes tickers; a share class follows a dot."""
    return _TICKER.fullmatch(text) is not None


def tick_size(price: Decimal) -> Decimal:
    """The smallest step of a price: 0.01 USD from 1 USD on, 0.0001 USD below."""
    return Decimal("0.01") if price >= 1 else Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order in whole shares. With ``attached_stop`` it is an OTO group: a buy and its stop.

    Raises `UnknownParameter` naming everything that the venue would refuse or misunderstand.
    Prices are never rounded here: one that is off the tick is the caller's mistake.
    """

    ticker: str
    quantity: int
    side: Side
    client_order_id: str
    order_type: str
    time_in_force: str
    stop_price: Decimal | None = None
    attached_stop: Decimal | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        problems = [text for wrong, text in self._checks() if wrong]
        problems += _price_problems("stop_price", self.stop_price)
        problems += _price_problems("attached stop_price", self.attached_stop)
        if problems:
            raise UnknownParameter(f"order {self.client_order_id}", problems)

    def _checks(self) -> list[tuple[bool, str]]:
        group = self.attached_stop is not None
        return [
            (not is_ticker(self.ticker), f"{self.ticker!r} is not a ticker"),
            (type(self.quantity) is not int or self.quantity < 1, "quantity must be whole shares"),
            (self.side not in ("buy", "sell"), f"side {self.side!r} is neither buy nor sell"),
            (not _CLIENT_ORDER_ID.fullmatch(self.client_order_id), "client_order_id is malformed"),
            (self.order_type not in _TYPES, f"type {self.order_type!r} is not supported"),
            (self.time_in_force not in _TIMES_IN_FORCE, f"unknown TIF {self.time_in_force!r}"),
            ((self.order_type == "stop") != (self.stop_price is not None),
             "a stop needs a stop_price, and only a stop has one"),
            (group and self.time_in_force not in ("day", "gtc"), "a group is either day or gtc"),
            (group and (self.side != "buy" or self.order_type != "market"),
             "a group is a market buy with a stop"),
        ]  # fmt: skip

    @property
    def is_protective(self) -> bool:
        """Whether it is a stop that covers shares."""
        return self.side == "sell" and self.order_type == "stop"

    @property
    def what(self) -> str:
        """The order in words, for messages."""
        return f"{self.order_type} {self.side} {self.client_order_id}"

    def fields(self) -> dict[str, object]:
        """The JSON body of ``POST /orders``."""
        body: dict[str, object] = {
            "symbol": self.ticker,
            "qty": str(self.quantity),
            "side": self.side,
            "type": self.order_type,
            "time_in_force": self.time_in_force,
            "client_order_id": self.client_order_id,
        }
        if self.stop_price is not None:
            body["stop_price"] = _price_text(self.stop_price)
        if self.attached_stop is not None:
            body["order_class"] = "oto"
            body["stop_loss"] = {"stop_price": _price_text(self.attached_stop)}
        return body

    def differences(self, placed: VenueOrder) -> list[str]:
        """In what the venue's order is not the one that was asked for; empty if it is."""
        pairs: list[tuple[str, object, object]] = [
            ("client_order_id", placed.client_order_id, self.client_order_id),
            ("ticker", placed.ticker, self.ticker),
            ("side", placed.side, self.side),
            ("type", placed.order_type, self.order_type),
            ("time_in_force", placed.time_in_force, self.time_in_force),
            ("quantity", placed.quantity, Decimal(self.quantity)),
            ("stop_price", placed.stop_price, self.stop_price),
            ("order_class", placed.order_class, "oto" if self.attached_stop else "simple"),
        ]
        return _unequal("", pairs) + self._leg_differences(placed.legs)

    def _leg_differences(self, legs: tuple[VenueOrder, ...]) -> list[str]:
        if self.attached_stop is None:
            return []
        if len(legs) != 1:
            return [f"it has {len(legs)} legs, not 1"]
        leg = legs[0]
        pairs: list[tuple[str, object, object]] = [
            ("ticker", leg.ticker, self.ticker),
            ("side", leg.side, "sell"),
            ("type", leg.order_type, "stop"),
            ("time_in_force", leg.time_in_force, self.time_in_force),
            ("quantity", leg.quantity, Decimal(self.quantity)),
            ("stop_price", leg.stop_price, self.attached_stop),
        ]
        return [
            f"leg's {name} is {seen}, not {meant}" for name, seen, meant in pairs if seen != meant
        ]


def _unequal(whose: str, pairs: list[tuple[str, object, object]]) -> list[str]:
    return [f"{whose}{name} is {seen}, not {meant}" for name, seen, meant in pairs if seen != meant]


def _price_problems(name: str, price: Decimal | None) -> list[str]:
    if price is None:
        return []
    if not isinstance(price, Decimal) or not price.is_finite() or price <= 0:
        return [f"{name} {price!r} is not a positive Decimal"]
    tick = tick_size(price)
    return [] if price % tick == 0 else [f"{name} {price} is off the tick of {tick}"]


def _price_text(price: Decimal) -> str:
    return format(price.quantize(tick_size(price)), "f")
