"""An executed notebook as one HTML page that opens from a file without a network.

nbconvert renders the notebook through our template. Beside the page lie two shared scripts; the
page itself holds no executable script, and its content-security policy allows none. Charts are
data that the shared script draws. Every other text, whoever wrote it, is text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cache
from typing import Any

import nbformat
from markupsafe import Markup
from nbconvert.exporters import HTMLExporter
from nbconvert.preprocessors.sanitize import SanitizeHTML
from traitlets.config import Config

from livekit.workbench.archiving.assets import page_assets, page_style, templates_dir
from livekit.workbench.archiving.figures import FigureStore
from livekit.workbench.charts import PLOTLY_MIME

__all__ = [
    "PageHeader",
    "content_policy",
    "export_page",
    "prepare_export",
    "status_tone",
]

ARCHIVE_ROOT = "../../../"  # a page lies in {yyyy}/{mm}/{session}/
ERROR_MARKER = "papermill-error-cell-tag"
SHOWN_TYPES = ["text/html", "text/markdown", "image/png", "text/plain"]

ALLOWED_TAGS = [
    *("h2", "h3", "h4", "p", "div", "span", "br", "hr", "blockquote", "pre", "a"),
    *("b", "strong", "i", "em", "s", "small", "sub", "sup", "code"),
    *("ul", "ol", "li", "dl", "dt", "dd"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"),
]
ALLOWED_CLASSES = frozenset({"lk", "n", "t", "warn", "bad"})


@dataclass(frozen=True, slots=True)
class PageHeader:
    """What stands above a page: which run it is, how it ended, and what it can be checked by.

    ``hashes`` are names and values (plan, configuration, notebook, lock file …).
    """

    phase: str
    session: date
    attempt: int
    run_id: int
    profile: str
    status: str
    exit_code: int
    simulated: bool
    message: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    hashes: tuple[tuple[str, str], ...] = ()

    def with_hash(self, name: str, value: str) -> PageHeader:
        """The same header with one more hash."""
        return replace(self, hashes=(*self.hashes, (name, value)))


def export_page(notebook_text: str, header: PageHeader, *, root: str = ARCHIVE_ROOT) -> str:
    """Render an executed notebook (its JSON text); ``root`` leads from the page to the archive."""
    notebook = nbformat.reads(notebook_text, as_version=4)
    figures = FigureStore()
    has_error = _prepare(notebook, figures)
    resources = {"livekit": _context(header, figures, root, has_error=has_error)}
    body, _ = _exporter().from_notebook_node(notebook, resources=resources)
    return str(body)


def prepare_export() -> None:
    """Load templates and shared scripts, so that the next page is made without a wait."""
    _exporter()
    page_assets()


def status_tone(exit_code: int) -> str:
    """``ok`` for 0, ``warning`` for withheld decisions or a held lock, else ``failed``."""
    return {0: "ok", 5: "warning", 6: "warning"}.get(exit_code, "failed")


def content_policy() -> str:
    """The policy of every page: its own shared scripts, inline style, images as data."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _context(
    header: PageHeader, figures: FigureStore, root: str, *, has_error: bool
) -> dict[str, Any]:
    plotly_asset, script_asset = page_assets()
    mark = " (SIMULATED)" if header.simulated else ""
    day = f"{header.session:%A} {header.session.day} {header.session:%B %Y}"
    return {
        "header": header,
        "title": f"{header.phase} {header.session}{mark}: {header.status}",
        "heading": f"{header.phase.capitalize()} of {day}",
        "tone": status_tone(header.exit_code),
        "facts": _facts(header),
        "has_error": has_error,
        "figures": figures.to_json(),
        "policy": content_policy(),
        "style": page_style(),
        "root": root,
        "plotly_asset": plotly_asset.path,
        "script_asset": script_asset.path,
        "footer": f"{header.profile}, {header.phase} of {header.session}, run {header.run_id}",
    }


def _facts(header: PageHeader) -> tuple[tuple[str, str], ...]:
    own = (
        ("profile", header.profile),
        ("session", header.session.isoformat()),
        ("attempt", str(header.attempt)),
        ("run", str(header.run_id)),
    )
    return own + header.facts


# ------------------------------------------------------------------------------- the notebook


def _prepare(notebook: nbformat.NotebookNode, figures: FigureStore) -> bool:
    """Drop what a page does not show, collect the figures; whether a cell raised an error."""
    notebook.cells = [
        cell for cell in notebook.cells if ERROR_MARKER not in cell.metadata.get("tags", [])
    ]
    _drop_title(notebook)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    for output in outputs:
        _collect(output, figures)
    return any(output.output_type == "error" for output in outputs)


def _drop_title(notebook: nbformat.NotebookNode) -> None:
    """The page has a heading of its own; the notebook's first one would repeat it."""
    for cell in notebook.cells[:1]:
        if cell.cell_type == "markdown":
            cell.source = re.sub(r"\A# .*\n*", "", cell.source)


def _collect(output: nbformat.NotebookNode, figures: FigureStore) -> None:
    output.setdefault("metadata", {}).pop("livekit_chart", None)
    if "data" not in output:
        return
    output.data.setdefault("text/plain", "")
    figure = output.data.pop(PLOTLY_MIME, None)
    if isinstance(figure, Mapping):
        output.metadata["livekit_chart"] = asdict(figures.add(figure))


@cache
def _exporter() -> HTMLExporter:
    config = Config()
    config.NbConvertBase.display_data_priority = SHOWN_TYPES
    exporter = HTMLExporter(
        config=config,
        template_name="livekit_page",
        extra_template_basedirs=[str(templates_dir())],
        exclude_anchor_links=True,
        filters={"safe_html": safe_html},
    )
    exporter.environment.autoescape = True
    return exporter


def safe_html(text: str) -> Markup:
    """HTML reduced to plain structure: no script, style, handler, form, or link out of the page."""
    return Markup(_sanitizer().sanitize_html_tags(text))  # noqa: S704 - it is what makes it safe


@cache
def _sanitizer() -> SanitizeHTML:
    return SanitizeHTML(tags=ALLOWED_TAGS, attributes=_attribute_allowed, strip=True)


def _attribute_allowed(tag: str, name: str, value: str) -> bool:
    if name == "class":
        return set(value.split()) <= ALLOWED_CLASSES
    if tag in {"td", "th"}:
        return name == "scope" or (name in {"colspan", "rowspan"} and value.isdecimal())
    return tag == "a" and name == "href" and value.startswith("#")
