"""Sweeps: every trial once, interrupted and resumed, in one process, in two, on a cluster."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from worlds import make_world

from livekit.backtest import PortfolioSimulator
from livekit.backtest.selection import (
    deflated_sharpe,
    expected_best_sharpe,
    overfitting,
    probabilistic_sharpe,
    superiority,
)
from livekit.backtest.sweep import read_sweep, run_sweep, winner_of, workload
from livekit.backtest.trials import Space, Trial, Workload
from livekit.config import LiveConfig
from livekit.errors import BadInput, UnknownParameter

WORLD = make_world(11)
BASE = LiveConfig(max_positions=3, position_size=1000.0)
SPACE = Space(
    strategy=("ema_p2", "ema_p3", "nwl_p1", "nwl_p2"),
    transition_weeks=(0, 2),
    stop_loss_pct=(5.0, 10.0),
    min_score=(None, 50.0),
)


def load() -> Workload:
    return workload(WORLD.bars(), WORLD.reported(), BASE)


def test_a_space_combines_each_with_each_and_no_trial_twice() -> None:
    trials = SPACE.trials()
    assert len(trials) == 4 * 2 * 2 * 2
    assert len({trial.key for trial in trials}) == len(trials)
    assert len(Space(strategy=("ema_p2", "ema_p2")).trials()) == 1


def test_a_row_holds_the_figures_of_its_own_simulation(tmp_path: Path) -> None:
    trials = SPACE.trials()
    rows = run_sweep(load(), trials, tmp_path / "sweep.parquet", workers=1).set_index("key")
    trial = trials[5]
    kept = [one for one in WORLD.reported() if trial.takes(one)]
    result = PortfolioSimulator(trial.config(BASE), trial.strategy).run(WORLD.bars(), kept)
    row = rows.loc[trial.key]
    assert (row["strategy"], row["trades"]) == (trial.strategy, len(result.closed))
    assert row["total_pnl_usd"] == result.metrics().total_pnl_usd
    assert len(row["daily_returns"]) == len(result.curve)


def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path, trials = tmp_path / "sweep.parquet", SPACE.trials()
    run_sweep(load(), trials[:10], path, workers=1)
    seen: list[tuple[int, int]] = []
    rows = run_sweep(
        load(), trials, path, workers=1, progress=lambda done, of: seen.append((done, of))
    )
    assert seen == [(26, 32), (32, 32)]  # ten are known; batches of sixteen
    fresh = run_sweep(load(), trials, tmp_path / "fresh.parquet", workers=1)
    pd.testing.assert_frame_equal(figures(rows), figures(fresh))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["fresh.parquet", "sweep.parquet"]
    assert len(read_sweep(path)) == 32


def figures(rows: pd.DataFrame) -> pd.DataFrame:
    plain = rows.drop(columns="daily_returns").astype({"min_score": "float64"})
    return plain.set_index("key")[["strategy", "trades", "total_pnl_usd", "daily_sharpe"]]


@pytest.mark.slow
def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    alone = run_sweep(load(), SPACE.trials(), tmp_path / "one.parquet", workers=1)
    both = run_sweep(load(), SPACE.trials(), tmp_path / "two.parquet", workers=2)
    pd.testing.assert_frame_equal(figures(alone), figures(both))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_of_two_workers_finds_what_one_process_finds(tmp_path: Path) -> None:
    from distributed import LocalCluster

    alone = run_sweep(load(), SPACE.trials(), tmp_path / "one.parquet", workers=1)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        path = tmp_path / "cluster.parquet"
        both = run_sweep(load(), SPACE.trials(), path, scheduler=cluster.scheduler_address)
    pd.testing.assert_frame_equal(figures(alone), figures(both))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_does_not_answer_is_refused_and_nothing_is_written(
    tmp_path: Path,
) -> None:
    path = tmp_path / "sweep.parquet"
    with pytest.raises(UnknownParameter, match="does not answer"):
        run_sweep(load(), SPACE.trials(), path, scheduler="tcp://127.0.0.1:1")
    assert not path.exists()


def test_a_file_of_other_data_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "sweep.parquet"
    run_sweep(load(), [Trial("nwl_p1")], path, workers=1)
    other = make_world(12)
    with pytest.raises(BadInput, match="other data"):
        run_sweep(workload(other.bars(), other.reported(), BASE), [Trial("nwl_p1")], path)
    path.write_bytes(b"no parquet")
    with pytest.raises(BadInput, match="can be read"):
        read_sweep(path)


def test_impossible_trials_are_refused_before_anything_runs(tmp_path: Path) -> None:
    for trial in (Trial("sma_p3"), Trial(stop_mode="hourly"), Trial(stop_loss_pct=0.0)):
        with pytest.raises(UnknownParameter):
            run_sweep(load(), [Trial(), trial], tmp_path / "sweep.parquet")
    assert not (tmp_path / "sweep.parquet").exists()
    with pytest.raises(UnknownParameter, match="min_grade has no value"):
        Space(min_grade=()).trials()


# ------------------------------------------------------------------------------------- selection


def test_the_deflated_sharpe_of_the_published_example() -> None:
    # Bailey & López de Prado 2014: N = 100, V = 0.5 / 250, n = 1250, annual 2.5, g3 −3, g4 10.
    best = expected_best_sharpe(100, 0.5 / 250)
    assert best == pytest.approx(0.1132, abs=5e-5)
    found = probabilistic_sharpe(2.5 / math.sqrt(250), best, 1250, -3.0, 10.0)
    assert found == pytest.approx(0.9004, abs=5e-5)


def test_the_best_of_one_trial_is_not_deflated() -> None:
    returns = np.array([0.01, -0.005] * 100)
    found = deflated_sharpe(returns, np.array([np.nan, 0.1]))
    assert found is not None
    assert (found.trials, found.expected_best) == (1, 0.0)
    assert deflated_sharpe(np.zeros(50), np.array([0.1])) is None


def test_luck_among_many_is_told_from_an_edge() -> None:
    chance = np.random.default_rng(4)
    noise = chance.normal(0.0, 0.01, (500, 20))
    keys = tuple(f"t{number}" for number in range(20))
    worthless = superiority(np.zeros(500), noise, keys)
    assert worthless is not None
    assert worthless.spa_p_value > 0.05
    assert worthless.superior == ()
    noise[:, 7] += 0.003
    real = superiority(np.zeros(500), noise, keys)
    assert real is not None
    assert real.spa_p_value < 0.01
    assert real.superior == ("t7",)
    assert superiority(np.zeros(500), noise, keys) == real


def test_the_probability_of_overfitting_is_that_of_every_halving_by_hand() -> None:
    """Six ways to choose two of four blocks, each evaluated on the sessions themselves."""
    returns = np.random.default_rng(2).normal(0.0, 0.01, (40, 5))
    blocks = np.split(returns, 4)
    below = 0
    for chosen in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        inside = np.concatenate([blocks[number] for number in chosen])
        outside = np.concatenate([blocks[n] for n in range(4) if n not in chosen])
        best = int(np.argmax(inside.mean(axis=0) / inside.std(axis=0)))
        ranked = outside.mean(axis=0) / outside.std(axis=0)
        below += ranked[best] <= np.median(ranked)
    found = overfitting(returns, blocks=4)
    assert found is not None
    assert (found.probability, found.splits, found.trials) == (below / 6, 6, 5)


def test_overfitting_is_likely_among_worthless_trials_and_not_with_an_edge() -> None:
    """Worthless: over 40 panels about half of the winners are mediocre in the other half."""
    panels = [np.random.default_rng(n).normal(0.0, 0.01, (500, 20)) for n in range(40)]
    shares = [overfitting(one, blocks=8).probability for one in panels]  # type: ignore[union-attr]
    assert 0.4 < np.mean(shares) < 0.65
    panels[0][:, 7] += 0.003  # an annual ratio of 4.8
    real = overfitting(panels[0])
    assert real is not None
    assert (real.splits, real.trials) == (12_870, 20)  # 16 choose 8
    assert real.probability < 0.02


def test_overfitting_needs_two_different_trials_and_some_sessions() -> None:
    one = np.random.default_rng(1).normal(0.0, 0.01, (100, 1))
    assert overfitting(np.hstack([one, one])) is None
    assert overfitting(np.random.default_rng(1).normal(size=(31, 3))) is None
    idle = overfitting(np.hstack([one, 0 * one]))  # a trial that never trades has the ratio 0
    assert idle is not None
    assert idle.trials == 2


def test_a_trial_equal_to_the_benchmark_is_not_compared() -> None:
    base = np.random.default_rng(1).normal(0, 0.01, 100)
    assert superiority(base, base[:, None], ("a",)) is None


def test_the_winner_names_its_trial_and_its_deflation(tmp_path: Path) -> None:
    rows = run_sweep(load(), SPACE.trials(), tmp_path / "sweep.parquet", workers=1)
    winner = winner_of(rows, benchmark=SPACE.trials()[0])
    assert winner is not None
    best = rows.set_index("key")["daily_sharpe"].astype(float).idxmax()
    assert winner.key == best
    assert winner.deflated is not None
    assert winner.deflated.trials == int(rows["daily_sharpe"].notna().sum())
    assert winner.overfitting is not None
    assert winner.overfitting.trials <= len(rows)
    with pytest.raises(UnknownParameter, match="luck"):
        winner_of(rows, objective="luck")
