"""The files that every page of an archive shares: plotly.js and our own script, once each.

Their names carry a version or a hash, so a page always finds the script it was made for and a
newer program never changes what an older page runs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Asset", "lab_style", "page_assets", "page_style", "templates_dir"]

_TEMPLATES = Path(__file__).resolve().parent / "templates"


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

    content = get_plotlyjs().encode()
    return _asset(f"assets/plotly-{get_plotlyjs_version()}.min.js", content)


def _own_asset() -> Asset:
    content = (_TEMPLATES / "livekit.js").read_bytes()
    return _asset(f"assets/livekit-{hashlib.sha256(content).hexdigest()[:12]}.js", content)


def _asset(path: str, content: bytes) -> Asset:
    return Asset(path, content, hashlib.sha256(content).hexdigest())


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
