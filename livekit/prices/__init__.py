"""Prices: one protocol, and the suppliers behind it.

`PriceSource` is all that decisions, simulations and reports know of prices. `ParquetPriceSource`
answers from one file on disk, by default the one that is packaged for the demo; the files in
``livekit/data`` are made by ``python -m livekit.prices.demo_data``.
"""

from livekit.prices.packaged import demo_earnings_path, demo_prices_path
from livekit.prices.parquet_source import ParquetPriceSource
from livekit.prices.source import PriceSource

__all__ = ["ParquetPriceSource", "PriceSource", "demo_earnings_path", "demo_prices_path"]
