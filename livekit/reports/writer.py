"""Write earnings reports in the shape of the real ones: one HTML page a session.

A page is built as a tree, never as text, so whatever stands in a name stays text. It carries what
real pages carry beside the candidates and a parser must not trip over: counters, sub-scores such
as "3/5", a methodology with weights and a legend of grades.

The author of the real pages changes their layout every few days, so there are three here, taken in
turn: cards under the heading of their grade, cards with a badge whose figures stand above their
labels, and one ranking table.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from lxml import html
from lxml.html import HtmlElement
from lxml.html.builder import E

from livekit.files import write_whole
from livekit.model import DailyBars
from livekit.reports.earnings import BarSource, EarningsSession, earnings_sessions
from livekit.reports.scoring import (
    HISTORY_SESSIONS,
    FactorPoints,
    Factors,
    ScoredStock,
    score_stock,
)
from livekit.reports.words import MONTHS
from livekit.sessions import sessions_between

__all__ = ["LAYOUTS", "layout_of", "report_name", "write_demo_reports", "write_report"]

_SECTIONS, _BADGES, _RANKING = "sections", "badges", "ranking"
LAYOUTS = (_SECTIONS, _BADGES, _RANKING)
_NOTHING = {
    _SECTIONS: "No Qualifying Stocks Today",
    _BADGES: "No Stocks Available for Earnings Trading",
    _RANKING: "No candidates were found for this session",
}
_RANKING_COLUMNS = (
    "Rank",
    "Ticker",
    "Company",
    "Grade",
    "Score",
    "Price",
    "Gap %",
    "20D Trend",
    "Vol Ratio",
)
DEMO_GAP_PCT = 2.0
_LOOKBACK = timedelta(days=2 * HISTORY_SESSIONS)  # calendar days; holds 200 sessions with room

_WEIGHTS = (
    ("Gap Size", "25%", "Small to middling gaps have carried on more often than very large ones."),
    ("Prior Trend", "30%", "Price change over the 20 sessions before; a rising stock scores more."),
    ("Volume Trend", "20%", "Average volume of 20 sessions against 60; steady growth scores best."),
    ("MA200 Position", "15%", "Previous close against its 200-session average."),
    ("MA50 Position", "10%", "Previous close against its 50-session average."),
)
_LEGEND = (
    ("A", "85 points and more"),
    ("B", "70 to 84 points"),
    ("C", "55 to 69 points"),
    ("D", "below 55 points"),
)
_NOTICE = (
    "Made from historical prices for a simulation; not investment advice. The stocks were members "
    "of the index at a later date, and the earnings session is chosen with one session of "
    "hindsight, so results on these pages flatter."
)
_STYLE = """
body { margin: 0; background: #f3f4f1; color: #23302a; font: 15px/1.5 Georgia, serif; }
main { max-width: 1080px; margin: 0 auto; padding: 24px; }
header { border-bottom: 3px double #23302a; margin-bottom: 20px; }
.counters, .cards, .figures, .legend-row { display: flex; flex-wrap: wrap; gap: 14px; }
.counter, .card, .legend-item { background: #fff; border: 1px solid #cfd6cf; padding: 12px 16px; }
.card { width: 320px; }
.card-head { display: flex; justify-content: space-between; }
.symbol { font-size: 22px; font-weight: bold; }
.figure { width: 46%; }
.figure-name, .owner, .part-name { color: #5c6b62; font-size: 13px; }
.ranking { border-collapse: collapse; background: #fff; }
.ranking th, .ranking td { border: 1px solid #cfd6cf; padding: 6px 10px; text-align: left; }
.part { display: flex; justify-content: space-between; }
.mark-a { color: #1d6b3c; } .mark-b { color: #3f7d20; }
.mark-c { color: #9a6b00; } .mark-d { color: #a33b2a; }
"""


def report_name(session: date) -> str:
    """File name of the report of ``session``."""
    return f"earnings_trade_analysis_{session.isoformat()}.html"


def layout_of(session: date) -> str:
    """The layout of a session's page: they take turns by the calendar day."""
    return LAYOUTS[session.toordinal() % len(LAYOUTS)]


def write_report(
    folder: Path, session: date, entries: Sequence[ScoredStock], layout: str | None = None
) -> Path:
    """Write the report of ``session`` into ``folder`` and return its path.

    Stocks stand in the order of their grade, best score first, in ``layout`` or, if that is None,
    in the one whose turn it is. The file appears complete or not at all; one that is there already
    is replaced.
    """
    ordered = sorted(entries, key=lambda entry: (entry.grade, -entry.score, entry.ticker))
    page = html.tostring(
        _page(session, ordered, layout or layout_of(session)),
        doctype="<!DOCTYPE html>",
        encoding="utf-8",
        pretty_print=True,
    )
    path = folder / report_name(session)
    write_whole(path, page, mode=0o644, durable=False)
    return path


def write_demo_reports(
    folder: Path, prices: BarSource, earnings_csv: Path, first: date, last: date
) -> tuple[Path, ...]:
    """Write one report for each session from ``first`` to ``last``, also where nothing qualifies.

    A stock is in the report of its earnings session if it opened at least 2 % above the adjusted
    previous close; the reference price is that open, and the page says so. A stock that cannot be
    scored is left out.
    """
    moved = [
        event
        for event in earnings_sessions(earnings_csv, prices)
        if first <= event.session <= last and event.gap_pct >= DEMO_GAP_PCT
    ]
    tickers = sorted({event.ticker for event in moved})
    bars = prices.daily_bars(tickers, first - _LOOKBACK, last)
    scored: dict[date, list[ScoredStock]] = {day: [] for day in sessions_between(first, last)}
    for event in moved:
        entry = _entry(event, bars[event.ticker])
        if entry is not None:
            scored[event.session].append(entry)
    return tuple(write_report(folder, session, entries) for session, entries in scored.items())


def _entry(event: EarningsSession, bars: DailyBars) -> ScoredStock | None:
    reference = float(bars.open[bars.index_of(event.session)])
    name = f"{event.ticker} (S&P 500 constituent)"
    entry = score_stock(bars, event.session, reference, company_name=name)
    return entry if isinstance(entry, ScoredStock) else None


# ------------------------------------------------------------------------------------- the page


def _page(session: date, entries: Sequence[ScoredStock], layout: str) -> HtmlElement:
    title = f"Earnings Gap-Up Stock Analysis - {_long_date(session)}"
    return E.html(
        E.head(E.meta(charset="utf-8"), E.title(title), E.style(_STYLE)),
        E.body(
            E.main(_header(session), *_body(entries, layout), _methodology(), _legend(), _footer())
        ),
        lang="en",
    )


def _header(session: date) -> HtmlElement:
    return E.header(
        E.h1("Earnings Gap-Up Stock Analysis"),
        _block("date-badge", _long_date(session)),
        E.p("Five-factor score of stocks that gapped up on results. Prices are opening prices."),
    )


def _long_date(day: date) -> str:
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"  # English whatever the locale


def _body(entries: Sequence[ScoredStock], layout: str) -> list[HtmlElement]:
    if not entries:
        reason = "No stock both reported results and opened at least 2 percent higher."
        return [E.section(E.h2(_NOTHING[layout]), E.p(reason))]
    if layout == _RANKING:
        return [_counters(entries), _ranking(entries)]
    if layout == _BADGES:
        return [_counters(entries), _block("cards", *(_badge_card(entry) for entry in entries))]
    grades = sorted({entry.grade for entry in entries})
    sections = [_section(grade, [e for e in entries if e.grade == grade]) for grade in grades]
    return [_counters(entries), *sections]


def _counters(entries: Sequence[ScoredStock]) -> HtmlElement:
    grades: list[str] = [entry.grade for entry in entries]
    counts = [("Stocks Analyzed", len(grades))]
    counts += [(f"{grade}-Grade Stocks", grades.count(grade)) for grade, _ in _LEGEND]
    return _block(
        "counters",
        *(_pair("counter", "counter-name", name, "counter-value", str(n)) for name, n in counts),
    )


def _section(grade: str, entries: Sequence[ScoredStock]) -> HtmlElement:
    head = _block(
        f"grade-head mark-{grade.lower()}",
        E.span(grade, _class("grade-mark")),
        E.h2(f"{grade}-Grade Stocks"),
    )
    return E.section(head, _block("cards", *(_card(entry) for entry in entries)))


def _card(entry: ScoredStock) -> HtmlElement:
    return E.article(_card_head(entry), _figures(entry), _breakdown(entry.points), _class("card"))


def _card_head(entry: ScoredStock) -> HtmlElement:
    names = _block(
        "names", _block("symbol", entry.ticker), _block("owner", _plain(entry.company_name))
    )
    score = _pair("total", "total-name", "/ 100 pts", "total-value", f"{entry.score:g}", up=True)
    return _block("card-head", names, score)


def _figures(entry: ScoredStock) -> HtmlElement:
    factors: Factors = entry.factors
    shown = (
        ("Price", _dollars(entry)),
        ("Gap Size", _signed(factors.gap_pct)),
        ("20D Trend", _signed(factors.trend_pct)),
        ("Vol Ratio", f"{factors.volume_ratio_pct:.1f}%"),
        ("MA200 Position", _signed(factors.ma200_ratio_pct - 100.0)),
        ("MA50 Position", _signed(factors.ma50_ratio_pct - 100.0)),
    )
    return _block(
        "figures",
        *(_pair("figure", "figure-name", name, "figure-value", value) for name, value in shown),
    )


def _badge_card(entry: ScoredStock) -> HtmlElement:
    """The name above the ticker, the grade in a badge, each figure above its label."""
    names = _block(
        "names",
        E.h3(_plain(entry.company_name), _class("owner")),
        _block("symbol", f"${entry.ticker}"),
    )
    badge = _block(f"grade-mark mark-{entry.grade.lower()}", f"{entry.grade}-Grade")
    head = _block("card-head", names, badge, _block("points", f"{entry.score:g}/100 pts"))
    shown = (("Current Price", _dollars(entry)), ("Gap Up", _signed(entry.factors.gap_pct)))
    figures = (
        _pair("figure", "figure-name", name, "figure-value", value, up=True)
        for name, value in shown
    )
    return E.article(head, _block("figures", *figures), _breakdown(entry.points), _class("card"))


def _ranking(entries: Sequence[ScoredStock]) -> HtmlElement:
    """One table of all stocks, a stock a row."""
    head = E.tr(*(E.th(name) for name in _RANKING_COLUMNS))
    rows = (E.tr(*map(E.td, _ranking_cells(*ranked))) for ranked in enumerate(entries, start=1))
    return E.section(E.h2("Ranking"), E.table(E.thead(head), E.tbody(*rows), _class("ranking")))


def _ranking_cells(rank: int, entry: ScoredStock) -> tuple[str, ...]:
    return (
        str(rank),
        entry.ticker,
        _plain(entry.company_name),
        entry.grade,
        f"{entry.score:g}",
        _dollars(entry),
        _signed(entry.factors.gap_pct),
        _signed(entry.factors.trend_pct),
        f"{entry.factors.volume_ratio_pct:.0f}%",
    )


def _breakdown(points: FactorPoints) -> HtmlElement:
    earned = (points.gap, points.trend, points.volume, points.ma200, points.ma50)
    return _block(
        "breakdown",
        E.h4("Score Breakdown"),
        *(
            _pair("part", "part-name", f"{name} ({weight})", "part-value", f"{value}/5")
            for (name, weight, _), value in zip(_WEIGHTS, earned, strict=True)
        ),
    )


def _methodology() -> HtmlElement:
    rows = [E.li(f"{name} ({weight} weight): {text}") for name, weight, text in _WEIGHTS]
    return E.section(E.h3("Scoring Methodology"), E.ul(*rows))


def _legend() -> HtmlElement:
    items = [
        _pair("legend-item", f"mark-{grade.lower()}", f"{grade}-Grade", "legend-text", text)
        for grade, text in _LEGEND
    ]
    return E.section(E.h3("Grade Legend"), _block("legend-row", *items))


def _footer() -> HtmlElement:
    return E.footer(E.h4("Notice"), E.p(_NOTICE))


def _pair(
    outer: str, name_class: str, name: str, value_class: str, value: str, *, up: bool = False
) -> HtmlElement:
    """A label and its value in one block; with ``up`` the value stands above."""
    parts = [_block(name_class, name), _block(value_class, value)]
    return _block(outer, *(reversed(parts) if up else parts))


def _block(class_name: str, *content: HtmlElement | str) -> HtmlElement:
    return E.div(*content, _class(class_name))


def _class(name: str) -> dict[str, str]:
    return {"class": name}


def _dollars(entry: ScoredStock) -> str:
    return f"${entry.price:,.2f}" if entry.price >= 1 else f"${entry.price:,.4f}"


def _signed(percent: float) -> str:
    return f"{percent:+.2f}%"


def _plain(text: str) -> str:
    """``text`` without what no page can carry: control characters and surrogates become spaces."""
    shown = "".join(" " if unicodedata.category(char) in {"Cc", "Cs"} else char for char in text)
    return " ".join(shown.split())
