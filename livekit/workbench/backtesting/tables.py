"""The tables of a backtest, for notebook, page and terminal alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from livekit.backtest.metrics import Correlation, Drawdown, Metrics, WelchTest
from livekit.backtest.results import BacktestResult
from livekit.model import ClosedTrade
from livekit.workbench.backtesting.inputs import BacktestInputs
from livekit.workbench.backtesting.runs import Checks
from livekit.workbench.tables import NOTHING, Column, Row, Table, facts_table, pct, price, usd

__all__ = [
    "breakdown_table",
    "checks_table",
    "findings_table",
    "metrics_table",
    "ratio",
    "run_table",
    "skips_table",
    "trades_table",
]

NOT_AVAILABLE = "not available"
MOST_FINDINGS = 20
_GROUP_TITLES = {
    "grade": "grade",
    "score_range": "score",
    "gap_range": "gap, %",
    "exit_reason": "exit",
    "month": "month of exit",
}


def ratio(value: float | None, digits: int = 2) -> str:
    """A number without unit, or that it is not available."""
    return NOT_AVAILABLE if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None, *, signed: bool = False) -> str:
    return NOT_AVAILABLE if value is None else pct(value, signed=signed)


# --------------------------------------------------------------------------------------- the run


def run_table(result: BacktestResult, inputs: BacktestInputs) -> Table:
    """What was simulated, on what, and what a reader must know of it."""
    counts, points = result.counts, result.curve
    unscored = f", {inputs.unscored} more without the history for a score"
    facts = [
        ("strategy", result.strategy),
        ("simulation", f"{result.mode}, stops {result.stop_fill}, adjustment {result.adjustment}"),
        ("sessions", f"{counts['sessions']}, {points[0].session} to {points[-1].session}"),
        ("candidates", f"{len(inputs.candidates)}{unscored if inputs.unscored else ''}"),
        ("prices", inputs.files["prices"].name),
    ]
    notes = [("note", text) for text in (*result.notes, *inputs.notes)]
    return facts_table("Backtest", facts + notes)


def metrics_table(metrics: Metrics) -> Table:
    """Every figure of a result."""
    facts = (
        ("trades", str(metrics.trades)),
        ("P&L", f"{usd(metrics.total_pnl_usd, signed=True)} USD"),
        ("profit factor", ratio(metrics.profit_factor)),
        ("win rate", _percent(metrics.win_rate_pct)),
        ("expectancy a trade", f"{ratio(metrics.expectancy_usd)} USD"),
        ("average / median return", _pair(metrics)),
        ("average holding", f"{ratio(metrics.average_hold_days, 1)} days"),
        ("Sharpe ratio of trades", ratio(metrics.trade_sharpe, 3)),
        ("Sharpe ratio of days, a year", ratio(metrics.daily_sharpe)),
        ("Sortino ratio of days, a year", ratio(metrics.daily_sortino)),
        ("deepest drawdown in USD", _drawdown(metrics.drawdown_usd)),
        ("deepest drawdown in percent", _drawdown(metrics.drawdown_pct)),
        (
            "growth a year",
            f"{_percent(metrics.cagr_pct, signed=True)} on {usd(metrics.capital_usd)} USD",
        ),
        ("sessions with a position", _percent(metrics.exposure_time_pct)),
        ("capital at work, mean", _percent(metrics.exposure_capital_pct)),
        ("positions at most", str(metrics.peak_positions)),
        ("capital required", f"{usd(metrics.capital_requirement_usd)} USD"),
        ("score against return", _correlation(metrics.score_return)),
        ("grades A, B against C, D", _welch(metrics.grades_ab_against_cd)),
    )
    return facts_table("Figures", facts)


def _pair(metrics: Metrics) -> str:
    mean, middle = metrics.average_return_pct, metrics.median_return_pct
    return f"{_percent(mean, signed=True)} / {_percent(middle, signed=True)}"


def _drawdown(fall: Drawdown | None) -> str:
    if fall is None:
        return "none"
    back = f"recovered {fall.recovered}" if fall.recovered else "not recovered"
    return (
        f"{usd(fall.usd)} USD, {pct(fall.pct, signed=False)}: {fall.peak} to {fall.trough}, {back}"
    )


def _correlation(found: Correlation | None) -> str:
    if found is None:
        return NOT_AVAILABLE
    return f"r {found.r:+.3f}, p {found.p_value:.3f}, {found.n} trades"


def _welch(found: WelchTest | None) -> str:
    if found is None:
        return NOT_AVAILABLE
    return (
        f"{found.difference:+.2f} points of return, t {found.t:+.2f}, p {found.p_value:.3f} "
        f"({found.n_first} against {found.n_second})"
    )


# ---------------------------------------------------------------------------------------- groups


def breakdown_table(groups: pd.DataFrame) -> Table:
    """The trades in groups, as `BacktestResult.breakdown` gives them."""
    by = str(groups.columns[0])
    columns = (
        Column(_GROUP_TITLES[by]),
        *(Column(title, number=True) for title in _GROUP_COLUMNS),
    )
    rows = tuple(_group_row(row) for row in groups.itertuples(index=False, name=None))
    return Table(f"By {_GROUP_TITLES[by]}", columns, rows)


_GROUP_COLUMNS = ("trades", "won", "profit factor", "P&L USD", "USD a trade", "mean", "median")


def _group_row(row: tuple[object, ...]) -> Row:
    label, trades, *rest = row
    won, factor, total, each, mean, middle = (
        None if pd.isna(value) else float(str(value)) for value in rest
    )
    return Row(
        (
            str(label),
            str(trades),
            pct(won, signed=False),
            NOTHING if factor is None else ratio(factor),
            usd(total, signed=True),
            usd(each, signed=True),
            pct(mean),
            pct(middle),
        )
    )


def skips_table(result: BacktestResult) -> Table:
    """Why candidates were not bought, the most frequent reason first."""
    counts = Counter(one.skip.detail or one.skip.reason for one in result.skips)
    rows = tuple(Row((reason, str(count))) for reason, count in counts.most_common())
    return Table("Candidates not bought", (Column("reason"), Column("count", number=True)), rows)


def trades_table(trades: Sequence[ClosedTrade], caption: str) -> Table:
    """Trades one by one."""
    titles = ("score", "shares", "entry", "exit price", "P&L USD", "return")
    columns = (
        *(Column(title) for title in ("ticker", "entered", "left", "reason")),
        *(Column(title, number=True) for title in titles),
    )
    return Table(caption, columns, tuple(_trade_row(trade) for trade in trades))


def _trade_row(trade: ClosedTrade) -> Row:
    score = trade.candidate.score
    return Row(
        (
            trade.ticker,
            trade.entry_session.isoformat(),
            trade.exit_session.isoformat(),
            ", ".join((trade.exit_reason, *trade.flags)),
            NOTHING if score is None else f"{score:g}",
            f"{trade.shares:,}",
            price(trade.entry_price),
            price(trade.exit_price),
            usd(trade.pnl_usd, signed=True),
            pct(trade.return_pct),
        )
    )


# ---------------------------------------------------------------------------------------- checks


def checks_table(checks: Checks) -> Table:
    """What each check found; a row in alarm says that the result cannot be trusted."""
    rows = [_look_ahead_row(checks), _warm_up_row(checks)]
    gates = Counter(one.gate for one in checks.findings)
    found = ", ".join(f"{count} {gate}" for gate, count in sorted(gates.items()))
    rows.append(Row(("data gates", found or "nothing found"), "warn" if gates else ""))
    return Table("Checks", (Column("check"), Column("found")), tuple(rows))


def _look_ahead_row(checks: Checks) -> Row:
    found = checks.look_ahead
    if found is None:
        return Row(("look-ahead", "not checked: adjustment 'all' changes earlier rows by design"))
    if found.passed:
        text = f"none: {len(found.cuts)} cuts, {found.compared_trades} trades compared"
        return Row(("look-ahead", text))
    return Row(("look-ahead", f"FAILED: {'; '.join(found.differences)}"), "bad")


def _warm_up_row(checks: Checks) -> Row:
    found = checks.warm_up
    if found.largest_error_pct is None:
        return Row((f"warm-up, {found.lookback_days} days", "no ticker has a longer history"))
    ticker, day = found.worst or ("", "")
    text = (
        f"line off by {found.mean_error_pct:.4f} % on average, by {found.largest_error_pct:.4f} % "
        f"at most ({ticker} on {day}); {found.verdicts_changed} of {found.samples} verdicts change"
    )
    name = f"warm-up, {found.lookback_days} days"
    return Row((name, text), "warn" if found.verdicts_changed or found.undefined else "")


def findings_table(checks: Checks) -> Table:
    """The first findings of the data gates."""
    shown = checks.findings[:MOST_FINDINGS]
    more = len(checks.findings) - len(shown)
    caption = "Data gates" + (
        f" (the first {len(shown)} of {len(checks.findings)})" if more else ""
    )
    columns = tuple(Column(title) for title in ("gate", "ticker", "session", "facts"))
    rows = tuple(Row((one.gate, one.ticker, str(one.session), one.facts)) for one in shown)
    return Table(caption, columns, rows)
