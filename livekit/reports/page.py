"""From the bytes of a report to a checked tree of text, or a typed refusal.

Everything that could make a page read only in part is refused here: a page is a whole HTML file
in UTF-8, or it is `BadInput`. Limits keep a hostile file from costing time or memory: its size is
checked before it is read, the number of tags before it is parsed, the depth by the parser.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8, getincrementaldecoder
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from livekit.errors import BadInput

__all__ = ["Block", "Leaf", "Page", "TableRow", "read_bytes", "read_page"]

MAX_BYTES = 20_000_000
MAX_TAGS = 30_000  # real pages have two or three thousand
MAX_ATTRIBUTE_WORK = 4e8  # the parser's time grows with the square of a tag's attributes
MAX_DEPTH = 250  # real pages reach 20
MAX_TEXT = 10_000  # characters of one text; the longest paragraph of a real page has a tenth
_HEAD_BYTES = 2_000
_TAIL_BYTES = 100_000
_CHUNK_BYTES = 1_000_000
_LONGEST_ROW = 12  # texts

_UNSEEN = frozenset({"script", "style", "template", "noscript", "title", "meta", "link"})
_ROW_TAGS = frozenset({"tr", "td", "th"})
_WORDS = re.compile(r"[^a-z0-9]+")
_ORNAMENT = re.compile(r"[^\w$+%/()▲▼−-]+|-{2,}")  # stars, bullets, bars between two texts
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_OPENING = re.compile(rb"(<!doctype\s+html|<html)\b", re.IGNORECASE)
_STRUCTURE = ("article", "div", "main", "section", "span", "table", "tr")
_UNREAD = ((b"<!--", b"-->"), (b"<script", b"</script>"))
_FEW_ATTRIBUTES = 200  # bytes; so short a tag costs next to nothing
_CLOSING = b"</html>"
_BLANK = re.compile(rb"\s*")
_UTF8 = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})


@dataclass(slots=True, eq=False)
class Block:
    """An element that contains text: leaves ``start`` to ``stop`` (exclusive) of the page.

    ``style_name`` are the words of its class and id, a hint where a text has no label.
    """

    tag: str
    parent: Block | None = field(repr=False)
    start: int
    stop: int = 0
    style_name: str = ""

    def __len__(self) -> int:
        return self.stop - self.start

    def holds(self, index: int) -> bool:
        """Whether the leaf at ``index`` lies inside."""
        return self.start <= index < self.stop

    def hints(self, word: str) -> bool:
        """Whether the element's class or id has ``word`` among its words."""
        name = self.style_name
        return word in name and word in _WORDS.split(name.casefold())

    def outwards(self) -> Iterator[Block]:
        """This block, its parent, and so on to the body."""
        block: Block | None = self
        while block is not None:
            yield block
            block = block.parent


@dataclass(slots=True, eq=False)
class Leaf:
    """One run of visible text, spaces collapsed, and the element it stands in."""

    index: int
    text: str
    block: Block


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row of a table with its cells, empty ones included."""

    table: Block | None
    block: Block
    cells: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class Page:
    """The visible text of a report in reading order, and what speaks against trusting it.

    ``hidden`` are texts that a browser would not show; ``unclosed`` names elements of which some
    are not closed, or closed without having been opened; ``scripts`` are the elements that scripts
    stand in.
    """

    title: str
    scripts: list[Block] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    unclosed: list[str] = field(default_factory=list)
    leaves: list[Leaf] = field(default_factory=list)
    rows: list[TableRow] = field(default_factory=list)

    def inside(self, block: Block) -> list[Leaf]:
        """The leaves of ``block`` in reading order."""
        return self.leaves[block.start : block.stop]

    def beside(self, leaf: Leaf) -> list[Leaf]:
        """The other texts of the leaf's row; none when the row is too long to belong together."""
        row = self.row_of(leaf)
        texts = self.inside(row) if len(row) <= _LONGEST_ROW else []
        return [other for other in texts if other is not leaf]

    def follower(self, leaf: Leaf) -> Leaf | None:
        """The next text, if it stands in the same row."""
        after = leaf.index + 1
        return self.leaves[after] if self.row_of(leaf).holds(after) else None

    def is_short_row(self, leaf: Leaf) -> bool:
        """Whether the leaf's row is short enough for its texts to belong together."""
        return len(self.row_of(leaf)) <= _LONGEST_ROW

    def row_of(self, leaf: Leaf) -> Block:
        """The smallest block around ``leaf`` that holds other text too."""
        block: Block | None = leaf.block
        while block is not None and block.stop - block.start < 2:
            block = block.parent
        return leaf.block if block is None else block


def read_bytes(path: Path) -> bytes:
    """The file's bytes; raises `BadInput` when it is absent, empty or larger than 20 MB."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadInput(path, f"report has {size:,} bytes, at most {MAX_BYTES:,} are read")
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(path, f"report cannot be read ({error.strerror})") from error
    if not content.strip():
        raise BadInput(path, "report is empty")
    return content


def read_page(path: Path, content: bytes) -> Page:
    """The visible text of an HTML file; raises `BadInput` for anything that is not all of one."""
    problem = next(_problems(content), None)
    if problem:
        raise BadInput(path, problem)
    reader = _Reader()
    parser = etree.HTMLParser(
        encoding="utf-8",
        target=reader,
        no_network=True,
        huge_tree=False,
        recover=True,
    )
    try:
        page: Page = etree.fromstring(content, parser)
    except etree.LxmlError as error:
        raise BadInput(path, f"report is not HTML ({error})") from error
    except _UnreadableError as error:
        raise BadInput(path, f"report {error}") from error
    if not any(reader.opened.values()) and not page.leaves:
        raise BadInput(path, "report holds no element")
    fatal = parser.error_log.filter_from_fatals()
    if len(fatal):
        raise BadInput(path, f"report is not usable HTML ({fatal[0].message.strip()})")
    page.unclosed = _unclosed(content, reader.opened)
    return page


class _UnreadableError(ValueError):
    """A text is longer, or an element deeper, than any report's; the message says which."""


def _unclosed(content: bytes, opened: Mapping[str, int]) -> list[str]:
    """Block elements that open and close a different number of times: a piece may be missing."""
    closings = content.lower()
    for begin, end in _UNREAD:
        closings = _without(closings, begin, end)
    return [tag for tag in _STRUCTURE if closings.count(b"</%s>" % tag.encode()) != opened[tag]]


def _without(content: bytes, begin: bytes, end: bytes) -> bytes:
    """The bytes outside of every stretch from ``begin`` to ``end``."""
    kept: list[bytes] = []
    position = 0
    while (start := content.find(begin, position)) >= 0:
        stop = content.find(end, start)
        if stop < 0:
            break
        kept.append(content[position:start])
        position = stop + len(end)
    return b"".join([*kept, content[position:]])


def _problems(content: bytes) -> Iterator[str]:
    """Why ``content`` is no complete HTML file in UTF-8; each check trusts those before it."""
    if b"\0" in content:
        yield "report holds NUL bytes"
    if not _is_utf8(content):
        yield "report is not UTF-8"
    charset = _CHARSET.search(content, 0, _HEAD_BYTES)
    if charset and charset[1].lower() not in _UTF8 and not _plain_ascii(content, charset[1]):
        yield f"report declares the character set {charset[1].decode('ascii', 'replace')}"
    if not _OPENING.match(content, _after_comments(content, len(_mark(content)))):
        yield "report is not HTML (it does not begin with <!DOCTYPE html> or <html>)"
    if b"<!ENTITY" in content:
        yield "report declares entities"
    tail = content[-_TAIL_BYTES:]
    closing = tail.lower().rfind(_CLOSING)
    if closing < 0 or _after_comments(tail, closing + len(_CLOSING)) < len(tail):
        yield "report is cut off (it does not end with </html>)"
    tags = content.count(b"<")
    if tags > MAX_TAGS:
        yield f"report has {tags:,} tags, at most {MAX_TAGS:,} are read"
    long = (part for part in content.split(b"<") if len(part) > _FEW_ATTRIBUTES)
    if sum(_most_attributes(part) ** 2 for part in long) > MAX_ATTRIBUTE_WORK:
        yield "report has tags with too many attributes"


def _most_attributes(tag: bytes) -> int:
    """An upper bound: each attribute needs one of these before it."""
    return len(tag) - len(tag.translate(None, delete=b" \t\n\f\r/'\"="))


def _is_utf8(content: bytes) -> bool:
    """Decode in pieces, so that the check needs no second copy of the file."""
    decoder = getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(content), _CHUNK_BYTES):
            decoder.decode(content[start : start + _CHUNK_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _mark(content: bytes) -> bytes:
    return BOM_UTF8 if content.startswith(BOM_UTF8) else b""


def _after_comments(content: bytes, position: int) -> int:
    """First position from ``position`` on that is neither white space nor inside a comment."""
    while blank := _BLANK.match(content, position):
        position = blank.end()
        if not content.startswith(b"<!--", position):
            return position
        end = content.find(b"-->", position)
        if end < 0:
            return position
        position = end + len(b"-->")
    return position


def _plain_ascii(content: bytes, charset: bytes) -> bool:
    """Whether the declared set reads the bytes as ASCII does; UTF-7 does not."""
    return content.isascii() and charset.lower().startswith((b"iso-8859", b"windows-125", b"cp125"))


class _Reader:
    """Takes the parser's events and keeps the visible text; no tree of elements is ever built.

    ``opened`` counts the elements of `_STRUCTURE`. The three methods that take events are the
    inner loop of reading a report.
    """

    __slots__ = (
        "_block", "_count", "_depth", "_pieces", "_unseen_depth", "_unseen_tag", "opened", "page"
    )  # fmt: skip

    def __init__(self) -> None:
        self.page = Page("")
        self.opened = dict.fromkeys(_STRUCTURE, 0)
        self._block: Block | None = None
        self._count = 0  # of the leaves so far
        self._depth = 0
        self._pieces: list[str] = []
        self._unseen_depth = 0  # of the element whose text is not shown, 0 outside of such
        self._unseen_tag = ""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element opens."""
        self._depth = depth = self._depth + 1
        if tag in self.opened:
            self.opened[tag] += 1
        if self._unseen_depth:
            return
        if self._pieces:
            self._add_text()
        if tag in _UNSEEN or (attributes and _is_hidden(attributes)):
            self._unseen_depth, self._unseen_tag = depth, tag
            if tag == "script" and self._block is not None:
                self.page.scripts.append(self._block)
        elif self._block is not None or tag == "body":
            names = _names(attributes) if attributes else ""
            self._block = Block(tag, self._block, self._count, 0, names)
            if tag in _ROW_TAGS:
                self._open_row(self._block)
            if depth > MAX_DEPTH:
                raise _UnreadableError(f"is nested more than {MAX_DEPTH} elements deep")

    def data(self, text: str) -> None:
        """A piece of text; one text may come in several."""
        if self._pieces or not text.isspace():
            self._pieces.append(text)

    def end(self, _tag: str) -> None:
        """An element closes."""
        if self._unseen_depth:
            if self._depth == self._unseen_depth:
                self._leave_unseen()
        else:
            if self._pieces:
                self._add_text()
            block = self._block
            if block is not None:
                block.stop = self._count
                self._block = block.parent
        self._depth -= 1

    def close(self) -> Page:
        """The page, after the last event."""
        if self._pieces:
            self._add_text()
        return self.page

    def _open_row(self, block: Block) -> None:
        """Enter a row of a table, or a cell of the last one."""
        rows = self.page.rows
        if block.tag == "tr":
            table = next((outer for outer in block.outwards() if outer.tag == "table"), None)
            rows.append(TableRow(table, block))
        elif rows:
            rows[-1].cells.append(block)

    def _add_text(self) -> None:
        pieces = self._pieces
        shown = _shown(pieces[0] if len(pieces) == 1 else "".join(pieces))
        pieces.clear()
        if shown and self._block is None:
            raise _UnreadableError("has text outside its body")
        if shown and self._block is not None:
            self.page.leaves.append(Leaf(self._count, shown, self._block))
            self._count += 1

    def _leave_unseen(self) -> None:
        text = "".join(self._pieces)
        self._pieces.clear()
        self._unseen_depth = 0
        if self._unseen_tag == "title":
            self.page.title = self.page.title or _shown(text)
        elif self._unseen_tag not in _UNSEEN:
            self.page.hidden.append(text)


def _names(attributes: Mapping[str, str]) -> str:
    """The class and the id of an element."""
    names = attributes.get("class", "")
    return f"{names} {attributes['id']}" if "id" in attributes else names


def _shown(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise _UnreadableError(f"has a text of {len(text):,} characters")
    shown = " ".join(text.split())
    if shown and not shown[0].isalnum() and _ORNAMENT.fullmatch(shown):
        return ""
    return shown


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    if "hidden" in attributes:
        return True
    return "style" in attributes and _HIDDEN_STYLE.search(attributes["style"]) is not None
