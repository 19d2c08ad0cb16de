"""Replay of recorded days: the trades of the executed book again, and what makes it refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from livekit.comparison.attribution import MISSED
from livekit.comparison.replay import replay_days
from livekit.errors import NotASession, RecordUnusable
from livekit.prices import ParquetPriceSource
from livekit.trading.record_chain import GENESIS, check_chain
from livekit.trading.registration_record import read_registration
from livekit.trading.replay import recorded_days, replay_record, twin_differences
from livekit.trading.snapshots import bars_from_bytes
from livekit.trading.verdict_inputs import full_verdict, store_verdict, verdict_values
from livekit.workbench.verdict.lines import replay_lines, verdict_json, verdict_lines
from tests.comparison.recorded import FIRST, LAST, SESSIONS, Record
from tests.trading.world import world

# ----------------------------------------------------------------------------------------- replay


def test_the_replay_gives_the_executed_trades_one_by_one(record: Record) -> None:
    with record.opened() as db:
        report = replay_record(db, record.profile.home, record.config, FIRST, LAST)
    trades = {one.ticker: one for one in report.attribution.trades}
    assert set(trades) == {"ABC", "DEF", "GHI"}
    assert report.attribution.difference_usd == report.attribution.rest_usd == 0
    # 200 shares of 50 stopped at 45, less 0.5 %: 200 × (44.775 − 50)
    assert trades["ABC"].backtest is not None
    assert trades["ABC"].backtest.profit_usd == Decimal("-1045.00")
    # 125 shares of 80 sold at the open of 70, less 0.5 %: 125 × (69.65 − 80)
    assert trades["GHI"].live is not None
    assert trades["GHI"].live.profit_usd == Decimal("-1293.75")
    assert all(one.live == one.backtest or one.live is not None for one in trades.values())


def test_a_stretch_shows_the_trades_that_were_held_in_it(record: Record) -> None:
    with record.opened() as db:
        home, config = record.profile.home, record.config
        report = replay_record(db, home, config, date(2020, 1, 10), date(2020, 1, 13))
    # ABC left on the 8th; GHI is still open on the 13th
    assert [one.ticker for one in report.attribution.trades] == ["DEF", "GHI"]
    assert report.attribution.difference_usd == 0


def test_the_stored_twins_are_what_their_inputs_give(record: Record) -> None:
    with record.opened() as db:
        days = recorded_days(db, record.profile.home, SESSIONS)
        for replay in replay_days(days, ("ema_p10", "nwl_p4")):
            assert twin_differences(db, replay) == ()
            assert len(replay.marks) == len(SESSIONS)


def test_present_prices_that_were_not_revised_change_nothing(record: Record) -> None:
    prices = ParquetPriceSource(record.profile.prices)
    with record.opened() as db:
        home, config = record.profile.home, record.config
        report = replay_record(db, home, config, FIRST, LAST, present=prices)
    assert report.attribution.difference_usd == 0


def test_a_revised_price_is_data_revision(record: Record) -> None:
    """The open of GHI's exit is now known as 71: the backtest sold at 70.645.

    125 × (70.645 − 80) = −1,169.375, half-even −1,169.38; executed −1,293.75.
    """

    class Revised(ParquetPriceSource):
        def daily_bars(self, tickers, first, last):  # type: ignore[no-untyped-def]
            found = super().daily_bars(tickers, first, last)
            bars = found.get("GHI")
            at = bars.index_of(date(2020, 1, 14)) if bars is not None else -1
            if bars is not None and at >= 0:
                opens = bars.open.copy()
                opens[at] = 71.0
                found["GHI"] = replace(bars, open=opens)
            return found

    with record.opened() as db:
        home, config = record.profile.home, record.config
        prices = Revised(record.profile.prices)
        report = replay_record(db, home, config, FIRST, LAST, present=prices)
    parts = {part.cause: part.usd for part in report.attribution.totals if part.usd}
    assert parts == {"data revision": Decimal("-124.37")}


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2020, 1, 2), LAST), (FIRST, date(2020, 1, 21)), (LAST, FIRST)],
    ids=["before the record", "after the record", "backwards"],
)
def test_a_stretch_outside_the_record_is_refused(record: Record, first: date, last: date) -> None:
    with record.opened() as db, pytest.raises(NotASession):
        replay_record(db, record.profile.home, record.config, first, last)


def test_the_replay_is_told_in_lines(record: Record) -> None:
    with record.opened() as db:
        report = replay_record(db, record.profile.home, record.config, FIRST, LAST)
    head, *lines = replay_lines(report)
    assert head.startswith("2020-01-06 to 2020-01-17: 3 trades matched one to one, 0 only")
    assert any(line.startswith("Executed book − primary twin: 0.00 USD") for line in lines)


# -------------------------------------------------------------------------------- a missed trade


def test_a_trade_that_a_guard_stopped_is_named_with_its_guard(tmp_path: Path) -> None:
    """The report says 50, the market 40: the candidate is withheld, the twin buys it."""
    bars = {("ABC", FIRST): (40.0, 41.0, 39.0, 40.0)}
    with world(tmp_path, {"ABC": 50.0}, bars) as w:
        w.report(FIRST, ("ABC", 80.0, 50.0))
        w.trade(FIRST)
        found = full_verdict(w.db, w.profile.home, w.profile.trading, FIRST)
    assert found.attribution is not None
    (one,) = found.attribution.trades
    assert [(part.cause, part.detail.partition(" report")[0]) for part in one.parts] in (
        [(MISSED, "skipped by the plan: price_conflict")],
        [],
    )
    assert one.live is None
    assert one.backtest is not None


# ------------------------------------------------------------------------------------- bad input


def refused(record: Record, match: str) -> None:
    """Replay and verdict both refuse, with the reason and without a number."""
    with record.opened() as db:
        home, config = record.profile.home, record.config
        with pytest.raises(RecordUnusable, match=match):
            replay_record(db, home, config, FIRST, LAST)
        found = full_verdict(db, home, config, LAST)
    assert found.verdict.state == "INVALID"
    assert match in found.verdict.sentence
    assert (found.verdict.figures, found.attribution, found.fidelity) == (None, None, None)


def test_a_session_that_is_missing_is_a_hole(spoilt: Record) -> None:
    spoilt.spoil("DELETE FROM record_links WHERE session = '2020-01-09'")
    refused(spoilt, "the record has a hole: session 2020-01-09 is missing")


def test_a_snapshot_that_does_not_match_its_hash_is_refused(spoilt: Record) -> None:
    with spoilt.opened() as db:
        (kept,) = [one for one in db.get_snapshots(LAST) if one.kind == "settlement"]
    (spoilt.profile.home / kept.path).write_bytes(b"something else")
    refused(spoilt, "the settlement snapshot of 2020-01-17 does not match its hash")


def test_a_snapshot_that_is_gone_is_refused(spoilt: Record) -> None:
    with spoilt.opened() as db:
        (kept,) = [one for one in db.get_snapshots(FIRST) if one.kind == "report"]
    (spoilt.profile.home / kept.path).unlink()
    refused(spoilt, "the report snapshot of 2020-01-06 is missing")


def test_candidates_that_were_changed_are_seen(spoilt: Record) -> None:
    spoilt.spoil("UPDATE candidates SET score = 99.0 WHERE ticker = 'DEF'")
    refused(spoilt, "the candidates of 2020-01-06 are not those that were recorded")


def test_a_twin_s_profit_that_was_changed_is_seen(spoilt: Record) -> None:
    spoilt.spoil(
        "UPDATE equity SET realised = '100.00' WHERE book = 'nwl_p4' AND session = '2020-01-15'"
    )
    refused(spoilt, "the twins of 2020-01-15 are not those that were recorded")


def test_a_link_that_was_rewritten_breaks_the_chain(spoilt: Record) -> None:
    spoilt.spoil(
        "UPDATE record_links SET body = replace(body, '\"positions\":2', '\"positions\":1')"
        " WHERE session = '2020-01-07'"
    )
    refused(spoilt, "the record's chain is broken at 2020-01-07")


def test_an_input_taken_from_the_list_is_missed(spoilt: Record) -> None:
    spoilt.spoil("DELETE FROM snapshots WHERE session = '2020-01-10' AND kind = 'settlement'")
    refused(spoilt, "an input of 2020-01-10 is no longer listed")


def test_another_configuration_is_refused(record: Record) -> None:
    other = replace(record.config, stop_loss_pct=8.0)
    with record.opened() as db:
        with pytest.raises(RecordUnusable, match="the configuration is not the registered one"):
            replay_record(db, record.profile.home, other, FIRST, LAST)
        found = full_verdict(db, record.profile.home, other, LAST)
    assert found.verdict.state == "INVALID"


def test_an_open_twin_position_that_was_changed_is_not_what_its_inputs_give(
    spoilt: Record,
) -> None:
    """The chain names closed trades and sums; the replay sees the rest."""
    spoilt.spoil("UPDATE equity SET cash = '1.00' WHERE book = 'ema_p10'")
    with spoilt.opened() as db:
        assert (
            full_verdict(db, spoilt.profile.home, spoilt.config, LAST).verdict.state == "CONTINUE"
        )
    spoilt.spoil(
        "UPDATE shadow_positions SET status = 'closed', exit_date = '2020-01-16',"
        " exit_price = 25.0, exit_reason = 'manual', pnl = 2500.0, return_pct = 25.0,"
        " hold_days = 10, exit_flags = '[]' WHERE ticker = 'DEF' AND strategy = 'nwl_p4'"
    )
    with spoilt.opened() as db:
        found = full_verdict(db, spoilt.profile.home, spoilt.config, LAST)
    assert found.verdict.state == "INVALID"
    assert "the twins of 2020-01-16" in found.verdict.sentence


def test_an_open_break_makes_the_verdict_invalid(spoilt: Record) -> None:
    from datetime import UTC, datetime

    from livekit.model import Break

    with spoilt.opened() as db:
        at = datetime(2020, 1, 17, 22, 0, tzinfo=UTC)
        with db.transaction():
            db.add_break(Break("cash", None, "3.00 USD apart"), session=LAST, at=at)
        found = full_verdict(db, spoilt.profile.home, spoilt.config, LAST)
    assert found.verdict.state == "INVALID"
    assert "open break since the reconciliation: cash" in found.verdict.sentence


def test_a_later_change_of_a_deciding_source_is_named(spoilt: Record) -> None:
    """As if the rules had been others at registration: the stored hash of one is changed."""
    with spoilt.opened() as db:
        registered = read_registration(db.registration(), "x")
    digest = registered.sources["livekit/strategy/rules.py"]
    spoilt.spoil(f"UPDATE registrations SET body = replace(body, '{digest}', '0')")  # noqa: S608
    with spoilt.opened() as db:
        found = full_verdict(db, spoilt.profile.home, spoilt.config, LAST)
    assert found.verdict.state == "INVALID"
    assert "sources were changed since the registration: livekit/strategy/rules.py" in (
        found.verdict.sentence
    )
    assert "the registration does not match its own hash" in found.verdict.sentence


def test_a_changed_report_parser_is_an_amendment_and_no_fault(spoilt: Record) -> None:
    """Links are rebuilt as another parser would have written them from the sixth session on."""
    import json
    import sqlite3

    from livekit.trading.plans import canonical_json, sha256_text

    connection = sqlite3.connect(spoilt.profile.state_db)
    with connection:
        for name in ("record_links_no_change", "record_links_no_delete"):
            connection.execute(f"DROP TRIGGER {name}")
        previous = GENESIS
        rows = connection.execute("SELECT link_id, body FROM record_links ORDER BY link_id")
        for number, (link, written) in enumerate(rows.fetchall()):
            body = json.loads(written) | ({"parser": "f" * 64} if number >= 5 else {})
            text = canonical_json(body)
            digest = sha256_text(previous + text)
            connection.execute(
                "UPDATE record_links SET body = ?, previous = ?, sha256 = ? WHERE link_id = ?",
                (text, previous, digest, link),
            )
            previous = digest
    connection.close()
    with spoilt.opened() as db:
        found = full_verdict(db, spoilt.profile.home, spoilt.config, LAST)
    assert found.verdict.state == "CONTINUE"
    assert found.amendments == ("2020-01-13: the report parser was changed",)


# ----------------------------------------------------------------------------------- the verdict


def test_the_verdict_on_ten_sessions_is_too_early_and_explained_to_the_cent(
    record: Record,
) -> None:
    with record.opened() as db:
        found = full_verdict(db, record.profile.home, record.config, LAST)
    assert found.verdict.state == "CONTINUE"
    assert "first look at 11 days" in found.verdict.sentence  # 6 to 17 January
    assert found.cash_rest_usd == Decimal("0.00")
    assert found.attribution is not None
    assert found.attribution.rest_usd == 0
    assert found.fidelity is not None
    assert (found.fidelity.state, found.fidelity.trades) == ("CONTINUE", 3)


def test_lines_and_json_say_the_same_and_json_has_no_number_that_is_none(record: Record) -> None:
    import json

    with record.opened() as db:
        found = full_verdict(db, record.profile.home, record.config, LAST)
        again = full_verdict(db, record.profile.home, record.config, LAST)
    lines = verdict_lines(found)
    assert lines[0] == found.verdict.sentence
    values = json.loads(verdict_json(found))
    assert (values["state"], values["sentence"]) == ("CONTINUE", lines[0])
    assert "Infinity" not in verdict_json(found)
    assert "NaN" not in verdict_json(found)
    assert verdict_json(found) == verdict_json(again)
    order = ["Verdict after", "Registered", "Criteria", "The twins", "Estimates", "Executed book"]
    order += ["Fidelity", "Same entry", "Sensitivity", "What either mistake", "What evidence"]
    found_at = [next(i for i, line in enumerate(lines) if line.startswith(o)) for o in order]
    assert found_at == sorted(found_at)


def test_a_verdict_is_kept_and_never_changed(spoilt: Record) -> None:
    from datetime import UTC, datetime

    at = datetime(2020, 1, 17, 22, 0, tzinfo=UTC)
    with spoilt.opened() as db:
        found = full_verdict(db, spoilt.profile.home, spoilt.config, LAST)
        for _ in range(2):  # said twice, kept once
            with db.transaction():
                store_verdict(db, found, at)
        (kept,) = db.get_verdicts()
    assert (kept.session, kept.state) == (LAST, "CONTINUE")
    assert kept.sentence == found.verdict.sentence
    assert verdict_values(found)["registration"] == kept.registration_sha256


def test_a_verdict_that_ended_the_registration_is_remembered(spoilt: Record) -> None:
    from datetime import UTC, datetime

    from livekit.state.verdicts import StoredVerdict

    with spoilt.opened() as db:
        registered = read_registration(db.registration(), "x")
        ended = StoredVerdict(
            date(2020, 1, 15), registered.sha256, "KEEP", "KEEP: x.", "{}", datetime.now(UTC)
        )
        with db.transaction():
            db.add_verdict(ended)
        found = full_verdict(db, spoilt.profile.home, spoilt.config, LAST)
    assert found.settled_before == (date(2020, 1, 15), "KEEP")
    assert "KEEP on 2020-01-15 ended this registration" in "\n".join(verdict_lines(found))


# ------------------------------------------------------------------------------------- the chain


def test_every_session_has_one_link_and_the_chain_is_whole(record: Record) -> None:
    with record.opened() as db:
        links = db.get_links()
        registered = read_registration(db.registration(), "x")
        report = check_chain(db, registered.config_sha256, registered.first_session)
    assert tuple(link.session for link in links) == SESSIONS
    assert links[0].previous == GENESIS
    assert report.problems == report.amendments == ()


def test_bars_come_back_from_their_snapshot_bit_by_bit(record: Record) -> None:
    prices = ParquetPriceSource(record.profile.prices)
    with record.opened() as db:
        (kept,) = [one for one in db.get_snapshots(LAST) if one.kind == "settlement"]
    bars = bars_from_bytes((record.profile.home / kept.path).read_bytes())
    assert sorted(bars) == ["DEF"]  # the only position left
    theirs = prices.daily_bars(["DEF"], bars["DEF"].sessions[0].item(), LAST)["DEF"]
    assert bars["DEF"].close.tolist() == theirs.close.tolist()
    assert bars["DEF"].sessions.tolist() == theirs.sessions.tolist()


def test_the_registration_names_dates_seed_and_chances(record: Record) -> None:
    from livekit.trading.registration_record import registration_lines

    with record.opened() as db:
        registered = read_registration(db.registration(), "x")
    assert registered.first_session == FIRST
    assert registered.first_look == date(2020, 4, 6)  # 90 days are 5 April, a Sunday
    assert registered.changes(record.config) == ()
    assert "livekit/backtest/settlement.py" in registered.sources
    assert not any("sweep" in name for name in registered.sources)
    text = "\n".join(registration_lines(registered))
    assert "first look 2020-04-06 (90 days) or at 100 trades" in text
    assert "chance of SWITCH by then, at most:" in text
