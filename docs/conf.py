"""How the pages are built: Sphinx over Markdown (MyST), into a site that asks nobody else for anything."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

project = "rtbench"
author = "The rtbench contributors"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["README.md"]
html_theme = "furo"
html_title = "rtbench"
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_last_updated_fmt = None
myst_heading_anchors = 3
pygments_style = "friendly"
pygments_dark_style = "monokai"
# Indented blocks are commands and what they print.
highlight_language = "text"
# The reference is written from docstrings, which name modules in capitals and code in their own way.
# A link to a file outside docs/ (a plugin's README) is text on the site; tests/docs checks that it is there.
suppress_warnings = ["myst.header", "myst.xref_missing"]

_LOADED = re.compile(r"""<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)\s*=\s*["'](?:https?:)?//""")


def _stands_alone(app: Sphinx, error: Exception | None) -> None:
    """ExtensionError if a page loads anything from elsewhere."""
    if error is not None or app.builder.format != "html":
        return
    pages = [path for path in Path(app.outdir).rglob("*.html") if _LOADED.search(path.read_text(encoding="utf-8"))]
    sheets = [path for path in Path(app.outdir).rglob("*.css") if "url(http" in path.read_text(encoding="utf-8")]
    if pages or sheets:
        raise ExtensionError(f"loads from elsewhere: {', '.join(str(path) for path in [*pages, *sheets])}")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("build-finished", _stands_alone)
