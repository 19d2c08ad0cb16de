"""Configuration: parameter files, the manifest check, keys, and which hosts may be spoken to."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from livekit.config import (
    LiveConfig,
    config_sha256,
    load_profile,
    require_allowed_host,
    resolve_api_key,
    resolve_credentials,
)
from livekit.errors import BadInput, HostRefused, KeysMissing, ManifestMismatch, UnknownParameter

ROOT = Path(__file__).parents[2]


def test_the_defaults_are_those_of_the_design() -> None:
    config = LiveConfig()
    assert (config.max_positions, config.position_size, config.stop_loss_pct) == (20, 10000.0, 10.0)
    assert (config.slippage_pct, config.stop_mode, config.entry_mode) == (
        0.5,
        "intraday",
        "report_open",
    )
    assert (config.max_holding_days, config.rotation, config.min_grade) == (None, True, "D")
    assert (config.primary_trailing_stop, config.primary_trailing_period) == ("weekly_ema", 10)
    assert (config.shadow_trailing_stop, config.shadow_trailing_period) == ("weekly_nweek_low", 4)
    assert config.trailing_transition_weeks == 2
    assert config.alpaca_base_url == "https://paper-api.alpaca.markets"
    assert (config.max_daily_trade_orders, config.max_daily_stop_orders) == (40, 20)
    assert (config.entry_cutoff_minutes, config.min_buying_power) == (5, 5000.0)
    assert config.fmp_lookback_days == 400


def test_strategies_are_named_by_their_line_and_period() -> None:
    config = LiveConfig()
    assert (config.primary_strategy, config.shadow_strategy) == ("ema_p10", "nwl_p4")
    assert config.trailing("ema_p21") == ("weekly_ema", 21)
    assert config.trailing("nwl_p8") == ("weekly_nweek_low", 8)


@pytest.mark.parametrize("name", ["ema_p", "ema_p0", "sma_p10", "ema10", "", "ema_p1.5", "ema_p٣"])
def test_a_strategy_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UnknownParameter, match="neither ema_pN nor nwl_pN"):
        LiveConfig().trailing(name)


def test_the_base_capital_is_all_slots_filled() -> None:
    assert LiveConfig().base_capital_usd == 200_000.0  # 20 × 10,000


@pytest.mark.parametrize(
    "change",
    [
        {"max_positions": 0},
        {"position_size": 0.0},
        {"stop_loss_pct": 100.0},
        {"slippage_pct": -0.1},
        {"min_grade": "E"},
        {"primary_trailing_period": 0},
        {"trailing_transition_weeks": -1},
        {"entry_cutoff_minutes": 0},
        {"primary_trailing_stop": "weekly_sma"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_value_that_no_rule_can_work_with_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UnknownParameter, match=next(iter(change)).split("_")[0]):
        LiveConfig(**change)


# --------------------------------------------------------------------------------- the manifest


def manifest(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps({"config": asdict(LiveConfig()) | changes}), encoding="utf-8")
    return path


def test_a_configuration_agrees_with_the_manifest_made_from_it(tmp_path: Path) -> None:
    LiveConfig().verify_against_manifest(manifest(tmp_path / "run_manifest.json"))


@pytest.mark.parametrize("name", sorted(asdict(LiveConfig())))
def test_every_trading_field_is_compared(tmp_path: Path, name: str) -> None:
    path = manifest(tmp_path / "run_manifest.json", **{name: "something else"})
    with pytest.raises(ValueError, match=rf"{name} is .* manifest says 'something else'"):
        LiveConfig().verify_against_manifest(path)


def test_every_mismatch_is_named_at_once(tmp_path: Path) -> None:
    path = manifest(tmp_path / "m.json", slippage_pct=0.1, rotation=False, invented=1)
    with pytest.raises(ManifestMismatch) as caught:
        LiveConfig().verify_against_manifest(path)
    assert len(caught.value.mismatches) == 3
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", '{"config": 3}'])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=r"m\.json"):
        LiveConfig().verify_against_manifest(path)


def test_the_hash_of_a_configuration_follows_every_field() -> None:
    config = LiveConfig()
    assert config_sha256(config) == config_sha256(LiveConfig())
    assert config_sha256(config) != config_sha256(replace(config, rotation=False))


# ------------------------------------------------------------------------------- parameter files


@pytest.mark.parametrize("name", ["demo", "paper"])
def test_the_shipped_parameter_files_load(name: str) -> None:
    profile = load_profile(ROOT / "params" / f"{name}.yaml")
    assert profile.name == name
    assert profile.home == Path("outputs") / name


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("venue: nowhere\n", "venue"),
        ("venue: simulated\ntrading: {max_positionz: 3}\n", "max_positionz"),
        ('venue: simulated\ntrading: {max_positions: "3"}\n', "max_positions"),
        ("venue: simulated\ntrading: {slippage_pct: .nan}\n", "slippage_pct"),
        ("venue: simulated\nsecret_key: abc\n", "secret_key"),
    ],
    ids=["venue", "misspelt", "text for a number", "not a number", "a secret"],
)
def test_a_wrong_parameter_is_named(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnknownParameter, match=named):
        load_profile(path)


@pytest.mark.parametrize(
    "text", ["- a\n", "a: [", "\x00", "3: 4\n", "trading: 3\nvenue: simulated"]
)
def test_a_file_that_maps_nothing_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput):
        load_profile(path)


# ------------------------------------------------------------------------------------------ keys


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "ALPACA_API_KEY", "ALPACA_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def private(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.usefixtures("no_keys")
def test_a_key_is_looked_up_in_the_environment_then_dotenv_then_mcp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "APCA_API_KEY_ID"
    assert resolve_api_key(name, folder=tmp_path) is None
    servers = {"mcpServers": {"alpaca": {"env": {name: "from-mcp"}}}}
    private(tmp_path / ".mcp.json", json.dumps(servers))
    assert resolve_api_key(name, "alpaca", folder=tmp_path) == "from-mcp"
    assert resolve_api_key(name, "another", folder=tmp_path) is None
    private(tmp_path / ".env", f"# comment\nexport {name}='from-dotenv'\n")
    assert resolve_api_key(name, folder=tmp_path) == "from-dotenv"
    monkeypatch.setenv(name, "from-environment")
    assert resolve_api_key(name, folder=tmp_path) == "from-environment"


def test_a_secrets_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = private(tmp_path / ".env", "APCA_API_KEY_ID=x\n")
    path.chmod(0o644)
    with pytest.raises(BadInput, match="readable by others"):
        resolve_api_key("SOME_KEY_THAT_IS_NOT_SET", folder=tmp_path)


def test_a_secrets_file_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to(private(tmp_path / "elsewhere", "APCA_API_KEY_ID=x\n"))
    with pytest.raises(BadInput, match="symlink"):
        resolve_api_key("SOME_KEY_THAT_IS_NOT_SET", folder=tmp_path)


@pytest.mark.usefixtures("no_keys")
def test_without_keys_the_variables_are_named(tmp_path: Path) -> None:
    with pytest.raises(KeysMissing, match="APCA_API_KEY_ID, APCA_API_SECRET_KEY"):
        resolve_credentials(folder=tmp_path)


@pytest.mark.usefixtures("no_keys")
def test_two_families_that_differ_are_refused_and_equal_ones_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "PK1")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "s1")
    monkeypatch.setenv("ALPACA_API_KEY", "PK1")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "s1")
    assert resolve_credentials(folder=tmp_path) == ("PK1", "s1")
    monkeypatch.setenv("ALPACA_API_KEY", "PK2")
    with pytest.raises(KeysMissing, match="differ"):
        resolve_credentials(folder=tmp_path)


@pytest.mark.usefixtures("no_keys")
def test_a_live_key_is_refused_by_its_first_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "AK1")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "s1")
    with pytest.raises(KeysMissing, match="live account"):
        resolve_credentials(folder=tmp_path)


# ----------------------------------------------------------------------------------------- hosts


@pytest.mark.parametrize(
    "url", ["https://paper-api.alpaca.markets", "http://127.0.0.1:8123", "http://127.0.0.1:1"]
)
def test_the_paper_host_and_the_loopback_venue_are_allowed(url: str) -> None:
    require_allowed_host(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets",
        "https://api.alpaca.markets/?paper",
        "https://api.alpaca.markets/#paper",
        "https://paper@api.alpaca.markets",
        "http://paper.evil.example",
        "https://evil.example/paper",
        "https://paper-api.alpaca.markets.evil.example",
        "https://paper-api.alpaca.markets.",
        "https://PAPER-API.alpaca.markets",
        "https://paper-api.alpaca.markets:444",
        "http://paper-api.alpaca.markets",
        "https://paper-api。alpaca.markets",
        "https:\\\\paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets\t",
        "http://127.0.0.1",
        "http://127.0.0.1:99999",
        "https://127.0.0.1:8123",
        "http://localhost:8123",
        "http://[::1]:8123",
        "http://user@127.0.0.1:8123",
        "",
    ],
)
def test_every_other_host_is_refused(url: str) -> None:
    with pytest.raises(HostRefused):
        require_allowed_host(url)
