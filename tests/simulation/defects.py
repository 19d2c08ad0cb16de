"""Copies of the package with one planted defect, and days played on such a copy.

A defect is a change of the source, made on a copy in a folder of its own; a child process imports
the copy and plays days until a promise is broken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import livekit

PACKAGE = Path(livekit.__file__).parent


@dataclass(frozen=True)
class Defect:
    """Texts of a source file and what the defect makes of them."""

    file: str
    changes: tuple[tuple[str, str], ...]


INTENT_AFTER_SEND = Defect(
    "trading/orders.py",
    (
        (
            (
                "            desk.db.add_order(replace(order, fencing_token=desk.lease), "
                "at=desk.clock.now())\n"
            ),
            "            pass\n",
        ),
        (
            (
                "    try:\n        return adopt(desk, order, submit())\n"
                "    except OrderRefused as refusal:\n"
                "        return _refused(desk, order, refusal, patient=patient)\n"
            ),
            (
                "    try:\n        answer = submit()\n"
                "        desk.db.add_order(replace(order, fencing_token=desk.lease), "
                "at=desk.clock.now())\n"
                "        return adopt(desk, order, answer)\n"
                "    except OrderRefused as refusal:\n"
                "        return _refused(desk, order, refusal, patient=patient)\n"
            ),
        ),
    ),
)

STOP_AFTER_ALL_POLLS = Defect("trading/protector.py", (("GRACE_S = 4.0\n", "GRACE_S = 400.0\n"),))

UNKNOWN_TAKEN_AS_FAILED = Defect(
    "trading/orders.py",
    (
        (
            "        found = resolve_unknown(desk, order, patient=patient)\n        held_back =",
            (
                '        return deny(desk, order, "no answer")\n'
                "        found = resolve_unknown(desk, order, patient=patient)\n"
                "        held_back ="
            ),
        ),
    ),
)

KILL_SWITCH_READ_ONCE = Defect(
    "state/switch.py",
    (
        (
            "        try:\n            return self.get_config(KILL_SWITCH) != OFF\n",
            (
                "        try:\n"
                '            if not hasattr(self, "_read_once"):\n'
                "                self._read_once = self.get_config(KILL_SWITCH) != OFF\n"
                "            return self._read_once\n"
            ),
        ),
    ),
)

RECONCILIATION_LEFT_OUT = Defect(
    "trading/executor.py",
    (
        (
            "        run.avoided = tickers_to_avoid(desk, plan.session, protection)\n",
            "        run.avoided = frozenset()\n",
        ),
    ),
)

CANCEL_CODE_READ_AS_FILLED = Defect(
    "trading/exits.py",
    (
        (
            "    ended = _free_shares(desk, position)\n",
            (
                "    stops = _stops_of(desk, position)\n"
                "    if not all(request_cancel(desk, item) for item in stops):\n"
                '        return ExitReport(planned.ticker, "closed", "its stop had filled")\n'
                "    ended = _free_shares(desk, position)\n"
            ),
        ),
        (
            "import cancel_and_confirm\n",
            "import cancel_and_confirm, request_cancel\n",
        ),
    ),
)


def plant(defect: Defect, folder: Path) -> Path:
    """Copy the package to ``folder`` with the defect in it; returns the folder to import from."""
    ignored = shutil.ignore_patterns("__pycache__", "data", "*.parquet")
    shutil.copytree(PACKAGE, folder / "livekit", ignore=ignored)
    (folder / "livekit" / "data").symlink_to(PACKAGE / "data")
    source = folder / "livekit" / defect.file
    text = source.read_text(encoding="utf-8")
    for original, changed in defect.changes:
        assert text.count(original) == 1, f"{defect.file} does not read so any more:\n{original}"
        text = text.replace(original, changed)
    source.write_text(text, encoding="utf-8")
    return folder


PLAY = """
import sys
import tempfile
from pathlib import Path
from livekit.broker.venue.faults import FaultKind, FaultRule
from livekit.workbench.simulation.books import MemoryBooks
from livekit.workbench.simulation.points import Cut
from livekit.workbench.simulation.standard_day import make_standard_day, run_standard_day

TROUBLE = {
    "none": {},
    "answer lost": {"rules": [FaultRule(FaultKind.ANSWER_LOST, method="POST", times=2)]},
    "half filled": {"rules": [FaultRule(FaultKind.PARTIAL_THEN_EXPIRY, method="POST", nth=3)]},
    "kill switch": {"kill_at": Cut("request", int(sys.argv[2]), "after")},
}
with tempfile.TemporaryDirectory() as folder:
    books = MemoryBooks()
    day = make_standard_day(Path(folder), books)
    print(*run_standard_day(day, books, **TROUBLE[sys.argv[1]]).violations, sep="\\n")
"""

SUITE = """
import sys
import livekit  # before pytest puts the checkout in front
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def violations_on(folder: Path, trouble: str, kill_at: int = 0) -> str:
    """What the standard day with this trouble breaks on the copy in ``folder``."""
    child = _run(folder, folder, PLAY, trouble, str(kill_at))
    assert child.returncode == 0, child.stderr
    return child.stdout.strip()


def suite_on(folder: Path, *words: str) -> int:
    """The exit code of tests of the suite that import the copy in ``folder``."""
    return _run(folder, PACKAGE.parent, SUITE, *words).returncode


def _run(folder: Path, cwd: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *words],  # -P: not the working directory first,
        env=os.environ | {"PYTHONPATH": str(folder)},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
