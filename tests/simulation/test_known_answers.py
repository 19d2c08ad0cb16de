"""A check is asked again exactly when something that it looked at is another object."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from livekit.config import LiveConfig
from livekit.invariants import CHECKS, BooksView, Facts, SwitchFacts, VenueView
from livekit.model import VenuePosition
from livekit.workbench.simulation.close_look import KnownAnswers

NOON = datetime(2020, 1, 30, 17, 0, tzinfo=UTC)
CONFIG = LiveConfig()
NOTHING: tuple[()] = ()
SWITCH = SwitchFacts(on=False)
AAA = [VenuePosition("AAA", Decimal(10), Decimal(0), Decimal(100), None)]


def facts(
    *,
    on: SwitchFacts = SWITCH,
    positions: list[VenuePosition] = AAA,
    now: datetime = NOON,
    config: LiveConfig = CONFIG,
) -> Facts:
    ours = BooksView(NOTHING, NOTHING, NOTHING, NOTHING, plans=NOTHING, switch=on)
    theirs = VenueView(NOTHING, positions, now)
    return Facts(ours, theirs, config, lambda _: None, lambda price: price)


class Counted:
    """Looks at the positions, and at the clock only when there are none."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, given: Facts) -> Iterable[str]:
        self.asked += 1
        for position in given.theirs.positions:
            yield position.ticker
        if not given.theirs.positions:
            yield str(given.theirs.now)


def test_only_a_change_of_what_it_looked_at_makes_a_check_look_again() -> None:
    ask, check = KnownAnswers(), Counted()
    assert list(ask(check, facts())) == ["AAA"]
    assert list(ask(check, facts(now=NOON + timedelta(1), on=SwitchFacts(on=True)))) == ["AAA"]
    assert check.asked == 1
    empty: list[VenuePosition] = []
    assert list(ask(check, facts(positions=empty))) == [str(NOON)]
    later = NOON + timedelta(minutes=1)
    assert list(ask(check, facts(positions=empty, now=later))) == [str(later)]
    assert check.asked == 3
    assert list(ask(check, facts(positions=empty, now=later, config=LiveConfig()))) == [str(later)]
    assert check.asked == 4


def test_every_check_answers_as_it_does_when_it_is_asked_plainly() -> None:
    """The switch goes on and off again while AAA is short and then held: all mixed states."""
    ask = KnownAnswers()
    short = [VenuePosition("AAA", Decimal(-5), Decimal(0), Decimal(100), None)]
    switches = (SWITCH, SwitchFacts(on=True, text="on"), SwitchFacts(on=True, text="gone"))
    found = 0
    for on in (*switches, SWITCH):
        for positions in (AAA, short, AAA):
            given = facts(on=on, positions=positions)
            for check in CHECKS.values():
                answer = tuple(check(given))
                assert ask(check, given) == answer
                found += len(answer)
    assert found == 4 + 3  # short once in each of four, and three times a switch that says "gone"
