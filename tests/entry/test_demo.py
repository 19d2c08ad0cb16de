"""The demo: same inputs, same digest; other inputs, another; and a quarter that tries it all."""

import io
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from livekit.config import Profile, load_profile
from livekit.errors import LockHeld, UsageError
from livekit.model import END_OF_DATA, PROTECTIVE_STOP, ROTATED_OUT, TREND_BREAK
from livekit.prices import demo_prices_path
from livekit.trading.opening import open_link
from livekit.workbench.demo import DemoResult, run_demo
from livekit.workbench.terminal import show_demo
from tests.entry.entry_kit import ROOT, Shop, picture

SHORT = date(2020, 1, 6)  # TSLA is bought on Friday 3 January and held over Monday


def demo_profile(outputs: Path) -> Profile:
    return load_profile(ROOT / "params" / "demo.yaml", outputs=outputs)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    """Three sessions of the quarter."""
    return run_demo(demo_profile(tmp_path_factory.mktemp("short")), last=SHORT)


def shown(result: DemoResult) -> str:
    console = Console(file=io.StringIO(), width=80)
    show_demo(result, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# ----------------------------------------------------------------------------------------- digest


def test_a_short_stretch_buys_holds_and_agrees(short: DemoResult) -> None:
    assert short.exit_code == 0
    assert [(item.ticker, item.shares) for item in short.trades] == [("TSLA", 22)]
    assert [item.exit_reason for item in short.trades] == [END_OF_DATA]
    assert (short.audit.fills, short.audit.positions) == (1, 1)
    assert short.audit.differences == short.differences == ()
    assert [point.book for point in short.books] == ["broker", "ema_p10", "nwl_p4"]


def test_the_same_demo_again_has_the_same_digest(short: DemoResult) -> None:
    """Into the same folder: the demo before is replaced, not continued."""
    again = run_demo(short.profile, last=SHORT)
    assert again.digest == short.digest
    assert again.sessions == short.sessions


def test_another_seed_gives_another_digest(short: DemoResult, tmp_path: Path) -> None:
    other = run_demo(replace(demo_profile(tmp_path), seed=2), last=SHORT)
    assert other.digest != short.digest
    assert other.exit_code == 0


def test_one_price_that_differs_by_a_cent_gives_another_digest(
    short: DemoResult, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.parquet"
    raise_one_close(prices, "TSLA", SHORT)
    other = run_demo(replace(demo_profile(tmp_path), prices=prices), last=SHORT)
    assert other.digest != short.digest
    assert other.exit_code == 0


def raise_one_close(target: Path, ticker: str, session: date) -> None:
    """Copy the packaged prices with one close, and its adjusted one, a cent higher."""
    frame = pq.read_table(demo_prices_path()).to_pandas()
    row = (frame["ticker"] == ticker) & (frame["session"].astype(str).str[:10] == str(session))
    assert row.sum() == 1
    frame.loc[row, ["close", "adj_close"]] += 0.01
    frame.loc[row, "high"] = frame.loc[row, ["high", "close"]].max(axis=1)
    frame.to_parquet(target, index=False)


# ----------------------------------------------------------------------------------------- screen


def test_the_summary_names_trades_checks_evidence_and_where_things_are(short: DemoResult) -> None:
    text = shown(short)
    assert "SIMULATED venue, real prices: 3 sessions, 2020-01-02 to 2020-01-06" in text
    # 4 calendar days from 2 to 6 January; no trade is closed
    assert "CONTINUE: not enough evidence: 4 of 90 days and 0 of 100 trades" in text
    assert "most at once: 1 of 20" in text
    assert "fills in the venue's: 1" in text
    assert max(len(line) for line in text.splitlines()[:-2]) <= 80  # digest and folder are whole
    assert text.count(" ok") == 3
    assert "FAILED" not in text
    assert short.digest in text
    assert str(short.profile.home) in text


def test_a_failed_check_is_marked_and_ends_with_exit_4(short: DemoResult) -> None:
    audit = replace(short.audit, differences=("fill 1 is not in our book",))
    failed = replace(short, audit=audit)
    assert (failed.exit_code, failed.trouble) == (4, "1 differences between the books")
    assert "FAILED" in shown(failed)
    assert "difference: fill 1 is not in our book" in shown(failed)


def test_uncovered_shares_outrank_every_other_failure(short: DemoResult) -> None:
    audit = replace(short.audit, worst_uncovered_s=61.0, differences=("a", "b"))
    failed = replace(short, audit=audit)
    assert failed.exit_code == 7
    assert failed.trouble == "61 s without cover; 2 differences between the books"


# ----------------------------------------------------------------------------------------- folder


def test_a_demo_that_another_command_has_open_is_left_alone(short: DemoResult) -> None:
    before = picture(short.profile.home)
    with open_link(short.profile), pytest.raises(LockHeld):
        run_demo(short.profile, last=SHORT)
    assert picture(short.profile.home) == before


def test_a_demo_on_paper_is_refused(short: DemoResult) -> None:
    with pytest.raises(UsageError, match="simulated venue"):
        run_demo(replace(short.profile, venue="alpaca-paper"), last=SHORT)


def test_the_command_trades_and_shows_the_summary(new_shop: Shop) -> None:
    """Of the quarter only its last five sessions."""
    new_shop.write_params(first_session="2020-03-25", prices=None)
    ended = new_shop.livekit("demo", "--params", new_shop.params, "--no-notebooks", "--seed", 3)
    assert (ended.code, ended.err) == (0, "")
    assert "5 sessions, 2020-03-25 to 2020-03-31" in ended.out
    assert f"profile  {new_shop.home}" in ended.out
    audited = new_shop.audit()
    assert audited.code == 0
    assert audited.out.startswith("fills 2, ")


def test_a_quarter_in_which_nothing_qualifies_ends_well(tmp_path: Path) -> None:
    """On the last two sessions no stock gapped up on results."""
    late = replace(demo_profile(tmp_path), first_session=date(2020, 3, 30))
    result = run_demo(late)
    assert (result.exit_code, result.trades, result.most_held) == (0, (), 0)
    assert "FAILED" not in shown(result)


# ---------------------------------------------------------------------------------------- quarter


@pytest.mark.slow
@pytest.mark.ci
def test_the_quarter_meets_everything_that_can_happen(tmp_path: Path) -> None:
    """Full capacity, rotation, trend break, stop, gap through a stop; and all checks hold."""
    result = run_demo(demo_profile(tmp_path))
    reasons = Counter(item.exit_reason for item in result.trades)
    assert (len(result.sessions), result.exit_code, result.trouble) == (62, 0, "")
    assert result.most_held == 20
    assert min(reasons[ROTATED_OUT], reasons[TREND_BREAK], reasons[PROTECTIVE_STOP]) >= 1
    assert result.gapped_stops
    for item in result.gapped_stops:
        assert item.trade.exit_price < item.stop_price * (1 - 0.005)  # slippage is 0.5 %
    assert result.differences == result.audit.differences == ()
    assert result.audit.worst_uncovered_s <= 10.0
    closed = sum(reason != END_OF_DATA for reason in reasons.elements())
    assert result.audit.fills == len(result.trades) + closed  # each is bought once and sold once
    assert result.evidence.state == "CONTINUE"  # 2 January to 31 March is 89 days
    assert "89 of 90 days" in result.evidence.because
    assert "FAILED" not in shown(result)
