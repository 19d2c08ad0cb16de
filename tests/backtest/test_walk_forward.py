"""Walk-forward: windows that expand, choices that only see the past, pooled figures."""

from __future__ import annotations

import pytest
from worlds import make_world

from livekit.backtest import PortfolioSimulator, TradeSimulator
from livekit.backtest.sweep import workload
from livekit.backtest.trials import Space, Trial, Workload
from livekit.backtest.walk_forward import walk_forward
from livekit.config import LiveConfig
from livekit.errors import UnknownParameter

WORLD = make_world(11)
BASE = LiveConfig(max_positions=3, position_size=1000.0)
TRIALS = Space(strategy=("ema_p2", "nwl_p1", "nwl_p2"), stop_loss_pct=(5.0, 10.0)).trials()


def load(mode: str = "portfolio", until: int | None = None) -> Workload:
    bars = WORLD.bars()
    if until is not None:
        last = WORLD.sessions[until]
        bars = {ticker: one.until(last) for ticker, one in bars.items()}
    return workload(bars, WORLD.reported(), BASE, mode=mode)


def test_training_windows_expand_and_test_windows_follow_without_a_gap() -> None:
    found = walk_forward(load(), TRIALS, folds=3, train_sessions=12)
    sessions = load().market.sessions
    assert [fold.train[0] for fold in found.folds] == [sessions[0]] * 3
    assert found.folds[0].train[1] == sessions[11]
    assert [fold.number for fold in found.folds] == [1, 2, 3]
    assert found.curve.sessions == sessions[12:]
    for fold in found.folds:
        assert sessions.index(fold.test[0]) == sessions.index(fold.train[1]) + 1


@pytest.mark.parametrize(
    ("mode", "simulator"), [("portfolio", PortfolioSimulator), ("trade", TradeSimulator)]
)
def test_a_fold_is_the_best_trial_of_its_past_on_the_sessions_after_it(
    mode: str, simulator: type
) -> None:
    found = walk_forward(load(mode), TRIALS, folds=2, train_sessions=20, objective="total_pnl_usd")
    for fold in found.folds:
        past = {
            trial: simulator(trial.config(BASE), trial.strategy)
            .run(WORLD.bars(), WORLD.reported(), last=fold.train[1])
            .metrics()
            .total_pnl_usd
            for trial in TRIALS
        }
        assert fold.in_sample == max(past.values())
        assert past[fold.trial] == fold.in_sample
        after = simulator(fold.trial.config(BASE), fold.trial.strategy).run(
            WORLD.bars(), WORLD.reported(), first=fold.test[0], last=fold.test[1]
        )
        assert fold.result.closed == after.closed
        assert fold.out_of_sample == after.metrics().total_pnl_usd


def test_the_pooled_figures_are_those_of_all_test_windows() -> None:
    found = walk_forward(load(), TRIALS, folds=3, train_sessions=12)
    total = sum(trade.pnl_usd for fold in found.folds for trade in fold.result.closed)
    assert found.pooled.total_pnl_usd == pytest.approx(total)
    assert found.curve.pnl_usd[-1] == pytest.approx(total)
    assert found.pooled.trades == len(found.trades)
    assert found.table["trades"].sum() == len(found.trades)


def test_later_data_do_not_change_an_earlier_fold() -> None:
    whole = walk_forward(load(), TRIALS, folds=2, train_sessions=10)
    begin = whole.folds[0].test
    cut = WORLD.sessions.index(begin[1])
    known = walk_forward(load(until=cut), TRIALS, folds=1, train_sessions=10)
    assert known.folds[0].trial == whole.folds[0].trial
    assert known.folds[0].result.closed == whole.folds[0].result.closed


def test_too_few_sessions_no_trial_and_an_unknown_figure_are_refused() -> None:
    with pytest.raises(UnknownParameter, match="do not hold 504 to train"):
        walk_forward(load(), TRIALS)
    with pytest.raises(UnknownParameter, match="no trial"):
        walk_forward(load(), [], folds=2, train_sessions=10)
    with pytest.raises(UnknownParameter, match="luck"):
        walk_forward(load(), [Trial("nwl_p1")], folds=2, train_sessions=10, objective="luck")
