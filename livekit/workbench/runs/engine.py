"""papermill's engine without its habit of writing the whole notebook twice a cell.

A notebook with twenty charts is half a megabyte, validated and written around every cell. This
engine writes it when the run has ended, however it ended: a cell that raised, a cell that took too
long and a kernel that died all leave the notebook as far as it came.
"""

from __future__ import annotations

from typing import Any

from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines

__all__ = ["ENGINE"]

ENGINE = "livekit"


class _WrittenOnce(NotebookExecutionManager):  # type: ignore[misc]
    def save(self, **kwargs: Any) -> None:
        """Write the notebook, but only once the run has ended."""
        if self.end_time is not None:
            super().save(**kwargs)


class _Engine(NBClientEngine):  # type: ignore[misc]
    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool = True,  # noqa: FBT001, FBT002 - papermill's own signature
        log_output: bool = False,  # noqa: FBT001, FBT002
        **options: Any,
    ) -> Any:
        """Execute the cells, then write whatever came of it."""
        managed = _WrittenOnce(
            nb, output_path=output_path, progress_bar=progress_bar, log_output=log_output
        )
        managed.notebook_start()
        try:
            cls.execute_managed_notebook(managed, kernel_name, log_output=log_output, **options)
        finally:
            managed.cleanup_pbar()
            managed.notebook_complete()
        return managed.nb


papermill_engines.register(ENGINE, _Engine)
