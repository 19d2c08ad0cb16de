"""Shows the review in a notebook: the board as text, controls for a person, reports in doubt."""

from __future__ import annotations

import html
import os

from IPython.display import publish_display_data

from livekit.workbench.review.board import Board, board_table, summary_text, time_left_text
from livekit.workbench.review.desk import Reviewer
from livekit.workbench.tables import to_html, to_text

__all__ = ["has_a_person", "show_board", "show_controls"]

SERVER_VARIABLE = "JPY_SESSION_NAME"  # Jupyter's server names the notebook to a kernel it starts


def has_a_person() -> bool:
    """Whether a browser shows this kernel's notebook, so that controls can be used."""
    return SERVER_VARIABLE in os.environ


def show_board(board: Board, *, name: str = "", update: bool = False) -> None:
    """Show a board as text; under a ``name`` it can be renewed later with ``update``.

    A board with a name stands below controls that count the time down, and does not tell it.
    """
    table = board_table(board)
    told = [f"Plan sha256 {board.plan.sha256}"]
    if not name:
        told.insert(0, f"{time_left_text(board)} {summary_text(board)}")
    texts = "".join(f"<p>{html.escape(text)}</p>" for text in told)
    publish_display_data(
        {
            "text/html": texts + to_html(table),
            "text/plain": "\n".join([*told, to_text(table)]),
        },
        transient={"display_id": name} if name else None,
        update=update,
    )


def show_controls(reviewer: Reviewer) -> None:
    """Show a row of controls for each item, and the board below them."""
    from livekit.workbench.widgets import ReviewPanel  # noqa: PLC0415 - only a person needs them

    ReviewPanel(reviewer).show()
