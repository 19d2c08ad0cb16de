"""Feed the report parsers with bytes that a coverage-guided fuzzer makes up.

Whatever comes, the answer is a result or `BadInput`. Run by ``make fuzz``; arguments are those of
libFuzzer, for example ``-max_total_time=60``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["livekit.reports"]):
    from livekit.errors import BadInput
    from livekit.reports import parse_candidates_json, parse_report

FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-reports-"))
PAGE = FOLDER / "earnings_trade_analysis_2020-03-18.html"
LISTING = FOLDER / "earnings_trade_candidates_2020-03-18.json"


def one_input(data: bytes) -> None:
    """Parse the bytes as a page, as the body of a page, and as a list of candidates."""
    for content in (data, b"<!DOCTYPE html><html><body>" + data + b"</body></html>"):
        PAGE.write_bytes(content)
        try:
            result = parse_report(PAGE)
        except BadInput:
            continue
        if result.verdict == "ok" and not result.candidates:
            raise AssertionError("a page without candidates is ok")
    LISTING.write_bytes(data)
    try:
        parse_candidates_json(LISTING)
    except BadInput:
        return


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
