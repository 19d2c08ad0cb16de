"""``livekit backtest``, ``sweep`` and ``walk-forward`` through the real command line."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from livekit.cli import main
from livekit.config import LiveConfig

SESSIONS = ["2020-01-06", "2020-01-07", "2020-01-08", "2020-01-09", "2020-01-10"]


def price_file(folder: Path, **changes: object) -> Path:
    """AA at 100 rises to 104; BB at 50 falls through its stop at 45 on Wednesday."""
    closes = {"AA": [100.0, 101.0, 102.0, 103.0, 104.0], "BB": [50.0, 49.0, 44.0, 44.0, 44.0]}
    rows = [
        {
            "ticker": ticker,
            "session": session,
            "open": close,
            "high": close + 1,
            "low": close - 1,
            "close": close,
            "adj_close": close,
            "volume": 1000.0,
            "dividend_usd": 0.0,
            "split_ratio": 1.0,
        }
        for ticker, prices in closes.items()
        for session, close in zip(SESSIONS, prices, strict=True)
    ]
    frame = pd.DataFrame(rows).assign(**changes)
    frame["session"] = pd.to_datetime(frame["session"]).astype("datetime64[us]")
    path = folder / "prices.parquet"
    frame.to_parquet(path)
    return path


def candidate_file(folder: Path, text: str = "2020-01-06,AA,80,B\n2020-01-06,BB,60,C\n") -> Path:
    path = folder / "candidates.csv"
    path.write_text(f"report_date,ticker,score,grade\n{text}", encoding="utf-8")
    return path


def backtest(folder: Path, *more: str) -> int:
    files = ["--prices", str(price_file(folder)), "--candidates", str(candidate_file(folder))]
    return main(["backtest", *files, "--out", str(folder / "out"), *more])


def test_a_backtest_writes_its_trades_and_a_manifest_that_names_them_by_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(tmp_path) == 0
    out = tmp_path / "out"
    trades = pd.read_csv(out / "trades.csv").set_index("ticker")
    # 100 shares of AA: 10000 / 100; marked out at 104. 200 of BB: out at 44 × 0.995, below 45.
    assert trades.loc["AA", ["shares", "exit_price", "pnl_usd"]].tolist() == [100, 104.0, 400.0]
    assert trades.loc["BB", ["shares", "exit_price", "pnl_usd"]].tolist() == [200, 43.78, -1244.0]
    manifest = json.loads((out / "run_manifest.json").read_text())
    assert manifest["counts"] == {"sessions": 5, "candidates": 2, "trades": 2, "skipped": 0}
    assert manifest["simulation"]["strategy"] == "ema_p10"
    assert set(manifest["inputs"]) == {"prices", "candidates"}
    assert set(manifest["outputs"]) == {"trades.csv", "skipped.csv", "equity.csv"}
    for name, digest in manifest["outputs"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    LiveConfig().verify_against_manifest(out / "run_manifest.json")
    shown = capsys.readouterr().out
    assert "profit factor" in shown
    assert "0.32" in shown  # 400 / 1244


def test_without_options_the_packaged_data_are_simulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["backtest", "--check"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "the label looks ahead by one session" in shown
    assert "flattered" in shown
    assert "look-ahead" in shown
    manifest = json.loads((tmp_path / "outputs/backtest/run_manifest.json").read_text())
    assert manifest["counts"]["sessions"] == 338
    assert manifest["counts"]["trades"] > 50
    assert "findings.csv" in manifest["outputs"]


def test_the_stop_fills_at_the_stop_if_so_asked(tmp_path: Path) -> None:
    assert backtest(tmp_path, "--stop-fill", "at_stop") == 0
    trades = pd.read_csv(tmp_path / "out" / "trades.csv").set_index("ticker")
    assert trades.loc["BB", "exit_price"] == 44.775  # 45 × 0.995


def test_single_trades_and_a_part_of_the_sessions(tmp_path: Path) -> None:
    assert backtest(tmp_path, "--mode", "trades", "--to", "2020-01-07") == 0
    trades = pd.read_csv(tmp_path / "out" / "trades.csv")
    assert set(trades["exit_session"]) == {"2020-01-07"}
    assert len(trades) == 2


def test_a_ticker_called_na_is_a_ticker(tmp_path: Path) -> None:
    frame = pd.read_parquet(price_file(tmp_path))
    frame["ticker"] = frame["ticker"].replace({"AA": "NA"})
    frame.to_parquet(tmp_path / "prices.parquet")
    candidates = candidate_file(tmp_path, "2020-01-06,NA,80,\n")
    files = ["--prices", str(tmp_path / "prices.parquet"), "--candidates", str(candidates)]
    assert main(["backtest", *files, "--out", str(tmp_path / "out")]) == 0
    trades = pd.read_csv(tmp_path / "out" / "trades.csv", keep_default_na=False)
    assert trades["ticker"].tolist() == ["NA"]


BAD = [
    (["--strategy", "sma_p3"], "neither ema_pN nor nwl_pN"),
    (["--stop-fill", "magic"], "stop_fill is 'magic'"),
    (["--adjustment", "none"], "adjustment is 'none'"),
    (["--mode", "paper"], "mode is 'paper'"),
    (["--from", "2020-13-01"], "not a date of the form"),
    (["--from", "2020-01-10", "--to", "2020-01-06"], "no session from 2020-01-10 to 2020-01-06"),
    (["--params", "nowhere.yaml"], "parameter file cannot be read"),
    (["--prices", "nowhere.parquet"], "no such file"),
]


@pytest.mark.parametrize(("options", "told"), BAD)
def test_bad_options_are_one_line_exit_2_and_nothing_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    assert backtest(tmp_path, *options) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


CANDIDATES = [
    ("ticker,score\nAA,1\n", "lacks the columns report_date"),
    ("report_date,ticker,score\n2020-99-99,AA,1\n", "report_date is not a date"),
    ("report_date,ticker,score\n2020-01-06,AA,good\n", "score is not a number"),
    ("report_date,ticker,score\n2020-01-06,AA,inf\n", "score is infinite"),
    ("report_date,ticker,score,grade\n2020-01-06,AA,1,E\n", "unknown grade 'E'"),
    ("report_date,ticker,score\n2020-01-06,,1\n", "lacks its ticker"),
    ("report_date,ticker,score\n", "holds no candidate"),
    ("", "is no table that can be read"),
    ("ticker,filing_date\nAA,soon\n", "line 2 is no ticker and date"),
]


@pytest.mark.parametrize(("text", "told"), CANDIDATES)
def test_candidates_that_cannot_be_read_are_refused_by_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    assert backtest(tmp_path, "--candidates", str(path)) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "bad.csv" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["backtest", "sweep", "walk-forward"])
def test_prices_that_cannot_be_read_are_refused_by_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    candidates = ["--candidates", str(candidate_file(tmp_path)), "--out", str(tmp_path / "out")]
    price_file(tmp_path)
    frame = pd.read_parquet(tmp_path / "prices.parquet")
    for number, (bad, told) in enumerate(
        [
            (frame.drop(columns="adj_close"), "lacks the columns adj_close"),
            (frame.assign(open=-1.0), "open is not above 0"),
            (frame.assign(close="dear"), "close is not a number"),
            (
                frame.assign(session=frame["session"] - pd.Timedelta(days=1)),
                "not an exchange session",
            ),
        ]
    ):
        path = tmp_path / f"bad{number}.parquet"
        bad.to_parquet(path)
        assert main([command, "--prices", str(path), *candidates]) == 2
        error = capsys.readouterr().err
        assert told in error
        assert path.name in error
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes((tmp_path / "prices.parquet").read_bytes()[:100])
    assert main([command, "--prices", str(damaged), *candidates]) == 2
    assert "damaged.parquet" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    assert backtest(tmp_path, "--out", str(tmp_path / "file" / "out")) == 2
    assert capsys.readouterr().err.count("\n") == 1


# --------------------------------------------------------------------------------------- searches


def test_a_sweep_names_the_best_trial_and_its_luck_and_goes_on_with_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sweep.parquet"
    space = ["--strategy", "ema_p8,nwl_p4", "--transition-weeks", "2", "--workers", "1"]
    options = [*space, "--out", str(path)]
    assert main(["sweep", *options, "--stop-loss-pct", "10"]) == 0
    assert len(pd.read_parquet(path)) == 2
    assert main(["sweep", *options, "--stop-loss-pct", "5,10", "--min-gap-pct", "none,5"]) == 0
    shown = capsys.readouterr().out
    rows = pd.read_parquet(path)
    assert len(rows) == 2 * 2 * 2  # the two that were known are among them
    assert "of 8 trials by daily_sharpe" in shown
    assert "deflated Sharpe ratio" in shown
    assert "SPA, against cash" in shown
    assert rows.loc[rows["daily_sharpe"].idxmax(), "key"] in shown


SWEEPS = [
    (["--strategy", ","], "strategy has no value"),
    (["--strategy", "sma_p3"], "neither ema_pN nor nwl_pN"),
    (["--transition-weeks", "a", "--rotation", "maybe"], "transition-weeks 'a'"),
    (["--stop-loss-pct", "200"], "between 0 and 100"),
    (["--objective", "luck"], "'luck', known"),
    (["--adjustment", "none"], "adjustment is 'none'"),
    (["--workers", "0"], "greater than or equal to 1"),
]


@pytest.mark.parametrize(("options", "told"), SWEEPS)
def test_a_sweep_with_bad_options_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    path = tmp_path / "sweep.parquet"
    files = ["--prices", str(price_file(tmp_path)), "--candidates", str(candidate_file(tmp_path))]
    assert main(["sweep", *files, "--out", str(path), *options]) == 2
    assert told in capsys.readouterr().err
    assert not path.exists()


def test_a_sweep_of_other_data_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sweep.parquet"
    one = ["--strategy", "ema_p2", "--transition-weeks", "1", "--stop-loss-pct", "5"]
    options = [*one, "--workers", "1", "--out", str(path)]
    files = ["--prices", str(price_file(tmp_path)), "--candidates", str(candidate_file(tmp_path))]
    assert main(["sweep", *files, *options]) == 0
    before = path.read_bytes()
    candidate_file(tmp_path, "2020-01-07,AA,80,B\n")
    assert main(["sweep", *files, *options]) == 2
    assert "other data" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_walk_forward_shows_each_fold_and_the_test_windows_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "walk"
    space = ["--strategy", "ema_p8,nwl_p4", "--transition-weeks", "2", "--stop-loss-pct", "10"]
    options = ["--folds", "2", "--mode", "trades", "--out", str(out)]
    assert main(["walk-forward", *space, *options]) == 0
    folds, trades = pd.read_csv(out / "folds.csv"), pd.read_csv(out / "trades.csv")
    manifest = json.loads((out / "run_manifest.json").read_text())
    assert folds["fold"].tolist() == [1, 2]
    assert folds["trades"].sum() == len(trades) == manifest["counts"]["trades"] > 0
    assert manifest["metrics"]["total_pnl_usd"] == pytest.approx(trades["pnl_usd"].sum())
    assert manifest["simulation"]["mode"] == "trade"
    assert "Folds, by daily_sharpe" in capsys.readouterr().out


def test_a_walk_forward_on_too_few_sessions_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--prices", str(price_file(tmp_path)), "--candidates", str(candidate_file(tmp_path))]
    options = ["--train-sessions", "4", "--folds", "3", "--out", str(tmp_path / "out")]
    assert main(["walk-forward", *files, *options]) == 2
    assert "5 sessions do not hold 4 to train and 3 folds" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------- real processes: slow


def command(*arguments: str) -> list[str]:
    met = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # a background job has none
    program = f"import signal, sys; {met}; from livekit.cli import main; sys.exit(main())"
    return [sys.executable, "-c", program, *arguments]


@pytest.mark.slow
def test_an_interrupted_sweep_says_so_and_the_same_command_finishes_it(tmp_path: Path) -> None:
    path = tmp_path / "sweep.parquet"
    losses = ",".join(str(loss) for loss in range(3, 23))
    arguments = command("sweep", "--workers", "1", "--stop-loss-pct", losses, "--out", str(path))
    running = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 1
    assert b"the same command goes on" in told
    begun = len(pd.read_parquet(path))
    assert 0 < begun < 12 * 3 * 20
    assert subprocess.run(arguments, check=False, capture_output=True).returncode == 0
    assert len(pd.read_parquet(path)) == 12 * 3 * 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_sweep_on_a_cluster_of_two_workers_finds_what_one_process_finds(tmp_path: Path) -> None:
    from distributed import LocalCluster

    space = ["--strategy", "ema_p8,ema_p10,nwl_p4", "--stop-loss-pct", "5,10"]
    alone, both = tmp_path / "alone.parquet", tmp_path / "both.parquet"
    assert main(["sweep", *space, "--workers", "1", "--out", str(alone)]) == 0
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        assert main(["sweep", *space, "--scheduler", address, "--out", str(both)]) == 0
    names = ["key", "trades", "total_pnl_usd", "daily_sharpe"]
    frames = [pd.read_parquet(path)[names].sort_values("key") for path in (alone, both)]
    pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in frames))
    assert len(frames[0]) == 3 * 3 * 2


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_exit_2(tmp_path: Path) -> None:
    path = tmp_path / "sweep.parquet"
    arguments = command("sweep", "--scheduler", "tcp://127.0.0.1:1", "--out", str(path))
    done = subprocess.run(arguments, check=False, capture_output=True, env=dict(os.environ))
    assert done.returncode == 2
    assert b"does not answer" in done.stderr
    assert not path.exists()
