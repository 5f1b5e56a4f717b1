"""How Sphinx builds these pages: ``tox -e docs``."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))  # for the docstrings of reports.statistics

from hnrnn import __version__

project = "hnrnn"
release = __version__
extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "_generated/*.md"]
smartquotes = False  # they would make a dash of the -- before an option
nitpicky = True
autodoc_typehints = "none"  # the docstrings give shapes and units
autodoc_member_order = "bysource"

nb_execution_mode = "force"  # outputs are not committed
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = "hnrnn"
html_static_path = ["static"]
html_css_files = ["narrow.css", "notebook.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

PUBLISHED = ROOT / "reports" / "published"
ELSEWHERE = re.compile(r"(?<=\]\()(\.\./[^)#\s]+)(#[^)\s]+)?")
"""The target of a link out of docs/, and its anchor."""


def link_to_repository(_app: Sphinx, page: str, source: list[str]) -> None:
    """Make every link from docs/ to a file of the repository one that works on the site.

    A published report is a page of the site. Any other file is shown by GitHub, where the build
    knows the repository; elsewhere Sphinx offers the file itself.
    """
    repository = os.environ.get("GITHUB_REPOSITORY")

    def target(match: re.Match[str]) -> str:
        path, anchor = ((DOCS / page).parent / match[1]).resolve(), match[2] or ""
        if path.is_relative_to(DOCS):
            return match[0]
        if not path.is_file():
            logging.getLogger(__name__).warning("%s: no file %s", page, match[1])
        if path.is_relative_to(PUBLISHED) and path.suffix in (".md", ".png"):
            return f"/_generated/published/{path.relative_to(PUBLISHED).as_posix()}{anchor}"
        if repository:
            name = path.relative_to(ROOT).as_posix()
            return f"https://github.com/{repository}/blob/main/{name}{anchor}"
        return f"path:{match[1]}"

    if not page.startswith("_generated/"):
        source[0] = ELSEWHERE.sub(target, source[0])


def setup(app: Sphinx) -> None:
    """Tell Sphinx what happens before a page is read."""
    app.connect("source-read", link_to_repository)
