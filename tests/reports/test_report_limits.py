"""Hostile files cost at most two seconds and 256 MB, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from tests.slowness import slowness

SECONDS = 2.0
KIBIBYTES = 256 * 1024

CHILD = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from livekit.errors import BadInput
    from livekit.reports import parse_candidates_json, parse_report

    folder = Path(sys.argv[1])
    page = folder / "earnings_trade_analysis_2020-03-18.html"
    listing = folder / "earnings_trade_candidates_2020-03-18.json"
    around = b"<!DOCTYPE html><html><body>%b</body></html>"
    bomb = b'<!DOCTYPE html [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><html><body>&b;</body></html>'
    cases = {
        "a million nested": (page, lambda: around % (b"<b>" * 1_000_000)),
        "nested and closed": (page, lambda: around % (b"<i>" * 14_000 + b"</i>" * 14_000)),
        "entity bomb": (page, lambda: bomb),
        "one endless text": (page, lambda: around % (b"word " * 3_900_000)),
        "comments without end": (page, lambda: around % (b"<!-- " * 29_000 + b"x" * 9_000_000)),
        "scripts without end": (page, lambda: around % (b"<script " * 29_000)),
        "attributes": (page, lambda: around % (b"<p " + b"a=1 " * 2_000_000 + b">")),
        "no tags at all": (page, lambda: b"x" * 19_000_000),
        "scores": (page, lambda: around % (b"<b>88 pts</b>" * 14_000)),
        "cards": (page, lambda: around % (b"<div><b>$AB</b><b>88 pts</b></div>" * 7_000)),
        "brackets": (listing, lambda: b"[" * 490_000),
        "digits": (listing, lambda: b"9" * 490_000),
        "many candidates": (listing, lambda: b'{"candidates":[' + b"1," * 240_000 + b"1]}"),
    }
    for name, (path, content) in cases.items():
        path.write_bytes(content())
        parse = parse_report if path is page else parse_candidates_json
        started = time.process_time()
        try:
            outcome = parse(path).verdict
        except BadInput:
            outcome = "refused"
        print(f"{name}|{outcome}|{time.process_time() - started}")
    with page.open("wb") as file:
        file.truncate(500_000_000)
    try:
        parse_report(page)
    except BadInput:
        print("500 MB|refused|0")
    status = Path("/proc/self/status").read_text()  # unlike getrusage, of this program alone
    print(f"memory|{status.split('VmHWM:')[1].split()[0]}|0")
    """
)


def test_hostile_files_are_answered_within_two_seconds_and_256_mb(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines()]
    for name, outcome, seconds in rows[:-1]:
        assert outcome in {"refused", "suspect"}, name
        assert float(seconds) < SECONDS * slowness(), (name, seconds)
    assert rows[-1][0] == "memory"
    assert int(rows[-1][1]) < KIBIBYTES
