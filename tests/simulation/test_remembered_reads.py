"""Books that remember what they answered answer as books that are read plainly."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livekit.state import StateDB
from livekit.workbench.simulation.books import MemoryBooks, fresh_image
from livekit.workbench.simulation.day import play
from livekit.workbench.simulation.morning import make_dawn, make_morning
from livekit.workbench.simulation.script import write_script
from tests.state.state_examples import AT_OPEN, fill, order, position

TICKERS = ("AAA", "BBB", "CCC")
READS: tuple[Callable[[StateDB], Any], ...] = (
    lambda db: db.get_orders(),
    lambda db: db.get_orders(working_only=True),
    lambda db: db.get_fills(),
    lambda db: db.last_fill_at(),
    lambda db: db.get_open_positions(),
    lambda db: db.get_positions(),
    lambda db: db.get_config("name"),
    lambda db: db.is_kill_switch_on(),
    lambda db: db.get_runs(),
    lambda db: db.get_alerts(),
    lambda db: db.pending_alerts(),
    lambda db: db.soundness(),
)


class _Refused(Exception):
    pass


class _Power(BaseException):
    """Goes out."""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of new books."""
    folder = tmp_path_factory.mktemp("fresh")
    path = folder / "new.db"
    path.write_bytes(fresh_image(folder))
    return path


class PlainBooks(MemoryBooks):
    """Books that never remember."""

    def open(self, *, remembering: bool = True) -> StateDB:
        del remembering
        return super().open(remembering=False)


@contextmanager
def opened(fresh: Path) -> Iterator[MemoryBooks]:
    books = MemoryBooks()
    books.load(fresh.read_bytes())
    try:
        yield books
    finally:
        books.discard()


def everything(db: StateDB) -> list[Any]:
    return [read(db) for read in READS]


class _Writer:
    """Writes in every way there is; each way takes a ticker and a number."""

    def __init__(self, books: MemoryBooks, fresh: Path) -> None:
        self.books, self.image = books, fresh.read_bytes()
        self.db = books.open()
        self.plain = books.open(remembering=False)
        self.written = 0

    def look(self) -> None:
        assert everything(self.db) == everything(self.plain)

    def insert(self, ticker: str, number: int) -> None:
        self.written += 1
        bought = order(ticker, client_order_id=f"order-{self.written}", quantity=number + 1)
        self.db.add_order(bought, at=AT_OPEN)

    def insert_a_fill(self, ticker: str, number: int) -> None:
        for one in self.db.get_orders()[:1]:
            of = one.client_order_id
            self.db.add_fill(fill(f"fill-{number}", ticker=ticker, client_order_id=of))

    def insert_where_none_may_be(self, ticker: str, number: int) -> None:
        """One open position a ticker: the second is refused."""
        del number
        if all(item.ticker != ticker for item in self.db.get_open_positions()):
            self.db.add_position(position(ticker))
        else:
            with pytest.raises(Exception, match="UNIQUE"):
                self.db.add_position(position(ticker))

    def change(self, ticker: str, number: int) -> None:
        del ticker
        for one in self.db.get_orders()[:1]:
            status = ("new", "accepted", "filled", "canceled")[number]
            self.db.update_order_status(one.client_order_id, status, at=AT_OPEN)

    def set_a_value(self, ticker: str, number: int) -> None:
        self.db.set_config("name", f"{ticker} {number}")

    def write_plainly(self, ticker: str, number: int) -> None:
        self.plain.set_config("name", f"plainly {ticker} {number}")

    def write_by_hand(self, ticker: str, number: int) -> None:
        del ticker
        self.books.raw.execute("UPDATE orders SET quantity = ?", (number + 1,))

    def roll_back(self, ticker: str, number: int) -> None:
        with suppress(_Refused), self.db.transaction():
            self.set_a_value(ticker, number)
            self.look()
            raise _Refused

    def roll_back_a_part(self, ticker: str, number: int) -> None:
        with self.db.transaction():
            self.set_a_value(ticker, number)
            with suppress(_Refused), self.db.transaction():
                self.change(ticker, number)
                self.set_a_value(ticker, -number)
                self.look()
                raise _Refused
            self.look()

    def roll_back_plainly(self, ticker: str, number: int) -> None:
        with suppress(_Refused), self.plain.transaction():
            self.plain.set_config("name", f"never {ticker} {number}")
            self.look()
            raise _Refused

    def lose_power(self, ticker: str, number: int) -> None:
        self.db.before_commit = _go_out
        with pytest.raises(_Power):
            self.set_a_value(ticker, number)
        self.db.close()
        self.db = self.books.open()

    def begin_anew(self, ticker: str, number: int) -> None:
        del ticker, number
        self.books.load(self.image)

    def go_on_from_here(self, ticker: str, number: int) -> None:
        """The books of now, in a few more changes brought back."""
        kept = self.books.image()
        self.set_a_value(ticker, number)
        self.look()
        self.books.load(kept)


def _go_out() -> None:
    raise _Power


WAYS = sorted(
    name for name in vars(_Writer) if not name.startswith("_") and name != "look"
)  # every method that writes


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(WAYS), st.sampled_from(TICKERS), st.integers(0, 3))))
def test_after_any_writes_a_remembered_read_is_the_plain_one(
    fresh: Path, writes: list[tuple[str, str, int]]
) -> None:
    with opened(fresh) as books:
        writer = _Writer(books, fresh)
        writer.look()
        for way, ticker, number in writes:
            getattr(writer, way)(ticker, number)
            writer.look()


def test_a_question_is_asked_once_until_its_table_is_written(fresh: Path) -> None:
    with opened(fresh) as books:
        db = books.open()
        asked: list[str] = []
        books.raw.set_trace_callback(asked.append)
        for _ in range(3):
            db.get_config("name")
            db.get_orders()
        assert len(asked) == 2
        db.set_config("name", "value")
        asked.clear()
        assert db.get_config("name") == "value"
        db.get_orders()
        assert len(asked) == 1


def test_what_is_derived_is_made_anew_once_a_table_it_reads_has_changed(fresh: Path) -> None:
    with opened(fresh) as books:
        db = books.open()
        made: list[str | None] = []

        def derive() -> int:
            made.append(db.get_config("name"))
            return len(db.get_orders())

        def derived() -> int:
            return books.answers.derived("count", derive)

        assert (derived(), derived(), made) == (0, 0, [None])
        db.add_order(order("AAA"), at=AT_OPEN)
        assert (derived(), derived(), made) == (1, 1, [None, None])
        db.set_config("name", "value")
        db.add_alert("drill", "of no concern", at=AT_OPEN)
        assert (derived(), derived(), made) == (1, 1, [None, None, "value"])


def test_books_of_another_schema_are_read_as_they_are(fresh: Path, tmp_path: Path) -> None:
    """A column that was added later is seen, although the statements are kept."""
    path = tmp_path / "later.db"
    path.write_bytes(fresh.read_bytes())
    with sqlite3.connect(path) as content:
        content.execute("ALTER TABLE orders ADD COLUMN later TEXT")
    content.close()
    with opened(fresh) as books:
        row = "SELECT * FROM orders"
        width = len(books.raw.execute(row).description)
        books.load(path.read_bytes())
        assert len(books.raw.execute(row).description) == width + 1
        books.load(fresh.read_bytes())
        assert len(books.raw.execute(row).description) == width


@pytest.mark.parametrize("every_event", [False, True])
def test_days_are_the_same_with_and_without_remembering(
    tmp_path: Path, *, every_event: bool
) -> None:
    found = []
    for books in (MemoryBooks(), PlainBooks()):
        dawn = make_dawn(make_morning(1, tmp_path, books), 1, books)
        scripts = [write_script(seed) for seed in range(20, 26)]
        assert not any(script.through_alpaca_py for script in scripts)
        found.append([play(dawn, one, books, tmp_path, every_event=every_event) for one in scripts])
        books.discard()
    assert found[0] == found[1]
