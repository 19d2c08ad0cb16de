"""Change the layout of a report's page and leave what it says alone.

Each mutation works on the tree of the page with a random generator that the caller seeds.
"""

# ruff: noqa: E501 - the decoys are whole lines of a page

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from lxml import html
from lxml.html import HtmlElement
from lxml.html.builder import E

from livekit.reports.labels import SYNONYMS, Meaning, meaning_of

Mutation = Callable[[HtmlElement, Random], None]

_REWORDED = (Meaning.PRICE, Meaning.GAP, Meaning.SCORE)
_NOT_ALIKE = {"current", "gap down", "gap-down", "pts", "points", "total pts", "total points"}
_CONTAINERS = ("div", "section", "article")


def mutated(page: bytes, mutations: Sequence[Mutation], random: Random) -> bytes:
    """The page after the mutations."""
    root = html.document_fromstring(page.decode())
    for mutation in mutations:
        mutation(root, random)
    return bytes(html.tostring(root, doctype="<!DOCTYPE html>", encoding="utf-8"))


def rename_classes(root: HtmlElement, random: Random) -> None:
    """Every class gets a name without meaning."""
    names: dict[str, str] = {}
    for element in root.iter():
        if isinstance(element.tag, str) and element.get("class"):
            name = names.setdefault(element.get("class", ""), f"x{random.randrange(10**6)}")
            element.set("class", name)


def swap_labels_and_values(root: HtmlElement, random: Random) -> None:
    """In some kinds of pairs the value stands before its label, or the other way round."""
    swapped = {style for style in _styles(root) if random.random() < 0.5}
    for element in list(root.iter(*_CONTAINERS)):
        pair = len(element) == 2 and not any(len(child) for child in element)
        if pair and element.get("class") in swapped:
            element.append(element[0])


def shuffle_cards(root: HtmlElement, random: Random) -> None:
    """Cards of one parent stand in another order."""
    for parent in {card.getparent() for card in root.iter("article")}:
        cards = [child for child in parent if child.tag == "article"]
        for card in random.sample(cards, len(cards)):
            parent.append(card)


def shuffle_parts(root: HtmlElement, random: Random) -> None:
    """The parts of each card after its head stand in another order, the same in every card."""
    order = [random.random() for _ in range(20)]
    for card in root.iter("article"):
        rest = list(card)[1:]
        for _, part in sorted(zip(order, rest, strict=False), key=lambda pair: pair[0]):
            card.append(part)


def reword_labels(root: HtmlElement, random: Random) -> None:
    """Labels are exchanged for synonyms of the table, the same for the same label."""
    words: dict[str, str] = {}
    for element in root.iter():
        if not isinstance(element.tag, str) or not element.text or element.tag in {"h2", "title"}:
            continue
        meaning = meaning_of(element.text.strip())
        if meaning in _REWORDED:
            choices = [word for word in SYNONYMS[meaning] if word not in _NOT_ALIKE]
            kept = [word for word in choices if (word[0] == "/") == (element.text[0] == "/")]
            element.text = words.setdefault(element.text, random.choice(kept).title())


def wrap_everything(root: HtmlElement, random: Random) -> None:
    """More elements around elements."""
    for element in list(root.iter(*_CONTAINERS)):
        if random.random() < 0.3 and element.getparent() is not None:
            wrapper = html.Element("div")
            element.getparent().replace(element, wrapper)
            wrapper.append(element)


def rename_tags(root: HtmlElement, random: Random) -> None:
    """Divisions become spans, lists or sections."""
    leaf, block = random.choice(("span", "p", "b")), random.choice(("section", "li", "aside"))
    for element in list(root.iter("div")):
        element.tag = block if len(element) else leaf


def cards_to_rows(root: HtmlElement, random: Random) -> None:
    """Each card is a row of one table; figures of other kinds are columns as well."""
    cards = list(root.iter("article"))
    if not cards:
        return
    columns = ["Symbol", "Company", "Score", "Current Price", "Gap %", "20D Trend"]
    random.shuffle(columns)
    table = E.table(E.tr(*map(E.th, columns)))
    for card in cards:
        cells = _figures(card)
        table.append(E.tr(*(E.td(cells[column]) for column in columns)))
    first = cards[0].getparent()
    for section in list(root.iter("section")):
        if section.find(".//article") is not None:
            section.drop_tree()
    if first.getroottree().getroot() is root:
        first.drop_tree()
    root.find("body").insert(1, E.section(E.h2("Ranking"), table))


def _figures(card: HtmlElement) -> dict[str, str]:
    texts = [" ".join(text.split()) for text in card.itertext() if text.strip()]
    after = {label: texts[i + 1] for i, label in enumerate(texts[:-1])}
    before = {label: texts[i - 1] for i, label in enumerate(texts) if i}
    return {
        "Symbol": texts[0],
        "Company": texts[1],
        "Score": before["/ 100 pts"],
        "Current Price": after["Price"],
        "Gap %": after["Gap Size"],
        "20D Trend": after["20D Trend"],
    }


def _styles(root: HtmlElement) -> list[str]:
    found = {element.get("class") for element in root.iter(*_CONTAINERS) if element.get("class")}
    return sorted(style for style in found if style)


# ----------------------------------------------------------------------------------------- decoys

_ZED = "<b>ZZZZ</b><i>Zed Corp</i>"
DECOYS = {
    "upcoming": f"<section><h2>Upcoming Earnings to Watch</h2><div>{_ZED}<i>$12.00</i></div></section>",
    "calendar": "<section><h3>Earnings Calendar</h3><table><tr><th>Ticker</th><th>Company</th>"
    "<th>Price</th></tr><tr><td>ZZZZ</td><td>Zed Corp</td><td>$12.00</td></tr></table></section>",
    "watch list": f"<section><h2>Watchlist</h2><div>{_ZED}<div>Price</div><div>$9.00</div></div></section>",
    "disqualified": f"<div><div>{_ZED}<i>DISQUALIFIED - Gap Down</i></div><p>$12.00</p></div>",
    "index": "<div><div>SPY</div><div>$512.20</div><div>+0.41%</div></div>",
    "unread card": f"<div><div>{_ZED}</div><div>A</div><div>88 pts</div></div>",
    "priceless card": f"<article><div>{_ZED}</div><div><div>77</div><div>/ 100 pts</div></div></article>",
    "stray price": "<div><div>Now</div><div>$17.00</div></div>",
    "stray score": "<div><div>Rating</div><div>91/100</div></div>",
    "prose": "<ul><li>ENPH rose to $45.10 and scores 58 pts</li></ul>",
    "nothing": "<h2>No qualifying stocks found today</h2>",
    "watched card": "<h2>Stocks to watch</h2><article><div><div>ZZZZ</div><div>Zed Corp</div></div>"
    "<div><div>77</div><div>/ 100 pts</div></div><div><div>Price</div><div>$9.00</div></div></article>",
    "hidden": f"<div style='display:none'>{_ZED}<i>$12.00</i></div>",
    "target": "<div><div>Price Target</div><div>$99.00</div></div>",
}  # fmt: skip

INNER_DECOYS = {
    "second price": "<div><div>Current Price</div><div>$901.00</div></div>",
    "second score": "<div><div>Total Score</div><div>11 / 100</div></div>",
    "second gap": "<div><div>Gap Size</div><div>+77.00%</div></div>",
    "second stock": "<div><b>$ZZZZ</b> <i>Zed Corp</i></div>",
    "previous close": "<div><div>Previous Close</div><div>$3.10</div></div>",
    "target": "<div><div>Analyst Target</div><div>$901.00</div></div>",
    "stop": "<p>Stop: $1.10 | Target: $999.00</p>",
    "weekly": "<div><div>Week Perf</div><div>+55.00%</div></div>",
}


def with_decoy(name: str) -> Mutation:
    """Put a decoy between, before or after the parts of the body."""

    def mutation(root: HtmlElement, random: Random) -> None:
        main = root.find(".//main") if root.find(".//main") is not None else root.find("body")
        place = random.randrange(1, len(main) + 1)
        for part in reversed(html.fragments_fromstring(DECOYS[name])):
            main.insert(place, part)

    return mutation


def with_inner_decoy(name: str) -> Mutation:
    """Put a decoy at the end of a card."""

    def mutation(root: HtmlElement, random: Random) -> None:
        cards = list(root.iter("article"))
        if cards:
            card = random.choice(cards)
            for part in html.fragments_fromstring(INNER_DECOYS[name]):
                card.append(part)

    return mutation


def saved_as(path: Path, page: bytes) -> Path:
    """Write the page to ``path``."""
    path.write_bytes(page)
    return path
