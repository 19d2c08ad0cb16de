"""The daily earnings reports: pages in, graded candidates out.

`parse_report` reads one page and says how far it understood it. `scoring` computes the scores that
such a page prints, `earnings` finds the session a filing moved, and `writer` makes pages of the
demo from real prices, which are then parsed like any other.
"""

from livekit.reports.candidate_file import cross_checked, parse_candidates_json
from livekit.reports.parser import parse_report

__all__ = ["cross_checked", "parse_candidates_json", "parse_report"]
