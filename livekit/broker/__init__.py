"""The broker: a hardened client of Alpaca's API and a simulated venue that speaks it.

Only the client is exported here. It is imported on first use, because alpaca-py brings pandas
along and the processes that only run the venue need neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from livekit.broker.client import AlpacaClient

__all__ = ["AlpacaClient"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from livekit.broker.client import AlpacaClient  # noqa: PLC0415

    return AlpacaClient
