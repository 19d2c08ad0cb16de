"""What surrounds the runs of a simulated day: the calendar, companies, other people, pages."""

from __future__ import annotations

from collections import Counter
from random import Random

from livekit.workbench.simulation import incidents
from livekit.workbench.simulation.dates import kinds_of
from livekit.workbench.simulation.morning import Dawn
from livekit.workbench.simulation.referee import Referee
from livekit.workbench.simulation.script import Script
from livekit.workbench.simulation.stage import Stage

__all__ = ["Surroundings"]


class Surroundings:
    """Lets things happen to one day, counts them, and judges what they must not lead to."""

    def __init__(
        self,
        dawn: Dawn,
        script: Script,
        stage: Stage,
        referee: Referee,
        happenings: Counter[str],
        chance: Random,
    ) -> None:
        self._dawn, self._script = dawn, script
        self._stage, self._referee = stage, referee
        self._happenings, self._chance = happenings, chance
        self._session = dawn.morning.session
        self.is_renamed = False
        self.is_disturbed = False  # books and broker differ until a person settles it

    def prepare(self) -> None:
        """What has happened before the first run of the day."""
        self._note_the_day()
        self._referee.session = self._session
        self._referee.splitting = self.splits_today
        foreign = self._dawn.morning.foreign
        if foreign is not None:
            self._referee.outside.add(foreign)
        if self._script.renamed:
            self._rename()
        if self._script.page is not None:
            self._publish(self._script.page)
        if self._script.stop_lost and incidents.lose_a_stop(self._stage, self._session):
            self._happenings["stops lost"] += 1
        if foreign is not None and self._script.foreign_group:
            self._place_a_group(foreign)
        if self._script.cancel_meets_finished:
            self._referee.before_cancel = self._cancel_first

    def judge_the_page(self) -> None:
        """What is no report of today brings no candidate; the operator takes a bad page away."""
        if self._script.page in (None, "fresh"):
            return
        rows = self._stage.books.raw.execute(
            "SELECT ticker FROM candidates WHERE session = ?", (str(self._session),)
        ).fetchall()
        if rows:
            self._referee.broken("I15 fresh signal", f"{rows} come from a {self._script.page} page")
        incidents.remove_pages(self._stage)

    def judge_the_group(self, noticed: set[str | None]) -> None:
        """Shares of somebody else of which too many were sold must be among the breaks."""
        for ticker in self._referee.outside:
            if self._stage.state.held(ticker) < 0:
                self._happenings["groups filled twice"] += 1
                if ticker not in noticed:
                    self._referee.broken("I06 no fill lost", f"{ticker} is short, unnoticed")

    # ---------------------------------------------------------------------------------- the day

    @property
    def splits_today(self) -> str | None:
        """The ticker whose ex-date the session is, if there is one."""
        split = self._dawn.split
        return None if split is None or split.sessions_ahead else split.ticker

    def _note_the_day(self) -> None:
        """Count what the calendar and the companies bring."""
        self._happenings.update(f"day: {kind}" for kind in kinds_of(self._session))
        split, leaving = self._dawn.split, self._dawn.leaving
        if split is not None and split.ticker in self._dawn.morning.held:
            way = "forward" if split.ratio > 1 else "reverse"
            when = "tomorrow" if split.sessions_ahead else "today"
            self._happenings[f"{way} splits {when}"] += 1
            if split.ticker == leaving and not split.sessions_ahead:
                self._happenings["splits of a leaving position"] += 1
        if self._script.both_exits_due and leaving is not None:
            self._happenings["both exits due at once"] += 1

    # -------------------------------------------------------------------------------- incidents

    def _cancel_first(self, path: str) -> bool:
        done = incidents.cancel_by_hand(self._stage, path.rpartition("/")[2])
        self._happenings["cancels that met a finished order"] += done
        return done

    def _rename(self) -> None:
        held = self._dawn.morning.held
        if not held or not incidents.rename(self._stage, held[0], self._session):
            return
        stops = (order.client_order_id for order in self._stage.state.working_on(held[0]))
        self._referee.outside |= {held[0], incidents.NEW_NAME, *stops}
        self._happenings["new names"] += 1
        self.is_renamed = self.is_disturbed = True

    def _place_a_group(self, ticker: str) -> None:
        close = float(self._dawn.morning.bars[ticker].close[-1])
        if incidents.place_a_group_by_hand(self._stage, ticker, close):
            self._happenings["groups of somebody else"] += 1
            self.is_disturbed = True

    def _publish(self, kind: str) -> None:
        """The candidates come from a page and not from the books."""
        raw, day = self._stage.books.raw, (str(self._session),)
        raw.execute("DELETE FROM candidates WHERE session = ?", day)
        raw.execute("DELETE FROM candidate_sessions WHERE session = ?", day)
        incidents.publish_page(self._stage, self._session, self._chance, kind)
        self._happenings[f"pages {kind}"] += 1
