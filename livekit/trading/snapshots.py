"""Input snapshots: the bytes that decided a session, kept by their sha256.

Report bytes, the bars used and the resolved configuration go to ``snapshots/``; the database keeps
which session used which. Equal content is stored once.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from livekit.files import write_whole
from livekit.model import DailyBars
from livekit.trading.desk import Desk
from livekit.trading.plans import canonical_json

__all__ = ["store_snapshots"]


def store_snapshots(
    desk: Desk, session: date, reports: Sequence[Path], bars: Mapping[str, DailyBars]
) -> None:
    """Keep the inputs of a signals run and record them for the session."""
    config = canonical_json(asdict(desk.config)).encode()
    contents = [("report", ".html", path.read_bytes()) for path in reports]
    contents.append(("config", ".json", config))
    if bars:
        contents.append(("bars", ".parquet", _bars_bytes(bars)))
    for kind, suffix, content in contents:
        digest = hashlib.sha256(content).hexdigest()
        path = desk.profile.home / "snapshots" / f"{digest}{suffix}"
        if not path.exists():
            write_whole(path, content)
        desk.db.add_snapshot(session, kind, digest, str(path.relative_to(desk.profile.home)))


def _bars_bytes(bars: Mapping[str, DailyBars]) -> bytes:
    """Bars as one parquet table, by ticker then session: equal bars give equal bytes."""
    ordered = [bars[ticker] for ticker in sorted(bars)]
    tickers = [item.ticker for item in ordered for _ in range(len(item))]
    columns: dict[str, pa.Array] = {"ticker": pa.array(tickers).dictionary_encode()}
    for name in (
        "sessions",
        "open",
        "high",
        "low",
        "close",
        "adj_close",
        "volume",
        "dividend_usd",
        "split_ratio",
    ):
        parts = [pa.array(getattr(item, name)) for item in ordered]
        columns[name] = pa.chunked_array(parts)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()
