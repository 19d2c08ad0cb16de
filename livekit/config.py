"""The configuration: trading parameters, the profile they belong to, keys.

`LiveConfig` holds every trading field and is compared field by field with the manifest a profile
was registered with. `Profile` is one parameter file (``params/demo.yaml``): the venue, where the
profile's files live, and a `LiveConfig`. Percent fields are percents (10.0 means 10 %).
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, fields
from datetime import date
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from livekit.errors import BadInput, HostRefused, KeysMissing, ManifestMismatch, UnknownParameter

__all__ = [
    "LiveConfig",
    "Profile",
    "config_sha256",
    "load_profile",
    "require_allowed_host",
    "resolve_api_key",
    "resolve_credentials",
]

PAPER_HOST = "paper-api.alpaca.markets"
DATA_HOST = "data.alpaca.markets"
LOOPBACK_HOST = "127.0.0.1"

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, config=_STRICT)
class LiveConfig:
    """Every trading parameter. Defaults are those of the strategy's backtest manifest."""

    max_positions: int = 20
    position_size: float = 10000.0
    stop_loss_pct: float = 10.0
    slippage_pct: float = 0.5
    stop_mode: str = "intraday"
    entry_mode: str = "report_open"
    max_holding_days: int | None = None
    rotation: bool = True
    min_grade: str = "D"
    primary_trailing_stop: str = "weekly_ema"
    primary_trailing_period: int = 10
    shadow_trailing_stop: str = "weekly_nweek_low"
    shadow_trailing_period: int = 4
    trailing_transition_weeks: int = 2
    alpaca_base_url: str = "https://paper-api.alpaca.markets"
    max_daily_trade_orders: int = 40
    max_daily_stop_orders: int = 20
    entry_cutoff_minutes: int = 5
    min_buying_power: float = 5000.0
    fmp_lookback_days: int = 400
    entry_slippage_pct: float = 0.0
    daily_entry_limit: int | None = None
    stop_anchor_tolerance_pct: float = 2.0
    order_size_tolerance_pct: float = 10.0
    price_conflict_pct: float = 5.0
    entry_tif: Literal["day", "opg"] = "day"
    approval: Literal["auto", "required"] = "auto"
    approval_exempt_exits: bool = True  # exits go without an approval; rotations never do
    allow_leverage: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no rule could work with."""
        problems = [text for wrong, text in self._checks() if wrong]
        if problems:
            raise UnknownParameter("trading parameters", problems)

    def _checks(self) -> list[tuple[bool, str]]:
        return [
            (self.max_positions < 1, "max_positions must be at least 1"),
            (self.position_size <= 0, "position_size must be above 0 USD"),
            (not 0 < self.stop_loss_pct < 100, "stop_loss_pct must lie between 0 and 100"),
            (not 0 <= self.slippage_pct < 100, "slippage_pct must lie between 0 and 100"),
            (self.min_grade not in ("A", "B", "C", "D"), "min_grade must be A, B, C or D"),
            (self.primary_trailing_period < 1, "primary_trailing_period must be at least 1"),
            (self.shadow_trailing_period < 1, "shadow_trailing_period must be at least 1"),
            (self.trailing_transition_weeks < 0, "trailing_transition_weeks must not be negative"),
            (self.entry_cutoff_minutes < 1, "entry_cutoff_minutes must be at least 1"),
            (self.fmp_lookback_days < 1, "fmp_lookback_days must be at least 1"),
            *(
                (getattr(self, name) not in _STRATEGY_PREFIX, f"{name} names no trailing stop")
                for name in ("primary_trailing_stop", "shadow_trailing_stop")
            ),
        ]

    @property
    def base_capital_usd(self) -> float:
        """Base of every percentage: ``max_positions`` × ``position_size``."""
        return self.max_positions * self.position_size

    @property
    def primary_strategy(self) -> str:
        """Name of the executed strategy, for example ``ema_p10``."""
        return _strategy_name(self.primary_trailing_stop, self.primary_trailing_period)

    @property
    def shadow_strategy(self) -> str:
        """Name of the tracked strategy, for example ``nwl_p4``."""
        return _strategy_name(self.shadow_trailing_stop, self.shadow_trailing_period)

    def trailing(self, strategy: str) -> tuple[str, int]:
        """Trailing stop and period that a strategy name stands for: ``ema_p10``, ``nwl_p4``."""
        prefix, _, period = strategy.partition("_p")
        kinds = {short: kind for kind, short in _STRATEGY_PREFIX.items()}
        if prefix not in kinds or not period.isascii() or not period.isdigit() or int(period) < 1:
            raise UnknownParameter("strategy", [f"{strategy!r} is neither ema_pN nor nwl_pN"])
        return kinds[prefix], int(period)

    def verify_against_manifest(self, path: Path | str) -> None:
        """Compare every trading field with the manifest at ``path``.

        Raises `ManifestMismatch` (a `ValueError`) naming each field that differs, is missing or is
        unknown, and `BadInput` when the file is absent or not a manifest.
        """
        registered = _manifest_config(Path(path))
        mismatches = [
            f"{name} is {ours!r}, manifest says {registered.get(name, 'nothing')!r}"
            for name, ours in asdict(self).items()
            if name not in registered or registered[name] != ours
        ]
        unknown = sorted(set(registered) - {field.name for field in fields(self)})
        mismatches += [f"manifest has an unknown field {name}" for name in unknown]
        if mismatches:
            raise ManifestMismatch(path, mismatches)


_STRATEGY_PREFIX = {"weekly_ema": "ema", "weekly_nweek_low": "nwl"}


def _strategy_name(kind: str, period: int) -> str:
    return f"{_STRATEGY_PREFIX[kind]}_p{period}"


def _manifest_config(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(path, f"manifest cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise BadInput(path, f"manifest is not JSON ({error})") from error
    config = manifest.get("config") if isinstance(manifest, dict) else None
    if not isinstance(config, dict):
        raise BadInput(path, "manifest has no 'config' object")
    return config


def config_sha256(config: LiveConfig) -> str:
    """Hash of the resolved trading configuration in canonical JSON; its values are plain."""
    values = {item.name: getattr(config, item.name) for item in fields(config)}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


# -------------------------------------------------------------------------------------- profile


@dataclass(frozen=True, config=ConfigDict(extra="forbid", allow_inf_nan=False))
class Profile:
    """One parameter file.

    ``prices`` names a parquet file that the simulated venue trades; absent, the packaged one is
    used. ``price_source`` says who tells the daily bars that the real venue's stops are judged on.
    """

    venue: Literal["simulated", "alpaca-paper"]
    first_session: date | None = None
    seed: int = 1
    fill_model: Literal["parity", "paper", "rough"] = "parity"
    venue_cash_usd: float = 200000.0
    data_feed: Literal["iex", "sip"] = "iex"
    price_source: Literal["alpaca", "fmp"] = "alpaca"
    prices: Path | None = None
    reports: Path | None = None
    name: str = "unnamed"
    outputs: Path = Path("outputs")
    trading: LiveConfig = LiveConfig()

    def __post_init__(self) -> None:
        """Refuse a supplier that knows nothing of the simulated market."""
        if self.venue == "simulated" and self.price_source != "alpaca":
            problem = f"price_source {self.price_source} does not know the simulated market"
            raise UnknownParameter("profile", [problem])

    @property
    def home(self) -> Path:
        """Folder of everything that belongs to the profile."""
        return self.outputs / self.name

    @property
    def state_db(self) -> Path:
        """The state database."""
        return self.home / "state.db"

    @property
    def venue_db(self) -> Path:
        """The simulated venue's own book."""
        return self.home / "venue.db"

    @property
    def manifest(self) -> Path:
        """The manifest the profile was registered with."""
        return self.home / "run_manifest.json"

    @property
    def reports_dir(self) -> Path:
        """Where the daily reports arrive."""
        return self.reports or self.home / "reports"

    @property
    def signals_dir(self) -> Path:
        """Where plans are exported."""
        return self.home / "signals"

    @property
    def archive_dir(self) -> Path:
        """Executed notebooks and pages."""
        return self.home / "archive"


def load_profile(path: Path | str, *, outputs: Path | None = None) -> Profile:
    """Read a parameter file; its stem is the profile's name.

    Raises `BadInput` when the file is absent or not YAML and `UnknownParameter` naming every
    parameter that is unknown or of the wrong type.
    """
    path = Path(path)
    values = _read_yaml(path)
    if outputs is not None:
        values["outputs"] = str(outputs)
    trading = values.pop("trading", {})
    if not isinstance(trading, dict):
        raise BadInput(path, "'trading' must map names to values")
    try:
        config = LiveConfig(**trading)
        return Profile(**(values | {"name": path.stem, "trading": config}))
    except ValidationError as error:
        raise UnknownParameter(str(path), _problems(error)) from error


def _problems(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(str(part) for part in item['loc'])}: {item['msg'].lower()}"
        for item in error.errors()
    ]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(path, f"parameter file cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(path, f"parameter file is not YAML ({error})") from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise BadInput(path, "parameter file must map names to values")
    return values


# ----------------------------------------------------------------------------------- credentials

KEY_FAMILIES = (
    ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"),
    ("ALPACA_API_KEY", "ALPACA_SECRET_KEY"),
)


def resolve_api_key(
    key_name: str, mcp_server: str = "alpaca", *, folder: Path = Path()
) -> str | None:
    """Look a key up in the environment, then ``.env``, then ``.mcp.json`` of ``folder``.

    In ``.mcp.json`` the value stands in ``mcpServers.<mcp_server>.env``. Returns None when the key
    is nowhere. Raises `BadInput` when a file is readable by others, a symlink or malformed.
    """
    return (
        os.environ.get(key_name)
        or _dotenv_values(folder / ".env").get(key_name)
        or _mcp_values(folder / ".mcp.json", mcp_server).get(key_name)
        or None
    )


def resolve_credentials(*, folder: Path = Path()) -> tuple[str, str]:
    """The key pair for the venue; raises `KeysMissing` if none or two different ones are set."""
    pairs = [
        (key, secret)
        for key_name, secret_name in KEY_FAMILIES
        if (key := resolve_api_key(key_name, folder=folder))
        and (secret := resolve_api_key(secret_name, folder=folder))
    ]
    names = [name for family in KEY_FAMILIES for name in family]
    if not pairs:
        raise KeysMissing(list(KEY_FAMILIES[0]))
    if len(set(pairs)) > 1:
        raise KeysMissing(names, "of both families are set and differ")
    if pairs[0][0].startswith("AK"):
        raise KeysMissing(names, "belong to a live account")
    return pairs[0]


def _private_text(path: Path) -> str | None:
    if path.is_symlink():
        raise BadInput(path, "holds secrets and must not be a symlink")
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if mode & 0o077:
        raise BadInput(path, "holds secrets and must not be readable by others (chmod 600)")
    return path.read_text(encoding="utf-8")


def _dotenv_values(path: Path) -> dict[str, str]:
    text = _private_text(path) or ""
    pairs = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {
        name.strip().removeprefix("export "): value.strip().strip("'\"")
        for name, mark, value in pairs
        if mark
    }


def _mcp_values(path: Path, server: str) -> dict[str, str]:
    text = _private_text(path)
    if text is None:
        return {}
    try:
        values = json.loads(text)["mcpServers"][server]["env"]
    except (ValueError, TypeError) as error:
        raise BadInput(path, "is not an MCP configuration") from error
    except KeyError:
        return {}
    return {str(name): str(value) for name, value in dict(values).items()}


def require_allowed_host(url: str, *, data: bool = False) -> None:
    """Raise `HostRefused` unless ``url`` is exactly the paper (or data) host or the loopback venue.

    The paper host needs https on its default port; the loopback venue is http on 127.0.0.1 with an
    explicit port. User information, other hosts and look-alikes are refused.
    """
    parts = _split_url(url)
    host = DATA_HOST if data else PAPER_HOST
    paper = parts.scheme == "https" and parts.netloc == host
    loopback = (
        parts.scheme == "http"
        and parts.hostname == LOOPBACK_HOST
        and parts.netloc == f"{LOOPBACK_HOST}:{parts.port}"
    )
    if not (paper or loopback):
        raise HostRefused(url)


def _split_url(url: str) -> Any:
    if not url.isascii() or any(mark in url for mark in "\\\t\r\n #"):
        raise HostRefused(url)
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it validates it
    except ValueError as error:
        raise HostRefused(url) from error
    return parts
