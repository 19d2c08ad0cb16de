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
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from livekit.errors import BadInput
from livekit.files import write_whole
from livekit.model import DailyBars
from livekit.trading.desk import Desk
from livekit.trading.plans import canonical_json

__all__ = ["SETTLEMENT", "bars_from_bytes", "store_settlement", "store_snapshots"]

SETTLEMENT = "settlement"

_COLUMNS = (
    ("sessions", pa.date32()),
    ("open", pa.float64()),
    ("high", pa.float64()),
    ("low", pa.float64()),
    ("close", pa.float64()),
    ("adj_close", pa.float64()),
    ("volume", pa.float64()),
    ("dividend_usd", pa.float64()),
    ("split_ratio", pa.float64()),
)


def store_snapshots(
    desk: Desk, session: date, reports: Sequence[Path], bars: Mapping[str, DailyBars]
) -> None:
    """Keep the inputs of a signals run and record them for the session."""
    config = canonical_json(asdict(desk.config)).encode()
    for path in reports:
        _store(desk, session, "report", ".html", path.read_bytes())
    _store(desk, session, "config", ".json", config)
    if bars:
        _store(desk, session, "bars", ".parquet", _bars_bytes(bars))


def store_settlement(desk: Desk, session: date, bars: Mapping[str, DailyBars]) -> None:
    """Keep the official bars that a session was settled on; none is a record too."""
    _store(desk, session, SETTLEMENT, ".parquet", _bars_bytes(bars))


def _store(desk: Desk, session: date, kind: str, suffix: str, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    path = desk.profile.home / "snapshots" / f"{digest}{suffix}"
    if not path.exists():
        write_whole(path, content)
    desk.db.add_snapshot(session, kind, digest, str(path.relative_to(desk.profile.home)))


def _bars_bytes(bars: Mapping[str, DailyBars]) -> bytes:
    """Bars as one parquet table, by ticker then session: equal bars give equal bytes."""
    ordered = [bars[ticker] for ticker in sorted(bars)]
    tickers = [item.ticker for item in ordered for _ in range(len(item))]
    columns: dict[str, pa.Array] = {"ticker": pa.array(tickers, pa.string()).dictionary_encode()}
    for name, kind in _COLUMNS:
        parts = [pa.array(getattr(item, name), kind) for item in ordered]
        columns[name] = pa.chunked_array(parts, kind)
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def bars_from_bytes(content: bytes) -> dict[str, DailyBars]:
    """Bars by ticker from what a snapshot holds; raises `BadInput` for any other bytes."""
    try:
        table = pq.read_table(io.BytesIO(content))
        names = table["ticker"].combine_chunks().dictionary_encode()
        columns = [table[name].to_numpy() for name, _ in _COLUMNS]
    except (pa.ArrowException, KeyError) as error:
        raise BadInput("bars snapshot", f"cannot be read ({error})") from error
    codes, tickers = names.indices.to_numpy(), names.dictionary.to_pylist()
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    return {
        tickers[codes[start]]: DailyBars(
            tickers[codes[start]], *(column[start:stop] for column in columns)
        )
        for start, stop in pairwise([*starts, len(codes)])
    }
