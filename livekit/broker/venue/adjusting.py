"""Bar adjustment as of an instant: the last visible bar has factor 1, nothing later is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from livekit.broker.venue.engine.history import clean_ratio
from livekit.model import DailyBars, FloatArray

__all__ = ["ADJUSTMENTS", "adjusted"]

ADJUSTMENTS = ("raw", "split", "dividend", "spin-off", "all")


def adjusted(bars: DailyBars, adjustment: str) -> DailyBars:
    """Bars on the price basis of their last row.

    ``split`` undoes clean splits (prices divided, volume multiplied), ``spin-off`` the other
    ratios, ``all`` everything that ``adj_close`` undoes, ``dividend`` what ``all`` does beyond the
    ratios. Close to close, ``all`` has the ratios of ``adj_close``.
    """
    if adjustment == "raw" or not len(bars):
        return bars
    factor = _price_factor(bars, adjustment)
    shares = _ratios_to_come(bars, clean=True) if adjustment in ("split", "all") else 1.0
    return replace(
        bars,
        open=bars.open * factor,
        high=bars.high * factor,
        low=bars.low * factor,
        close=bars.close * factor,
        volume=bars.volume * shares,
    )


def _price_factor(bars: DailyBars, adjustment: str) -> FloatArray:
    if adjustment == "split":
        return _inverse(_ratios_to_come(bars, clean=True))
    if adjustment == "spin-off":
        return _inverse(_ratios_to_come(bars, clean=False))
    whole = bars.adj_close / bars.close
    whole = whole / whole[-1]
    if adjustment == "all":
        return np.asarray(whole)
    return np.asarray(
        whole * _ratios_to_come(bars, clean=True) * _ratios_to_come(bars, clean=False)
    )


def _inverse(ratios: FloatArray) -> FloatArray:
    return np.asarray(1.0 / ratios, dtype=np.float64)


def _ratios_to_come(bars: DailyBars, *, clean: bool) -> FloatArray:
    """For each bar the product of the ratios (new shares per old) of the bars after it."""
    ratios = np.array([_part(float(ratio), clean=clean) for ratio in bars.split_ratio])
    after = np.append(ratios[1:], 1.0)
    return np.asarray(np.cumprod(after[::-1])[::-1], dtype=np.float64)


def _part(ratio: float, *, clean: bool) -> float:
    if ratio == 1.0:
        return 1.0
    split = clean_ratio(ratio)
    if clean:
        return float(split) if split else 1.0
    return 1.0 if split else ratio
