"""The help: every way in is explained, and shown at once."""

import subprocess
import sys

import pytest

from tests.entry.entry_kit import Capture, Shop, environment

COMMANDS = (
    "demo",
    "init",
    "daily",
    "audit",
    "doctor",
    "plan",
    "approve",
    "reject",
    "kill",
    "rearm",
    "lab",
    "run",
    "status",
    "notify",
    "schedule",
)


def helped(shop: Shop, capture: Capture, *words: str) -> str:
    from livekit import cli

    assert cli.main([*words]) == 0
    shown = capture.readouterr()
    assert shown.err == ""
    return shown.out


def test_without_arguments_the_commands_and_exit_codes_are_shown(
    new_shop: Shop, capsys: Capture
) -> None:
    text = helped(new_shop, capsys)
    assert text == helped(new_shop, capsys, "--help")
    assert [name for name in COMMANDS if f" {name} " not in text] == []
    assert [code for code in range(8) if f"• {code} " not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_and_every_option(
    new_shop: Shop, capsys: Capture, command: str
) -> None:
    text = helped(new_shop, capsys, command, "--help")
    rows = [line.strip("│ ") for line in text.splitlines() if "--" in line]
    assert {row.removeprefix("*").split()[0] for row in rows} >= {"--params", "--outputs", "--help"}
    assert [row for row in rows if len(row.split()) < 4] == []  # each has words beside it


@pytest.mark.parametrize("module", ["signal_generator", "executor"])
def test_the_modules_name_their_exit_codes(new_shop: Shop, capsys: Capture, module: str) -> None:
    from livekit import executor, signal_generator

    main = {"signal_generator": signal_generator, "executor": executor}[module].main
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "exit codes: 0 done, 2 unusable input" in " ".join(capsys.readouterr().out.split())


def test_the_help_waits_for_no_heavy_library(new_shop: Shop) -> None:
    program = (
        "import sys; from livekit.cli import main; main(['--help'])\n"
        "print(sorted({'pandas', 'sqlalchemy', 'alpaca', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
