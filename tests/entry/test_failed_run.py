"""A failed run as the operator meets it: exit code, alert, message, page, front page, status."""

import shutil
from pathlib import Path

import nbformat
import pytest

from livekit import cli
from livekit.config import load_profile
from livekit.errors import BadInput
from livekit.state import StateDB
from livekit.trading.opening import desk_on, open_link
from livekit.workbench.archiving.upkeep import verify
from livekit.workbench.daily import run_daily
from livekit.workbench.runs.notebook_form import require_plain_cells
from livekit.workbench.runs.phases import notebook_performer
from tests.entry.entry_kit import MONDAY, ROOT, Shop
from tests.workbench.receiver import receiving

LOGIC = "for order in day.orders():\n    order.quantity = 2 * order.quantity"
CAUSE = "01_signals.ipynb: cell 6 holds logic (For): a notebook of the day only calls the day"


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """The notebooks of the day, the first of them edited by hand."""
    folder = shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    path = folder / "01_signals.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[5].source = LOGIC
    nbformat.write(notebook, path)
    return folder


def test_logic_in_a_cell_is_named_and_calls_are_not(edited: Path) -> None:
    with pytest.raises(BadInput) as refusal:
        require_plain_cells(edited / "01_signals.ipynb")
    assert str(refusal.value).endswith(CAUSE)
    for name in ("02_execution", "03_reconciliation", "04_comparison"):
        require_plain_cells(edited / f"{name}.ipynb")
    (edited / "broken.ipynb").write_text("{")
    with pytest.raises(BadInput, match="not a notebook"):
        require_plain_cells(edited / "broken.ipynb")


def test_the_operator_sees_a_failed_run_everywhere(
    shop: Shop, edited: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = load_profile(shop.params, outputs=shop.outputs)
    with (
        StateDB(profile.state_db) as db,
        open_link(profile) as link,
        notebook_performer(profile, link, folder=edited) as performer,
    ):
        desk = desk_on(profile, link, db)
        report = run_daily(desk, MONDAY, phases=("signals", "execution"), performer=performer)
        (row,) = db.get_runs(session=MONDAY)
        alerts = db.get_alerts()
        assert verify(profile, db) == ()
    assert [(item.phase, item.status, item.exit_code) for item in report.phases] == [
        ("signals", "failed", 1),
        ("execution", "withheld", 0),
    ]
    assert (report.exit_code, row.status) == (1, "failed")
    assert row.message.endswith(CAUSE)
    assert [(alert.kind, alert.severity) for alert in alerts] == [("failed_run", "critical")]
    page = (profile.archive_dir / f"{row.archive_path}.html").read_text()
    assert "failed</strong>, exit code 1" in page
    assert "cell 6 holds logic" in page
    index = (profile.archive_dir / "index.html").read_text()
    assert index.index("Wants attention") < index.index("cell 6 holds logic")
    shown = shop.livekit("status", "--params", shop.params)
    assert shown.code == 0
    assert "signals of 2020-01-06" in shown.out
    assert "failed" in shown.out
    with receiving() as receiver:
        address = f"json://127.0.0.1:{receiver.port}/channel"
        monkeypatch.setenv("LIVEKIT_NOTIFY_URLS", address)
        words = ["--params", str(shop.params), "--outputs", str(shop.outputs)]
        assert [cli.main(["notify", *words]) for _ in range(2)] == [0, 0]
    assert receiver.titles == ["[shop SIMULATED] critical: failed run"]
    assert "cell 6 holds logic" in receiver.bodies[0]
