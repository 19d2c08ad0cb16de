"""What the archive, the status and the digest say of a day that bought 200 ABC at 50 USD."""

from livekit.config import load_profile
from livekit.state import StateDB
from livekit.trading.opening import desk_on, open_link
from livekit.workbench.book_view import exposure_of, slippage_of
from livekit.workbench.changes import changes_since, changes_table
from livekit.workbench.tables import Table
from livekit.workbench.watching.digest import digest_text, store_digest
from tests.entry.entry_kit import MONDAY, Shop


def rows(table: object) -> list[tuple[str, ...]]:
    assert isinstance(table, Table)
    return [row.cells for row in table.rows]


def test_a_traded_day_in_tables_status_and_digest(shop: Shop) -> None:
    """10,000 USD at 50 are 200 shares, stopped at 45; every share closes at 50.

    Of 50,000 USD 10,000 are invested, a third of the capital of three positions of 10,000.
    """
    shop.report(MONDAY, ("ABC", 80.0, 50.0))
    assert shop.daily(MONDAY).code == 0
    profile = load_profile(shop.params, outputs=shop.outputs)
    with StateDB(profile.state_db) as db, open_link(profile) as link:
        desk = desk_on(profile, link, db)
        changed = changes_table(changes_since(db, MONDAY))
        slippage = slippage_of(desk, MONDAY)
        _, exposure = exposure_of(desk, MONDAY)
        words = digest_text(db, profile.trading, MONDAY)
        now = link.clock.now()
        assert [store_digest(db, profile.trading, MONDAY, now) for _ in range(2)] == [True, False]
    assert rows(changed) == [("opened", "ABC", "200 shares at 50.00 USD, stop 45.00")]
    assert rows(slippage[-1]) == [
        ("ABC", "entry: buy", "200", "50.00", "50.00", "+0.000 %", "0.00")
    ]
    assert len(slippage) == 1  # no chart of nothing
    assert rows(exposure) == [
        ("2020-01-06", "10,000.00", "33.3 %", "1", "40,000.00"),
    ]
    assert words.splitlines()[0] == (
        "Session 2020-01-06: signals done, execution done, protect done, reconciliation done, "
        "comparison done"
    )
    assert "opened ABC 200 shares at 50.00 USD, stop 45.00" in words
    shown = shop.livekit("status", "--params", shop.params)
    assert shown.code == 0, shown
    line = next(text.split() for text in shown.out.splitlines() if text.startswith("ABC "))
    assert line == ["ABC", "200", "50.00", "45.00", "+10.0", "%", "+1,000.00", "–"]
    assert "signals of 2020-01-07, due at 2020-01-07 08:50 New York" in shown.out
