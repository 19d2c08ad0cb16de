"""The review in JupyterLab: one row of controls for each item of a plan, and a table beside them.

Every control has a twin of text: the table below the controls says the same, is renewed with them,
and is what a saved notebook shows. A click is recorded at once. What goes wrong in a click is
shown above the controls, where the person looks; the state stays as it was.
"""

from __future__ import annotations

import asyncio
import html
import secrets
from collections.abc import Callable
from threading import RLock

import ipywidgets
from IPython.display import display

from livekit.errors import LivekitError
from livekit.state.records import Decision
from livekit.workbench.review.board import (
    Board,
    BoardRow,
    decision_text,
    item_text,
    orders_text,
    summary_text,
    time_left_text,
)
from livekit.workbench.review.desk import Reviewer
from livekit.workbench.review.show import show_board

__all__ = ["ReviewPanel"]

REFRESH_S = 2.0
COLUMNS = "minmax(12em, 3fr) 5em minmax(6em, 1fr) 7em 6em minmax(11em, 2fr)"
TITLES = ("item", "at most", "reason", "", "", "decision")

_shown: list[ReviewPanel] = []


class _Controls:
    """The widgets of one row. All text that came from outside is escaped."""

    def __init__(self, row: BoardRow, decide: Callable[[str, Decision], None]) -> None:
        name = row.item.name
        approved = row.decision is not None and row.decision.decision == "approve"
        most = row.decision.max_quantity if approved and row.decision else row.item.shares
        self.shares = _field(f"shares of {name}, at most {row.item.shares}", value=str(most))
        self.reason = _field(f"reason for {name}")
        self.approve = _button("Approve", f"approve {name}")
        self.reject = _button("Reject", f"reject {name}")
        self.approve.on_click(lambda _: decide(name, "approve"))
        self.reject.on_click(lambda _: decide(name, "reject"))
        self.decision = ipywidgets.HTML()
        if not row.item.needs_approval:
            for box in (self.shares, self.reason, self.approve, self.reject):
                box.layout.visibility = "hidden"
        what = html.escape(f"{item_text(row.item)}. {orders_text(row.item)}")
        self.cells = (
            _text(f"<b>{html.escape(name)}</b><br>{what}"),
            self.shares,
            self.reason,
            self.approve,
            self.reject,
            self.decision,
        )

    def draw(self, board: Board, row: BoardRow) -> None:
        """Show the decision that stands, and lock the controls once it cannot change.

        What comes too late to be approved can still be rejected.
        """
        self.reason.disabled = self.reject.disabled = not board.may_decide(row)
        self.shares.disabled = self.approve.disabled = not board.may_approve(row)
        self.approve.tooltip = row.too_late or f"approve {row.item.name}"
        told = html.escape(decision_text(row))
        self.decision.value = _wrapped(told if row.waits else f"<b>{told}</b>")


class ReviewPanel:
    """Controls for a plan, as a person uses them; shown once, renewed until the cut-off.

    ``box`` holds the widgets, ``message`` what went wrong with the last click.
    """

    def __init__(self, reviewer: Reviewer) -> None:
        self._reviewer = reviewer
        self._lock = RLock()  # clicks may come from another thread than the clock's ticks
        self._name = secrets.token_hex(8)
        self._task: asyncio.Task[None] | None = None
        self._is_shown = False
        self._board = reviewer.board()
        self.message = ipywidgets.HTML()
        self._time_left = ipywidgets.HTML()
        self._summary = ipywidgets.HTML()
        self._reason = _field("reason for all")
        self._approve_all = _button("Approve all that wait", "approve all that wait")
        self._approve_all.on_click(lambda _: self._approve_waiting())
        self._controls = {
            row.item.name: _Controls(row, self._decide_item) for row in self._board.rows
        }
        self.box = self._laid_out()
        self._draw(self._board)

    def _laid_out(self) -> ipywidgets.VBox:
        heads = [_text(f"<i>{title}</i>") for title in TITLES]
        cells = [cell for controls in self._controls.values() for cell in controls.cells]
        grid = ipywidgets.GridBox(
            [*heads, *cells],
            layout=ipywidgets.Layout(
                grid_template_columns=COLUMNS, grid_gap="2px 10px", align_items="center"
            ),
        )
        plan = _text(f"Plan sha256 <code>{self._board.plan.sha256}</code>")
        together = ipywidgets.HBox([self._approve_all, self._reason])
        return ipywidgets.VBox([self._time_left, self._summary, plan, self.message, grid, together])

    def show(self) -> None:
        """Show controls and table; keep both up to date until nothing can be decided any more."""
        while _shown:
            _shown.pop().stop()
        _shown.append(self)
        display(self.box)
        show_board(self._board, name=self._name)
        self._is_shown = True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel: nobody clicks either
            return
        self._task = loop.create_task(self._keep_up())

    def stop(self) -> None:
        """Renew nothing any more; another panel takes over."""
        if self._task is not None:
            self._task.cancel()

    async def _keep_up(self) -> None:
        """Count down, and show what others decide. Real time: the venue's clock is not moved."""
        while not self._board.closed:
            await asyncio.sleep(REFRESH_S)
            if not self._reviewer.may_follow():
                return
            with self._lock:
                if problem := self._attempt(self._reviewer.board):
                    self._say(problem)
                    return

    # ---------------------------------------------------------------------------------- clicks

    def _decide_item(self, name: str, decision: Decision) -> None:
        controls = self._controls[name]
        row = next(row for row in self._board.rows if row.item.name == name)
        shares, reason = controls.shares.value, controls.reason.value
        self._act(lambda: self._reviewer.decide(row, decision, shares=shares, reason=reason))

    def _approve_waiting(self) -> None:
        seen, reason = self._board, self._reason.value
        self._act(lambda: self._reviewer.approve_waiting(seen, reason=reason))

    def _act(self, act: Callable[[], Board]) -> None:
        with self._lock:
            problem = self._attempt(act)
            if problem:
                self._attempt(self._reviewer.board)
            self._say(problem)

    def _attempt(self, act: Callable[[], Board]) -> str:
        """Draw the board that ``act`` gives; what went wrong, if it did.

        An error that is none of ours is shown too, then goes on to the kernel's log.
        """
        try:
            self._draw(act())
        except LivekitError as error:
            return error.operator_line()
        except Exception as error:
            self._say(f"{type(error).__name__}: {error}; nothing is known to be recorded")
            raise
        return ""

    def _say(self, text: str) -> None:
        shown = f'<div role="alert" style="{_ALERT}">{html.escape(text)}</div>' if text else ""
        self.message.value = shown

    # --------------------------------------------------------------------------------- drawing

    def _draw(self, board: Board) -> None:
        changed = _standing(board) != _standing(self._board)
        self._board = board
        self._time_left.value = f"<b>{html.escape(time_left_text(board))}</b>"
        self._summary.value = html.escape(summary_text(board))
        for row in board.rows:
            self._controls[row.item.name].draw(board, row)
        waiting = any(row.waits and board.may_approve(row) for row in board.rows)
        self._approve_all.disabled = self._reason.disabled = not waiting
        if self._is_shown and changed:
            show_board(board, name=self._name, update=True)


def _standing(board: Board) -> tuple[object, ...]:
    """What the table shows of a board, the running time aside."""
    return (board.rows, board.closed, board.kill_switch_on)


_ALERT = "border-left:4px solid var(--jp-error-color1);padding:4px 10px;font-weight:600"


def _wide() -> ipywidgets.Layout:
    return ipywidgets.Layout(width="auto")


def _button(description: str, tooltip: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=description, tooltip=tooltip, layout=_wide())


def _field(placeholder: str, *, value: str = "") -> ipywidgets.Text:
    """A field of text; the placeholder is also its name for those who cannot see it."""
    return ipywidgets.Text(value=value, placeholder=placeholder, layout=_wide())


def _text(markup: str) -> ipywidgets.HTML:
    return ipywidgets.HTML(_wrapped(markup))


def _wrapped(markup: str) -> str:
    return f'<div style="line-height:1.3;white-space:normal;overflow-wrap:anywhere">{markup}</div>'
