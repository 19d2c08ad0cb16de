"""A registered profile on a small market, the commands, and pictures of what they left behind.

Commands run in process through their ``main``; `process` starts a real one.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from livekit import cli, executor, signal_generator
from livekit.reports.writer import write_report
from livekit.state import StateDB
from tests.trading.world import market_file, scored

ROOT = Path(__file__).parents[2]
MONDAY, TUESDAY = date(2020, 1, 6), date(2020, 1, 7)
FIRST_SESSION = MONDAY

Ohlc = tuple[float, float, float, float]
Capture = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line on standard error; anything else fails the test."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.out + self.err
        return lines[0]


@dataclass(frozen=True)
class Shop:
    """A folder with a market, a parameter file and the profile that it names."""

    folder: Path
    market: Path
    capture: Capture | None  # None for one that runs no command

    @property
    def params(self) -> Path:
        return self.folder / "shop.yaml"

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs"

    @property
    def home(self) -> Path:
        return self.outputs / "shop"

    @property
    def state_db(self) -> Path:
        return self.home / "state.db"

    @property
    def venue_db(self) -> Path:
        return self.home / "venue.db"

    @property
    def manifest(self) -> Path:
        return self.home / "run_manifest.json"

    @property
    def signals(self) -> Path:
        return self.home / "signals"

    def plan(self, session: date, strategy: str = "ema_p10") -> Path:
        """The exported plan of a session."""
        return self.signals / f"trade_signals_{session}_{strategy}.json"

    def write_params(self, trading: Mapping[str, Any] | None = None, **values: Any) -> Path:
        """The parameter file: the small market, three positions."""
        content = {
            "venue": "simulated",
            "first_session": FIRST_SESSION,
            "venue_cash_usd": 50000.0,
            "prices": str(self.market),
            "trading": {"max_positions": 3, "fmp_lookback_days": 520} | dict(trading or {}),
        }
        self.params.write_text(yaml.safe_dump(content | values))
        return self.params

    def report(self, session: date, *stocks: tuple[str, float, float]) -> Path:
        """The session's report: (ticker, score, price) each."""
        return write_report(self.home / "reports", session, [scored(*stock) for stock in stocks])

    def livekit(self, *arguments: object) -> Ended:
        """``livekit`` with the shop's outputs folder."""
        return self._ended(cli.main([*map(str, arguments), "--outputs", str(self.outputs)]))

    def init(self) -> Ended:
        return self.livekit("init", "--params", self.params)

    def daily(self, session: object, *options: object) -> Ended:
        return self.livekit(
            "daily", "--params", self.params, "--no-notebooks", "--session", session, *options
        )

    def audit(self) -> Ended:
        return self.livekit("audit", "--params", self.params)

    def generate(self, report: Path, *options: object, **files: object) -> Ended:
        """``python -m livekit.signal_generator`` on the shop's files, except those given."""
        arguments = self.generator_arguments(report, *options, **files)
        return self._ended(signal_generator.main(arguments))

    def generator_arguments(self, report: Path, *options: object, **files: object) -> list[str]:
        named = {"output-dir": self.signals, "state-db": self.state_db, "manifest": self.manifest}
        return _words(named | {"report-file": report}, files, options)

    def execute(self, plan: Path, *options: object, **files: object) -> Ended:
        """``python -m livekit.executor`` on the shop's files, except those given."""
        return self._ended(executor.main(self.executor_arguments(plan, *options, **files)))

    def executor_arguments(self, plan: Path, *options: object, **files: object) -> list[str]:
        named = {"signals-file": plan, "state-db": self.state_db, "manifest": self.manifest}
        return _words(named, files, options)

    def _ended(self, code: int) -> Ended:
        assert self.capture is not None
        shown = self.capture.readouterr()
        return Ended(code, shown.out, shown.err)

    def set_kill_switch(self) -> None:
        """A person switches everything off."""
        with StateDB(self.state_db) as db:
            db.set_kill_switch(
                True, reason="drill", who="trader", at=datetime(2020, 1, 6, tzinfo=UTC)
            )


def _words(
    named: Mapping[str, object], files: Mapping[str, object], options: tuple[object, ...]
) -> list[str]:
    given = dict(named) | {name.replace("_", "-"): value for name, value in files.items()}
    pairs = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    return [*pairs, *map(str, options)]


def little_market(folder: Path) -> Path:
    """Every share of AAPL costs 100 USD, of ABC 50 USD and of DEF 40 USD, on every session."""
    return market_file(folder / "market.parquet", {"AAPL": 100.0, "ABC": 50.0, "DEF": 40.0})


def environment() -> dict[str, str]:
    """This process's environment without any key, venue or proxy of another program."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("APCA_", "ALPACA_", "LIVEKIT_"))
    }


def process(*words: object, cwd: Path) -> Ended:
    """Run ``python -m …`` as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


# -------------------------------------------------------------------------------------- pictures


def dump(database: Path) -> str:
    """Everything a closed database holds, as SQL."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as raw:
        return "\n".join(raw.iterdump())


def picture(folder: Path) -> dict[str, str]:
    """Every file and folder below ``folder`` by content; databases by what they hold.

    SQLite's side files and empty lock files say nothing, so they are left out.
    """
    return {
        str(path.relative_to(folder)): _content(path)
        for path in sorted(folder.rglob("*"))
        if not path.name.endswith((".lock", "-wal", "-shm"))
    }


def _content(path: Path) -> str:
    if path.is_dir():
        return "folder"
    if path.suffix == ".db":
        try:
            return hashlib.sha256(dump(path).encode()).hexdigest()
        except sqlite3.DatabaseError:
            pass  # not a database: its bytes count
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def held_by_another_process(lock: Path) -> Iterator[None]:
    """A lock file that a process of its own holds meanwhile."""
    program = (
        "import sys; from filelock import FileLock\n"
        "with FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("")


@contextmanager
def held_exclusively(database: Path) -> Iterator[None]:
    """A database on which another connection has begun an exclusive transaction."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
