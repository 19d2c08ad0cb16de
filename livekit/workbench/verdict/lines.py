"""Verdict and replay as lines of text and as JSON."""

from __future__ import annotations

import json

from livekit.trading.replay import ReplayReport
from livekit.trading.verdict_inputs import FullVerdict, verdict_values
from livekit.workbench.tables import Table, to_text
from livekit.workbench.verdict.tables import (
    attribution_table,
    books_table,
    causes_table,
    conditions_table,
    estimates_table,
    fidelity_table,
    missing_table,
    outlook_table,
    pairs_table,
    registration_table,
    sensitivity_table,
    verdict_table,
)

__all__ = ["replay_lines", "verdict_json", "verdict_lines"]


def verdict_lines(found: FullVerdict) -> list[str]:
    """The sentence, then the same parts in the same order as the notebook."""
    tables = [verdict_table(found), registration_table(found)]
    verdict = found.verdict
    if verdict.figures is not None:
        tables += [conditions_table(verdict), books_table(verdict), estimates_table(verdict)]
        if found.attribution is not None:
            tables.append(attribution_table(found.attribution))
        if found.fidelity is not None:
            tables.append(fidelity_table(found.fidelity))
        if found.record is not None:
            tables.append(pairs_table(found.record))
        tables += [sensitivity_table(verdict), outlook_table(found), missing_table(verdict)]
    return [verdict.sentence, *_spaced(tables)]


def verdict_json(found: FullVerdict) -> str:
    """The verdict as canonical JSON on one line: the same record gives the same bytes."""
    return json.dumps(verdict_values(found), sort_keys=True, separators=(",", ":"))


def replay_lines(report: ReplayReport) -> list[str]:
    """How many trades were matched, the attribution by cause and by trade."""
    trades = report.attribution.trades
    matched = sum(one.live is not None and one.backtest is not None for one in trades)
    alone = sum(one.backtest is None for one in trades), sum(one.live is None for one in trades)
    head = (
        f"{report.first} to {report.last}: {matched} trades matched one to one, "
        f"{alone[0]} only executed, {alone[1]} only in the backtest"
    )
    notes = [f"amendment: {text}" for text in report.amendments]
    tables = [attribution_table(report.attribution), causes_table(report.attribution)]
    return [head, *notes, *_spaced(tables)]


def _spaced(tables: list[Table]) -> list[str]:
    return [line for table in tables for line in ("", to_text(table))]
