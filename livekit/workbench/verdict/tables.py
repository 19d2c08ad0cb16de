"""The verdict as tables of text: criteria, attribution, pairs, sensitivity, what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from livekit.comparison.attribution import Attribution, TradeAttribution
from livekit.comparison.decision import Criterion, Interval, Verdict
from livekit.comparison.fidelity import Fidelity
from livekit.comparison.figures import BookFigures
from livekit.comparison.reported import Estimate
from livekit.comparison.twins import TwinRecord
from livekit.trading.verdict_inputs import FullVerdict
from livekit.workbench.tables import NOTHING, Column, Row, Table, facts_table, usd
from livekit.workbench.verdict.charts import pair_returns

__all__ = [
    "attribution_table",
    "books_table",
    "causes_table",
    "conditions_table",
    "estimates_table",
    "fidelity_table",
    "missing_table",
    "outlook_table",
    "pairs_table",
    "registration_table",
    "sensitivity_table",
    "verdict_table",
]

_MOST_ROWS = 40
BACKTEST = "primary twin"
_ROLES = {"criterion": "", "evidence": "evidence: ", "sample": "sample: "}
_ROUNDING_USD = Decimal("0.02")  # a broker shows whole cents, fills are finer


def verdict_table(found: FullVerdict) -> Table:
    """The state, its reasons, and what settled the question before."""
    verdict = found.verdict
    facts = [("in one sentence", verdict.sentence)]
    if len(verdict.reasons) > 1:
        facts += [("because", reason) for reason in verdict.reasons]
    if found.settled_before is not None:
        session, state = found.settled_before
        facts.append(("settled", f"{state} on {session} ended this registration"))
    if found.cash_rest_usd is not None and abs(found.cash_rest_usd) >= _ROUNDING_USD:
        text = f"{usd(found.cash_rest_usd, signed=True)} USD that no trade of ours explains"
        facts.append(("account", text))
    facts += [("amendment", text) for text in found.amendments]
    return facts_table(f"Verdict after {found.session}", facts)


def registration_table(found: FullVerdict) -> Table:
    """What was fixed before the first session."""
    registered = found.registered
    plan = registered.plan
    return facts_table(
        "Registered before the first session",
        [
            ("registration", registered.sha256[:16]),
            ("method", registered.method),
            ("first look", f"{registered.first_look}, or {plan.first_look_trades} trades"),
            ("planned horizon", f"{plan.planned_sessions} sessions, {registered.horizon}"),
            ("base", f"{usd(plan.base_usd)} USD"),
            ("levels", f"α {plan.alpha:g}, β {plan.beta:g}, {plan.draws:,} draws"),
            ("seed", str(plan.seed)),
        ],
    )


def conditions_table(verdict: Verdict) -> Table:
    """Every condition of the decision with value, interval and standing."""
    columns = (
        Column("condition"),
        Column("standing"),
        Column("value", number=True),
        Column("needed"),
        Column("interval"),
    )
    rows = tuple(
        Row(
            (
                f"{_ROLES[one.role]}{one.name}",
                one.standing,
                value_text(one),
                one.needed,
                interval_text(one.interval, one.unit),
            )
        )
        for one in verdict.criteria
    )
    return Table("Criteria and evidence", columns, rows)


def value_text(criterion: Criterion) -> str:
    """The value with its unit: counts whole, everything else to two decimals."""
    if criterion.value is None:
        return "not available"
    whole = criterion.unit in ("days", "sessions", "weeks")
    number = f"{criterion.value:.0f}" if whole else f"{criterion.value:+.2f}"
    return f"{number} {criterion.unit}".rstrip()


def interval_text(interval: Interval | None, unit: str = "") -> str:
    """Both ends and how they were found; one end alone where the other is open."""
    if interval is None:
        return NOTHING
    unit = "" if "ratio" in interval.method else unit
    if math.isinf(interval.low):
        ends = f"{interval.high:.2f} {unit}".rstrip()
    else:
        ends = f"{interval.low:.2f} to {interval.high:.2f} {unit}".rstrip()
    return f"{ends} ({interval.method})"


def books_table(verdict: Verdict) -> Table:
    """The two twins side by side."""
    columns = (
        Column("twin"),
        Column("P&L less exit costs, USD", number=True),
        Column("closed", number=True),
        Column("profit factor", number=True),
        Column("without best", number=True),
        Column("without two", number=True),
        Column("drawdown", number=True),
        Column("Sharpe, year", number=True),
        Column("shortfall 5 %", number=True),
    )
    figures = verdict.figures
    books = (figures.primary, figures.shadow) if figures else ()
    return Table("The twins", columns, tuple(_book_row(book) for book in books))


def _book_row(book: BookFigures) -> Row:
    return Row(
        (
            book.strategy,
            usd(book.profit_usd, signed=True),
            str(book.closed),
            _ratio(book.profit_factor),
            _ratio(book.factor_without_best),
            _ratio(book.factor_without_two),
            f"{book.drawdown_pct:.2f} %",
            _ratio(book.sharpe),
            NOTHING if book.shortfall_pct is None else f"{book.shortfall_pct:.2f} %",
        )
    )


def estimates_table(verdict: Verdict) -> Table:
    """Figures of both twins and their difference with its interval."""
    figures = verdict.figures
    names = (figures.primary.strategy, figures.shadow.strategy) if figures else ("", "")
    columns = (
        Column("reported, decides nothing"),
        Column(names[0], number=True),
        Column(names[1], number=True),
        Column("difference", number=True),
        Column("interval of the difference"),
    )
    rows = tuple(_estimate_row(one) for one in verdict.estimates)
    return Table("Estimates with intervals", columns, rows)


def _estimate_row(one: Estimate) -> Row:
    values = (
        "not available" if value is None else f"{value:+.2f} {one.unit}".rstrip()
        for value in (one.primary, one.shadow, one.difference)
    )
    return Row((one.name, *values, interval_text(one.interval, one.unit)))


def outlook_table(found: FullVerdict) -> Table:
    """What either mistake would cost, given the record and what was believed before it."""
    outlook, plan = found.verdict.outlook, found.registered.plan
    caption = "What either mistake would cost (reported, decides nothing)"
    if outlook is None:
        return facts_table(caption, [("not available", "too few sessions, or no difference")])
    horizon = f"of the base over {plan.planned_sessions} sessions"
    return facts_table(
        caption,
        [
            ("believed before", f"0 ± {outlook.prior_sd_bps:g} bps of the base a session"),
            ("believed now", f"{outlook.mean_bps:+.2f} ± {outlook.sd_bps:.2f} bps a session"),
            (
                f"the shadow gains more than the {plan.switching_cost_pct:g} % a switch costs",
                f"{outlook.better:.0%}",
            ),
            ("expected regret of switching", f"{outlook.regret_switching_pct:.2f} % {horizon}"),
            ("expected regret of waiting", f"{outlook.regret_waiting_pct:.2f} % {horizon}"),
        ],
    )


def _ratio(value: float | None) -> str:
    return "not available" if value is None else f"{value:.2f}"


# ----------------------------------------------------------------------------------- attribution


def attribution_table(attribution: Attribution) -> Table:
    """The difference of the executed book and the twin by cause, to the cent."""
    rows = [Row((BACKTEST, usd(attribution.backtest_usd, signed=True)))]
    rows += [Row((part.cause, usd(part.usd, signed=True))) for part in attribution.totals]
    rest = attribution.rest_usd
    rows.append(Row(("rest without a cause", usd(rest, signed=True)), "bad" if rest else ""))
    rows.append(Row(("executed book", usd(attribution.live_usd, signed=True))))
    return Table(
        f"Executed book − primary twin: {usd(attribution.difference_usd, signed=True)} USD",
        (Column("cause"), Column("USD", number=True)),
        tuple(rows),
    )


def causes_table(attribution: Attribution) -> Table:
    """The trades that differ, largest difference first, each part with its facts."""
    columns = (
        Column("trade"),
        Column("difference, USD", number=True),
        Column("cause"),
        Column("USD", number=True),
        Column("facts"),
    )
    differing = sorted(
        (one for one in attribution.trades if one.parts or one.rest_usd),
        key=lambda one: -abs(one.difference_usd),
    )
    rows = tuple(row for one in differing for row in _cause_rows(one))
    more = f", the {_MOST_ROWS} largest parts of {len(rows)}" if len(rows) > _MOST_ROWS else ""
    return Table(f"Trade by trade{more}", columns, rows[:_MOST_ROWS])


def _cause_rows(one: TradeAttribution) -> Iterator[Row]:
    name = f"{one.ticker} {one.entry_session}"
    total = usd(one.difference_usd, signed=True)
    for part in one.parts:
        yield Row((name, total, part.cause, usd(part.usd, signed=True), part.detail))
    if one.rest_usd:
        yield Row((name, total, "no cause", usd(one.rest_usd, signed=True), "a break"), "bad")


def fidelity_table(fidelity: Fidelity) -> Table:
    """The verdict on the execution."""
    mean = NOTHING if fidelity.mean_pct is None else f"{fidelity.mean_pct:+.3f} %"
    if fidelity.low_pct is not None and fidelity.high_pct is not None:
        mean += f" ({fidelity.low_pct:+.3f} to {fidelity.high_pct:+.3f}, 90 %, by weeks of entry)"
    largest = ", ".join(f"{part.cause} {part.usd:+,.2f}" for part in fidelity.causes[:4])
    return facts_table(
        "Fidelity: does the executed book do what the primary twin did?",
        [
            ("state", fidelity.state),
            ("because", fidelity.because),
            ("trades", f"{fidelity.trades}, {fidelity.missed} missed, {fidelity.extra} extra"),
            ("total", f"{usd(fidelity.difference_usd, signed=True)} USD"),
            ("mean a trade, of what it invests", mean),
            ("named causes, USD", largest or "none, the books are equal"),
            ("rest without a cause", f"{usd(fidelity.rest_usd, signed=True)} USD"),
        ],
    )


# ----------------------------------------------------------------------------------------- pairs


def pairs_table(record: TwinRecord) -> Table:
    """Entries that the two rules left apart, largest difference first."""
    columns = (
        Column("entry"),
        Column(record.primary.strategy, number=True),
        Column("left"),
        Column(record.shadow.strategy, number=True),
        Column("left"),
        Column("difference, USD", number=True),
    )
    divergent = sorted(
        (pair for pair in record.pairs if pair.is_divergent),
        key=lambda pair: -abs(pair.shadow.profit_usd - pair.primary.profit_usd),
    )
    rows = []
    for pair in divergent[:_MOST_ROWS]:
        primary, shadow = pair_returns(pair)
        rows.append(
            Row(
                (
                    f"{pair.primary.ticker} {pair.primary.entry_session}",
                    f"{primary:+.1f} %",
                    str(pair.primary.exit_session or "open"),
                    f"{shadow:+.1f} %",
                    str(pair.shadow.exit_session or "open"),
                    usd(pair.shadow.profit_usd - pair.primary.profit_usd, signed=True),
                )
            )
        )
    count = f"{len(divergent)} of {len(record.pairs)}"
    return Table(f"Same entry, two exits: {count} pairs diverge", columns, tuple(rows))


# ----------------------------------------------------------------- sensitivity and what is missing


def sensitivity_table(verdict: Verdict) -> Table:
    """The P&L difference under other choices."""
    columns = (Column("choice"), Column("% of the base", number=True), Column("interval"))
    rows = tuple(
        Row((one.name, f"{one.value:+.2f} %", interval_text(one.interval, "%")))
        for one in verdict.sensitivities
    )
    return Table("Sensitivity of the P&L difference", columns, rows)


def missing_table(verdict: Verdict) -> Table:
    """What evidence is missing, and when it can be expected."""
    facts = [
        (one.name, f"{value_text(one)}, needed {one.needed}: {one.standing}")
        for one in verdict.criteria
        if one.standing != "met"
    ]
    if verdict.forecast is not None:
        facts.append(("forecast", verdict.forecast.text()))
    if not facts:
        facts = [("nothing", "every criterion and every bound of evidence holds")]
    return facts_table("What evidence is missing, and when it can be expected", facts)
