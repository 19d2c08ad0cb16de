"""Pages put together from independent choices: how each fact is written and where it stands.

Nothing here knows the layouts of the report writer. A page is one draw from every list of ways
below, the same for all of its cards, as an author would do it for a day.
"""

# ruff: noqa: E501 - pieces of pages are whole lines

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from random import Random

__all__ = ["CONTAINERS", "Stock", "choose_ways", "page", "stocks"]


@dataclass(frozen=True)
class Stock:
    """What a card says, as numbers and as text."""

    ticker: str
    name: str
    sector: str
    grade: str
    score: float
    price: str
    gap: float


NAMES = (
    ("ACME", "Acme Corp", "Industrials"),
    ("G", "Genpact Limited", "Technology"),
    ("NEXT", "NextDecade Corporation", "Energy"),
    ("FIX", "Comfort Systems USA, Inc.", "Industrials"),
    ("BRK.B", "Berkshire Hathaway Inc", "Financial Services"),
    ("OS", "OneStream Inc", "Technology"),
    ("FROG", "JFrog Ltd", "Technology"),
    ("T", "AT&T Inc.", "Communication Services"),
    ("JBHT", "J.B. Hunt Transport Services", "Industrials"),
    ("ALL", "The Allstate Corporation", "Financial Services"),
    ("PLAY", "Dave & Buster's Entertainment", "Consumer Cyclical"),
    ("SAP", "SAP SE", "Technology"),
)


def stocks(random: Random) -> list[Stock]:
    """One to five stocks, best score first."""
    chosen = random.sample(NAMES, random.randrange(1, 6))
    listed = [_stock(random, *names) for names in chosen]
    return sorted(listed, key=lambda stock: -stock.score)


def _stock(random: Random, ticker: str, name: str, sector: str) -> Stock:
    score = random.randrange(30, 99) + random.choice((0.0, 0.0, 0.5))
    grade = next(
        letter for letter, least in zip("ABCD", (85, 70, 55, 0), strict=True) if score >= least
    )
    price = f"{random.choice((random.uniform(2, 400), random.uniform(1001, 4200))):,.2f}"
    return Stock(ticker, name, sector, grade, score, price, round(random.uniform(-6, 29), 2))


def signed(figure: float) -> str:
    return f"{figure:+.2f}%"


def number(score: float) -> str:
    return f"{score:g}"


def div(text: str, style: str = "") -> str:
    return f'<div class="{style}">{text}</div>' if style else f"<div>{text}</div>"


# ------------------------------------------------------------------------------- ways of writing

Way = Callable[[Stock], str]

HEADS: dict[str, Way] = {
    "ticker above name": lambda s: f"<h3>{s.ticker}</h3><p>{escape(s.name)}</p>",
    "dollar ticker": lambda s: f"<h3>${s.ticker}</h3><p>{escape(s.name)}</p>",
    "name above ticker": lambda s: (
        f"<div class='nm'>{escape(s.name)}</div><div class='tk'>{s.ticker}</div>"
    ),
    "name with exchange": lambda s: f"<h3>{escape(s.name)} (NASDAQ: {s.ticker})</h3>",
    "name with ticker": lambda s: f"<h3>{escape(s.name)} ({s.ticker})</h3>",
    "ticker dash name": lambda s: f"<h3>{s.ticker} - {escape(s.name)}</h3>",
    "ticker long dash name": lambda s: f"<h2>{s.ticker} — {escape(s.name)}</h2>",
    "ticker bar name bar sector": lambda s: f"<h3>{s.ticker} | {escape(s.name)} | {s.sector}</h3>",
    "link": lambda s: f"<h3><a href='#{s.ticker}'>{s.ticker}</a></h3><span>{escape(s.name)}</span>",
    "name and sector below": lambda s: (
        f"<div class='ticker'>{s.ticker}</div><div class='company'>{escape(s.name)} • {s.sector}</div>"
    ),
    "sector as third text": lambda s: (
        f"<div><b>${s.ticker}</b><div>{escape(s.name)}</div><div>{s.sector}</div></div>"
    ),
    "emoji ticker": lambda s: f"<h3>🚀 ${s.ticker}</h3><div>{escape(s.name)}</div>",
    "symbol span in title": lambda s: f"<h3>{escape(s.name)} <span>{s.ticker}</span></h3>",
    "label and ticker": lambda s: f"<p>Ticker: {s.ticker}</p><p>Company: {escape(s.name)}</p>",
}

GRADES: dict[str, Way] = {
    "letter": lambda s: f"<span class='grade-badge'>{s.grade}</span>",
    "X-Grade": lambda s: f"<span>{s.grade}-Grade</span>",
    "Grade: X": lambda s: f"<span>Grade: {s.grade}</span>",
    "GRADE X": lambda s: f"<span>GRADE {s.grade}</span>",
    "Tier X": lambda s: f"<span>Tier {s.grade}</span>",
    "label and letter": lambda s: f"<p><span>Grade</span><span>{s.grade}</span></p>",
    "star X Grade": lambda s: f"<span>⭐ {s.grade} Grade</span>",
    "Rating: X": lambda s: f"<span>Rating: {s.grade}</span>",
    "none": lambda s: "",
}

SCORES: dict[str, Way] = {
    "88 pts": lambda s: div(f"{number(s.score)} pts"),
    "88/100": lambda s: div(f"{number(s.score)}/100"),
    "Score: 88": lambda s: div(f"Score: {number(s.score)}"),
    "Score: 88/100": lambda s: div(f"Score: {number(s.score)}/100"),
    "Total Score: 88 pts": lambda s: div(f"Total Score: {number(s.score)} pts"),
    "label above": lambda s: div(div("Total Score") + div(number(s.score))),
    "label below": lambda s: div(div(number(s.score)) + div("Score")),
    "slash in span": lambda s: div(f"<b>{number(s.score)}</b><span>/100</span>"),
    "strong label": lambda s: f"<p><strong>Total Score:</strong> {number(s.score)} / 100</p>",
    "backtest score": lambda s: div(div("Backtest Score") + div(f"{s.score:.1f}")),
    "composite": lambda s: div(f"<span>Composite Score</span><span>{s.score:.1f}/100</span>"),
    "points word": lambda s: div(f"{number(s.score)} points"),
    "circle": lambda s: div(div(number(s.score)) + div("POINTS"), "score-circle"),
    "in words": lambda s: div(f"{number(s.score)} out of 100"),
}

PRICES: dict[str, Way] = {
    "label above": lambda s: div(div("Current Price") + div(f"${s.price}")),
    "label below": lambda s: div(div(f"${s.price}") + div("Price")),
    "inline": lambda s: div(f"Price: ${s.price}"),
    "bare": lambda s: div(f"${s.price}", "px"),
    "strong": lambda s: f"<p><strong>Last Price:</strong> ${s.price}</p>",
    "USD before": lambda s: div(div("Price") + div(f"USD {s.price}")),
    "USD after": lambda s: div(div("Price") + div(f"{s.price} USD")),
    "with day's change": lambda s: div(div("Price") + div(f"${s.price} (+1.20%)")),
    "pre-market": lambda s: div(div("Pre-Market Price") + div(f"${s.price}")),
    "last": lambda s: div(div("Last") + div(f"${s.price}")),
    "trading at": lambda s: div(f"Trading at ${s.price}"),
    "stock price emoji": lambda s: div(f"<span>💰 Stock Price</span> <span>${s.price}</span>"),
}

GAPS: dict[str, Way] = {
    "label above": lambda s: div(div("Gap Size") + div(signed(s.gap))),
    "label below": lambda s: div(div(signed(s.gap)) + div("Gap")),
    "inline": lambda s: div(f"Gap: {signed(s.gap)}"),
    "value first": lambda s: div(f"{signed(s.gap)} Gap"),
    "Earnings Gap": lambda s: f"<p><strong>Earnings Gap:</strong> {signed(s.gap)}</p>",
    "emoji": lambda s: div(f"<span>📈 Gap</span><span>{signed(s.gap)}</span>"),
    "arrow": lambda s: div(div("Gap %") + div(f"{'▲' if s.gap >= 0 else '▼'} {abs(s.gap):.2f}%")),
    "gapped": lambda s: div(f"Gapped {'up' if s.gap >= 0 else 'down'} {abs(s.gap):.2f}%"),
    "percent word": lambda s: div(f"Gap: {s.gap:+.2f} percent"),
    "badge": lambda s: f"<span class='gap-badge'>{signed(s.gap)}</span>",
}

FACTORS: dict[str, Way] = {
    "none": lambda s: "",
    "out of five": lambda s: (
        "<div>"
        + "".join(
            f"<div><span>{name}</span><span>{i}/5</span></div>"
            for i, name in enumerate(FACTOR_NAMES, 1)
        )
        + "</div>"
    ),
    "weights": lambda s: (
        "<ul>"
        + "".join(
            f"<li>{name} ({weight}%): {i} pts</li>"
            for i, (name, weight) in enumerate(
                zip(FACTOR_NAMES, (25, 30, 20, 15, 10), strict=True), 1
            )
        )
        + "</ul>"
    ),
    "bare": lambda s: "".join(
        f"<div><div>{name}</div><div>{i}</div></div>" for i, name in enumerate(FACTOR_NAMES, 1)
    ),
    "table": lambda s: (
        "<table><tr><th>Factor</th><th>Points</th></tr>"
        + "".join(
            f"<tr><td>{name}</td><td>{i}/5</td></tr>" for i, name in enumerate(FACTOR_NAMES, 1)
        )
        + "</table>"
    ),
}
FACTOR_NAMES = ("Gap Size", "Pre-Earnings Trend", "Volume Trend", "MA200 Position", "MA50 Position")

EXTRAS: dict[str, Way] = {
    "none": lambda s: "",
    "market cap": lambda s: div(div("Market Cap") + div("$12.4B")),
    "plan": lambda s: (
        "<p><strong>Entry:</strong> $90-$95 | <strong>Stop:</strong> $81.00 | <strong>Target:</strong> $120.00</p>"
    ),
    "plan pairs": lambda s: (
        div(div("Entry Zone") + div("$90.00 - $95.00"))
        + div(div("Stop Loss") + div("$81.00"))
        + div(div("Target") + div("$120.00"))
    ),
    "eps": lambda s: (
        "<ul><li>EPS $1.49 vs. $1.23 estimate (+20.89% surprise)</li><li>Revenue $3.1B, up 12%</li></ul>"
    ),
    "previous close": lambda s: div(div("Previous Close") + div("$3.10")),
    "week": lambda s: div(div("Week Perf") + div("+8.13%")) + div(div("RSI") + div("61.2")),
    "probability": lambda s: div(div("65%") + div("Success Probability")),
    "range": lambda s: div(div("52W Range") + div("$55.10 - $187.40")),
    "prose": lambda s: (
        f"<p>{escape(s.name)} beat estimates; shares trade 12.5% above the 50-day average after a strong quarter.</p>"
    ),
}

CONTAINERS = ("card", "article", "details", "list", "grid", "pairs table", "definition list")
AROUND = {
    "nothing": "",
    "counters": "<div><div><div>{n}</div><div>Stocks Analyzed</div></div></div>",
    "methodology": "<div><h2>Scoring Methodology</h2><ul><li>Gap Size (25%): bucket 2-5% earns 3 points</li><li>A-Grade: 85+ points</li><li>B-Grade: 70-84 points</li></ul></div>",
    "legend": "<div><h3>Grade Legend</h3><div><span>A</span><span>85+ pts</span></div><div><span>B</span><span>70-84 pts</span></div></div>",
    "market": "<div><h2>Market Overview</h2><div><div>SPY</div><div>$512.20</div></div><div><div>QQQ</div><div>$440.10 (+0.41%)</div></div></div>",
    "upcoming": "<div><h2>Upcoming Earnings</h2><div><b>ZZZZ</b> <i>Zed Corp</i></div></div>",
    "disclaimer": "<footer><h4>Disclaimer</h4><p>Not investment advice.</p></footer>",
}
SECTIONS = ("none", "A-Grade Stocks", "Grade A (85+ points)", "🏆 A-Grade Setups")


def choose_ways(random: Random) -> dict[str, str]:
    """One way for everything that a page writes."""
    lists: dict[str, Sequence[str]] = {
        "head": list(HEADS),
        "grade": list(GRADES),
        "score": list(SCORES),
        "price": list(PRICES),
        "gap": list(GAPS),
        "factors": list(FACTORS),
        "extra": list(EXTRAS),
        "container": CONTAINERS,
        "around": list(AROUND),
        "section": SECTIONS,
    }
    ways = {what: random.choice(choices) for what, choices in lists.items()}
    return ways | {
        "order": "".join(random.sample("spgfe", 5)),
        "badge": random.choice(("head", "score")),
    }


def page(ways: dict[str, str], listed: Sequence[Stock]) -> str:
    """The whole page of those stocks, written in those ways."""
    around = AROUND[ways["around"]].replace("{n}", str(len(listed)))
    above, below = (
        (around, "") if ways["around"] in {"counters", "market", "legend"} else ("", around)
    )
    body = f"<header><h1>Post-Earnings Gap Report</h1><p>March 18, 2020</p></header>{above}"
    body += f"<main>{_sections(ways, listed)}</main>{below}"
    head = "<head><meta charset='utf-8'><title>Earnings Trade Report 2020-03-18</title></head>"
    return f"<!DOCTYPE html><html>{head}<body>{body}</body></html>"


def _sections(ways: dict[str, str], listed: Sequence[Stock]) -> str:
    if ways["section"] == "none":
        return f"<section>{''.join(_card(ways, stock) for stock in listed)}</section>"
    grades = dict.fromkeys(stock.grade for stock in listed)
    return "".join(
        f"<section><h2>{_titled(ways['section'], grade)}</h2>"
        f"{''.join(_card(ways, stock) for stock in listed if stock.grade == grade)}</section>"
        for grade in grades
    )


def _titled(title: str, grade: str) -> str:
    points = {"A": "85+", "B": "70-84", "C": "55-69", "D": "under 55"}[grade]
    return (
        title.replace("85+", points)
        .replace("A-Grade", f"{grade}-Grade")
        .replace("Grade A", f"Grade {grade}")
    )


def _card(ways: dict[str, str], stock: Stock) -> str:
    parts = {
        "s": SCORES[ways["score"]](stock),
        "p": PRICES[ways["price"]](stock),
        "g": GAPS[ways["gap"]](stock),
        "f": FACTORS[ways["factors"]](stock),
        "e": EXTRAS[ways["extra"]](stock),
    }
    badge = GRADES[ways["grade"]](stock)
    head, order = HEADS[ways["head"]](stock), ways["order"]
    if ways["badge"] == "score":
        parts["s"] = f"<div>{badge}{parts['s']}</div>"
    else:
        head = f"<div>{head}{badge}</div>"
    return _contained(ways["container"], stock, head, [parts[key] for key in order if parts[key]])


def _contained(container: str, stock: Stock, head: str, parts: Sequence[str]) -> str:
    inner = "".join(parts)
    if container == "article":
        return f"<article><header>{head}</header>{inner}</article>"
    if container == "details":
        return f"<details open><summary>{head}</summary><div>{inner}</div></details>"
    if container == "list":
        return f"<ul><li>{head}<div>{inner}</div></li></ul>"
    if container == "grid":
        rows = "".join(f"<div class='row'><div class='col'>{part}</div></div>" for part in parts)
        return f"<div class='col'><div>{head}</div><div class='grid'>{rows}</div></div>"
    if container in {"pairs table", "definition list"}:
        return _pairs(container, stock, head)
    return f"<div class='x{len(stock.ticker)}'>{head}{inner}</div>"


def _pairs(container: str, stock: Stock, head: str) -> str:
    """Labels and values in rows of a small table, or in a definition list."""
    pairs = (
        ("Total Score", f"{number(stock.score)}/100"),
        ("Current Price", f"${stock.price}"),
        ("Gap", signed(stock.gap)),
        ("Market Cap", "$4.1B"),
        ("Previous Close", "$3.10"),
    )
    if container == "pairs table":
        rows = "".join(f"<tr><td>{label}</td><td>{value}</td></tr>" for label, value in pairs)
        return f"<div>{head}<table>{rows}</table></div>"
    rows = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in pairs)
    return f"<div>{head}<dl>{rows}</dl></div>"
