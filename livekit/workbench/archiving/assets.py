"""The files that every page of an archive shares: plotly.js and our own script, once each.

Their names carry the beginning of their hash, so a page always finds the script it was made for, a
newer program never changes what an older page runs, and every script can be checked by its name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Asset", "hash_in_name", "lab_style", "page_assets", "page_style", "templates_dir"]

_TEMPLATES = Path(__file__).resolve().parent / "templates"
HASH_LENGTH = 12
_NAMED = re.compile(rf"[a-z0-9.-]+-([0-9a-f]{{{HASH_LENGTH}}})\.js")


@dataclass(frozen=True, slots=True)
class Asset:
    """A shared file: its path below the archive's root, its bytes, their hash."""

    path: str
    content: bytes
    sha256: str


@cache
def page_assets() -> tuple[Asset, Asset]:
    """plotly.js and the script that draws a page's charts."""
    return _plotly_asset(), _own_asset()


def _plotly_asset() -> Asset:
    from plotly.offline import get_plotlyjs, get_plotlyjs_version  # noqa: PLC0415 - 5 MB of text

    return _asset(f"plotly-{get_plotlyjs_version()}", get_plotlyjs().encode())


def _own_asset() -> Asset:
    return _asset("livekit", (_TEMPLATES / "livekit.js").read_bytes())


def _asset(name: str, content: bytes) -> Asset:
    sha256 = hashlib.sha256(content).hexdigest()
    return Asset(f"assets/{name}-{sha256[:HASH_LENGTH]}.js", content, sha256)


def hash_in_name(name: str) -> str | None:
    """The beginning of the hash that a shared script's name ends with; None if it has none."""
    found = _NAMED.fullmatch(name)
    return found[1] if found else None


@cache
def page_style() -> str:
    """The style sheet that every page carries inline."""
    return (_TEMPLATES / "page.css").read_text(encoding="utf-8").strip()


@cache
def lab_style() -> str:
    """The style sheet that tables need in JupyterLab, which aligns every cell to the right."""
    return (_TEMPLATES / "lab.css").read_text(encoding="utf-8").strip()


def templates_dir() -> Path:
    """Folder of the page templates."""
    return _TEMPLATES
