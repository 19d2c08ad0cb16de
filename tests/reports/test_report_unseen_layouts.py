"""Pages put together at random from ways of writing that no rule was made for one by one."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from random import Random

import page_mutations as change
import pytest
from report_examples import saved
from unseen_layouts import Stock, choose_ways, page, stocks

from livekit.errors import BadInput
from livekit.reports import parse_report

PAGES = 300
LEAST_EXACT = 0.9


def outcome(path: Path, listed: list[Stock]) -> str:
    try:
        result = parse_report(path)
    except BadInput:
        return "suspect"
    if result.verdict == "suspect":
        return "suspect"
    wanted = {
        (s.ticker, s.grade, s.score, Decimal(s.price.replace(",", "")), s.gap, s.name)
        for s in listed
    }
    found = {
        (c.ticker, c.grade, c.score, c.price, c.gap_size, c.company_name) for c in result.candidates
    }
    return "exact" if found == wanted else "silently wrong"


def test_pages_of_layouts_never_seen_are_read_exactly(tmp_path: Path) -> None:
    """At least 90 % are ``ok`` and exact, and no page is silently wrong."""
    outcomes: Counter[str] = Counter()
    for seed in range(PAGES):
        random = Random(seed)
        ways, listed = choose_ways(random), stocks(random)
        outcomes[outcome(saved(tmp_path, page(ways, listed)), listed)] += 1
    assert outcomes["silently wrong"] == 0
    assert outcomes["exact"] >= LEAST_EXACT * PAGES, outcomes


@pytest.mark.parametrize("name", [*change.DECOYS, *change.INNER_DECOYS])
def test_a_decoy_on_a_layout_never_seen_is_never_taken_for_a_candidate(
    tmp_path: Path, name: str
) -> None:
    inner = name in change.INNER_DECOYS
    decoy = change.with_inner_decoy(name) if inner else change.with_decoy(name)
    for seed in range(5_000, 5_012):
        random = Random(seed)
        ways = choose_ways(random) | ({"container": "article"} if inner else {})
        listed = stocks(random)
        content = change.mutated(page(ways, listed).encode(), [decoy], random)
        assert outcome(saved(tmp_path, content), listed) != "silently wrong", seed
