"""The verdict as a notebook shows it, part by part, a table under each chart."""

from __future__ import annotations

from datetime import date

import numpy as np

from livekit.comparison.decision import PROFIT
from livekit.config import LiveConfig
from livekit.state import EquityPoint
from livekit.trading.desk import Desk
from livekit.trading.phases import Curves
from livekit.trading.verdict_inputs import FullVerdict, full_verdict, store_verdict
from livekit.workbench.review.past import curves_until
from livekit.workbench.series import Curve
from livekit.workbench.show import show_chart, show_curves, show_facts, show_table
from livekit.workbench.verdict.charts import pairs_chart, sensitivity_chart, waterfall_chart
from livekit.workbench.verdict.tables import (
    attribution_table,
    books_table,
    causes_table,
    conditions_table,
    estimates_table,
    fidelity_table,
    missing_table,
    outlook_table,
    pairs_table,
    registration_table,
    sensitivity_table,
    verdict_table,
)

__all__ = ["VerdictView", "read_verdict"]


def read_verdict(desk: Desk, session: date, *, keep: bool) -> VerdictView:
    """The verdict on the record up to ``session``; with ``keep`` it is added to the books."""
    found = full_verdict(desk.db, desk.profile.home, desk.config, session)
    if keep:
        with desk.db.transaction():
            store_verdict(desk.db, found, desk.clock.now())
    return VerdictView(desk.config, curves_until(desk.db, desk.config, session), found)


class VerdictView:
    """One verdict, ready to be shown; an INVALID one shows its reasons and no number."""

    def __init__(self, config: LiveConfig, curves: Curves, found: FullVerdict) -> None:
        self._config = config
        self._curves = curves
        self.found = found

    def show_sentence(self) -> None:
        """Show the verdict in one sentence, and what was registered."""
        show_table(verdict_table(self.found))
        show_table(registration_table(self.found))

    def show_criteria(self) -> None:
        """Show every condition with value, interval and standing, then what is reported only."""
        if self._has_figures():
            show_table(conditions_table(self.found.verdict))
            show_table(books_table(self.found.verdict))
            show_table(estimates_table(self.found.verdict))

    def show_curves(self) -> None:
        """Show P&L and drawdown of the three books."""
        config = self._config
        show_curves(
            _curve("broker book", self._curves.broker),
            _curve(f"twin {config.primary_strategy}", self._curves.primary),
            _curve(f"shadow {config.shadow_strategy}", self._curves.shadow),
            base_usd=config.base_capital_usd,
        )

    def show_attribution(self) -> None:
        """Show why the executed book earned something else than its twin, and judge it."""
        attribution, fidelity = self.found.attribution, self.found.fidelity
        if attribution is None or fidelity is None:
            self._has_figures()
            return
        show_chart(waterfall_chart(attribution, ("primary twin", "executed book")))
        show_table(attribution_table(attribution))
        show_table(causes_table(attribution))
        show_table(fidelity_table(fidelity))

    def show_pairs(self) -> None:
        """Show the same entries under both exits."""
        record = self.found.record
        if record is None:
            self._has_figures()
            return
        show_chart(pairs_chart(record.pairs, (record.primary.strategy, record.shadow.strategy)))
        show_table(pairs_table(record))

    def show_sensitivity(self) -> None:
        """Show how the difference depends on the best trade and on the block length."""
        verdict = self.found.verdict
        if not self._has_figures() or verdict.figures is None:
            return
        interval = next((one.interval for one in verdict.criteria if one.short == PROFIT), None)
        chart = sensitivity_chart(
            100 * verdict.figures.difference,
            interval,
            verdict.sensitivities,
            self.found.registered.plan.profit_pct,
        )
        show_chart(chart)
        show_table(sensitivity_table(verdict))

    def show_missing(self) -> None:
        """Show what either mistake would cost, what is missing and when it can be expected."""
        if self._has_figures():
            show_table(outlook_table(self.found))
            show_table(missing_table(self.found.verdict))

    def _has_figures(self) -> bool:
        """Whether there is a number to show; says so where there is none."""
        if self.found.verdict.figures is None:
            show_facts("No figure", [("why", self.found.verdict.sentence)])
            return False
        return True


def _curve(name: str, points: tuple[EquityPoint, ...]) -> Curve:
    profit = np.array([float(point.realised + point.unrealised) for point in points])
    return Curve(name, tuple(point.session for point in points), profit)
