"""How long the verdict takes: resampling a year, a whole decision, and ``arch`` beside it."""

from __future__ import annotations

from time import perf_counter

import arch
import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap

from livekit.comparison.decision import decide
from livekit.comparison.forecast import VerdictPlan
from livekit.comparison.resampling import mean_interval, stationary_indices
from tests.comparison.planted import BASE_USD, planted

DRAWS, SESSIONS, BLOCK = 10_000, 252, 5.0


def seconds(work: object) -> tuple[float, float]:
    """Wall-clock seconds of the first run and of the fastest of three more."""
    taken = []
    for _ in range(4):
        start = perf_counter()
        work()  # type: ignore[operator]
        taken.append(perf_counter() - start)
    return taken[0], min(taken[1:])


@pytest.mark.bench
def test_ten_thousand_draws_of_a_year() -> None:
    d = planted(1).difference

    def ours() -> None:
        mean_interval(d, stationary_indices(SESSIONS, DRAWS, BLOCK, seed=1), 0.05)

    def theirs() -> None:
        bootstrap = StationaryBootstrap(BLOCK, d, seed=1)
        np.quantile(bootstrap.apply(np.mean, DRAWS), (0.05, 0.95))

    ours_cold, ours_warm = seconds(ours)
    theirs_cold, theirs_warm = seconds(theirs)
    print(
        f"\n{DRAWS:,} draws of {SESSIONS} sessions, interval of the mean: "
        f"{ours_warm:.3f} s warm, {ours_cold:.3f} s cold (must: 2 s)\n"
        f"arch {arch.__version__} StationaryBootstrap.apply(np.mean): {theirs_warm:.3f} s warm, "
        f"{theirs_cold:.3f} s cold; ratio {theirs_warm / ours_warm:.1f}"
    )


@pytest.mark.bench
def test_a_whole_decision_on_a_year() -> None:
    record = planted(1).record()
    cold, warm = seconds(lambda: decide(record, VerdictPlan(BASE_USD)))
    print(
        f"\ndecision on {SESSIONS} sessions, {DRAWS:,} draws at four block lengths, drawdowns and "
        f"profit factors: {warm:.2f} s warm, {cold:.2f} s cold (must: 2 s)"
    )
