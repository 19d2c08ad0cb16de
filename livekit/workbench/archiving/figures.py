"""Plotly figures of a notebook, packed for a page.

A page holds all its figures in one block of JSON. A list that several figures use stands there
once, and a long list of rounded numbers is stored as differences of integers, which takes a third
of the room. ``templates/livekit.js`` undoes both before it draws.
"""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FigureStore", "FigureText"]

SHARED_LENGTH = 8
PACKED_LENGTH = 12
MOST_DECIMALS = 4
TALL_PX = 400


@dataclass(frozen=True, slots=True)
class FigureText:
    """What a page says of a figure; one that is tall needs the whole width for itself."""

    title: str
    description: str
    is_tall: bool


class FigureStore:
    """Collects the figures of one page in the order in which they appear."""

    def __init__(self) -> None:
        self._figures: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._figures)

    def add(self, figure: Mapping[str, Any]) -> FigureText:
        """Keep a figure; returns its words, which the page shows as text.

        The template is left out, since the page's script has its own.
        """
        layout = dict(figure.get("layout", {}))
        layout.pop("template", None)
        title = layout.pop("title", {})
        text = title.get("text", "") if isinstance(title, Mapping) else str(title)
        description = str(layout.pop("meta", "")) or "chart"
        self._figures.append({"data": list(figure.get("data", [])), "layout": layout})
        tall = float(layout.get("height") or 0) > TALL_PX
        return FigureText(html.unescape(text), description, tall)

    def to_json(self) -> str:
        """The page's data block, safe to stand between script tags; empty without figures."""
        if not self._figures:
            return ""
        counts: Counter[str] = Counter(
            _canonical(values) for figure in self._figures for values in _long_lists(figure)
        )
        shared = {text: at for at, text in enumerate(t for t, times in counts.items() if times > 1)}
        block = {
            "shared": [_packed_numbers(json.loads(text)) for text in shared],
            "figures": [_packed(figure, shared) for figure in self._figures],
        }
        text = json.dumps(block, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _canonical(values: list[Any]) -> str:
    return json.dumps(values, separators=(",", ":"), allow_nan=False)


def _long_lists(value: Any) -> list[list[Any]]:
    if isinstance(value, Mapping):
        return [found for item in value.values() for found in _long_lists(item)]
    if not isinstance(value, list | tuple):
        return []
    nested = [found for item in value for found in _long_lists(item)]
    return nested or ([list(value)] if len(value) >= SHARED_LENGTH else [])


def _packed(value: Any, shared: Mapping[str, int]) -> Any:
    if isinstance(value, Mapping):
        return {key: _packed(item, shared) for key, item in value.items()}
    if not isinstance(value, list | tuple):
        return value
    values = list(value)
    if len(values) >= SHARED_LENGTH and (at := shared.get(_canonical(values))) is not None:
        return {"$s": at}
    if any(isinstance(item, Mapping | list | tuple) for item in values):
        return [_packed(item, shared) for item in values]
    return _packed_numbers(values)


def _packed_numbers(values: list[Any]) -> Any:
    """Differences of integers if that is exact, else the list as it is."""
    numeric = all(isinstance(item, int | float) and not isinstance(item, bool) for item in values)
    if len(values) < PACKED_LENGTH or not numeric:
        return values
    for decimals in range(MOST_DECIMALS + 1):
        scale = 10**decimals
        whole = [round(item * scale) for item in values]
        if all(part / scale == item for part, item in zip(whole, values, strict=True)):
            steps = [after - before for before, after in zip([0, *whole], whole, strict=False)]
            return {"$n": [decimals, *steps]}
    return values
