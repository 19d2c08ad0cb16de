"""What becomes of a run's files and its row: failed with an alert, or archived with its hashes."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from livekit.config import Profile
from livekit.errors import LivekitError, SecretExposed, UsageError
from livekit.state import Run, StateDB
from livekit.trading.phases import worst_exit_code
from livekit.workbench.archiving.secret_scan import require_no_secret

if TYPE_CHECKING:
    from livekit.workbench.archive import ArchivedRun

__all__ = ["RECORD_VARIABLE", "Sealer", "record_run"]

RECORD_VARIABLE = "LIVEKIT_RUN_RECORD"  # file that the last cell of a person's notebook writes
MESSAGE_LENGTH = 2000
FAILED = "failed"


def record_run() -> None:
    """Say that a notebook came to its last cell; the runner adds the cell that calls this.

    Raises `UsageError` outside a run.
    """
    target = os.environ.get(RECORD_VARIABLE)
    if not target:
        raise UsageError("this notebook was not started by livekit run")
    Path(target).write_text("complete", encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Sealer:
    """The profile's books and archive, and the secrets that must stay out of both."""

    profile: Profile
    db: StateDB
    secrets: tuple[str, ...]

    def run(self, run_id: int) -> Run:
        """The row of a run; raises `UsageError` when there is none."""
        found = next((run for run in self.db.get_runs() if run.run_id == run_id), None)
        if found is None:
            raise UsageError(f"the run log has no run {run_id}")
        return found

    def harmless(self, text: str) -> str:
        """The text, unless a secret occurs in it."""
        try:
            require_no_secret(self.secrets, {"error": text})
        except SecretExposed:
            return "an error whose text holds a secret"
        return text

    def fail(
        self,
        run_id: int,
        kind: str,
        cause: str,
        at: datetime,
        *,
        exit_code: int = 1,
        lines: tuple[str, ...] | None = None,
    ) -> None:
        """Mark a run failed and alert; a graver exit code that it recorded itself stands.

        ``lines`` replace those of its record.
        """
        run = self.run(run_id)
        with self.db.transaction():
            self.db.finish_run(
                run_id,
                at=at,
                status=FAILED,
                exit_code=worst_exit_code([exit_code, run.exit_code or 0]),
                message=cause[:MESSAGE_LENGTH],
                record_json=None if lines is None else json.dumps({"lines": lines}),
            )
            text = f"{run.phase} of {run.session}: {cause}"
            self.db.add_alert(kind, text, at=at, severity="critical")

    def archive(self, run_id: int, shown: Path, at: datetime) -> None:
        """Archive notebook and page; a run whose output holds a secret is not written anywhere."""
        from livekit.workbench.archive import seal  # noqa: PLC0415 - loaded while a kernel starts
        from livekit.workbench.archiving.front_page import page_header  # noqa: PLC0415

        run = self.run(run_id)
        header = page_header(self.profile, run)
        folder = self.profile.archive_dir
        try:
            files = seal(folder, shown, header, secrets=self.secrets)
        except SecretExposed as error:
            self.fail(run_id, "secret", str(error), at, lines=(str(error),))
        except LivekitError as error:
            self.fail(run_id, "archive", str(error), at, exit_code=error.exit_code)
        else:
            self._note(run, files, at)

    def _note(self, run: Run, archived: ArchivedRun, at: datetime) -> None:
        self.db.finish_run(
            run.run_id,
            at=run.finished_at or at,
            status=run.status,
            exit_code=1 if run.exit_code is None else run.exit_code,
            message=run.message,
            notebook_sha256=archived.notebook_sha256,
            html_sha256=archived.page_sha256,
            archive_path=archived.page.removesuffix(".html"),
        )
