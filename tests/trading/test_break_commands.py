"""``livekit breaks``: what an operator sees of the ledger, and how a break is settled."""

from pathlib import Path

import pytest

from livekit.config import load_profile
from livekit.trading.opening import open_desk
from tests.entry.entry_kit import MONDAY, TUESDAY, Shop, little_market


@pytest.fixture
def shop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shop:
    """A registered profile; 7 DEF were bought by hand before the open of its first session."""
    found = Shop(tmp_path, little_market(tmp_path), capsys)
    found.write_params()
    assert found.init().code == 0
    with open_desk(load_profile(found.params, outputs=found.outputs)) as desk:
        desk.client.place_order("DEF", 7, "buy", client_order_id="by-hand")
        desk.clock.sleep(36_000.0)  # midnight to ten o'clock
    return found


def numbers(shown: str, kind: str) -> list[str]:
    """Numbers of the open breaks of a kind."""
    return [line.split()[1].rstrip(",") for line in shown.splitlines() if f": {kind}" in line]


def test_breaks_are_shown_with_number_age_facts_and_proposal_and_settled_by_number(
    shop: Shop,
) -> None:
    daily = shop.daily(MONDAY, "--phase", "reconciliation")
    assert daily.code == 4
    shown = shop.livekit("breaks", "--params", shop.params)
    assert shown.code == 4
    assert "foreign_fill DEF: buy 7 at 40 belongs to no order of ours" in shown.out
    assert "3 open breaks" in shown.out
    assert f"break {numbers(shown.out, 'foreign_fill')[0]}, open for 0 min: " in shown.out
    (fill,) = numbers(shown.out, "foreign_fill")
    settled = shop.livekit(
        "breaks", "resolve", fill, "--params", shop.params, "--reason", "bought for myself"
    )
    assert settled.code == 0, settled.err
    assert "+7 foreign shares of DEF, -280.00 USD of foreign cash; 0 open breaks" in settled.out
    everything = shop.livekit("breaks", "--params", shop.params, "--all")
    assert everything.code == 0
    assert "bought for myself" in everything.out
    assert f"break {fill}, settled after 0 min: foreign_fill DEF" in everything.out
    assert shop.daily(TUESDAY, "--phase", "signals").code == 0


def test_a_reason_is_wanted_and_the_break_must_be_open(shop: Shop) -> None:
    shop.daily(MONDAY, "--phase", "reconciliation")
    without = shop.livekit("breaks", "resolve", 1, "--params", shop.params, "--reason", " ")
    assert without.code == 2
    assert "wants a reason" in without.refusal
    unknown = shop.livekit("breaks", "resolve", 99, "--params", shop.params, "--reason", "why")
    assert unknown.code == 1
    assert "break 99" in unknown.refusal


def test_without_a_break_the_command_ends_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(tmp_path, little_market(tmp_path), capsys)
    shop.write_params()
    shop.init()
    ended = shop.livekit("breaks", "--params", shop.params)
    assert (ended.code, ended.out.strip()) == (0, "0 open breaks")


def test_a_daily_run_on_books_marked_read_only_is_refused_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(tmp_path, little_market(tmp_path), capsys)
    shop.write_params()
    shop.init()
    before = {path: path.read_bytes() for path in shop.home.rglob("*") if path.is_file()}
    shop.home.chmod(0o500)
    try:
        ended = shop.daily(MONDAY)
        assert ended.code == 2
        assert "read-only folder" in ended.refusal
        after = {path: path.read_bytes() for path in shop.home.rglob("*") if path.is_file()}
    finally:
        shop.home.chmod(0o700)
    assert after == before
