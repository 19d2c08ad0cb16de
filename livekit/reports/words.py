"""What the words on a report mean: stocks and names, grades, sectors, statements, dates.

Labels are in `labels`, figures in `figures`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

from livekit.model import Grade
from livekit.reports.figures import factor_gap, labelled_parts, read_money, stated_score
from livekit.reports.labels import meaning_of, plain

__all__ = [
    "ABBREVIATIONS",
    "GRADES",
    "INDEX_FUNDS",
    "MARKUP",
    "MONTHS",
    "Subject",
    "as_grade",
    "as_name",
    "dates_in",
    "grade_word",
    "is_other_matter",
    "is_sector",
    "is_turned_down",
    "names_firm",
    "read_subject",
    "says_nothing_qualified",
    "stocks_rated_in",
    "turns_away",
]

GRADES: dict[str, Grade] = {"A": "A", "B": "B", "C": "C", "D": "D"}

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)

MARKUP = frozenset("<>")
"""What no company's name holds."""

# fmt: off
INDEX_FUNDS = frozenset((
    "SPY", "QQQ", "IWM", "DIA", "GLD", "SLV", "VTI", "VOO", "VIX", "TLT", "USO",
    "UNG", "UUP", "BTC", "ETH", "HYG", "XLK", "XLF", "XLE", "XLV", "XLI", "XLP",
    "XLY", "XLU", "XLB", "XLRE", "XLC", "SMH", "ARKK", "EEM", "EFA",
))
# fmt: on
ABBREVIATIONS = frozenset(
    [
        "EPS",
        "RSI",
        "YTD",
        "QOQ",
        "YOY",
        "MOM",
        "ATR",
        "BMO",
        "AMC",
        "ET",
        "EST",
        "EDT",
        "PST",
        "PDT",
        "PT",
        "UTC",
        "GMT",
        "JST",
        "USD",
        "US",
        "UK",
        "EU",
        "AI",
        "CEO",
        "CFO",
        "IPO",
        "ETF",
        "FDA",
        "GAAP",
        "BUY",
        "SELL",
        "HOLD",
        "AVOID",
        "SKIP",
        "LONG",
        "SHORT",
        "WATCH",
        "PASS",
        "PLAY",
        "SMA",
        "EMA",
        "MA",
        "MACD",
        "VWAP",
        "AUM",
        "FCF",
        "EBIT",
        "TTM",
        "FY",
        "Q",
        "NYSE",
        "AVG",
        "MAX",
        "MIN",
        "TOTAL",
        "RANK",
        "NOTE",
        "HIGH",
        "LOW",
        "MEDIUM",
        "STRONG",
        "WEAK",
        "NEW",
        "TOP",
        "API",
        "FMP",
        "REIT",
        "ADR",
        "CEO",
        "PLC",
        "N",
        "NA",
        "ROE",
        "ROI",
        "PEG",
        "DCF",
        "PE",
        "EV",
        "GDP",
        "CPI",
        "FOMC",
        "FED",
        "M&A",
        "HTML",
        "JSON",
        "CSV",
        "PDF",
    ]
)
"""Words in capitals that name no stock unless a company's name or a ``$`` goes with them."""

_SECTORS = frozenset(
    {
        "basic materials",
        "communication services",
        "communications",
        "consumer",
        "consumer cyclical",
        "consumer defensive",
        "consumer discretionary",
        "consumer staples",
        "energy",
        "financial",
        "financial services",
        "financials",
        "health care",
        "healthcare",
        "industrial",
        "industrials",
        "information technology",
        "materials",
        "real estate",
        "technology",
        "utilities",
        "biotechnology",
        "semiconductors",
    }
)
_DESCRIPTIONS = re.compile(
    r"(?:very )?(?:high|medium|moderate|low|strong|elevated)(?:er)?[- ](?:risk|probability|setup|"
    r"confidence|conviction|momentum)|new|top pick|best pick|strong (?:buy|beat|setup)|buy|watch|"
    r"hold|avoid|sell|before open|after (?:hours|close)|pre-?market|speculative|success rate|"
    r".*\b(?:grade|success|probability|score|risk|recommend\w*|confidence|opportunit\w+|stocks|"
    r"setups?|tier|picks|candidates|points|performers?|20\d\d)\b.*|"
    r"(?:large|mid|small|micro|mega)[- ]?cap|sector|industry|market cap|eps|volume|"
    r"(?:prev(?:ious|\.)?|prior|pre|last|yesterday's)[- ]close|"
    r"(?:day's )?(?:open|high|low|close|range)|"
    r"stop(?:[- ]loss)?|(?:price )?targets?(?: price| \d)?|entry(?: price| zone| point| range)?|"
    r"support|resistance|52.*|rsi.*|beta|p/e.*|factors?|metrics?|category|component|element|points",
    re.IGNORECASE,
)

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"
_SYMBOL = r"[A-Z]{1,5}(?:[.-][A-Z]{1,2})?"
_EXCHANGE = r"(?:(?:NYSE|NASDAQ|Nasdaq|AMEX|NYSE American|OTC) ?: ?)?"
_TICKER = re.compile(rf"{_EXCHANGE}(\$?)({_SYMBOL})")
_NUMBERED = re.compile(r"#?\d{1,2}[.)]? (?=\$?[A-Z])")
_TICKER_FIRST = re.compile(rf"{_EXCHANGE}(\$?)({_SYMBOL})(?: ?[:|·•] | - )(.+)")
_IN_BRACKETS = re.compile(rf"[(\[]{_EXCHANGE}(\$?)({_SYMBOL})[)\]]")
_TICKER_AND_PRICE = re.compile(rf"(\$?)({_SYMBOL}) (\$ ?{_NUMBER}(?: \([+-]{_NUMBER} ?%\))?)")
_NAME_FIRST = re.compile(rf"([^:$%]{{2,60}}?) ?[(\[]{_EXCHANGE}(\$?)({_SYMBOL})[)\]]")
_NAME_IN_BRACKETS = re.compile(rf"(\$?)({_SYMBOL}) \(([^()$%]*[a-z][^()$%]*)\)")
_GRADE_WORD = re.compile(
    r"(?:(?:score|letter|overall|total) / )?(?:overall |final |letter )?"
    r"(?:([A-D])[ -](?:grade\b|tier\b|rated\b).{0,80}"
    r"|(?:setup )?(?:grade|tier|rating|rated) ?[:=]? ?([A-D])(?![\w+])(?: ?[(|/·-].{0,60})?)",
    re.IGNORECASE,
)
_FIRM_IN_CAPITALS = re.compile(
    r"[A-Z][A-Z\d&.,' -]+ (?:INC|CORP|CO|LTD|PLC|LLC|SE|SA|S\.A|NV|N\.V|AG|AB|ASA|SPA|LP|GROUP)\.?"
)
_FIRM = re.compile(
    r" (?:inc|corp|corporation|co|company|ltd|limited|plc|llc|group|holdings?|technologies|trust|"
    r"partners|bancorp|adr|se|s\.?a|n\.?v|ag)\.?$",
    re.IGNORECASE,
)
_SAID_TICKER = re.compile(
    rf"(?:stock )?(?:ticker|symbol)(?: symbol)?: ?\$?({_SYMBOL})", re.IGNORECASE
)
_SAID_NAME = re.compile(r"company(?: name)?: (.+)|name: (.+)", re.IGNORECASE)
_NAME = re.compile(r"(?!\d+[^A-Za-z\d])(?=.*[a-z])[^$%]*\Z")
_CALLED_NAME = re.compile(r"(?!\d+[^A-Za-z\d])(?=.*[A-Za-z]{2})[^$%]*\Z")
_BEGINS_NAME = re.compile(r"[A-Z\d]|[a-z][A-Z]")
_AFTER_NAME = re.compile(r" [|•·] | - (?!class\b|adr\b)", re.IGNORECASE)
_LONGEST_NAME = 80  # characters
_LONGEST_TITLE = 90
_LONGEST_STATEMENT = 160
_ISO_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_WORD_DATE = re.compile(rf"\b({'|'.join(MONTHS)}) (\d{{1,2}}), (\d{{4}})\b", re.IGNORECASE)
_NOTHING = re.compile(
    r"\b(?:no|zero|0) (?:(?:qualifying|qualified|earnings|gap-up|new|trade|trading|eligible) )*"
    r"(?:stocks?|candidates?|trades?|setups?)\b.{0,60}\b(?:available|found|qualif\w+|today|"
    r"identified|match\w*|met|meet|passed|returned)\b"
    r"|\breturned (?:no|zero|0) (?:results|stocks|candidates|matches)\b"
    r"|\b(?:did not|didn't) (?:identify|find|return) any (?:\w+ )?(?:stocks?|candidates?)\b",
    re.IGNORECASE,
)
_REFUSAL_PARTS = ("qualified", "excluded", "rejected")
_REFUSED = r"disqualified|excluded|rejected|not qualified"
_LOOKS_BACK = (
    r"(?:yesterday|previous (?:day|session)|prior (?:day|session)|last week)\b"
    r".{0,40}\b(?:summary|recap|review|performance)"
)
_NOT_OFFERED = rf"upcoming|calendar|watch ?-?list|to watch|{_LOOKS_BACK}|{_REFUSED}"
_TURNED_DOWN = re.compile(rf"\b(?:{_REFUSED})\b", re.IGNORECASE)
_TURNED_AWAY = re.compile(rf"\b(?:{_NOT_OFFERED})\b", re.IGNORECASE)
_OTHER_MATTER = re.compile(
    rf"\b(?:{_NOT_OFFERED}|methodology|legend|disclaimer|scoring system|(?:rating|grade) (?:scale|"
    r"reference|guide|key)|market (?:overview|context|status|snapshot|indices|conditions|summary))"
    r"\b",
    re.IGNORECASE,
)
_NAMES_A_STOCK = re.compile(
    r"\$([A-Z]{1,5})\b|\(([A-Z]{1,5})\)|^([A-Z]{2,5})\b(?![-/]|[^\w]*(?:[a-z]+ )?20\d\d)"
)
_RATES_A_STOCK = re.compile(
    rf"\$ ?{_NUMBER}|[+-]{_NUMBER} ?%|(?<![-\d])\d\d(?:\.\d+)? ?(?:/ ?100|pts|points)"
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A stock that a text names; ``sure`` when the text alone says that it is one.

    ``name`` and ``price`` are what the same text says of it.
    """

    ticker: str
    sure: bool
    name: str | None = None
    price: Decimal | None = None


@lru_cache(maxsize=50_000)
def read_subject(text: str) -> Subject | None:
    """The stock that a short text names, the way headings of cards do.

    ``$DAL``, ``AEO - $17.28``, ``INDV - Indivior PLC``, ``Navan Inc (NAVN)`` and, less surely,
    ``RTX`` alone.
    """
    if len(text) > _LONGEST_TITLE:
        return None
    text = _NUMBERED.sub("", plain(text))
    match = _TICKER.fullmatch(text)
    if match:
        return Subject(match[2], sure=bool(match[1]))
    match = _SAID_TICKER.fullmatch(text) if ":" in text else None
    if match and match[1].isupper():
        return Subject(match[1], sure=True)
    match = _TICKER_FIRST.fullmatch(text)
    if match:
        return _with_rest(match[2], match[3], marked=bool(match[1]))
    bracketed = _in_brackets(text) if "(" in text or "[" in text else None
    return bracketed or (_with_price(text) if "$" in text else None)


def _in_brackets(text: str) -> Subject | None:
    """``(NBIS)``, ``Navan Inc (NAVN)`` or ``NAVN (Navan Inc)``."""
    match = _IN_BRACKETS.fullmatch(text)
    if match:
        return None if match[2] in ABBREVIATIONS else Subject(match[2], sure=False)
    match = _NAME_FIRST.fullmatch(text)
    named = (match[3], match[1]) if match else None
    match = _NAME_IN_BRACKETS.fullmatch(text)
    named = named or ((match[2], match[3]) if match else None)
    name = as_name(named[1]) if named else None
    if named is None or name is None:
        return None
    return Subject(named[0], sure=named[0] not in ABBREVIATIONS, name=name)


def _with_price(text: str) -> Subject | None:
    """``ENPH $46.96 (+26.0%)``."""
    match = _TICKER_AND_PRICE.fullmatch(text)
    if match is None or match[2] in ABBREVIATIONS:
        return None
    return Subject(match[2], sure=True, price=read_money(match[3]))


def _with_rest(ticker: str, rest: str, *, marked: bool) -> Subject | None:
    """A ticker before a dash: a price or a company's name may follow."""
    sure = marked or not (ticker in ABBREVIATIONS or ticker in GRADES)
    price = read_money(rest)
    if price is not None and sure:
        return Subject(ticker, sure=True, price=price)
    name = as_name(rest)
    if name is None or not _BEGINS_NAME.match(name):
        return None
    return Subject(ticker, sure=sure, name=name)


@lru_cache(maxsize=50_000)
def as_name(text: str, *, called_name: bool = False) -> str | None:
    """The company's name in a text, without the sector after it, or None if it cannot be one.

    In capitals only what the page calls a name (``called_name``) counts: AECOM.
    """
    if len(text) > _LONGEST_NAME or not text.isprintable():
        return None
    name = _AFTER_NAME.split(_spaced(text))[0].strip()
    said = _SAID_NAME.fullmatch(name)
    name = (said[1] or said[2]) if said else name
    firm = called_name or said or _FIRM_IN_CAPITALS.fullmatch(name)
    pattern = _CALLED_NAME if firm else _NAME
    if not pattern.match(name) or is_sector(name) or _DESCRIPTIONS.fullmatch(name):
        return None
    told = meaning_of(name) or grade_word(name) or stated_score(name) or labelled_parts(name)
    return None if told or name.endswith(":") or factor_gap(name) != (None, None) else name


def names_firm(text: str) -> bool:
    """Whether a name ends the way only names of companies do: ``Acme Corp``."""
    return as_name(text) is not None and _FIRM.search(text) is not None


def _spaced(text: str) -> str:
    """Spaced long dashes as hyphens; a dash inside a name stays as it is."""
    return text.replace(" — ", " - ").replace(" – ", " - ")


def is_sector(text: str) -> bool:
    """Whether ``text`` names a sector, alone or before its industry."""
    return re.split(r" [-|•·/—–] | \(", text)[0].casefold().strip() in _SECTORS


@lru_cache(maxsize=50_000)
def grade_word(text: str) -> Grade | None:
    """The grade that a short text names: ``B-Grade Stocks``, ``Grade: B``; not a lone letter."""
    if len(text) > _LONGEST_TITLE or not _speaks_of_grade(text.casefold()):
        return None
    match = _GRADE_WORD.fullmatch(plain(text))
    return as_grade((match[1] or match[2]).upper()) if match else None


def _speaks_of_grade(text: str) -> bool:
    return "grade" in text or "tier" in text or "rating" in text or "rated" in text


def as_grade(letter: str) -> Grade | None:
    """``letter`` if it is a grade, else None."""
    return GRADES.get(letter)


@lru_cache(maxsize=20_000)
def stocks_rated_in(text: str) -> tuple[str, ...]:
    """The tickers a text names if it gives a price, a change or a score too."""
    shown = plain(text)
    if not _RATES_A_STOCK.search(shown):
        return ()
    named = (a or b or c for a, b, c in _NAMES_A_STOCK.findall(shown))
    return tuple(ticker for ticker in named if ticker not in ABBREVIATIONS | INDEX_FUNDS)


def says_nothing_qualified(text: str) -> bool:
    """Whether a short text states that no stock qualified (not of one grade, but at all)."""
    short = len(text) <= _LONGEST_STATEMENT and "grade" not in text.casefold()
    return short and _NOTHING.search(text) is not None


@lru_cache(maxsize=20_000)
def is_other_matter(text: str) -> bool:
    """Whether a heading announces something else than the day's candidates."""
    return _OTHER_MATTER.search(text) is not None


def is_turned_down(text: str) -> bool:
    """Whether a mark on a stock says that it did not qualify."""
    folded = text.casefold()
    if not any(part in folded for part in _REFUSAL_PARTS):
        return False
    return _TURNED_DOWN.search(text) is not None


def turns_away(text: str) -> bool:
    """Whether a heading says that the stocks below it are not offered for trading today."""
    return _TURNED_AWAY.search(text) is not None


def dates_in(text: str) -> list[date]:
    """Dates written as ``2026-03-18`` or ``March 18, 2026``; impossible ones are left out."""
    names = [month.casefold() for month in MONTHS]
    written = [tuple(int(part) for part in found) for found in _ISO_DATE.findall(text)]
    written += [
        (int(year), names.index(month.casefold()) + 1, int(day))
        for month, day, year in _WORD_DATE.findall(text)
    ]
    return [day for parts in written if (day := _possible(*parts))]


def _possible(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
